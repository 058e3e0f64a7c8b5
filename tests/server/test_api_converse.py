"""Converse: many turns on one stream, each with its own end; what ends a turn, and what ends the stream."""

import asyncio
import time
from pathlib import Path

import grpc
import grpc.aio
import pytest

from gateway import __version__
from gateway.v1 import account_pb2, content_pb2, inference_pb2
from tests.support.calls import Talk, kinds, text_of, until
from tests.support.chat_events import DONE, LAST_CHUNK, text_chunk
from tests.support.gateway import Running, running
from tests.support.upstream import RESET, Exchange, Reply, ScriptedUpstream

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def prompt_of(exchange: Exchange) -> str:
    """The last words of the user as they went upstream."""
    return str(exchange.json["messages"][-1]["content"])


class Gates:
    """An upstream that begins every answer at once, and goes on when the gate of its prompt is open."""

    def __init__(self) -> None:
        self._gates: dict[str, asyncio.Event] = {}

    def of(self, prompt: str) -> asyncio.Event:
        """The gate of this prompt."""
        return self._gates.setdefault(prompt, asyncio.Event())

    def __call__(self, exchange: Exchange) -> Reply:
        prompt = prompt_of(exchange)
        begin, rest = text_chunk(f"{prompt} begins"), text_chunk(f", {prompt} ends")
        return Reply.events(begin, self.of(prompt), rest, LAST_CHUNK, DONE)


# --- turns ----------------------------------------------------------------------------------------------


async def test_turns_one_after_the_other_share_one_numbering(tmp_path: Path) -> None:
    """Each turn is accepted, answered and ended in order, and `seq` counts over all of them."""
    async with (
        ScriptedUpstream([Reply.answer("o", "ne"), Reply.answer("two"), Reply.answer("three")]) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway) as talk,
    ):
        for turn_id in ("t1", "t2", "t3"):
            await talk.ask("go on", turn_id)
            await talk.until("end", turn_id)
        await talk.finish()
        assert [text_of(talk.of(turn_id)) for turn_id in ("t1", "t2", "t3")] == ["one", "two", "three"]
        for turn_id in ("t1", "t2", "t3"):
            assert kinds(talk.of(turn_id))[0] == "accepted"
            assert kinds(talk.of(turn_id))[-1] == "end"
        receipts = {frame.accepted.receipt_id for frame in talk.said if frame.HasField("accepted")}
        assert receipts == {frame.end.receipt_id for frame in talk.said if frame.HasField("end")}
        assert len(receipts) == 3


async def test_eight_turns_run_at_once_and_end_in_the_order_of_their_answers(tmp_path: Path) -> None:
    """Nothing of one turn waits for another, and the frames of each stay in their own order."""
    gates = Gates()
    names = [f"t{number}" for number in range(8)]
    async with (
        ScriptedUpstream(gates) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway) as talk,
    ):
        for name in names:
            await talk.ask(name, name)
        for _ in names:
            await talk.until("delta")
        assert all(text_of(talk.of(name)) == f"{name} begins" for name in names)
        for name in reversed(names):
            gates.of(name).set()
            await talk.until("end", name)
        await talk.finish()
        assert [frame.turn_id for frame in talk.said if frame.HasField("end")] == names[::-1]
        assert all(text_of(talk.of(name)) == f"{name} begins, {name} ends" for name in names)


async def test_a_ninth_turn_is_refused_until_one_of_the_eight_has_ended(tmp_path: Path) -> None:
    """The ninth gets a fault and its end at once; the eight go on, and room for one more is room for one more."""
    gates = Gates()
    async with (
        ScriptedUpstream(gates) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway) as talk,
    ):
        for number in range(8):
            await talk.ask(f"t{number}", f"t{number}")
        await talk.ask("late", "late")
        fault = (await talk.until("fault")).fault
        assert (fault.reason, fault.retryable) == ("PROTOCOL_STATE", False)
        await talk.until("end", "late")
        gates.of("t0").set()
        await talk.until("end", "t0")
        gates.of("later").set()
        await talk.ask("later", "later")
        await talk.until("end", "later")
        for number in range(1, 8):
            gates.of(f"t{number}").set()
        await talk.finish()
        ends = {frame.turn_id: frame.end.finish for frame in talk.said if frame.HasField("end")}
        assert ends.pop("late") == inference_pb2.FINISH_ERROR
        assert set(ends.values()) == {inference_pb2.FINISH_STOP}
        assert len(upstream.exchanges) == 9


async def test_the_id_of_a_running_turn_cannot_be_used_again(tmp_path: Path) -> None:
    """The second turn gets a fault and no end, so that the first keeps its one end."""
    gates = Gates()
    async with (
        ScriptedUpstream(gates) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway) as talk,
    ):
        await talk.ask("first", "same")
        await talk.until("delta")
        await talk.ask("first", "same")
        fault = (await talk.until("fault", "same")).fault
        assert fault.reason == "TURN_IN_PROGRESS"
        assert grpc.StatusCode.ALREADY_EXISTS.value[0] == fault.code
        gates.of("first").set()
        await talk.finish()
        assert kinds(talk.of("same")).count("end") == 1
        assert talk.said[-1].end.finish == inference_pb2.FINISH_STOP
        assert len(upstream.exchanges) == 1


async def test_the_id_of_an_ended_turn_names_its_receipt(tmp_path: Path) -> None:
    """The same turn again is settled, another one under its id a conflict; neither is charged."""
    async with (
        ScriptedUpstream(Reply.answer("once")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway) as talk,
    ):
        await talk.ask("hi", "t1")
        receipt_id = (await talk.until("end")).end.receipt_id
        await talk.ask("hi", "t1")
        settled = (await talk.until("fault")).fault
        refusal = (await talk.until("end")).end
        await talk.ask("something else", "t1")
        conflict = (await talk.until("fault")).fault
        assert (settled.reason, settled.facts["receipt_id"]) == ("TURN_SETTLED", receipt_id)
        assert (conflict.reason, conflict.facts["receipt_id"]) == ("IDEMPOTENCY_CONFLICT", receipt_id)
        assert (refusal.receipt_id, refusal.usage.cost_nano_usd) == ("", 0)
        assert not settled.charged
        assert len(upstream.exchanges) == 1


async def test_a_turn_without_an_id_gets_one_whatever_becomes_of_it(tmp_path: Path) -> None:
    """A frame without a turn's id would concern the stream as a whole, and this one does not."""
    async with (
        ScriptedUpstream(Reply.answer("fine")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway) as talk,
    ):
        await talk.say(turn=inference_pb2.Turn())
        await talk.ask("hi", model="nobody")
        await talk.ask("hi")
        await talk.finish()
        assert all(frame.turn_id for frame in talk.said)
        assert [frame.fault.reason for frame in talk.said if frame.HasField("fault")] == [
            "INVALID_REQUEST",
            "MODEL_NOT_FOUND",
        ]
        assert kinds(talk.said).count("end") == 3


async def test_trouble_with_a_turn_leaves_the_stream_alone(tmp_path: Path) -> None:
    """Bad fields, a broken upstream and an interruption are each a fault and an end; the next turn is answered."""
    replies = [
        Reply.json(401, {"error": {"message": "bad key", "type": "authentication_error"}}),
        Reply.events(text_chunk("half"), RESET),
        Reply.answer("whole"),
    ]
    async with (
        ScriptedUpstream(replies) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway) as talk,
    ):
        await talk.ask("", "bad", labels={"": "x"})
        bad = (await talk.until("fault", "bad")).fault
        await talk.ask("hi", "no key")
        await talk.ask("hi", "no-key")
        named = (await talk.until("fault", "no key")).fault
        broken = (await talk.until("fault", "no-key")).fault
        await talk.until("end", "no-key")
        await talk.ask("hi", "cut")
        cut = (await talk.until("fault", "cut")).fault
        end = (await talk.until("end", "cut")).end
        await talk.ask("hi", "good")
        await talk.finish()
        assert bad.code == INVALID.value[0]
        assert set(bad.facts) == {"field.messages", "field.labels[]"}
        assert set(named.facts) == {"field.turn_id"}
        assert (broken.reason, broken.retryable, broken.charged) == ("UPSTREAM_CREDENTIALS", False, False)
        assert grpc.StatusCode.ABORTED.value[0] == cut.code
        assert (cut.reason, cut.charged, cut.facts["delivered_tokens"]) == ("STREAM_INTERRUPTED", True, "1")
        assert (end.finish, text_of(talk.of("cut"))) == (inference_pb2.FINISH_ERROR, "half")
        assert end.usage.cost_nano_usd > 0
        assert text_of(talk.of("good")) == "whole"


# --- opening and sessions -------------------------------------------------------------------------------


async def test_open_names_the_session_and_tells_how_long_the_credential_lasts(tmp_path: Path) -> None:
    """The answer to `open` repeats the session, or names one, and comes before everything else."""
    async with running(tmp_path) as gateway:
        async with Talk(gateway) as talk:
            await talk.say(open=inference_pb2.Open(session_id="morning"))
            opened = (await talk.until("opened")).opened
            await talk.finish()
        async with Talk(gateway) as unnamed:
            await unnamed.say(open=inference_pb2.Open())
            made = (await unnamed.until("opened")).opened
        assert (opened.session_id, opened.server_version) == ("morning", __version__)
        assert 0 < opened.credential_expires.seconds - time.time() <= 600
        assert made.session_id
        assert talk.said[0].turn_id == ""


async def test_turn_ids_are_unique_within_their_session(tmp_path: Path) -> None:
    """The same id in another session is another turn; in the same session it is the same, on whichever stream."""
    async with (
        ScriptedUpstream(Reply.answer("fine")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        said = []
        for session in ("a", "b", "a"):
            async with Talk(gateway) as talk:
                await talk.say(open=inference_pb2.Open(session_id=session))
                await talk.ask("hi", "t1")
                await talk.finish()
                said.append([frame.fault.reason for frame in talk.said if frame.HasField("fault")])
        assert said == [[], [], ["TURN_SETTLED"]]


@pytest.mark.parametrize("before", ["open", "heartbeat", "turn"])
async def test_open_comes_first_and_once(tmp_path: Path, before: str) -> None:
    """After anything else it ends the stream; a running turn ends with it and is settled."""
    gates = Gates()
    async with (
        ScriptedUpstream(gates) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway) as talk,
    ):
        match before:
            case "open":
                await talk.say(open=inference_pb2.Open(session_id="a"))
            case "heartbeat":
                await talk.say(heartbeat=inference_pb2.Heartbeat())
            case _:
                await talk.ask("hi", "t1")
                await talk.until("delta")
        await talk.say(open=inference_pb2.Open(session_id="a"))
        told = await talk.status()
        assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PROTOCOL_STATE")
        assert told.facts["request_id"] == told.trailers["x-request-id"]
        for frame in talk.said:
            if frame.HasField("accepted"):
                receipt = await gateway.account.GetReceipt(
                    account_pb2.GetReceiptRequest(receipt_id=frame.accepted.receipt_id), metadata=gateway.bearer()
                )
                assert receipt.finish == inference_pb2.FINISH_CANCELLED
                await until(upstream.exchanges[0].closed.is_set)


@pytest.mark.parametrize("session_id", ["x" * 129, "line\nbreak", "\u202e"])
async def test_a_session_has_a_printable_name_of_at_most_128_characters(tmp_path: Path, session_id: str) -> None:
    """A name that could hide or overflow is refused by its field."""
    async with running(tmp_path) as gateway, Talk(gateway) as talk:
        await talk.say(open=inference_pb2.Open(session_id=session_id))
        told = await talk.status()
        assert (told.code, list(told.fields)) == (INVALID, ["open.session_id"])


# --- what is no frame -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (b"", ["frame"]),
        (b"\xa2\x01\x03abc", ["frame"]),  # field 20, of a contract to come
        (b"\x22\x00", ["frame"]),  # field 4, kept for later
        (b"\xff\xff\xff\xff", [""]),
        (b"\x12\x7f", [""]),  # a turn that is cut short
        (b"\x12\x05\x0a\x03\xff\xfe\xfd", [""]),  # a turn whose id is not UTF-8
    ],
    ids=["unset", "unknown", "kept", "garbage", "cut", "no text"],
)
async def test_what_is_no_frame_ends_the_stream_as_the_callers_fault(
    tmp_path: Path, data: bytes, fields: list[str]
) -> None:
    """INVALID_ARGUMENT with details and the number of the frame, and never a word of our own insides."""
    async with running(tmp_path) as gateway, Talk(gateway, raw=True) as talk:
        await talk.call.write(inference_pb2.ClientFrame(heartbeat=inference_pb2.Heartbeat()).SerializeToString())
        await talk.call.write(data)
        told = await talk.status()
        assert (told.code, told.reason) == (INVALID, "INVALID_REQUEST")
        assert list(told.fields) == fields
        assert "frame 2" in told.message
        assert "pb2" not in told.message
        assert kinds(talk.said) == []


async def test_garbage_ends_running_turns_with_their_receipts(tmp_path: Path) -> None:
    """The stream is over, so its turns are cancelled: upstream closed, receipt closed, nothing left running."""
    async with (
        ScriptedUpstream(Gates()) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway, raw=True) as talk,
    ):
        turn = inference_pb2.Turn(prompt="hi", search=inference_pb2.SearchOptions(mode=1))
        await talk.call.write(inference_pb2.ClientFrame(turn=turn).SerializeToString())
        receipt_id = (await talk.until("accepted")).accepted.receipt_id
        await talk.until("delta")
        await talk.call.write(b"\xff")
        assert (await talk.status()).code is INVALID
        await until(upstream.exchanges[0].closed.is_set)
        receipt = await gateway.account.GetReceipt(
            account_pb2.GetReceiptRequest(receipt_id=receipt_id), metadata=gateway.bearer()
        )
        assert (receipt.finish, receipt.settled.completion_tokens) == (inference_pb2.FINISH_CANCELLED, 1)
        assert len(gateway.gateway.running) == 0


async def test_a_stream_without_a_frame_is_refused(tmp_path: Path) -> None:
    """A half-close before anything says what was missing."""
    async with running(tmp_path) as gateway, Talk(gateway) as talk:
        await talk.call.done_writing()
        told = await talk.status()
        assert (told.code, told.reason) == (INVALID, "INVALID_REQUEST")
        assert "send a turn" in told.message


async def test_ten_thousand_frames_are_nothing_special(tmp_path: Path) -> None:
    """Every heartbeat is echoed in order, cancels of nothing change nothing, and a turn runs at the end."""
    async with (
        ScriptedUpstream(Reply.answer("still here")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway) as talk,
    ):

        async def flood() -> None:
            for number in range(1, 5001):
                await talk.say(heartbeat=inference_pb2.Heartbeat(echo=number))
                await talk.say(cancel=inference_pb2.Cancel(turn_id=f"nobody-{number}"))
            await talk.ask("hi", "t1")
            await talk.call.done_writing()

        _, told = await asyncio.gather(flood(), talk.status())
        assert told.code is grpc.StatusCode.OK
        echoes = [frame.heartbeat.echo for frame in talk.said if frame.HasField("heartbeat")]
        assert [echo for echo in echoes if echo] == list(range(1, 5001))
        assert text_of(talk.said) == "still here"


# --- ends -----------------------------------------------------------------------------------------------


async def test_half_close_means_no_more_input(tmp_path: Path) -> None:
    """Turns that run are answered to their end, and the stream ends OK after the last of them."""
    gates = Gates()
    async with (
        ScriptedUpstream(gates) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway) as talk,
    ):
        await talk.ask("one", "t1")
        await talk.ask("two", "t2")
        await talk.call.done_writing()
        await talk.until("delta")
        await talk.until("delta")
        gates.of("two").set()
        await talk.until("end", "t2")
        gates.of("one").set()
        await talk.finish()
        assert text_of(talk.of("t1")) == "one begins, one ends"


async def test_one_turn_is_cancelled_and_the_other_goes_on(tmp_path: Path) -> None:
    """Its upstream is closed, its end says CANCELLED with what it cost, and there is no fault."""
    gates = Gates()
    async with (
        ScriptedUpstream(gates) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway) as talk,
    ):
        await talk.ask("one", "t1")
        await talk.until("delta")
        await talk.ask("two", "t2")
        await talk.until("delta")
        await talk.say(cancel=inference_pb2.Cancel(turn_id="t1"))
        end = (await talk.until("end", "t1")).end
        await until(upstream.exchanges[0].closed.is_set)
        gates.of("two").set()
        await talk.finish()
        assert (end.finish, end.usage.completion_tokens) == (inference_pb2.FINISH_CANCELLED, 1)
        assert end.usage.cost_nano_usd > 0
        assert "fault" not in kinds(talk.said)
        assert text_of(talk.of("t2")) == "two begins, two ends"
        assert not upstream.exchanges[1].closed.is_set()


async def test_an_empty_cancel_stops_every_turn(tmp_path: Path) -> None:
    """All of them end CANCELLED, and the stream takes the next one."""
    gates = Gates()
    async with (
        ScriptedUpstream(gates) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway) as talk,
    ):
        for number in range(3):
            await talk.ask(f"t{number}", f"t{number}")
            await talk.until("delta")
        await talk.say(cancel=inference_pb2.Cancel())
        for _ in range(3):
            assert (await talk.until("end")).end.finish == inference_pb2.FINISH_CANCELLED
        gates.of("next").set()
        await talk.ask("next", "t4")
        await talk.finish()
        assert text_of(talk.of("t4")) == "next begins, next ends"
        await until(lambda: len(gateway.gateway.running) == 0)


async def test_cancelling_a_turn_whose_frame_waits_for_the_caller_spares_the_others(tmp_path: Path) -> None:
    """The frame that waits is sent, then the end of its turn, then the other turn, without a hole."""

    def script(exchange: Exchange) -> Reply:
        long = Reply.events(*[text_chunk("x" * 10_000)] * 200, LAST_CHUNK, DONE)
        return long if prompt_of(exchange) == "long" else Reply.answer("short")

    small_window = (
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 1024),
        ("grpc.use_local_subchannel_pool", 1),
    )
    async with (
        ScriptedUpstream(script) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        grpc.aio.insecure_channel(gateway.target, options=small_window) as channel,
        Talk(Running(gateway.gateway, gateway.target, channel, gateway.data_dir), gateway.bearer()) as talk,
    ):
        await talk.ask("long", "t1")
        await stalled(await upstream.request())
        await talk.say(cancel=inference_pb2.Cancel(turn_id="t1"))
        await talk.ask("short", "t2")
        await talk.finish()
        assert talk.of("t1")[-1].end.finish == inference_pb2.FINISH_CANCELLED
        assert 0 < len(text_of(talk.of("t1"))) < 2_000_000
        assert text_of(talk.of("t2")) == "short"


async def test_a_caller_who_stops_reading_loses_the_stream(tmp_path: Path) -> None:
    """After the stall timer the stream ends ABORTED with the reason, and the upstream of every turn is closed."""
    small_window = (
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 1024),
        ("grpc.use_local_subchannel_pool", 1),
    )
    flood = Reply.events(*[text_chunk("x" * 10_000)] * 400, LAST_CHUNK, DONE)
    async with (
        ScriptedUpstream(flood) as upstream,
        running(tmp_path, upstream=upstream.url, fast=True) as gateway,
        grpc.aio.insecure_channel(gateway.target, options=small_window) as channel,
        Talk(Running(gateway.gateway, gateway.target, channel, gateway.data_dir), gateway.bearer()) as talk,
    ):
        await talk.ask("hi", "t1")
        receipt_id = (await talk.until("accepted")).accepted.receipt_id
        await until((await upstream.request()).closed.is_set)
        told = await talk.status()
        assert (told.code, told.reason) == (grpc.StatusCode.ABORTED, "CLIENT_TOO_SLOW")
        receipt = await gateway.account.GetReceipt(
            account_pb2.GetReceiptRequest(receipt_id=receipt_id), metadata=gateway.bearer()
        )
        assert (receipt.reason, receipt.finish) == ("CLIENT_TOO_SLOW", inference_pb2.FINISH_ERROR)


# --- signs of life --------------------------------------------------------------------------------------


async def test_a_heartbeat_is_echoed(tmp_path: Path) -> None:
    """With the caller's own number, at once, and without a turn."""
    async with running(tmp_path) as gateway, Talk(gateway) as talk:
        await talk.say(heartbeat=inference_pb2.Heartbeat(echo=2**64 - 1))
        frame = await talk.until("heartbeat")
        assert (frame.heartbeat.echo, frame.turn_id) == (2**64 - 1, "")
        await talk.finish()


async def test_a_quiet_stream_gets_heartbeats(tmp_path: Path) -> None:
    """While a model thinks without a word, and between turns as well; they answer nothing, so they echo 0."""
    gates = Gates()

    def silent(exchange: Exchange) -> Reply:
        return Reply.events(gates.of(prompt_of(exchange)), text_chunk("at last"), LAST_CHUNK, DONE)

    timers = {"GATEWAY_TIMERS_HEARTBEAT_S": "0.1"}
    async with (
        ScriptedUpstream(silent) as upstream,
        running(tmp_path, upstream=upstream.url, environment=timers) as gateway,
        Talk(gateway) as talk,
    ):
        await talk.ask("hi", "t1")
        await talk.until("heartbeat")
        assert (await talk.until("heartbeat")).heartbeat.echo == 0
        gates.of("hi").set()
        await talk.until("end")
        await talk.until("heartbeat")
        await talk.finish()
        assert text_of(talk.said) == "at last"


# --- credentials ----------------------------------------------------------------------------------------


async def test_a_missing_scope_or_a_bad_token_never_opens_a_stream(tmp_path: Path) -> None:
    """Converse needs model.stream; reading alone does not do, and a token that is bad is none."""
    async with running(tmp_path) as gateway:
        async with Talk(gateway, gateway.bearer(scope="model.read search")) as talk:
            told = await talk.status()
            assert (told.code, told.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
            assert told.facts["scope"] == "model.stream"
        async with Talk(gateway, (("authorization", "Bearer x.y.z"),)) as talk:
            told = await talk.status()
            assert (told.code, told.message) == (grpc.StatusCode.UNAUTHENTICATED, "invalid_token")


async def test_an_expired_token_refuses_the_next_turn_and_a_fresh_one_lets_it_run(tmp_path: Path) -> None:
    """A running turn may finish; the next one is TOKEN_EXPIRED until a credential frame brings a new token."""
    gates = Gates()
    async with (
        ScriptedUpstream(gates) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        assert gateway.gateway.issuer is not None
        old = gateway.gateway.issuer.mint("acme", "model.stream", "tester", 2, time.time() - 1)
        async with Talk(gateway, (("authorization", f"Bearer {old}"),)) as talk:
            await talk.say(open=inference_pb2.Open())
            expires = (await talk.until("opened")).opened.credential_expires.seconds
            await talk.ask("before", "t1")
            await talk.until("delta")
            await until(lambda: time.time() > expires)
            await talk.ask("after", "t2")
            fault = (await talk.until("fault", "t2")).fault
            await talk.until("end", "t2")
            fresh = gateway.token(scope="model.stream")
            await talk.say(credential=inference_pb2.Credential(bearer=fresh))
            gates.of("after").set()
            await talk.ask("after", "t3")
            await talk.until("end", "t3")
            gates.of("before").set()
            await talk.finish()
        assert (fault.reason, fault.code) == ("TOKEN_EXPIRED", grpc.StatusCode.UNAUTHENTICATED.value[0])
        assert text_of(talk.of("t1")) == "before begins, before ends"
        assert text_of(talk.of("t3")) == "after begins, after ends"


async def test_scopes_are_checked_again_for_every_turn(tmp_path: Path) -> None:
    """A fresh token that may do less lets the running turn finish and the next one not begin."""
    gates = Gates()
    async with (
        ScriptedUpstream(gates) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway) as talk,
    ):
        await talk.ask("one", "t1")
        await talk.until("delta")
        await talk.say(credential=inference_pb2.Credential(bearer=gateway.token(scope="model.read")))
        await talk.ask("two", "t2")
        fault = (await talk.until("fault", "t2")).fault
        gates.of("one").set()
        await talk.finish()
        assert (fault.reason, fault.facts["scope"]) == ("SCOPE_MISSING", "model.stream")
        assert text_of(talk.of("t1")) == "one begins, one ends"


@pytest.mark.parametrize("change", [{"tenant": "other"}, {"subject": "somebody else"}])
async def test_a_fresh_credential_is_of_the_same_caller(tmp_path: Path, change: dict[str, str]) -> None:
    """Another tenant or subject ends the stream with PERMISSION_DENIED, and its turns with it."""
    async with (
        ScriptedUpstream(Gates()) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway) as talk,
    ):
        await talk.ask("hi", "t1")
        await talk.until("delta")
        await talk.say(credential=inference_pb2.Credential(bearer=gateway.token(**change)))
        told = await talk.status()
        assert (told.code, told.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CREDENTIAL_MISMATCH")
        await until(upstream.exchanges[0].closed.is_set)


@pytest.mark.parametrize("bearer", ["", "nonsense", "gw_nonsense", "x" * 10_000, "a\x00b"])
async def test_a_bad_fresh_credential_ends_the_stream(tmp_path: Path, bearer: str) -> None:
    """It is refused with the one word for every kind of bad token; under --dev an empty one is bad as well."""
    async with running(tmp_path) as gateway, Talk(gateway) as talk:
        await talk.say(credential=inference_pb2.Credential(bearer=bearer))
        told = await talk.status()
        assert (told.code, told.message) == (grpc.StatusCode.UNAUTHENTICATED, "invalid_token")
        assert told.reason == "TOKEN_INVALID"


async def test_a_tenant_that_is_suspended_starts_no_further_turn(tmp_path: Path) -> None:
    """The configuration file is followed: the stream that is open takes no turn more of that tenant."""
    config = "[tenants.acme]\nsuspended = {}\n"
    async with (
        ScriptedUpstream(Reply.answer("fine")) as upstream,
        running(tmp_path, upstream=upstream.url, config=config.format("false")) as gateway,
        Talk(gateway) as talk,
    ):
        await talk.ask("hi", "t1")
        await talk.until("end", "t1")
        (tmp_path / "gateway.toml").write_text(config.format("true"), encoding="utf-8")
        while True:
            await talk.ask("hi")
            await talk.until("end")
            if "fault" in kinds(talk.said):
                break
            await asyncio.sleep(0.1)
        assert [f.fault.reason for f in talk.said if f.HasField("fault")] == ["TENANT_SUSPENDED"]
        await talk.finish()


async def test_turns_that_are_refused_on_a_stream_are_counted(tmp_path: Path) -> None:
    """An operator sees a refused turn of a conversation as one of a call of its own."""
    async with running(tmp_path) as gateway, Talk(gateway) as talk:
        await talk.ask("hi", model="nobody")
        await talk.say(turn=inference_pb2.Turn(messages=[content_pb2.Message()]))
        await talk.finish()
        page = await metrics_page(gateway.gateway.metrics_port)
        method = 'method="/gateway.v1.Inference/Converse"'
        assert f'gateway_refused_calls_total{{{method},reason="MODEL_NOT_FOUND"}} 1.0' in page
        assert f'gateway_refused_calls_total{{{method},reason="INVALID_REQUEST"}} 1.0' in page


async def stalled(exchange: Exchange) -> None:
    """Waits until no more of the answer is taken."""
    before = -1
    while exchange.bytes_sent != before:
        before = exchange.bytes_sent
        await asyncio.sleep(0.2)


async def metrics_page(port: int) -> str:
    """What Prometheus would scrape."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    page = await reader.read()
    writer.close()
    await writer.wait_closed()
    return page.decode()
