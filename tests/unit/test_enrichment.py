"""The enrichment step over scripted providers: who runs beside whom, what is told when, which calls are made."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from gateway.domain.errors import Reason, UpstreamError
from gateway.domain.events import SearchEvent, SearchStatus
from gateway.domain.tenant import Tenant
from gateway.domain.turn import SearchMode, SearchOptions
from gateway.search import Findings, Hit, Question, SearchQuery
from gateway.search.enrich import Enricher
from gateway.search.wording import Wording

TENANT = Tenant("acme")
TEXT = "How much does the harbour crane lift?"


def hit(name: str, number: int = 1) -> Hit:
    """A hit of its own words."""
    text = f"{name} {number} says that the harbour crane lifts {number} tonnes."
    return Hit(f"https://{name}.example/{number}", f"Crane of {name}", text, text)


@dataclass
class Provider:
    """Does what the test says before it answers; `asked` is what it was asked."""

    name: str
    before: Callable[[], Awaitable[object]] = field(default=lambda: asyncio.sleep(0))
    page_size: int = 50
    asked: list[SearchQuery] = field(default_factory=list)

    def unsupported(self, _query: SearchQuery) -> tuple[str, ...]:
        return ()

    def calls_for(self, results: int) -> int:
        return -(-results // self.page_size)

    async def search(self, query: SearchQuery) -> list[Hit]:
        self.asked.append(query)
        await self.before()
        return [hit(self.name, number) for number in range(1, query.max_results + 1)]

    async def aclose(self) -> None:
        return


def enricher(*providers: Provider, timeout_s: float = 5.0) -> Enricher:
    """One over these providers."""
    return Enricher({one.name: one for one in providers}, timeout_s)


def question(wording: Wording | None = None, mode: SearchMode = SearchMode.ALWAYS, **options: object) -> Question:
    """The question about the crane."""
    return Question(TEXT, (), mode, SearchOptions(**options), 30.0, wording=wording)  # type: ignore[arg-type]


def short(events: Sequence[SearchEvent]) -> list[tuple[str, str]]:
    """Who, and how it stands."""
    return [(event.provider, event.status.name) for event in events]


async def test_a_search_takes_as_long_as_its_slowest_call_and_not_their_sum() -> None:
    """Every provider and every query is under way before any has answered: else this would never end."""
    everybody = asyncio.Barrier(6)
    providers = [Provider(name, everybody.wait) for name in ("brave", "tavily", "bocha")]
    wording = Wording(True, ("crane tonnes", "harbour crane"))
    async with asyncio.timeout(5):
        found = await enricher(*providers).enrich(question(wording, SearchMode.AUTO), TENANT)
    assert [query.terms for query in providers[0].asked] == ["crane tonnes", "harbour crane"]
    assert len(found.events) == 6
    assert len(found.sources) == 5


async def test_what_fails_is_told_while_others_still_search() -> None:
    """And what was found when it has its numbers; each event once."""
    told: list[SearchEvent] = []
    failed = asyncio.Event()

    async def breaks() -> None:
        raise UpstreamError(Reason.ENRICHMENT_FAILED, "it is broken")

    async def tell(event: SearchEvent) -> None:
        told.append(event)
        if event.status is SearchStatus.FAILED:
            failed.set()

    found = await enricher(Provider("slow", failed.wait), Provider("bad", breaks)).enrich(question(), TENANT, tell)
    assert short(told) == [("bad", "FAILED"), ("slow", "OK")]
    assert short(found.events) == [("slow", "OK"), ("bad", "FAILED")]
    assert [source.source_id for source in told[-1].sources] == ["S1", "S2", "S3", "S4", "S5"]


async def test_who_hears_of_it_may_end_it() -> None:
    """A caller who left: what he raises comes out as itself, and every call that was begun has ended."""
    ended = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def tell(_event: SearchEvent) -> None:
        await asyncio.sleep(0)
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError, match="gone"):
        await enricher(Provider("a", forever), Provider("b", forever)).enrich(question(), TENANT, tell)
    assert ended == [True, True]


async def test_a_late_provider_is_cut_and_a_required_search_fails() -> None:
    """The one clock of the search is over for it; what another found is used."""
    late = Provider("late", asyncio.Event().wait)
    found = await enricher(late, Provider("quick"), timeout_s=0.05).enrich(question(), TENANT)
    assert short(found.events) == [("late", "FAILED"), ("quick", "OK")]
    assert found.events[0].detail == "timeout"
    with pytest.raises(UpstreamError) as caught:
        await enricher(late, timeout_s=0.05).enrich(question(required=True), TENANT)
    assert caught.value.reason is Reason.ENRICHMENT_FAILED


async def test_no_more_calls_are_made_than_the_turn_allows() -> None:
    """Paging counts, whoever is left out is named, and what is held covers what is paid."""
    one, two, three = Provider("one", page_size=10), Provider("two", page_size=10), Provider("three")
    options = {"max_results": 30, "max_calls": 3}
    searcher = enricher(one, two, three)
    found = await searcher.enrich(question(**options), TENANT)
    assert [len(p.asked) for p in (one, two, three)] == [1, 1, 1]
    assert dict(found.paid) == {"one": 1, "two": 1, "three": 1}
    found = await searcher.enrich(question(**{**options, "max_calls": 2}), TENANT)
    assert ("three", "SKIPPED") in short(found.events)
    found = await enricher(one, two, three).enrich(question(max_results=30), TENANT)
    assert dict(found.paid) == {"one": 3, "two": 3, "three": 1}
    assert searcher.most_calls(SearchOptions(max_results=30), TENANT) == {"one": 3, "two": 3, "three": 1}
    asking = Tenant("asking", search_by_model=True)
    assert searcher.most_calls(SearchOptions(max_results=5), asking) == {"one": 3, "two": 3, "three": 3}


async def found_by(wording: Wording) -> Findings:
    """What one provider finds for a model's wording of the question."""
    return await enricher(Provider("web")).enrich(question(wording, SearchMode.AUTO), TENANT)


async def test_a_models_queries_find_and_the_evidence_keeps_the_question() -> None:
    """What is relevant to one of the queries stays; the words of the person are what the evidence repeats."""
    found = await found_by(Wording(True, ("harbour crane tonnes", "起重机")))
    assert found.sources
    assert f"The question: {TEXT}" in found.prompt_text
    assert "起重机" not in found.prompt_text
    assert await found_by(Wording(False)) == Findings()
