"""Asks providers, all at once under one clock, and remembers for some minutes what they said."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from gateway.domain.errors import UpstreamError
from gateway.domain.events import SearchStatus
from gateway.search import Hit, SearchProvider, SearchQuery, Tell
from gateway.search.calls import Asked
from gateway.search.fresh import FreshCache
from gateway.search.outcomes import Outcome

UNCACHED = frozenset({"embedded"})
"""The index is faster than any cache, and changes when its operator says so."""
LATE = "timeout"
BUSY = "the gateway has much to do, and uses only what was found lately"


@dataclass(frozen=True, slots=True)
class Clock:
    """When a search must be over, on the event loop's clock, and how long its hits are found again (seconds).

    With `cached_only` there is no time to ask anybody outside.
    """

    due: float
    ttl_s: float
    cached_only: bool = False


class Asking:
    """The providers by name. Between turns it keeps what was found on the web, per tenant."""

    def __init__(self, providers: Mapping[str, SearchProvider], found: FreshCache[Sequence[Hit]]) -> None:
        self._providers = providers
        self._found = found

    async def ask(self, asked: Sequence[Asked], query: SearchQuery, clock: Clock, tell: Tell) -> list[Outcome]:
        """What became of each call, in the order of `asked`; what fails is told at once.

        `query` is what all have in common. The search takes as long as the slowest call, never their sum.
        """
        async with together() as group:
            tasks = [group.create_task(self._ask(one, query, clock)) for one in asked]
            waiting = set(tasks)
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for outcome in (task.result() for task in tasks if task in done):
                    if outcome.status is not SearchStatus.OK:
                        await tell(outcome.event())
        return [task.result() for task in tasks]

    async def _ask(self, one: Asked, common: SearchQuery, clock: Clock) -> Outcome:
        begun, provider = time.perf_counter(), self._providers[one.provider]
        query = replace(common, terms=one.terms, max_results=one.max_results)
        from_cache, key = False, (query.tenant, one.provider, query)
        if clock.cached_only and one.provider not in UNCACHED and self._found.kept(key) is None:
            return Outcome(one.provider, one.terms, SearchStatus.SKIPPED, detail=BUSY)

        async def search() -> Sequence[Hit]:
            return await provider.search(query)

        try:
            async with asyncio.timeout_at(clock.due):
                if one.provider in UNCACHED:
                    hits = await search()
                else:
                    hits, from_cache = await self._found.get(key, clock.ttl_s, search)
        except TimeoutError:
            return self._failed(one, begun, LATE)
        except UpstreamError as error:
            return self._failed(one, begun, error.message)
        dropped = ", ".join(provider.unsupported(query))
        return Outcome(
            provider=one.provider,
            query=one.terms,
            status=SearchStatus.OK,
            hits=hits,
            took_s=time.perf_counter() - begun,
            detail=f"not filtered by the provider, only here: {dropped}" if dropped else "",
            from_cache=from_cache,
            paid=provider.calls_for(len(hits)) if hits and not from_cache else 0,
        )

    def _failed(self, one: Asked, begun: float, why: str) -> Outcome:
        return Outcome(one.provider, one.terms, SearchStatus.FAILED, (), time.perf_counter() - begun, why)


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group out of which the first error comes as itself: its callers know errors, not groups of them."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
