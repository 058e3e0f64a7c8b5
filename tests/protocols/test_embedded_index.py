"""The embedded index: files come, change and go; tenants stay apart; both languages are found; damage is told."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.domain.errors import CallerError, OperatorError, Reason, UpstreamError
from gateway.search import Hit, ProviderOptions, SearchQuery, Shared
from gateway.search import embedded as provider
from gateway.search.embedded import EmbeddedIndex, reference
from gateway.search.index_report import IndexReport, Outcome
from gateway.search.index_schema import STEPS
from gateway.search.indexing import SHIPPED_FOLDER, ensure_shipped, index_paths
from gateway.search.outline import slug
from gateway.search.vendor_http import VendorHttp
from tests.support.tiny_pdf import tiny_pdf


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the index will be; nothing is there yet."""
    return tmp_path / "state" / "index.db"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with one file of each kind."""
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    (folder / "tea.md").write_text(
        "# Tea\n\nGreen tea is brewed at eighty degrees.\n\n## Storage\n\nKeep it dry.\n"
    )
    (folder / "coffee.txt").write_text("Coffee is roasted before it is ground.\n")
    (folder / "deep" / "milk.html").write_text("<title>Milk</title><p>Milk is heated.<p hidden>Coffee ads.")
    (folder / "price.pdf").write_bytes(tiny_pdf("Price list", "Saffron is sold by the gram."))
    return folder


@pytest.fixture
async def index(database: Path) -> AsyncIterator[EmbeddedIndex]:
    """The provider over that index."""
    made = EmbeddedIndex(database)
    yield made
    await made.aclose()


async def find(index: EmbeddedIndex, terms: str, tenant: str = "", count: int = 5) -> list[Hit]:
    """The hits for some terms."""
    return await index.search(SearchQuery(terms, count, tenant))


def counts(report: IndexReport) -> dict[str, int]:
    """How many files ended how, without the zeros."""
    return {outcome.value: report.count(outcome) for outcome in Outcome if report.count(outcome)}


async def test_every_kind_of_file_is_found(index: EmbeddedIndex, database: Path, docs: Path) -> None:
    """Markdown, text, HTML and PDF, each by an address that leads to the place in the file."""
    assert counts(index_paths(database, [docs])) == {"added": 4}
    found = {terms: (await find(index, terms))[0] for terms in ("brewing tea", "roast", "heating milk", "saffron")}
    assert [hit.url for hit in found.values()] == [
        *("doc:docs/tea.md#tea", "doc:docs/coffee.txt", "doc:docs/deep/milk.html", "doc:docs/price.pdf#page=2"),
    ]
    assert found["roast"].published == (docs / "coffee.txt").stat().st_mtime
    assert found["brewing tea"].title == "Tea"
    assert found["brewing tea"].snippet == "Green tea is brewed at eighty degrees."


async def test_hidden_text_of_a_page_is_not_found(index: EmbeddedIndex, database: Path, docs: Path) -> None:
    """What a browser does not show is not in the index."""
    index_paths(database, [docs])
    assert await find(index, "ads") == []


async def test_nothing_of_the_machine_is_shown_to_callers(
    index: EmbeddedIndex, database: Path, docs: Path, tmp_path: Path
) -> None:
    """No part of a hit holds the path of the folder that was indexed."""
    index_paths(database, [docs])
    for hit in await find(index, "tea coffee milk price saffron"):
        assert str(tmp_path) not in repr(hit)


async def test_files_are_updated_in_place_by_content(index: EmbeddedIndex, database: Path, docs: Path) -> None:
    """A second run reads only what changed, and forgets what is gone."""
    index_paths(database, [docs])
    assert counts(index_paths(database, [docs])) == {"unchanged": 4}
    (docs / "tea.md").write_text("# Tea\n\nBlack tea is brewed with boiling water.\n")
    (docs / "coffee.txt").unlink()
    os.utime(docs / "price.pdf", (1_000_000, 1_000_000))
    report = index_paths(database, [docs])
    assert counts(report) == {"updated": 1, "unchanged": 2, "removed": 1}
    assert [hit.snippet for hit in await find(index, "tea")] == ["Black tea is brewed with boiling water."]
    assert await find(index, "coffee roasted") == []
    assert (await find(index, "saffron"))[0].published == 1_000_000


async def test_one_file_of_a_folder_is_updated_alone(index: EmbeddedIndex, database: Path, docs: Path) -> None:
    """It stays one document, and its neighbours stay as they are."""
    index_paths(database, [docs])
    (docs / "deep" / "milk.html").write_text("<p>Milk is steamed.</p>")
    (docs / "tea.md").write_text("# Tea\n\nNot read in this run.\n")
    assert counts(index_paths(database, [docs / "deep"])) == {"updated": 1}
    assert [hit.url for hit in await find(index, "milk")] == ["doc:docs/deep/milk.html"]
    assert len(await find(index, "brewed tea")) == 2


async def test_a_folder_takes_over_what_was_indexed_inside_it(
    index: EmbeddedIndex, database: Path, docs: Path
) -> None:
    """No file is in the index twice, whichever was named first."""
    index_paths(database, [docs / "deep", docs / "tea.md"])
    assert (await find(index, "milk"))[0].url == "doc:deep/milk.html"
    index_paths(database, [docs])
    assert [hit.url for hit in await find(index, "milk")] == ["doc:docs/deep/milk.html"]
    assert [hit.url for hit in await find(index, "brewed")] == ["doc:docs/tea.md#tea"]


async def test_two_folders_of_one_name_have_two_addresses(
    index: EmbeddedIndex, database: Path, tmp_path: Path
) -> None:
    """The second is numbered; so is one that is called like the gateway's own pages."""
    for parent in ("a", "b"):
        (tmp_path / parent / "docs").mkdir(parents=True)
        (tmp_path / parent / "docs" / "x.md").write_text(f"A walrus called {parent}.")
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "x.md").write_text("A walrus called gateway.")
    index_paths(database, [tmp_path / "a" / "docs", tmp_path / "b" / "docs", tmp_path / "gateway"])
    assert sorted(hit.url for hit in await find(index, "walrus")) == [
        *("doc:docs/x.md", "doc:docs~2/x.md", "doc:gateway~2/x.md"),
    ]


async def test_a_file_that_became_unreadable_is_forgotten(
    index: EmbeddedIndex, database: Path, docs: Path
) -> None:
    """Its old text is not true any more; the report says why it is skipped."""
    index_paths(database, [docs])
    (docs / "price.pdf").write_bytes(b"%PDF-1.4 torn")
    report = index_paths(database, [docs])
    assert [(file.outcome, file.reason.split(";")[0]) for file in report.files if file.kind == "PDF"] == [
        (Outcome.SKIPPED, "broken PDF"),
    ]
    assert await find(index, "saffron") == []


def test_what_is_no_document_is_passed_over(database: Path, docs: Path, tmp_path: Path) -> None:
    """Hidden files, folders of tools, loops, links to the outside and foreign files are not read."""
    (tmp_path / "outside.md").write_text("outside")
    for folder in (".git", "node_modules", ".venv"):
        (docs / folder).mkdir()
        (docs / folder / "x.md").write_text("tool")
    (docs / ".hidden.md").write_text("hidden")
    (docs / "loop").symlink_to(docs)
    (docs / "self.md").symlink_to(docs / "self.md")
    (docs / "out.md").symlink_to(tmp_path / "outside.md")
    (docs / "in.md").symlink_to(docs / "tea.md")
    (docs / "photo.jpg").write_bytes(b"\xff\xd8\x00")
    os.mkfifo(docs / "pipe.md")
    report = index_paths(database, [docs])
    assert {file.path.removeprefix(f"{docs}/"): file.reason for file in report.with_outcome(Outcome.SKIPPED)} == {
        "self.md": "a link that leads nowhere",
        "out.md": "a link to a file outside the folder",
        "pipe.md": "not a regular file",
        "photo.jpg": "not a Markdown, text, HTML or PDF file",
    }
    assert report.count(Outcome.ADDED) == 5


def test_a_path_that_does_not_exist_changes_nothing(database: Path, docs: Path) -> None:
    """The caller is told before anything is written."""
    with pytest.raises(CallerError, match="no such file or folder"):
        index_paths(database, [docs, docs / "missing"])
    assert not database.exists()


@pytest.mark.parametrize("tenant", ["Acme", "a b", "-x", "a" * 64, "../x"])
def test_a_tenant_name_is_checked(database: Path, docs: Path, tenant: str) -> None:
    """A name that no token can carry would hide documents for ever."""
    with pytest.raises(CallerError, match="tenant"):
        index_paths(database, [docs], tenant)


async def test_tenants_find_their_own_and_what_is_shared(
    index: EmbeddedIndex, database: Path, tmp_path: Path
) -> None:
    """The same words, three owners; nobody finds another one's document or learns that it exists."""
    for owner in ("shared", "acme", "globex"):
        (tmp_path / f"{owner}.md").write_text(f"# Plan\n\nThe launch plan of {owner}.")
        index_paths(database, [tmp_path / f"{owner}.md"], "" if owner == "shared" else owner)
    for tenant, visible in (("acme", {"acme", "shared"}), ("globex", {"globex", "shared"}), ("", {"shared"})):
        hits = await find(index, "launch plan", tenant)
        assert {hit.url.removeprefix("doc:").split(".")[0] for hit in hits} == visible


async def test_another_tenants_many_documents_do_not_push_out_ones_own(
    index: EmbeddedIndex, database: Path, tmp_path: Path
) -> None:
    """However many better matches another tenant has, one's own are found."""
    crowd = tmp_path / "crowd"
    crowd.mkdir()
    for number in range(200):
        (crowd / f"{number}.md").write_text(f"# Launch plan {number}\n\nLaunch plan, launch plan.")
    (tmp_path / "own.md").write_text("Somewhere in here we mention a launch and, much later, the plan.")
    index_paths(database, [crowd], "globex")
    index_paths(database, [tmp_path / "own.md"], "acme")
    assert [hit.url for hit in await find(index, "launch plan", "acme")] == ["doc:own.md"]


@pytest.mark.parametrize(
    ("terms", "place"),
    [
        ("how does the gateway meter a broken stream?", "doc:gateway/metering-and-bills.md#"),
        ("what do I pay when I cancel", "doc:gateway/metering-and-bills.md#"),
        ("RESOURCE_EXHAUSTED", "doc:gateway/rate-limits.md#"),
        ("which port", "doc:gateway/operating.md#ports"),
        ("max_tokens reservation", "doc:gateway/rate-limits.md#"),
        ("do you store my prompts", "doc:gateway/privacy-and-security.md#"),
        ("How do citations work?", "doc:gateway/search-and-citations.md#how-citations-work"),
        ("流中断时怎么收费？", f"doc:gateway/zh-overview.md#{'%E8%AE%A1%E8%B4%B9'}"),
        ("限流", "doc:gateway/zh-overview.md#"),
        ("怎么引用资料", "doc:gateway/zh-overview.md#"),
    ],
)
async def test_the_gateways_own_pages_answer(index: EmbeddedIndex, database: Path, terms: str, place: str) -> None:
    """Questions in both languages find the page that answers them, first."""
    ensure_shipped(database)
    hits = await find(index, terms)
    assert hits[0].url.startswith(place)
    assert hits[0].published is None


def test_the_gateways_own_pages_are_written_once(database: Path) -> None:
    """The first start adds them, later starts change nothing."""
    assert counts(ensure_shipped(database)) == {"added": len(list(SHIPPED_FOLDER.glob("*.md")))}
    written = database.stat().st_mtime_ns
    assert ensure_shipped(database).changed == 0
    assert database.stat().st_mtime_ns == written


async def test_a_new_data_directory_answers_at_once(tmp_path: Path) -> None:
    """The provider of a configuration has the gateway's own pages, with nothing indexed by hand."""
    async with VendorHttp() as exchange:
        index = await provider.create(ProviderOptions(), Shared(tmp_path / "fresh", exchange))
        try:
            assert await find(index, "receipt")
        finally:
            await index.aclose()


async def test_dates_and_domains_narrow_the_search(index: EmbeddedIndex, database: Path, docs: Path) -> None:
    """A time span looks at the file's time; an indexed file has no domain, so no domain holds it."""
    index_paths(database, [docs])
    os.utime(docs / "tea.md", (2_000_000, 2_000_000))
    index_paths(database, [docs])

    async def found(**options: object) -> bool:
        return bool(await index.search(SearchQuery("brewed tea", 5, **options)))  # type: ignore[arg-type]

    assert await found(not_before=1_999_999.0, not_after=2_000_001.0)
    assert not await found(not_before=2_000_001.0)
    assert not await found(not_after=1_999_999.0)
    assert not await found(only_domains=("example.org",))
    assert await found(skip_domains=("example.org",))


async def test_the_index_can_be_searched_while_it_is_written(
    index: EmbeddedIndex, database: Path, docs: Path
) -> None:
    """A search never waits for the writer, never fails and never sees half a document."""
    index_paths(database, [docs])
    stop = threading.Event()

    def rewrite() -> None:
        for number in range(20):
            (docs / "tea.md").write_text(f"# Tea\n\nGreen tea number {number}.\n\n## Storage\n\nKeep tea dry.\n")
            index_paths(database, [docs])
        stop.set()

    writing = asyncio.create_task(asyncio.to_thread(rewrite))
    while not stop.is_set():
        assert len(await find(index, "tea")) == 2
    await writing
    assert (await find(index, "green tea"))[0].snippet == "Green tea number 19."


async def test_an_index_that_was_replaced_is_read_anew(index: EmbeddedIndex, database: Path, docs: Path) -> None:
    """The operator may delete the file and index again while the server runs."""
    index_paths(database, [docs])
    assert await find(index, "coffee")
    for file in database.parent.iterdir():
        file.unlink()
    with pytest.raises(UpstreamError, match="gateway index"):
        await find(index, "coffee")
    index_paths(database, [docs / "tea.md"])
    assert await find(index, "coffee") == []
    assert await find(index, "tea")


def garbage(database: Path) -> None:
    """No database at all."""
    database.write_bytes(b"this is no database, and long enough to be looked at " * 100)


def torn(database: Path) -> None:
    """A database whose pages were overwritten."""
    content = bytearray(database.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    database.write_bytes(content)


def newer(database: Path) -> None:
    """A database of a later version."""
    connection = sqlite3.connect(database)
    connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    connection.close()


@pytest.mark.parametrize("damage", [garbage, torn, newer])
async def test_a_damaged_index_says_what_the_operator_does(
    index: EmbeddedIndex, database: Path, docs: Path, damage: Callable[[Path], None]
) -> None:
    """The search fails with one clear sentence and no path; so does indexing."""
    index_paths(database, [docs])
    damage(database)
    with pytest.raises(UpstreamError, match="index again") as caught:
        await find(index, "tea")
    assert caught.value.reason is Reason.ENRICHMENT_FAILED
    assert str(database) not in caught.value.message
    with pytest.raises(OperatorError, match="index again"):
        index_paths(database, [docs])


def test_an_index_that_cannot_be_written_says_so(docs: Path, tmp_path: Path) -> None:
    """A data directory that is a file cannot hold an index."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OperatorError, match="writable"):
        index_paths(tmp_path / "file" / "index.db", [docs])


def test_addresses_are_written_in_ascii() -> None:
    """Spaces and Chinese are percent-encoded, the page of a PDF stays readable."""
    assert reference("a b", "费.pdf", "page=2") == "doc:a%20b/%E8%B4%B9.pdf#page=2"
    assert reference("x.md", "", slug("Rate limits, and why")) == "doc:x.md#rate-limits-and-why"
