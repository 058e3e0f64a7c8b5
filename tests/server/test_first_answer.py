"""The main job, end to end: a question in, a metered and grounded answer out."""

from pathlib import Path

from gateway.v1 import account_pb2, inference_pb2
from tests.support.gateway import running
from tests.support.upstream import Reply, ScriptedUpstream


async def test_the_embedded_default_streams_a_grounded_answer_with_sources(tmp_path: Path) -> None:
    """Without any key the gateway answers from its own documents, sources first, citations in the stream."""
    async with running(tmp_path) as gateway:
        turn = inference_pb2.Turn(prompt="how does the gateway meter a broken stream?")
        frames = [frame async for frame in gateway.inference.Generate(turn, metadata=gateway.bearer())]
        kinds = [frame.WhichOneof("frame") for frame in frames]
        assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))
        assert kinds[0] == "accepted"
        assert kinds[-1] == "end"
        assert kinds.index("search") < kinds.index("delta") < kinds.index("citation")
        end = frames[-1].end
        assert (end.finish, end.model) == (inference_pb2.FINISH_STOP, "embedded")
        receipt = await gateway.account.GetReceipt(
            account_pb2.GetReceiptRequest(receipt_id=end.receipt_id), metadata=gateway.bearer()
        )
        assert (receipt.tenant, receipt.settled) == ("acme", end.usage)


async def test_deepseek_answers_where_there_is_a_key(tmp_path: Path) -> None:
    """With a key the default model is DeepSeek's, and the text arrives unchanged."""
    async with (
        ScriptedUpstream(Reply.answer("Hel", "lo")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        turn = inference_pb2.Turn(
            prompt="hi", search=inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_NEVER)
        )
        frames = [frame async for frame in gateway.inference.Generate(turn, metadata=gateway.bearer())]
        assert "".join(frame.delta.text for frame in frames) == "Hello"
        assert upstream.exchanges[0].json["model"] == "deepseek-flash"
