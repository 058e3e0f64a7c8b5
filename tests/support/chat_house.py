"""A chat provider and scripted upstreams for one test, and what a test asks of them."""

import asyncio
import contextlib
import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from gateway.domain.errors import GatewayError, Reason
from gateway.domain.events import ModelEvent, TextDelta
from gateway.domain.turn import Generation, Message, Role
from gateway.models import Prompt
from gateway.models.deepseek import create
from gateway.models.openai_compatible import OpenAICompatible
from tests.support.upstream import Script, ScriptedUpstream

KEY = "sk-canary-5f2b7c9d"
HANG_GUARD_S = 10.0


def prompt(*messages: Message, **generation: Any) -> Prompt:
    """A question. Any: the fields of Generation."""
    return Prompt(
        model="deepseek-v4-flash",
        messages=messages or (Message(Role.USER, "hi"),),
        generation=Generation(**{"max_tokens": 100, **generation}),
        tools=(),
        question="hi",
        sources=(),
        user_id="u1",
        deadline=0.0,
    )


class House:
    """Providers and upstreams of one test, closed after it; `observed` is what the providers told."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.observed: list[tuple[str, int]] = []

    async def upstream(self, script: Script, **options: Any) -> ScriptedUpstream:
        """A server that plays `script`. Any: the options of ScriptedUpstream."""
        return await self._stack.enter_async_context(ScriptedUpstream(script, **options))

    def provider(self, base_url: str, **options: Any) -> OpenAICompatible:
        """DeepSeek at that address. Any: the options of create."""
        told = {"api_key": KEY, "observe": lambda what, count: self.observed.append((what, count)), **options}
        provider = create(base_url=base_url, **told)
        self._stack.push_async_callback(provider.aclose)
        return provider


@asynccontextmanager
async def opened_house() -> AsyncIterator[House]:
    """A house that closes what a test opened, and cancels a test that hangs."""
    guard = asyncio.get_running_loop().call_later(HANG_GUARD_S, _cancel_all)
    async with AsyncExitStack() as stack:
        yield House(stack)
    guard.cancel()


def _cancel_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel("the test hangs")


async def collect(provider: OpenAICompatible, asked: Prompt | None = None) -> list[ModelEvent]:
    """Every event of one answer."""
    events: list[ModelEvent] = []
    async with contextlib.aclosing(provider.stream(asked or prompt())) as stream:
        async for batch in stream:
            events += batch
    return events


async def failure_of(provider: OpenAICompatible) -> tuple[str, GatewayError]:
    """The text that came before the failure, and the failure."""
    text = ""
    with pytest.raises(GatewayError) as failed:
        async with contextlib.aclosing(provider.stream(prompt())) as stream:
            async for batch in stream:
                text += "".join(event.text for event in batch if isinstance(event, TextDelta))
    return text, failed.value


async def fails(house: House, script: Script) -> tuple[str, Reason, str]:
    """Text before the failure, its reason and its cause; the key is in none of its words."""
    upstream = await house.upstream(script)
    text, failure = await failure_of(house.provider(upstream.url))
    assert KEY not in "".join(traceback.format_exception(failure))
    assert KEY not in f"{failure!r} {failure.facts} {failure.__context__!r} {failure.__cause__!r}"
    return text, failure.reason, failure.facts["upstream_cause"]
