"""The search of a turn: who is asked what, told to the caller as it happens, while the way to the model opens."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from gateway.domain.call import Visitor
from gateway.domain.events import SearchEvent, SearchStatus
from gateway.domain.turn import SearchMode, SearchOptions, Turn
from gateway.domain.usage import Usage
from gateway.pipeline.deciding import Deciding
from gateway.pipeline.job import Job, SearchTimes, search_notice
from gateway.pipeline.outlet import Emit
from gateway.pipeline.stations import Stations
from gateway.search import Question


class TurnSearch:
    """Searches for turns."""

    def __init__(self, stations: Stations, now: Callable[[], float]) -> None:
        """`now` is in seconds since the epoch."""
        self._searcher = stations.searcher
        self._count_text = stations.count_text
        self._overload = stations.overload
        self._deciding = Deciding(stations, now)

    def held(self, turn: Turn, visitor: Visitor, mode: SearchMode, span: tuple[float, float]) -> Usage:
        """What must be held for asking a model about the search; `span` is when that may be priced."""
        return self._deciding.held(turn, visitor, mode, span)

    async def search(self, job: Job, emit: Emit) -> None:
        """Gives the job its evidence. Raises UpstreamError where the turn requires a search and none answered."""
        turn = job.turn
        if job.search_mode is SearchMode.NEVER:
            return
        warming, begun = job.route.provider.warm(), time.perf_counter()

        async def tell(event: SearchEvent) -> None:
            await emit(event)
            if event.status in (SearchStatus.FAILED, SearchStatus.SKIPPED):
                await emit(search_notice(event))

        cached_only = self._overload.cached_search_only
        if cached_only:
            self._overload.acted("cached_search")
        options, within_s = search_options(turn), self._remaining_s(job)
        slice_s = self._searcher.slice_s(options, within_s)
        wording = None if cached_only else await self._deciding.decide(job, slice_s)
        # What was spent on deciding is gone for the search.
        left_s = max(0.001, slice_s - (within_s - self._remaining_s(job)))
        question = Question(
            turn.question,
            turn.said[:-1],
            job.search_mode,
            replace(options, timeout_s=left_s),
            self._remaining_s(job),
            cached_only=cached_only,
            wording=wording,
        )
        job.findings = await self._searcher.enrich(question, job.visitor.tenant, tell)
        job.searched = SearchTimes(begun, time.perf_counter(), warming)
        if job.findings.prompt_text:
            job.evidence_tokens = self._count_text(job.findings.prompt_text)

    def _remaining_s(self, job: Job) -> float:
        return job.visitor.call.deadline - asyncio.get_running_loop().time()


def search_options(turn: Turn) -> SearchOptions:
    """The turn's options; of its two ceilings for calls the lower one holds."""
    ceilings = [calls for calls in (turn.search.max_calls, turn.limit.max_search_calls) if calls]
    return replace(turn.search, max_calls=min(ceilings, default=0))
