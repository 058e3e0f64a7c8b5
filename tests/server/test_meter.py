"""Inside a running stream: usage frames, the near-limit notice, and the clean end at the caller's own limit."""

from pathlib import Path

from gateway.v1 import account_pb2, inference_pb2
from tests.support.chat_events import sse, text_chunk
from tests.support.gateway import running
from tests.support.upstream import STALL, Reply, ScriptedUpstream

NEVER = inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_NEVER)


async def test_a_turn_that_takes_longer_than_a_second_hears_what_it_used(tmp_path: Path) -> None:
    """At most one usage frame a second, by our own count while the provider has not spoken."""
    steps = (sse(text_chunk("one ")), 1.1, sse(text_chunk("two ")), sse(text_chunk("three")), STALL)
    async with (
        ScriptedUpstream(Reply(steps)) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        turn = inference_pb2.Turn(prompt="count", search=NEVER)
        usage = None
        async for frame in gateway.inference.Generate(turn, metadata=gateway.bearer()):
            if frame.WhichOneof("frame") == "usage":
                usage = frame.usage
                break
        assert usage is not None
        assert usage.completion_tokens >= 2
        assert usage.cost_nano_usd > 0


async def test_a_turn_ends_cleanly_at_its_own_cost_limit_whatever_the_upstream_sends(tmp_path: Path) -> None:
    """LIMIT keeps all text, closes the upstream, and overshoots by no more than what had arrived together."""
    endless = Reply((*(sse(text_chunk("word ")),) * 3, 0.01) * 400)
    async with ScriptedUpstream(endless) as upstream, running(tmp_path, upstream=upstream.url) as gateway:
        # Room for the prompt and about twenty tokens, at the highest price of the day.
        turn = inference_pb2.Turn(
            prompt="go on for ever",
            search=NEVER,
            limit=inference_pb2.TurnLimit(max_cost_nano_usd=25_000),
        )
        frames = [frame async for frame in gateway.inference.Generate(turn, metadata=gateway.bearer())]
        await upstream.exchanges[0].closed.wait()
        end = frames[-1].end
        assert end.finish == inference_pb2.FINISH_LIMIT
        allowed = upstream.exchanges[0].json["max_tokens"]
        assert allowed <= end.usage.completion_tokens <= allowed + 3
        assert end.usage.cost_nano_usd <= turn.limit.max_cost_nano_usd
        notices = [frame.notice for frame in frames if frame.WhichOneof("frame") == "notice"]
        assert [notice.kind for notice in notices] == [inference_pb2.NOTICE_KIND_LIMIT_NEAR]
        receipt = await gateway.account.GetReceipt(
            account_pb2.GetReceiptRequest(receipt_id=end.receipt_id), metadata=gateway.bearer()
        )
        assert receipt.finish == inference_pb2.FINISH_LIMIT
