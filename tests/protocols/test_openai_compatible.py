"""A chat server over HTTP, with everything that goes wrong between it and us."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.domain.events import Finish, Finished, ProviderUsage, TextDelta
from gateway.domain.turn import Message, Role, Thinking, Tool, ToolCall
from gateway.models import Prompt
from tests.support.chat_events import DONE, LAST_CHUNK, chat_chunk, sse, text_chunk
from tests.support.chat_house import KEY, House, collect, opened_house, prompt
from tests.support.upstream import FIN, RESET, STALL, Drip, Reply


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Whatever a test opens is closed, and a test that hangs is cancelled."""
    async with opened_house() as opened:
        yield opened


CUT_LAST_CHUNK = sse(LAST_CHUNK)[:-2]


class TestAnswers:
    """What arrives when nothing goes wrong."""

    async def test_an_answer_arrives_whole_and_ends_once(self, house: House) -> None:
        """Text, then usage, then one Finished with the model that served it, last of all."""
        upstream = await house.upstream(Reply.answer("Hel", "lo"))
        events = await collect(house.provider(upstream.url))
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Hello"
        assert events[-2:] == [ProviderUsage(11, 0, 2, 0), Finished(Finish.STOP, "deepseek-flash")]
        assert house.observed == []

    async def test_what_the_server_is_asked(self, house: House) -> None:
        """The vendor's own name of the model, its key, and no encoding but identity."""
        upstream = await house.upstream(Reply.answer("a"))
        await collect(house.provider(f"{upstream.url}/v1/"))
        asked = upstream.exchanges[0]
        assert (asked.method, asked.path) == ("POST", "/v1/chat/completions")
        assert asked.json["model"] == "deepseek-flash"
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        assert asked.headers["accept-encoding"] == "identity"
        assert asked.headers["content-type"] == "application/json"
        assert "cookie" not in asked.headers

    async def test_what_arrived_is_handed_out_at_once(self, house: House) -> None:
        """The first piece does not wait for the second, nor for its batch to fill."""
        more = asyncio.Event()
        upstream = await house.upstream(Reply.events(text_chunk("a"), more, text_chunk("b"), LAST_CHUNK, DONE))
        async with contextlib.aclosing(house.provider(upstream.url).stream(prompt())) as stream:
            assert list(await anext(stream)) == [TextDelta("a")]
            more.set()
            assert TextDelta("b") in [event async for batch in stream for event in batch]

    async def test_signs_of_life_are_empty_batches(self, house: House) -> None:
        """Comments, blank lines and empty deltas prove the connection and are no progress."""
        steps = [asyncio.Event() for _ in range(3)]
        role = chat_chunk({"role": "assistant", "content": None, "reasoning_content": ""})
        upstream = await house.upstream(
            Reply.events(b": keep-alive\n\n", steps[0], b"\n\n", steps[1], role, steps[2], LAST_CHUNK, DONE)
        )
        async with contextlib.aclosing(house.provider(upstream.url).stream(prompt())) as stream:
            for step in steps:
                assert list(await anext(stream)) == []
                step.set()
            assert list(await anext(stream)) == [ProviderUsage(11, 0, 2, 0)]

    async def test_bytes_may_drip(self, house: House) -> None:
        """One byte at a time, characters of several bytes and odd separators included: the same text."""
        odd = "漢\u2028\u0085\x0b🌊"
        body = b"\xef\xbb\xbf" + (sse(text_chunk(odd)) + sse(LAST_CHUNK)).replace(b"\n", b"\r\n")
        upstream = await house.upstream(Reply([Drip(body), sse(DONE)]))
        events = await collect(house.provider(upstream.url))
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == odd
        assert isinstance(events[-1], Finished)

    @pytest.mark.parametrize(
        "last", [[LAST_CHUNK], [LAST_CHUNK, FIN], [LAST_CHUNK, RESET], [sse(LAST_CHUNK)[:-2]]]
    )
    @pytest.mark.parametrize("chunked", [True, False])
    async def test_a_missing_done_after_a_finish_reason_is_accepted(
        self, house: House, last: list[Any], chunked: bool
    ) -> None:
        """Any: steps. However the connection ends then, the answer is whole."""
        upstream = await house.upstream(Reply.events(text_chunk("a"), *last, chunked=chunked))
        assert (await collect(house.provider(upstream.url)))[-1] == Finished(Finish.STOP, "deepseek-flash")

    async def test_a_finish_reason_with_the_connection_held_open_ends_after_a_moment(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Comments that keep coming do not keep a whole answer from ending."""
        monkeypatch.setattr("gateway.models.event_source.FINISH_GRACE_S", 0.05)
        upstream = await house.upstream(Reply.events(text_chunk("a"), LAST_CHUNK, Drip(b":\n" * 100_000, 0.001)))
        assert (await collect(house.provider(upstream.url)))[-1] == Finished(Finish.STOP, "deepseek-flash")
        await upstream.exchanges[0].closed.wait()

    async def test_what_had_to_be_changed_is_observed(self, house: House) -> None:
        """A metric, or a notice, can be made of it."""
        upstream = await house.upstream(
            Reply.events(chat_chunk({}, finish="stop", usage={"prompt_tokens": -1}), DONE)
        )
        lost = Message(Role.ASSISTANT, tool_calls=(ToolCall(0, "c", "f", "{}"),))
        await collect(house.provider(upstream.url), prompt(lost, thinking=Thinking.LOW))
        assert house.observed == [("thinking_off", 1), ("usage_out_of_range", 1)]

    async def test_a_large_prompt_is_sent(self, house: House) -> None:
        """Above the size at which aiohttp warns about plain bytes."""
        upstream = await house.upstream(Reply.answer("a"))
        await collect(house.provider(upstream.url), prompt(Message(Role.USER, "x" * 3_000_000)))
        assert len(upstream.exchanges[0].json["messages"][0]["content"]) == 3_000_000

    async def test_a_schema_with_what_only_escapes_can_carry_is_sent(self, house: House) -> None:
        """Lone surrogates and numbers beyond 64 bits come from callers, and break strict encoders."""
        upstream = await house.upstream(Reply.answer("a"))
        asked = prompt()
        tool = Tool("f", parameters_json='{"a":"\\ud800","b":123456789012345678901234567890}')
        asked = Prompt(**{**{name: getattr(asked, name) for name in asked.__slots__}, "tools": (tool,)})
        await collect(house.provider(upstream.url), asked)
        assert b'"\\ud800"' in upstream.exchanges[0].body


class TestConnections:
    """Who closes what, and when."""

    async def test_an_answer_that_ended_leaves_its_connection_for_the_next(self, house: House) -> None:
        """Also when the end of the body comes a moment after `[DONE]`."""
        upstream = await house.upstream(
            [Reply.events(LAST_CHUNK, DONE, 0.01), Reply.answer("a"), Reply.answer("b")]
        )
        provider = house.provider(upstream.url)
        for _ in range(3):
            await collect(provider)
        assert upstream.connections == 1

    @pytest.mark.parametrize("after", [[STALL], [Drip(b"data: more\n\n" * 10_000)], [text_chunk("late"), STALL]])
    async def test_after_done_the_socket_is_closed_and_what_comes_is_ignored(
        self, house: House, after: list[Any]
    ) -> None:
        """Any: steps. A server that holds the connection open does not get it back."""
        upstream = await house.upstream(Reply.events(text_chunk("a"), LAST_CHUNK, DONE, *after))
        provider = house.provider(upstream.url)
        async with contextlib.aclosing(provider.stream(prompt())) as stream:
            events = [event async for batch in stream for event in batch]
        await upstream.exchanges[0].closed.wait()
        assert [event.text for event in events if isinstance(event, TextDelta)] == ["a"]
        await collect(provider)
        assert upstream.connections == 2

    async def test_the_socket_is_closed_before_the_end_is_told(self, house: House) -> None:
        """A caller who is slow to take the end keeps no upstream."""
        upstream = await house.upstream(Reply.events(LAST_CHUNK, DONE, STALL))
        async with contextlib.aclosing(house.provider(upstream.url).stream(prompt())) as stream:
            async for batch in stream:
                if any(isinstance(event, Finished) for event in batch):
                    await upstream.exchanges[0].closed.wait()

    @pytest.mark.parametrize("steps", [[STALL], [text_chunk("a"), STALL], [Drip(b": c\n" * 10_000, 0.001)]])
    async def test_a_cancel_closes_the_socket(self, house: House, steps: list[Any]) -> None:
        """Any: steps. Before the first output, after it, and while only comments come."""
        upstream = await house.upstream(Reply.events(*steps))
        task = asyncio.create_task(collect(house.provider(upstream.url)))
        exchange = await upstream.request()
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await exchange.closed.wait()
        assert upstream.connections == 1

    async def test_a_cancel_before_the_head_closes_the_socket(self, house: House) -> None:
        """While the server has not answered at all."""
        upstream = await house.upstream(Reply([STALL], status=None))
        task = asyncio.create_task(collect(house.provider(upstream.url)))
        exchange = await upstream.request()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await exchange.closed.wait()

    async def test_leaving_between_two_reads_closes_the_socket(self, house: House) -> None:
        """`aclose` of the stream is enough; the server need not send another byte."""
        upstream = await house.upstream(Reply.events(text_chunk("a"), STALL))
        stream = house.provider(upstream.url).stream(prompt())
        assert list(await anext(stream)) == [TextDelta("a")]
        await stream.aclose()
        await upstream.exchanges[0].closed.wait()

    async def test_an_unread_stream_pushes_back(self, house: House) -> None:
        """A caller who does not read holds a bounded part of what the server would send."""
        flood = sse(text_chunk("x" * 1000)) * 60
        upstream = await house.upstream(Reply([flood] * 1000))
        stream = house.provider(upstream.url).stream(prompt())
        await anext(stream)
        sent = -1
        while sent != upstream.exchanges[0].bytes_sent:
            sent = upstream.exchanges[0].bytes_sent
            await asyncio.sleep(0.1)
        assert sent < len(flood) * 500
        await stream.aclose()
        await upstream.exchanges[0].closed.wait()
