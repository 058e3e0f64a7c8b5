"""The search of a turn: who is asked what, told to the caller as it happens, while the way to the model opens."""

import asyncio
import time
from dataclasses import replace

from gateway.domain.events import SearchEvent, SearchStatus
from gateway.domain.turn import Role, SearchMode, SearchOptions, Turn
from gateway.limits.estimate import CountText
from gateway.pipeline.job import Job, SearchTimes, search_notice
from gateway.pipeline.outlet import Emit
from gateway.pipeline.overload import Overload
from gateway.search import Question, Searcher


class TurnSearch:
    """Searches for turns."""

    def __init__(self, searcher: Searcher, count_text: CountText, overload: Overload) -> None:
        self._searcher = searcher
        self._count_text = count_text
        self._overload = overload

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

        said = [message.text for message in turn.messages if message.role is Role.USER]
        within_s = job.visitor.call.deadline - asyncio.get_running_loop().time()
        cached_only = self._overload.cached_search_only
        if cached_only:
            self._overload.acted("cached_search")
        question = Question(
            turn.question, said[:-1], job.search_mode, search_options(turn), within_s, cached_only=cached_only
        )
        job.findings = await self._searcher.enrich(question, job.visitor.tenant, tell)
        job.searched = SearchTimes(begun, time.perf_counter(), warming)
        if job.findings.prompt_text:
            job.evidence_tokens = self._count_text(job.findings.prompt_text)


def search_options(turn: Turn) -> SearchOptions:
    """The turn's options; of its two ceilings for calls the lower one holds."""
    ceilings = [calls for calls in (turn.search.max_calls, turn.limit.max_search_calls) if calls]
    return replace(turn.search, max_calls=min(ceilings, default=0))
