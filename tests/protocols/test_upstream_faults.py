"""Everything that goes wrong between a chat server and us, and what the caller of the provider is told."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.domain.errors import CallerError, Reason
from gateway.domain.events import Finished
from tests.support.chat_events import DONE, LAST_CHUNK, chat_chunk, sse, text_chunk
from tests.support.chat_house import KEY, House, collect, fails, failure_of, opened_house
from tests.support.upstream import FIN, RESET, STALL, Raw, Reply

HTML = {"Content-Type": "text/html"}
JSON = {"Content-Type": "application/json"}
MIB = 1 << 20


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Whatever a test opens is closed, and a test that hangs is cancelled."""
    async with opened_house() as opened:
        yield opened


POSITIONS = [0, 1, 50]


@pytest.mark.parametrize("before", POSITIONS, ids=["before output", "after 1", "after 50"])
class TestBrokenStreams:
    """A 200 that goes wrong: what was received is handed out, and the end is never a clean one."""

    @pytest.mark.parametrize(
        ("steps", "reason", "cause"),
        [
            ([FIN], Reason.UPSTREAM_UNAVAILABLE, "connection_lost"),
            ([RESET], Reason.UPSTREAM_UNAVAILABLE, "connection_lost"),
            ([Raw(b"ff\r\nhalf a chunk"), FIN], Reason.UPSTREAM_UNAVAILABLE, "connection_lost"),
            ([Raw(b"no chunk size\r\n")], Reason.UPSTREAM_UNAVAILABLE, "connection_lost"),
            ([b"data: {not json}\n\n"], Reason.UPSTREAM_PROTOCOL, "not_json"),
            ([b"data: []\n\n"], Reason.UPSTREAM_PROTOCOL, "not_an_object"),
            ([{"choices": None}], Reason.UPSTREAM_PROTOCOL, "bad_schema"),
            ([{"error": {"message": "overloaded", "code": 503}}], Reason.UPSTREAM_UNAVAILABLE, "error_object"),
            ([{"error": {"message": "slow down", "code": 429}}], Reason.UPSTREAM_RATE_LIMITED, "error_object"),
            (
                [chat_chunk({}, finish="insufficient_system_resource"), DONE],
                Reason.UPSTREAM_UNAVAILABLE,
                "finish_insufficient_system_resource",
            ),
            ([b"data: " + b"x" * MIB, b"x\n\n"], Reason.UPSTREAM_PROTOCOL, "event_too_large"),
            ([b": " + b"x" * MIB, b"x" * 100], Reason.UPSTREAM_PROTOCOL, "event_too_large"),
        ],
    )
    async def test_a_fault_comes_after_what_was_received(
        self, house: House, before: int, steps: list[Any], reason: Reason, cause: str
    ) -> None:
        """Any: steps. The connection is closed, whatever the server would still send."""
        texts = [text_chunk(f"{number} ") for number in range(before)]
        upstream_steps = [*texts, 0.02, *steps, *([] if steps[-1] in (FIN, RESET) else [STALL])]
        text = "".join(f"{number} " for number in range(before))
        assert await fails(house, Reply.events(*upstream_steps)) == (text, reason, cause)

    @pytest.mark.parametrize("chunked", [True, False])
    @pytest.mark.parametrize("end", [[], [DONE], [b": bye\n\n"], [sse(text_chunk("cut"))[:40]]])
    async def test_an_end_without_a_finish_reason_is_a_truncated_stream(
        self, house: House, before: int, end: list[Any], chunked: bool
    ) -> None:
        """Any: steps. However politely the server says goodbye."""
        texts = [text_chunk("a")] * before
        text, reason, cause = await fails(house, Reply.events(*texts, *end, chunked=chunked))
        assert (text, reason) == ("a" * before, Reason.UPSTREAM_PROTOCOL)
        assert cause == ("eof_without_finish" if before else "blank_body")


class TestHeads:
    """Answers that are wrong by their status line and headers."""

    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            (400, Reason.INVALID_REQUEST),
            (422, Reason.INVALID_REQUEST),
            (401, Reason.UPSTREAM_CREDENTIALS),
            (402, Reason.UPSTREAM_BALANCE),
            (403, Reason.UPSTREAM_CREDENTIALS),
            (404, Reason.UPSTREAM_MODEL_GONE),
            (429, Reason.UPSTREAM_RATE_LIMITED),
            (500, Reason.UPSTREAM_UNAVAILABLE),
            (502, Reason.UPSTREAM_UNAVAILABLE),
            (503, Reason.UPSTREAM_UNAVAILABLE),
            (504, Reason.UPSTREAM_UNAVAILABLE),
            (529, Reason.UPSTREAM_UNAVAILABLE),
        ],
    )
    async def test_a_status_is_mapped(self, house: House, status: int, reason: Reason) -> None:
        """With a JSON body, an HTML page, an octet stream, or none."""
        octets = {"Content-Type": "application/octet-stream", "Content-Length": "2"}
        for reply in (
            Reply.json(status, {"error": {"message": "no", "type": "x", "code": "y"}}),
            Reply([b"<html>" * 50_000], status=status, headers=HTML),
            Reply([b"{}"], status=status, headers=octets, chunked=False),
            Reply(status=status),
        ):
            assert await fails(house, reply) == ("", reason, f"http_{status}")

    async def test_the_text_of_a_refused_parameter_reaches_the_caller_clean(self, house: House) -> None:
        """By content, not by content type; and not when it speaks of the key."""
        said = {"error": {"message": "Thinking mode does not support this\ntool_choice"}}
        secret = {"error": {"message": f"Your api key {KEY} is not allowed to do this"}}
        octets = {"Content-Type": "application/octet-stream"}
        upstream = await house.upstream([Reply.json(400, said, octets), Reply.json(400, secret)])
        provider = house.provider(upstream.url)
        (_, first), (_, second) = await failure_of(provider), await failure_of(provider)
        assert isinstance(first, CallerError)
        assert first.message == "Thinking mode does not support this tool_choice"
        assert second.message == "The model provider does not accept this request."

    @pytest.mark.parametrize(
        ("value", "wait_s"), [("3", 3.0), ("9999999", 60.0), ("-1", 1.0), ("NaN", None), ("x", None)]
    )
    async def test_a_429_carries_its_wait(self, house: House, value: str, wait_s: float | None) -> None:
        """Clamped, and none where the header means nothing."""
        upstream = await house.upstream(Reply.json(429, {}, {"Retry-After": value}))
        _, failure = await failure_of(house.provider(upstream.url))
        assert failure.retry_after_s == wait_s

    async def test_a_429_that_names_the_live_limit_is_observed(self, house: House) -> None:
        """The slots of the upstream can follow it; the caller is not told."""
        message = (
            "Your current concurrency is 40, which exceeds your concurrency limit of 39 based on your balance."
        )
        upstream = await house.upstream(Reply.json(429, {"error": {"message": message}}))
        _, failure = await failure_of(house.provider(upstream.url))
        assert house.observed == [("concurrency_limit", 39)]
        assert "39" not in f"{failure} {failure.facts}"

    async def test_a_refusal_whose_body_never_ends_is_known_by_its_status(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its text is waited for only a moment, and only 64 KiB of it."""
        monkeypatch.setattr("gateway.models.upstream_http.REFUSAL_S", 0.05)
        for steps in ([STALL], [b"x" * 1000] * 1000, [RESET]):
            cause = await fails(house, Reply(steps, status=503, headers=JSON))
            assert cause == ("", Reason.UPSTREAM_UNAVAILABLE, "http_503")

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_is_never_followed(self, house: House, status: int) -> None:
        """The key goes to the configured host and to nobody else."""
        other = await house.upstream(Reply.answer("stolen"))
        reply = Reply(status=status, headers={"Location": f"{other.url}/chat/completions"})
        assert await fails(house, reply) == ("", Reason.UPSTREAM_PROTOCOL, f"http_{status}")
        assert other.connections == 0

    @pytest.mark.parametrize(
        ("headers", "steps", "cause"),
        [
            (HTML, [b"<html>welcome</html>"], "content_type"),
            (JSON, [b'{"choices":[]}'], "content_type"),
            ({}, [b"data: {}\n\n"], "content_type"),
            (JSON, [b"\n\n\n"], "blank_body"),
            (JSON, [], "blank_body"),
        ],
    )
    async def test_a_200_that_is_no_event_stream_is_garbage(
        self, house: House, headers: dict[str, str], steps: list[Any], cause: str
    ) -> None:
        """Any: steps. Also when it is blank, as an overloaded server sends it."""
        assert await fails(house, Reply(steps, headers=headers)) == ("", Reason.UPSTREAM_PROTOCOL, cause)

    async def test_a_200_with_an_error_object_is_that_error(self, house: House) -> None:
        """Leading blank lines are skipped."""
        reply = Reply([b'\n\n {"error":{"message":"x","type":"rate_limit_error"}}'], headers=JSON)
        assert await fails(house, reply) == ("", Reason.UPSTREAM_RATE_LIMITED, "error_object")

    @pytest.mark.parametrize(
        "encoding", ["gzip", "br", "deflate, gzip", "zstd", "gzip, gzip, gzip, gzip, gzip, gzip"]
    )
    async def test_an_encoded_body_is_not_decoded(self, house: House, encoding: str) -> None:
        """We asked for identity: a bomb stays packed."""
        bomb = gzip.compress(b"data: " + b"x" * 10 * MIB)
        reply = Reply([bomb], headers={"Content-Type": "text/event-stream", "Content-Encoding": encoding})
        assert await fails(house, reply) == ("", Reason.UPSTREAM_PROTOCOL, "encoded_body")
        error = Reply([bomb], status=503, headers={**JSON, "Content-Encoding": encoding})
        assert await fails(house, error) == ("", Reason.UPSTREAM_UNAVAILABLE, "http_503")

    @pytest.mark.parametrize(
        "kind", ["text/event-stream", "Text/Event-Stream; charset=utf-8", "text/event-stream;x"]
    )
    async def test_the_content_type_is_read_by_its_rules(self, house: House, kind: str) -> None:
        """Parameters and letter case do not matter."""
        upstream = await house.upstream(Reply.events(LAST_CHUNK, headers={"Content-Type": kind}))
        assert isinstance((await collect(house.provider(upstream.url)))[-1], Finished)

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(10_000)) + b"\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"a" * MIB + b"\r\n\r\n",
            b"SSH-2.0-OpenSSH\r\n\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
        ],
        ids=["many headers", "long header", "another protocol", "no status"],
    )
    async def test_a_head_that_is_no_http_is_refused(self, house: House, head: bytes) -> None:
        """Bounded, before the body is looked at."""
        assert await fails(house, Reply([Raw(head), STALL], status=None)) == (
            "",
            Reason.UPSTREAM_PROTOCOL,
            "bad_http",
        )

    async def test_a_flood_of_interim_answers_does_not_block_the_loop(self, house: House) -> None:
        """Nothing caps it but the caller's timer, so the caller's timer must come to its turn."""
        flood = b"HTTP/1.1 100 Continue\r\n\r\n" * 1000
        upstream = await house.upstream(Reply([Raw(flood)] * 1_000_000, status=None))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await collect(house.provider(upstream.url))
        await upstream.exchanges[0].closed.wait()

    async def test_a_server_that_hangs_up_without_a_word_is_unavailable(self, house: House) -> None:
        """With FIN or with a reset; the request is not sent a second time."""
        for end in (FIN, RESET):
            upstream = await house.upstream(Reply([end], status=None))
            _, failure = await failure_of(house.provider(upstream.url))
            assert (failure.reason, failure.facts) == (
                Reason.UPSTREAM_UNAVAILABLE,
                {"upstream_cause": "disconnected"},
            )
            assert len(upstream.exchanges) == 1

    async def test_a_kept_connection_that_has_died_is_not_asked_twice(self, house: House) -> None:
        """No layer below the gateway retries: the second request fails, or goes out on a new connection."""
        upstream = await house.upstream([Reply.answer("a"), Reply([RESET], status=None)])
        provider = house.provider(upstream.url)
        await collect(provider)
        await failure_of(provider)
        assert len(upstream.exchanges) == 2
