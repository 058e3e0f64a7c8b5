"""The guarded fetcher against a hostile web: nothing inside is touched, and nothing outside wears it out."""

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.search.egress import DeniedUrlError, Egress
from gateway.search.fetch import Fetched, FetchFailedError, FetchLimits, GuardedFetcher
from tests.support.page_web import HOST, PageWeb, page, redirect

SMALL = FetchLimits(max_bytes=20_000, time_s=1.0)
QUICK = FetchLimits(max_bytes=20_000, time_s=0.15)
INSIDE = (
    *("127.0.0.2", "127.0.0.3", "::1", "10.0.0.1", "169.254.169.254", "192.168.0.1", "100.64.0.1", "198.18.0.1"),
    *("240.0.0.1", "::ffff:127.0.0.2", "64:ff9b::7f00:2", "fd00:ec2::254", "fe80::1", "2002:7f00:2::", "0.0.0.0"),
)


@pytest.fixture
async def web() -> AsyncIterator[PageWeb]:
    """A web with one honest page; every test adds its own. No canary may be touched."""
    async with PageWeb({"/": page("<p>Hello</p>", "text/html; charset=utf-8")}) as made:
        yield made
        assert made.touched == [], "a connection was made to an address that is denied"


async def fails(web: PageWeb, url: str, limits: FetchLimits = SMALL) -> None:
    """The fetch must fail in the one way there is."""
    with pytest.raises(FetchFailedError) as caught:
        await web.fetcher.fetch(url, limits)
    assert str(caught.value) == ""


async def test_an_honest_page_is_fetched(web: PageWeb) -> None:
    """With its media type and its bytes, without cookies or credentials, asking for plain encoding."""
    fetched = await web.fetcher.fetch(web.at("/"), SMALL)
    assert fetched == Fetched(web.at("/"), "text/html", b"<p>Hello</p>", "utf-8")
    head = web.requests[0].decode().lower()
    assert f"host: {HOST}:{web.port}" in head
    assert "accept-encoding: identity" in head
    for forbidden in ("cookie", "authorization", "referer", "proxy"):
        assert forbidden not in head


# --- addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", INSIDE)
async def test_a_name_that_leads_inside_is_not_connected_to(web: PageWeb, address: str) -> None:
    """Wildcard DNS, a CNAME to an internal host, an AAAA record only: what counts is the address."""
    web.names["evil.example.org"] = [[address]]
    await fails(web, web.at("/", "evil.example.org"))
    assert web.requests == []


@pytest.mark.parametrize("address", INSIDE)
async def test_one_address_inside_among_public_ones_denies_the_name(web: PageWeb, address: str) -> None:
    """The connection could go to any of them."""
    web.names["mixed.example.org"] = [["127.0.0.1", address]]
    await fails(web, web.at("/", "mixed.example.org"))
    assert web.requests == []


async def test_a_name_that_changes_its_address_is_looked_up_once(web: PageWeb) -> None:
    """DNS rebinding: the second answer leads inside, and is never asked for."""
    web.names["rebind.example.org"] = [["127.0.0.1"], ["127.0.0.2"]]
    await web.fetcher.fetch(web.at("/", "rebind.example.org"), SMALL)
    assert web.looked_up == ["rebind.example.org"]


async def test_a_name_that_changes_between_two_redirects_is_checked_each_time(web: PageWeb) -> None:
    """Each step starts anew."""
    web.names["rebind.example.org"] = [["127.0.0.1"], ["127.0.0.2"]]
    web.replies["/again"] = redirect("/")
    await fails(web, web.at("/again", "rebind.example.org"))
    assert web.looked_up == ["rebind.example.org"] * 2
    assert len(web.requests) == 1


async def test_the_socket_is_checked_whatever_the_resolver_was_told(web: PageWeb) -> None:
    """Without exceptions for loopback even the scripted server is out of reach, by name and by address."""
    strict = GuardedFetcher(Egress(ports=web.egress.ports), web.resolve)
    with pytest.raises(FetchFailedError):
        await strict.fetch(web.at("/"), SMALL)
    with pytest.raises(DeniedUrlError):
        await strict.fetch(f"http://127.0.0.1:{web.port}/", SMALL)
    assert web.requests == []


async def test_the_proxy_of_the_environment_is_not_asked(web: PageWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would connect for us to wherever it likes."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.2:{web.port}")
    assert (await web.fetcher.fetch(web.at("/"), SMALL)).content


async def test_an_unknown_name_fails_like_everything_else(web: PageWeb) -> None:
    """Nobody learns which names exist inside."""
    await fails(web, web.at("/", "nowhere.example.org"))


# --- redirects --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize(
    "to",
    [
        *(f"http://[{a}]:{{port}}/" if ":" in a else f"http://{a}:{{port}}/" for a in INSIDE),
        *(
            "http://localhost:{port}/",
            "http://2130706434:{port}/",
            "http://metadata.google.internal/",
            "file:///x",
        ),
        *(
            "http://pages.example.org:25/",
            "//127.0.0.2:{port}/",
            "http://x@127.0.0.2:{port}/",
            "http:\\\\127.0.0.2",
        ),
        *("gopher://127.0.0.2/", "javascript:alert(1)", "http://127.0.0.2%23@pages.example.org/"),
    ],
)
async def test_no_redirect_leads_inside(web: PageWeb, status: str, to: str) -> None:
    """Every kind of redirect, to every class of address."""
    web.replies["/away"] = redirect(to.format(port=web.port), status)
    await fails(web, web.at("/away"))
    assert len(web.requests) == 1


async def test_three_redirects_are_followed_and_no_fourth(web: PageWeb) -> None:
    """Relative or whole; the address of the end is told."""
    web.replies |= {f"/{n}": redirect(f"/{n - 1}" if n > 1 else "/") for n in range(1, 5)}
    assert (await web.fetcher.fetch(web.at("/3"), SMALL)).url == web.at("/")
    await fails(web, web.at("/4"))


async def test_a_loop_ends(web: PageWeb) -> None:
    """After the same three."""
    web.replies["/loop"] = redirect("/loop")
    await fails(web, web.at("/loop"))
    assert len(web.requests) == 4


async def test_a_cookie_of_a_redirect_is_not_sent_on(web: PageWeb) -> None:
    """Nothing that one page sets reaches the next."""
    web.replies["/set"] = redirect("/", "302 Found", "Set-Cookie: a=b; Path=/")
    await web.fetcher.fetch(web.at("/set"), SMALL)
    assert b"cookie" not in web.requests[1].lower()


@pytest.mark.parametrize(
    "reply",
    [
        page("", "text/html", "Refresh: 0; url=http://127.0.0.2:1/"),
        page('<meta http-equiv="refresh" content="0; url=http://127.0.0.2/"><iframe src="http://127.0.0.2/">'),
        page('<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.2/">]><p>&x;</p>', "application/xhtml+xml"),
        page("", "text/html", 'Alt-Svc: h3="127.0.0.2:443"', 'Link: <http://127.0.0.2/>; rel="preload"'),
        page("", "text/html", "Location: http://127.0.0.2/"),
    ],
)
async def test_nothing_a_page_mentions_is_fetched(web: PageWeb, reply: bytes) -> None:
    """Refresh, frames, entities, preloads, a location without a redirect: material, no orders."""
    web.replies["/"] = reply
    await web.fetcher.fetch(web.at("/"), SMALL)
    assert len(web.requests) == 1


# --- bodies -----------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
HOSTILE: dict[str, bytes | Sequence[bytes | float | None]] = {
    "endless": [HEAD + b"\r\n", b"x" * 10_000, None],
    "endless_chunks": [HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n", None],
    "too_long": page(b"x" * 20_001),
    "announced_too_long": page("short", length=50_000_000),
    "cut_short": page("short", length=500),
    "gzip_bomb": page(gzip.compress(b"x" * 5_000_000), "text/html", "Content-Encoding: gzip"),
    "gzip_twice": page(gzip.compress(gzip.compress(b"x")), "text/html", "Content-Encoding: gzip, gzip"),
    "gzip_two_headers": page(b"x", "text/html", "Content-Encoding: gzip", "Content-Encoding: gzip"),
    "gzip_cut": page(gzip.compress(b"x" * 1000)[:-9], "text/html", "Content-Encoding: gzip"),
    "deflate": page(zlib.compress(b"x"), "text/html", "Content-Encoding: deflate"),
    "brotli": page(b"\x0b\x00\x80x\x03", "text/html", "Content-Encoding: br"),
    "not_gzip": page("plain", "text/html", "Content-Encoding: gzip"),
    "image": page(b"\x89PNG", "image/png"),
    "binary": page(b"MZ", "application/octet-stream"),
    "not_found": page("gone", status="404 Not Found"),
    "server_error": page("oops", status="500 Oops"),
    "no_content": page("", status="204 No Content"),
    "redirect_to_nowhere": page("", status="302 Found"),
    "header_bomb": HEAD + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 4_000) for n in range(200)) + b"\r\nx",
    "long_header": HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\nx",
    "http_0_9": b"<html>hello</html>",
    "garbage": b"\x00\x01\x02\r\n\r\n",
    "empty": b"",
    "bad_length": HEAD + b"Content-Length: -5\r\n\r\nxxxxx",
    "two_lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 5\r\n\r\nxxxxx",
}
SLOW: dict[str, Sequence[bytes | float | None]] = {
    "silent": [5.0],
    "head_only": [HEAD, 5.0],
    "drip": [HEAD + b"Content-Length: 900\r\n\r\n", *([b"x", 0.02] * 400)],
    "informational_flood": [b"HTTP/1.1 103 Early Hints\r\n\r\n", None],
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_body_is_one_and_the_same_failure(web: PageWeb, kind: str) -> None:
    """Whatever is wrong with it, the error says nothing of it."""
    web.replies["/"] = HOSTILE[kind]
    await fails(web, web.at("/"))


@pytest.mark.parametrize("kind", SLOW)
async def test_a_slow_page_is_cut_by_the_clock(web: PageWeb, kind: str) -> None:
    """Headers, body or neither: the time of the page is over all of it."""
    web.replies["/"] = SLOW[kind]
    await fails(web, web.at("/"), QUICK)


async def test_one_layer_of_gzip_is_unpacked(web: PageWeb) -> None:
    """Some servers pack whatever is asked."""
    web.replies["/"] = page(gzip.compress(b"<p>packed</p>"), "text/html", "Content-Encoding: gzip")
    assert (await web.fetcher.fetch(web.at("/"), SMALL)).content == b"<p>packed</p>"


async def test_a_page_of_exactly_the_limit_is_read(web: PageWeb) -> None:
    """The limit is a ceiling, not a fence before it."""
    web.replies["/"] = page(b"x" * 20_000)
    assert len((await web.fetcher.fetch(web.at("/"), SMALL)).content) == 20_000


async def test_a_failure_says_nothing_of_open_and_closed_ports(web: PageWeb) -> None:
    """Denied, refused and unknown look alike, in text and type."""
    web.names["open.example.org"] = [["127.0.0.2"]]
    web.names["closed.example.org"] = [["127.0.0.4"]]
    seen = set()
    for url in (web.at("/", "open.example.org"), web.at("/", "closed.example.org"), web.at("/missing")):
        with pytest.raises(FetchFailedError) as caught:
            await web.fetcher.fetch(url, SMALL)
        seen.add((type(caught.value), str(caught.value), caught.value.args))
    assert len(seen) == 1


async def test_a_caller_who_leaves_takes_the_connection_along(web: PageWeb) -> None:
    """Cancelling passes through, and nothing goes on behind it."""
    web.replies["/"] = SLOW["silent"]
    fetching = asyncio.create_task(web.fetcher.fetch(web.at("/"), SMALL))
    while not web.requests:
        await asyncio.sleep(0)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching


# --- TLS --------------------------------------------------------------------------------------------


async def test_a_certificate_of_another_name_and_a_step_down_to_http_are_refused(tmp_path: Path) -> None:
    """And so is one that nobody trusts; the name asked for is that of the URL."""
    served: list[str | None] = []
    certificate, key = self_signed(tmp_path, "pages.example.org")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda _socket, name, _context: served.append(name)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(redirect(web.at("/")) if b" /down " in head else page("<p>safe</p>"))
        await writer.drain()
        writer.close()

    async with PageWeb({"/": page("<p>plain</p>")}) as web:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        egress = Egress(ports=web.egress.ports | {port}, permitted=web.egress.permitted)
        trusting = ssl.create_default_context(cafile=str(certificate))
        web.names["other.example.org"] = [["127.0.0.1"]]
        fetcher = GuardedFetcher(egress, web.resolve, tls=trusting)
        assert (await fetcher.fetch(f"https://{HOST}:{port}/", SMALL)).content == b"<p>safe</p>"
        assert served == [HOST]
        with pytest.raises(FetchFailedError):  # from https no redirect leads back to http
            await fetcher.fetch(f"https://{HOST}:{port}/down", SMALL)
        assert web.requests == []
        with pytest.raises(FetchFailedError):
            await fetcher.fetch(f"https://other.example.org:{port}/", SMALL)
        with pytest.raises(FetchFailedError):
            await GuardedFetcher(egress, web.resolve).fetch(f"https://{HOST}:{port}/", SMALL)
        server.close()


def self_signed(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate and its key in PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "page.pem", folder / "page.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths
