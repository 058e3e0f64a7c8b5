"""What each vendor is asked, and what becomes of everything it may answer."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from gateway.domain.errors import OperatorError, UpstreamError
from gateway.search import ProviderOptions, SearchProvider, SearchQuery, Shared
from gateway.search import external as external_file
from gateway.search.arxiv import Arxiv
from gateway.search.searxng import create as create_searxng
from gateway.search.vendor_http import VendorHttp
from tests.support.search_web import ScriptedVendor
from tests.support.vendor_replies import KEY, NEEDS_KEY, SCRIPTS

RECORDED = (
    Path(os.environ.get("GATEWAY_WIRE_DIR") or Path(__file__).resolve().parents[3] / "shared" / "wire") / "searxng"
)
OCTOBER, NOVEMBER = 1_790_812_800.0, 1_793_491_200.0  # 2026-10-01 and 2026-11-01, UTC


@pytest.fixture(params=SCRIPTS)
async def vendor(request: pytest.FixtureRequest) -> AsyncIterator[ScriptedVendor]:
    """Each vendor in turn."""
    async with ScriptedVendor(request.param) as made:
        yield made


async def fails(provider: SearchProvider, terms: str = "harbour crane") -> str:
    """The message of a search that must fail."""
    with pytest.raises(UpstreamError) as caught:
        await provider.search(SearchQuery(terms, 3))
    return caught.value.message


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_refused_key_switches_the_vendor_off_and_is_told_once(
    vendor: ScriptedVendor, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A key does not get better by asking again; the operator reads of it, and never the key itself."""
    provider = await vendor.provider(key=KEY)
    vendor.replies.append((status, {}, b"no"))
    with caplog.at_level(logging.ERROR):
        assert str(status) in await fails(provider)
        assert str(status) in await fails(provider)
    assert len(vendor.asked) == 1
    assert len(caplog.records) == 1
    assert KEY not in caplog.text


async def test_a_vendor_with_too_many_requests_rests(vendor: ScriptedVendor) -> None:
    """While it rests nothing is sent."""
    provider = await vendor.provider()
    vendor.replies.append((429, {"Retry-After": "60"}, b""))
    assert "too many" in await fails(provider)
    assert "too many" in await fails(provider)
    assert len(vendor.asked) == 1


async def test_failures_in_a_row_open_the_circuit(vendor: ScriptedVendor) -> None:
    """Five 5xx replies, and the sixth search is answered without a call."""
    provider = await vendor.provider()
    vendor.replies += [(503, {}, b"")] * 5
    for _ in range(6):
        assert await fails(provider)
    assert len(vendor.asked) == 5


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[1]", b'{"results": 3}', b'"text"', b"\xff\xfe", b"[" * 100_000], ids=str
)
async def test_a_reply_of_another_shape_is_a_failure_or_empty_never_a_crash(
    vendor: ScriptedVendor, body: bytes
) -> None:
    """Whatever a vendor sends with a 200, the pipeline sees hits, none, or one kind of error."""
    provider = await vendor.provider()
    vendor.replies.append((200, {"Content-Type": "application/json"}, body))
    try:
        assert await provider.search(SearchQuery("harbour crane", 3)) == []
    except UpstreamError as error:
        assert KEY not in error.message


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_never_followed_with_the_key(vendor: ScriptedVendor, status: int) -> None:
    """It would hand the key to whoever is named."""
    provider = await vendor.provider()
    vendor.replies.append((status, {"Location": f"{vendor.url}/elsewhere"}, b""))
    await fails(provider)
    assert len(vendor.asked) == 1


async def test_a_reply_larger_than_the_cap_is_a_failure(vendor: ScriptedVendor) -> None:
    """Nobody's reply fills the memory."""
    provider = await vendor.provider()
    vendor.replies.append((200, {}, b" " * (5 * 1024 * 1024)))
    await fails(provider)


async def test_the_proxy_of_the_environment_is_not_asked(
    vendor: ScriptedVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that somebody set for another program must not see keys and questions."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert await (await vendor.provider()).search(SearchQuery("harbour crane", 3))


async def test_a_vendor_that_is_slower_than_its_time_is_cut() -> None:
    """Its own timeout holds even when the turn has time left."""
    stop = asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        await stop.wait()
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", hang)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with VendorHttp() as http:
            options = ProviderOptions(url=url, timeout_s=0.05)
            provider = await external_file.create(options, Shared(Path(), http))
            assert "in time" in await fails(provider)
    finally:
        stop.set()
        await runner.cleanup()


@pytest.mark.parametrize("name", NEEDS_KEY)
async def test_a_missing_key_stops_the_start_and_names_its_variable(name: str) -> None:
    """The operator reads what to set."""
    async with ScriptedVendor(name) as vendor:
        with pytest.raises(OperatorError, match=f"GATEWAY_SEARCH_{name.upper()}_KEY"):
            await vendor.provider(key="")
        with pytest.raises(OperatorError) as caught:
            await vendor.provider(key="sk-\nsecret")
        assert "secret" not in caught.value.message


@pytest.mark.parametrize("name", ["searxng", "external"])
async def test_a_service_of_ones_own_needs_its_address(name: str) -> None:
    """There is no default for it."""
    create = create_searxng if name == "searxng" else external_file.create
    async with VendorHttp() as http:
        with pytest.raises(OperatorError, match=f"GATEWAY_SEARCH_{name.upper()}_URL"):
            await create(ProviderOptions(), Shared(Path(), http))


def test_the_key_shows_in_no_repr() -> None:
    """Options end up in tracebacks."""
    assert KEY not in repr(ProviderOptions(key=KEY))


async def asked_of(name: str, query: SearchQuery, **options: object) -> Any:  # Any: JSON or parameters
    """What a vendor was sent for a query."""
    async with ScriptedVendor(name) as vendor:
        await (await vendor.provider(**options)).search(query)
        return vendor.asked[0].json or vendor.asked[0].params


WISHES = SearchQuery(
    "harbour crane",
    7,
    only_domains=("example.org",),
    skip_domains=("spam.example",),
    not_before=OCTOBER,
    not_after=NOVEMBER,
    locale="zh-CN",
)


async def test_every_vendor_is_told_dates_domains_and_locale_in_its_own_words() -> None:
    """What a vendor can filter by itself need not be thrown away here."""
    deepseek = await asked_of("deepseek", WISHES)
    assert deepseek["query"] == (
        "harbour crane site:example.org -site:spam.example after:2026-10-01 before:2026-11-02 lang:zh"
    )
    assert deepseek["count"] == 7
    tavily = await asked_of("tavily", WISHES)
    assert (tavily["start_date"], tavily["end_date"]) == ("2026-10-01", "2026-11-01")
    assert (tavily["include_domains"], tavily["exclude_domains"]) == (["example.org"], ["spam.example"])
    bocha = await asked_of("bocha", WISHES)
    assert (bocha["freshness"], bocha["include"], bocha["exclude"]) == (
        "2026-10-01..2026-11-01",
        "example.org",
        "spam.example",
    )
    brave = await asked_of("brave", WISHES)
    assert (brave["freshness"], brave["search_lang"], brave["country"]) == (
        "2026-10-01to2026-11-01",
        "zh-hans",
        "CN",
    )
    assert "site:example.org" in brave["q"]
    zhipu = await asked_of("zhipu", WISHES, engine="search_pro_quark")
    assert (zhipu["search_domain_filter"], zhipu["search_engine"]) == ("example.org", "search_pro_quark")
    arxiv = await asked_of("arxiv", WISHES)
    assert "submittedDate:[202610010000 TO 202611010000]" in arxiv["search_query"]
    searxng = await asked_of("searxng", WISHES)
    assert searxng["language"] == "zh-CN"
    assert "time_range" not in searxng


async def test_what_a_vendor_cannot_be_told_is_said(vendor: ScriptedVendor) -> None:
    """So that nobody takes a list for filtered that is not."""
    provider = await vendor.provider()
    assert set(provider.unsupported(WISHES)) <= {"dates", "domains", "locale"}
    assert provider.unsupported(SearchQuery("harbour", 3)) == ()
    if vendor.name == "external":
        assert provider.unsupported(WISHES) == ("dates", "domains", "locale")


async def test_a_long_question_is_cut_between_words(vendor: ScriptedVendor) -> None:
    """No vendor is asked for more than it takes, and no word is cut in two."""
    provider = await vendor.provider()
    await provider.search(SearchQuery("harbour crane " + "lifting boxes " * 200, 3))
    terms = SCRIPTS[vendor.name].terms(vendor.asked[0])
    assert len(terms) <= SCRIPTS[vendor.name].max_terms
    assert set(terms.replace("all:", "").split()) <= {"harbour", "crane", "lifting", "boxes", "OR"}


async def test_pages_are_turned_until_there_is_enough() -> None:
    """Brave gives twenty at a time: for more, the next page is asked for, and an empty one ends it."""
    async with ScriptedVendor("brave", answers=20) as vendor:
        hits = await (await vendor.provider()).search(SearchQuery("harbour crane", 30))
        assert len(hits) == 20
        assert [asked.params["offset"] for asked in vendor.asked] == ["0", "1"]


async def test_a_web_hit_cannot_pose_as_a_document_of_ours(vendor: ScriptedVendor) -> None:
    """`doc:` and `file:` belong to the embedded index; other schemes are no pages."""
    provider = await vendor.provider()
    honest = SCRIPTS[vendor.name].answer(4)
    text = honest if isinstance(honest, str) else orjson.dumps(honest).decode()
    forged = text.replace("https://harbour2.example", "doc:harbour2").replace(
        "https://harbour3.example", "file://"
    )
    forged = forged.replace("http://arxiv.org/abs/2610.00001v1", "doc:guide")
    forged = forged.replace("http://arxiv.org/abs/2610.00002v1", "javascript:alert(1)")
    vendor.replies.append((200, {}, forged.encode()))
    hits = await provider.search(SearchQuery("harbour crane", 5))
    assert len(hits) == 2
    assert all(hit.url.startswith("https://") for hit in hits)


# --- SearXNG, as a real one answered ----------------------------------------------------------------


def recorded(name: str) -> tuple[int, dict[str, str], bytes]:
    """One recorded reply with its status."""
    path = RECORDED / name
    if not path.is_file():
        pytest.skip(f"no recordings at {RECORDED}; set GATEWAY_WIRE_DIR to the folder that holds searxng/")
    status = {"format_not_enabled.html": 403, "no_query.json": 400}.get(name, 200)
    kind = "text/html" if name.endswith(".html") else "application/json"
    return status, {"Content-Type": kind}, path.read_bytes()


async def test_recorded_searxng_results_are_read() -> None:
    """Two results in English, one in Chinese; failing engines beside them take nothing away."""
    async with ScriptedVendor("searxng") as vendor:
        provider = await vendor.provider()
        for name, count in (("ok_localdb.json", 2), ("zh_localdb.json", 1), ("mixed_unresponsive.json", 2)):
            vendor.replies.append(recorded(name))
            hits = await provider.search(SearchQuery("grpc", 5))
            assert len(hits) == count
            assert all(hit.url.startswith("http://example.test/") and hit.title and hit.passage for hit in hits)


async def test_recorded_searxng_silence_is_told_apart() -> None:
    """No result is an answer; every engine suspended is a failure, although both are HTTP 200 and empty."""
    async with ScriptedVendor("searxng") as vendor:
        provider = await vendor.provider()
        vendor.replies.append(recorded("no_result.json"))
        assert await provider.search(SearchQuery("zzzz", 5)) == []
        vendor.replies.append(recorded("engines_param.json"))
        assert await provider.search(SearchQuery("grpc", 5)) == []
        vendor.replies.append(recorded("mixed_unresponsive_again.json"))
        assert "no engine answered" in await fails(provider)
        vendor.replies.append(recorded("no_query.json"))
        assert "400" in await fails(provider)
        vendor.replies.append(recorded("format_not_enabled.html"))
        assert "403" in await fails(provider)


async def test_arxiv_keeps_its_own_pace() -> None:
    """One request at a time, with a pause between two."""
    async with ScriptedVendor("arxiv") as vendor, VendorHttp() as http:
        arxiv = Arxiv(ProviderOptions(url=vendor.url), Shared(Path(), http), interval_s=60.0)
        assert await arxiv.search(SearchQuery("crane", 3))
        waiting = asyncio.create_task(arxiv.search(SearchQuery("crane", 3)))
        done, _ = await asyncio.wait({waiting}, timeout=0.05)
        assert not done
        assert len(vendor.asked) == 1
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_an_entity_in_a_feed_is_refused() -> None:
    """A feed with a document type of its own could declare entities that grow without end."""
    bomb = b"<!DOCTYPE f [<!ENTITY a 'aaaa'>]><feed xmlns='http://www.w3.org/2005/Atom'><entry><id>&a;</id></entry></feed>"
    async with ScriptedVendor("arxiv") as vendor:
        vendor.replies.append((200, {}, bomb))
        await fails(await vendor.provider())
