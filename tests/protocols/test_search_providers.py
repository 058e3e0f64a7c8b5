"""The promise of a search provider, kept by every file that makes one."""

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.domain.errors import UpstreamError
from gateway.search import SearchProvider, SearchQuery
from gateway.search.embedded import EmbeddedIndex
from gateway.search.indexing import index_paths
from tests.support.search_web import ScriptedVendor
from tests.support.vendor_replies import SCRIPTS


@dataclass(frozen=True)
class Subject:
    """A provider that is ready: what it finds at least three hits for, what it has nothing for, how it breaks."""

    provider: SearchProvider
    known: str
    unknown: str
    break_it: Callable[[], Awaitable[None]]


async def embedded(folder: Path, _stack: AsyncExitStack) -> Subject:
    """The embedded index over four small files."""
    docs = folder / "docs"
    docs.mkdir()
    for number in range(4):
        (docs / f"page{number}.md").write_text(
            f"# Page {number}\n\nThe harbour crane lifts {'boxes ' * number}.\n"
        )
    database = folder / "index.db"
    index_paths(database, [docs])

    async def break_it() -> None:
        database.rename(folder / "elsewhere")

    return Subject(EmbeddedIndex(database), "harbour crane", "zebra", break_it)


def over_http(name: str) -> Callable[[Path, AsyncExitStack], Awaitable[Subject]]:
    """A vendor that answers as its documentation says."""

    async def make(_folder: Path, stack: AsyncExitStack) -> Subject:
        vendor = await stack.enter_async_context(ScriptedVendor(name))
        return Subject(await vendor.provider(), "harbour crane", "zebra", vendor.stop)

    return make


PROVIDERS: dict[str, Callable[[Path, AsyncExitStack], Awaitable[Subject]]] = {
    "embedded": embedded,
    **{name: over_http(name) for name in SCRIPTS},
}


@pytest.fixture(params=PROVIDERS)
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    """Each provider in turn, closed afterwards."""
    async with AsyncExitStack() as stack:
        made = await PROVIDERS[request.param](tmp_path, stack)
        yield made
        await made.provider.aclose()


async def test_the_name_is_that_of_the_file(subject: Subject) -> None:
    """Configuration, events and receipts name the provider by its file."""
    assert importlib.util.find_spec(f"gateway.search.{subject.provider.name}") is not None


async def test_hits_are_whole_and_best_first(subject: Subject) -> None:
    """Each hit can be shown, quoted and cited; scores never rise."""
    hits = await subject.provider.search(SearchQuery(subject.known, 5))
    assert len(hits) >= 3
    for hit in hits:
        assert hit.url.partition(":")[0]
        assert hit.title.strip()
        assert hit.snippet.strip()
        assert hit.passage.strip()
        assert hit.published is None or hit.published > 0
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len({hit.url for hit in hits}) == len(hits)


@pytest.mark.parametrize("wanted", [0, 1, 2])
async def test_no_more_hits_than_wanted(subject: Subject, wanted: int) -> None:
    """`max_results` is a ceiling."""
    assert len(await subject.provider.search(SearchQuery(subject.known, wanted))) == wanted


@pytest.mark.parametrize("terms", ["", "   ", "?!…"])
async def test_a_query_without_words_finds_nothing(subject: Subject, terms: str) -> None:
    """It is no error either."""
    assert await subject.provider.search(SearchQuery(terms, 5)) == []


async def test_nothing_found_is_an_empty_list(subject: Subject) -> None:
    """An empty list is an answer, not a failure."""
    assert await subject.provider.search(SearchQuery(subject.unknown, 5)) == []


async def test_a_very_long_query_is_cut_not_refused(subject: Subject) -> None:
    """A question may be a whole document."""
    assert await subject.provider.search(SearchQuery(f"{subject.known} " + "and so on " * 20_000, 5))


async def test_searches_at_the_same_time_do_not_mix(subject: Subject) -> None:
    """Each caller gets the answer to its own query."""
    queries = [subject.known, subject.unknown] * 8
    found = await asyncio.gather(*(subject.provider.search(SearchQuery(terms, 3)) for terms in queries))
    assert [bool(hits) for hits in found] == [True, False] * 8


async def test_a_search_that_is_given_up_leaves_the_provider_usable(subject: Subject) -> None:
    """A caller who left disturbs nobody."""
    given_up = asyncio.ensure_future(subject.provider.search(SearchQuery(subject.known, 3)))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert await subject.provider.search(SearchQuery(subject.known, 3))


async def test_a_failure_is_an_upstream_error_that_names_no_internals(subject: Subject, tmp_path: Path) -> None:
    """Whatever went wrong underneath, the pipeline sees one kind of error and callers no path."""
    await subject.break_it()
    with pytest.raises(UpstreamError) as caught:
        await subject.provider.search(SearchQuery(subject.known, 3))
    assert str(tmp_path) not in caught.value.message


async def test_closing_twice_is_closing_once(subject: Subject) -> None:
    """After that a search is a failure, not a crash."""
    await subject.provider.aclose()
    await subject.provider.aclose()
    with pytest.raises(UpstreamError):
        await subject.provider.search(SearchQuery(subject.known, 3))
