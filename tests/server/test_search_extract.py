"""`Search.Extract` and page depth, through a real server: documents as data, and nothing told about the inside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import orjson
import pytest

from gateway.v1 import inference_pb2, search_pb2
from tests.support.calls import told_by
from tests.support.gateway import Running, running
from tests.support.page_web import PageWeb, page, redirect
from tests.support.search_web import ScriptedVendor
from tests.support.tiny_pdf import tiny_pdf
from tests.support.vendor_replies import KEY

ARTICLE = """<html><head><title>Cranes</title></head><body><article><h1>Cranes</h1>
<p>The harbour crane lifts boxes from ships all day. It was built in 1999 and lifts exactly 41 tonnes.</p>
<table><tr><th>Crane<th>Tonnes</tr><tr><td>North<td>41</tr></table><p hidden>CANARY</p></article></body></html>"""


@asynccontextmanager
async def reaching(web: PageWeb, data_dir: Path, extra: str = "", **environment: str) -> AsyncIterator[Running]:
    """A gateway that may fetch from the scripted web, and from nowhere else inside."""
    config = f'[pages]\nports = ["80", "{web.port}"]\nallow_networks = ["127.0.0.1/32"]\n{extra}'
    async with running(data_dir, config=config, environment=environment) as gateway:
        yield gateway


def at(web: PageWeb, path: str = "/") -> str:
    """The address of a page by its number: the real resolver is at work here."""
    return f"http://127.0.0.1:{web.port}{path}"


async def refused(gateway: Running, request: search_pb2.ExtractRequest) -> tuple[grpc.StatusCode, str, str]:
    """Code, reason and message of an extraction that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await gateway.search.Extract(request, metadata=gateway.bearer())
    told = told_by(caught.value)
    return told.code, told.reason, told.message


async def test_a_page_and_a_pdf_come_back_as_data(tmp_path: Path) -> None:
    """Title, text, tables and key points, by address or as bytes; only the parts that were asked for."""
    async with PageWeb({"/": page(ARTICLE)}) as web, reaching(web, tmp_path) as gateway:
        found = await gateway.search.Extract(search_pb2.ExtractRequest(url=at(web)), metadata=gateway.bearer())
        assert (found.title, found.mime_type) == ("Cranes", "text/html")
        assert "exactly 41 tonnes" in found.text
        assert "CANARY" not in found.text
        assert list(found.tables[0].header) == ["Crane", "Tonnes"]
        assert list(found.tables[0].rows[0].cells) == ["North", "41"]
        assert any("41 tonnes" in point for point in found.key_points)
        assert len(found.content_sha256) == 32
        request = search_pb2.ExtractRequest(content=tiny_pdf("One page", "Two pages"), fields=["title"])
        found = await gateway.search.Extract(request, metadata=gateway.bearer())
        assert (found.title, found.text, found.pages) == ("One page", "", 2)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (search_pb2.ExtractRequest(), "url"),
        (search_pb2.ExtractRequest(url="http://x.example", content=b"x"), "url"),
        (search_pb2.ExtractRequest(url="file:///etc/passwd"), "url"),
        (search_pb2.ExtractRequest(url="http://10.0.0.1/"), "url"),
        (search_pb2.ExtractRequest(url="http://[::ffff:127.0.0.1]/"), "url"),
        (search_pb2.ExtractRequest(url="http://metadata.google.internal/"), "url"),
        (search_pb2.ExtractRequest(url="http://example.com:6379/"), "url"),
        (search_pb2.ExtractRequest(content=b"x", fields=["summary"]), "fields[0]"),
        (search_pb2.ExtractRequest(content=b"x", mime_type="image/png"), "mime_type"),
        (search_pb2.ExtractRequest(content=b"\0\1\2"), "content"),
    ],
)
async def test_what_the_request_itself_says_is_refused_by_name(
    tmp_path: Path, request_: search_pb2.ExtractRequest, field: str
) -> None:
    """INVALID_ARGUMENT with the field: nothing was looked up for it."""
    async with running(tmp_path) as gateway:
        code, reason, message = await refused(gateway, request_)
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert message.startswith(f"{field}: ")


async def test_everything_after_the_address_fails_alike(tmp_path: Path) -> None:
    """A redirect inside, a closed port, a wrong type, a page without text, an unknown name: one message."""
    replies = {
        "/inside": redirect("http://127.0.0.2/"),
        "/image": page(b"\x89PNG", "image/png"),
        "/blank": page("<html></html>"),
        "/missing": page("", status="404 Not Found"),
    }
    async with PageWeb(replies) as web, reaching(web, tmp_path) as gateway:
        urls = [*(at(web, path) for path in replies), "http://127.0.0.1:80/", "http://no-such-name.invalid/"]
        seen = {await refused(gateway, search_pb2.ExtractRequest(url=url)) for url in urls}
        ((code, reason, _),) = seen
        assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "ENRICHMENT_FAILED")
        assert web.touched == []


async def test_with_pages_the_evidence_holds_what_the_page_says(tmp_path: Path) -> None:
    """Not what the search engine says of it; a hit that leads inside stays as found, and is never fetched."""
    async with PageWeb({"/crane": page(ARTICLE)}) as web, ScriptedVendor("external") as vendor:
        hits = [
            {"link": at(web, "/crane"), "title": "Cranes", "snippet": "A page about a harbour crane."},
            {
                "link": f"http://127.0.0.2:{web.port}/",
                "title": "Inside",
                "snippet": "A harbour crane, says the trap.",
            },
        ]
        vendor.replies.append((200, {}, orjson.dumps(hits)))
        environment = {
            "GATEWAY_SEARCH_PROVIDERS": "external",
            "GATEWAY_SEARCH_EXTERNAL_URL": vendor.url,
            "GATEWAY_SEARCH_EXTERNAL_KEY": KEY,
        }
        async with reaching(web, tmp_path, **environment) as gateway:
            options = inference_pb2.SearchOptions(depth=inference_pb2.SEARCH_DEPTH_PAGES)
            request = search_pb2.SearchRequest(query="How much does the harbour crane lift?", options=options)
            found = await gateway.search.Query(request, metadata=gateway.bearer())
        assert "exactly 41 tonnes" in found.prompt_text
        assert "CANARY" not in found.prompt_text
        assert "says the trap" in found.prompt_text
        assert [head.split(b" ")[1] for head in web.requests] == [b"/crane"]
        assert web.touched == []
