"""Several providers' hits become one numbered list, each page and each text once."""

import hashlib

import pytest

from gateway.search import Hit
from gateway.search.fuse import UNDATED, ProviderHits, Wanted, fuse
from gateway.search.injection import INSTRUCTION_LIKE
from gateway.search.urls import canonical_url, in_domains
from tests.support.hostile_pages import MARKS, ORDERS, every

PASSAGES = {
    "redis": "Redis keeps its whole dataset in memory and writes snapshots to disk at regular intervals.",
    "postgres": "PostgreSQL stores tables in heap files and logs each change to a write-ahead log first.",
    "sqlite": "SQLite is a library that keeps one database in one ordinary file without a server process.",
}


def hit(name: str, url: str = "", **other: object) -> Hit:
    """A hit about one of the databases."""
    text = PASSAGES.get(name, f"A page about {name}.")
    values: dict[str, object] = {"title": name, "snippet": text[:40], "passage": text} | other
    return Hit(url=url or f"https://{name}.example/page", **values)  # type: ignore[arg-type]  # values by name


def test_pages_that_several_providers_rank_well_come_first() -> None:
    """Merging goes by rank, never by the providers' own scores."""
    sources = fuse(
        [
            ProviderHits("brave", [hit("redis", score=0.1), hit("postgres", score=0.09)]),
            ProviderHits("searxng", [hit("postgres", score=900.0), hit("sqlite", score=800.0)]),
        ],
        max_results=5,
    )
    assert [source.title for source in sources] == ["postgres", "redis", "sqlite"]
    assert [source.source_id for source in sources] == ["S1", "S2", "S3"]
    assert sources[0].provider == "brave,searxng"
    assert sources[0].score == pytest.approx(1 / 62 + 1 / 61)
    assert [source.score for source in sources] == sorted((s.score for s in sources), reverse=True)


@pytest.mark.parametrize(
    "other",
    [
        "HTTPS://WWW.Example.com/a/b",
        "https://example.com:443/a/b/",
        "http://example.com/a/b#part",
        "https://example.com/a/b?utm_source=x&fbclid=1",
        "https://example.com/%61/b",
    ],
)
def test_spellings_of_one_address_are_one_page(other: str) -> None:
    """Case, default port, fragment, tracking and the last slash do not make another page."""
    assert canonical_url(other) == canonical_url("https://example.com/a/b")


@pytest.mark.parametrize(
    "other", ["https://example.com/a/c", "https://example.com/a/b?page=2", "https://x.example.com/a/b"]
)
def test_other_pages_stay_other_pages(other: str) -> None:
    """A different path, query or host is a different page; so are two parts of one document."""
    assert canonical_url(other) != canonical_url("https://example.com/a/b")
    assert canonical_url("doc:guide/a.md#one") != canonical_url("doc:guide/a.md#two")


def test_the_same_page_keeps_the_better_texts() -> None:
    """Whoever found the page with more to read gives the passage; the first finder gives address and title."""
    thin = Hit("https://redis.example/page/", "Redis", "Redis.", "Redis.", None, 1.0)
    sources = fuse([ProviderHits("brave", [thin]), ProviderHits("tavily", [hit("redis", published=5.0)])], 5)
    assert len(sources) == 1
    assert sources[0].passage == PASSAGES["redis"]
    assert sources[0].title == "Redis"
    assert sources[0].published == 5.0


def test_a_provider_that_repeats_itself_is_counted_once() -> None:
    """A list that holds a page twice must not push it up."""
    twice = ProviderHits("brave", [hit("redis"), hit("redis")])
    assert fuse([twice], 5)[0].score == pytest.approx(1 / 61)


def test_near_identical_texts_are_one_source() -> None:
    """A copied page on another host adds its provider, not a second source."""
    copy = hit("redis", url="https://mirror.example/x", passage=PASSAGES["redis"] + " Copied.")
    sources = fuse([ProviderHits("brave", [hit("redis"), hit("postgres")]), ProviderHits("tavily", [copy])], 5)
    assert [source.title for source in sources] == ["redis", "postgres"]
    assert sources[0].provider == "brave,tavily"


def test_domains_and_dates_filter() -> None:
    """Asked-for domains, unwanted ones and the time span hold; a hit without a date stays and says so."""
    hits = ProviderHits(
        "brave",
        [
            hit("redis", url="https://docs.redis.io/a", published=100.0),
            hit("postgres", url="https://notredis.io/b", published=100.0),
            hit("sqlite", url="https://redis.io/c"),
            hit("old", url="https://redis.io/old", published=1.0),
            hit("new", url="https://redis.io/new", published=999.0),
            hit("blog", url="https://blog.redis.io/x", published=100.0),
        ],
    )
    wanted = Wanted(("redis.io",), ("blog.redis.io",), not_before=50.0, not_after=500.0)
    sources = fuse([hits], 10, wanted)
    assert [source.title for source in sources] == ["redis", "sqlite"]
    assert UNDATED in sources[1].flags
    assert UNDATED not in sources[0].flags


@pytest.mark.parametrize("written", ["example.com", "*.example.com", "https://Example.com/path", ".example.com"])
def test_a_domain_may_be_written_in_several_ways(written: str) -> None:
    """Scheme, star and case of a configured domain do not matter; the end of another name never matches."""
    assert in_domains("https://a.example.com/x", [written])
    assert not in_domains("https://badexample.com/x", [written])
    assert not in_domains("https://example.com.evil.org/", [written])


def test_the_number_of_results_is_bounded() -> None:
    """No more sources than asked for, numbered without holes."""
    hits = [hit(f"topic{n}", passage=f"Text number {n}") for n in range(30)]
    sources = fuse([ProviderHits("brave", hits)], 5)
    assert [source.source_id for source in sources] == ["S1", "S2", "S3", "S4", "S5"]


def test_the_digest_is_of_the_passage_as_shown() -> None:
    """The SHA-256 lets a caller prove which text an answer rests on."""
    source = fuse([ProviderHits("brave", [hit("redis", passage="Re\u200bdis <|im_start|>stores data.")])], 1)[0]
    assert source.passage == "Redis stores data."
    assert source.content_sha256 == hashlib.sha256(source.passage.encode()).digest()


@pytest.mark.parametrize("field", ["title", "snippet", "passage"])
@pytest.mark.parametrize(("kind", "text"), every(MARKS))
def test_no_field_of_a_source_carries_a_mark(kind: str, text: str, field: str) -> None:
    """Title, snippet and passage are equally untrusted, whatever the class of attempt."""
    source = fuse([ProviderHits("brave", [hit("redis", **{field: text})])], 1)[0]
    shown = getattr(source, field)
    assert "CANARY" in shown, kind
    assert not any(mark in shown for mark in ("<|", "[S", "【", "<<<", "INST]", "</"))


@pytest.mark.parametrize(("kind", "text"), every(ORDERS))
def test_an_order_in_the_title_alone_is_flagged(kind: str, text: str) -> None:
    """Flags look at every field of the hit."""
    source = fuse([ProviderHits("brave", [hit("redis", title=text)])], 1)[0]
    assert INSTRUCTION_LIKE in source.flags, kind


def test_documents_of_the_index_are_sources() -> None:
    """An address without a host is kept as the index wrote it; a domain filter leaves it out."""
    hits = ProviderHits("embedded", [hit("redis", url="doc:guide/redis.md#memory", title="Memory")])
    assert fuse([hits], 5)[0].url == "doc:guide/redis.md#memory"
    assert fuse([hits], 5, Wanted(only_domains=("redis.io",))) == ()


def test_unusable_addresses_are_dropped() -> None:
    """A script address or none at all is no source."""
    hits = [hit("redis", url="javascript:alert(1)"), hit("sqlite", url="about:blank"), hit("postgres")]
    assert [source.title for source in fuse([ProviderHits("brave", hits)], 5)] == ["postgres"]


def test_a_page_without_title_is_named_by_its_host() -> None:
    """Callers always have something to show."""
    assert fuse([ProviderHits("brave", [hit("redis", title=" \u200b")])], 1)[0].title == "redis.example"


def test_nothing_found_is_no_source() -> None:
    """Empty lists and no list give an empty tuple."""
    assert fuse([], 5) == ()
    assert fuse([ProviderHits("brave", [])], 5) == ()
