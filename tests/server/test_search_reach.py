"""What a search reaches for, through a real server: pages, vendors that read them, calls, connections, Redis."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from aiohttp import web as http

from gateway.domain.events import SearchStatus, Source
from gateway.domain.record import TurnRecord
from gateway.search.pages import Pages
from gateway.search.reader import DocumentReader
from gateway.telemetry.logging import TurnLog
from gateway.v1 import inference_pb2, search_pb2
from tests.support.gateway import Running, running
from tests.support.page_web import PageWeb, page
from tests.support.redis_server import redis_server, say
from tests.support.search_web import ScriptedVendor
from tests.support.upstream import Reply, ScriptedUpstream
from tests.support.vendor_replies import KEY

PAGES = inference_pb2.SearchOptions(depth=inference_pb2.SEARCH_DEPTH_PAGES, max_results=20)
ARTICLE = "<html><body><article><p>The harbour crane lifts 41 tonnes of boxes.</p></article></body></html>"


def hits(*urls: str) -> tuple[int, dict[str, str], bytes]:
    """The vendor's reply with these addresses, each with words of its own."""
    rows = [
        {
            "link": url,
            "title": f"Crane {n}",
            "snippet": f"Harbour crane number {n} {'abcdefghijklmnopqrstuvwxyz'[n]}",
        }
        for n, url in enumerate(urls)
    ]
    return 200, {}, orjson.dumps(rows)


@asynccontextmanager
async def searching(
    folder: Path, vendor: ScriptedVendor, pages_port: int, *, config: str = "", upstream: str = "", **more: str
) -> AsyncIterator[Running]:
    """A gateway with one vendor, which may read pages of 127.0.0.1 at one port and of the usual ones."""
    environment = {
        "GATEWAY_SEARCH_PROVIDERS": "external",
        "GATEWAY_SEARCH_EXTERNAL_URL": vendor.url,
        "GATEWAY_SEARCH_EXTERNAL_KEY": KEY,
        "GATEWAY_PAGES_PORTS": f"80,443,{pages_port}",
        "GATEWAY_PAGES_ALLOW_NETWORKS": "127.0.0.1/32",
        **more,
    }
    async with running(folder, upstream=upstream, environment=environment, config=config) as gateway:
        # The reader's process starts with its first document, which a busy machine may take long to do.
        warm = search_pb2.ExtractRequest(content=b"<p>A page.</p>", mime_type="text/html")
        await gateway.search.Extract(warm, metadata=gateway.bearer())
        yield gateway


async def asked(gateway: Running, query: str, options: inference_pb2.SearchOptions) -> search_pb2.SearchReply:
    """What a search brings."""
    request = search_pb2.SearchRequest(query=query, options=options)
    return await gateway.search.Query(request, metadata=gateway.bearer())


def about_pages(reply: search_pb2.SearchReply) -> inference_pb2.SearchEvent:
    """What was told of the reading of pages."""
    return next(event for event in reply.events if event.provider == "pages")


async def test_of_twenty_slow_hosts_five_are_tried_at_once_and_none_is_waited_for() -> None:
    """Within the one time for all, here a fifth of a second; the sources stay as the search found them."""
    slow: Sequence[bytes | float | None] = [b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", 60.0, b"late"]
    async with PageWeb({f"/{n}": slow for n in range(20)}) as web, DocumentReader() as reader:
        found = [
            Source(f"S{n}", f"http://127.0.0.1:{web.port}/{n}", "T", "s", "external", passage="p")
            for n in range(20)
        ]
        read = await Pages(web.fetcher, reader).deepen(found, "harbour crane", 0.2, "acme")
        assert len(web.requests) == 5
        assert (read.tried, read.unread, dict(read.paid or {})) == (5, 5, {})
        assert read.sources == tuple(found)
        (event,) = read.events("harbour crane")
        assert event.status is SearchStatus.FAILED


UNREADABLE = {
    "inside, open": "http://127.0.0.2:{port}/",
    "inside, closed": "http://127.0.0.9:{port}/",
    "metadata": "http://169.254.169.254/latest",
    "IPv6 inside": "http://[::1]:{port}/",
    "a broken page": "http://127.0.0.1:{port}/broken",
    "no such page": "http://127.0.0.1:{port}/missing",
    "no such name": "http://nowhere.invalid/",
}


async def test_whatever_keeps_a_page_from_being_read_looks_the_same(tmp_path: Path) -> None:
    """The same event, the same source and the same evidence; and nothing inside was touched."""
    broken = page("\0\1\2", "application/octet-stream")
    async with PageWeb({"/broken": broken}) as web, ScriptedVendor("external") as vendor:
        async with searching(tmp_path, vendor, web.port) as gateway:
            told = {}
            for number, (kind, url) in enumerate(UNREADABLE.items()):
                vendor.replies.append(hits(url.format(port=web.port)))
                reply = await asked(gateway, f"harbour crane {number}", PAGES)
                event = about_pages(reply)
                found = [(source.title, source.snippet, source.flags) for source in reply.sources]
                told[kind] = (event.status, event.detail, len(event.sources), event.from_cache, str(found))
        assert web.touched == []
    assert set(told.values()) == {
        (
            inference_pb2.SEARCH_STATUS_FAILED,
            "1 of 1 pages could not be read; their search results stand",
            0,
            False,
            "[('Crane 0', 'Harbour crane number 0 a', [])]",
        )
    }


@asynccontextmanager
async def fetch_vendor(status: int = 200) -> AsyncIterator[tuple[str, list[dict[str, object]]]]:
    """DeepSeek Fetch as documented: its base URL, and what it was asked."""
    seen: list[dict[str, object]] = []

    async def fetch(request: http.Request) -> http.Response:
        seen.append({**await request.json(), "authorization": request.headers["Authorization"]})
        if status != 200:
            return http.json_response({"error": {"message": "no"}}, status=status)
        content = "# Cranes\n\nThe harbour crane lifts **41 tonnes** of boxes.\n"
        return http.json_response({"title": "Cranes of the harbour", "content": content})

    app = http.Application()
    app.router.add_post("/v1/tools/fetch", fetch)
    runner = http.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await http.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", seen
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(("status", "read"), [(200, 1), (402, 0)])
async def test_a_vendor_reads_the_pages_that_cannot_be_fetched_from_here(
    tmp_path: Path, status: int, read: int
) -> None:
    """It is asked after the gateway itself has failed, never for an address inside, and paid for what it read."""
    async with PageWeb({}) as web, ScriptedVendor("external") as vendor, fetch_vendor(status) as (url, seen):
        gone, inside = f"http://127.0.0.1:{web.port}/gone", "http://10.0.0.7/secret"
        vendor.replies.append(hits(gone, inside))
        more = {"GATEWAY_PAGES_VIA": "direct,deepseek", "GATEWAY_SEARCH_DEEPSEEK_URL": url}
        config = f'[search.deepseek]\nkey = "{KEY}"\nurl = "{url}"\n'
        async with searching(tmp_path, vendor, web.port, config=config, **more) as gateway:
            reply = await asked(gateway, "how many tonnes", PAGES)
            assert seen == [{"url": gone, "authorization": f"Bearer {KEY}"}]
            assert (
                about_pages(reply).detail == f"{2 - read} of 2 pages could not be read; their search results stand"
            )
            assert ("lifts 41 tonnes" in reply.prompt_text) == bool(read)
            assert KEY not in str(reply)


async def test_a_turns_own_limit_of_search_calls_holds(tmp_path: Path) -> None:
    """Over two providers and more pages than one call brings; who was left out is told, in words as well."""
    async with ScriptedVendor("brave") as brave, ScriptedVendor("tavily") as tavily:
        environment = {
            "GATEWAY_SEARCH_PROVIDERS": "brave,tavily",
            **{f"GATEWAY_SEARCH_{one.name.upper()}_URL": one.url for one in (brave, tavily)},
            **{f"GATEWAY_SEARCH_{one.name.upper()}_KEY": KEY for one in (brave, tavily)},
        }
        async with running(tmp_path, environment=environment) as gateway:
            turn = inference_pb2.Turn(prompt="harbour crane", limit=inference_pb2.TurnLimit(max_search_calls=1))
            turn.search.mode = inference_pb2.SEARCH_MODE_ALWAYS
            turn.search.max_results = 40
            turn.search.max_calls = 9
            frames = [frame async for frame in gateway.inference.Generate(turn, metadata=gateway.bearer())]
            assert (len(brave.asked), len(tavily.asked)) == (1, 0)
            skipped = [f.search.provider for f in frames if f.search.status == inference_pb2.SEARCH_STATUS_SKIPPED]
            assert skipped == ["tavily"]
            assert inference_pb2.NOTICE_KIND_SEARCH_SKIPPED in {frame.notice.kind for frame in frames}


async def test_the_way_to_the_model_opens_while_the_search_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is there before the search has ended, is the one that is used, and the log says so."""
    records: list[TurnRecord] = []
    monkeypatch.setattr(TurnLog, "ended", lambda _log, record: records.append(record))
    connected: list[int] = []
    async with ScriptedUpstream(Reply.answer("Yes.")) as upstream, ScriptedVendor("external") as vendor:

        async def found_later(*_: object) -> None:
            while not upstream.connections:
                await asyncio.sleep(0.001)
            connected.append(len(upstream.exchanges))

        vendor.before = found_later
        async with searching(tmp_path, vendor, 80, upstream=upstream.url) as gateway:
            turn = inference_pb2.Turn(prompt="harbour crane")
            turn.search.mode = inference_pb2.SEARCH_MODE_ALWAYS
            async for _ in gateway.inference.Generate(turn, metadata=gateway.bearer()):
                pass
            assert connected == [0]
            assert (upstream.connections, len(upstream.exchanges)) == (1, 1)
    (record,) = records
    assert record.search_s is not None
    assert 0 < record.connect_overlap_s <= record.search_s


@pytest.mark.full
async def test_what_was_found_is_found_again_by_another_gateway(tmp_path: Path) -> None:
    """Hits and pages lie in Redis, sealed; under another key, and where there is poison, nothing is found."""
    async with PageWeb({"/": page(ARTICLE)}) as web, ScriptedVendor("external") as vendor:
        vendor.replies += [hits(f"http://127.0.0.1:{web.port}/")] * 9
        with redis_server(tmp_path / "redis") as url:
            shared = {"GATEWAY_REDIS_URL": url, "GATEWAY_SEAL_KEY": "a1" * 32}
            counts = []
            for number, seal in enumerate(("a1", "a1", "b2")):
                folder = tmp_path / str(number)
                folder.mkdir()
                environment = {**shared, "GATEWAY_SEAL_KEY": seal * 32}
                async with searching(folder, vendor, web.port, **environment) as gateway:
                    reply = await asked(gateway, "harbour crane", PAGES)
                    assert "41 tonnes" in reply.prompt_text
                    counts.append((len(vendor.asked), len(web.requests), reply.events[0].from_cache))
                await settled(url)
            assert counts == [(1, 1, False), (1, 1, True), (2, 2, False)]
            laid = [name for name in keys(url) if ":hits:" in name or ":page:" in name]
            assert laid
            for name in laid:
                assert b"crane" not in say(url, "GET", name).lower()
                say(url, "SET", name, "poison")
            (tmp_path / "last").mkdir()
            async with searching(tmp_path / "last", vendor, web.port, **shared) as gateway:
                assert (await asked(gateway, "harbour crane", PAGES)).sources
                assert len(vendor.asked) == 3


async def settled(url: str) -> None:
    """Writes happen a moment later."""
    for _ in range(200):
        if sum(":hits:" in name or ":page:" in name for name in keys(url)) >= 2:
            return
        await asyncio.sleep(0.01)


def keys(url: str) -> list[str]:
    """The names of everything in Redis."""
    return [
        word for word in say(url, "KEYS", "gateway:cache:*").decode().split("\r\n") if word.startswith("gateway:")
    ]
