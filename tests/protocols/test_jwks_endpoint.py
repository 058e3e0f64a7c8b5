"""Fetching from an issuer: small, quick, verified, never redirected, and only from where configuration says."""

import asyncio
import datetime
import gzip
import ipaddress
import json
import ssl
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.auth.endpoint import DISCOVERY_PATH, DiscoveredJwks, FetchError, Jwks, check_url
from gateway.auth.keys import MAX_DOCUMENT_BYTES
from tests.support.identity import published
from tests.support.jwks_server import JwksServer, canary, jwks_server

PATH = "/jwks.json"


def certificate(directory: Path, *, expired: bool = False) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of its own for 127.0.0.1, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer.test")])
    now = datetime.datetime.now(datetime.UTC)
    end = now - datetime.timedelta(days=1) if expired else now + datetime.timedelta(days=1)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    file = directory / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + cert.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    client = ssl.create_default_context(cadata=cert.public_bytes(serialization.Encoding.PEM).decode())
    return server, client


async def test_the_document_arrives_as_it_was_published() -> None:
    """Byte for byte."""
    async with jwks_server() as server:
        server.publish(PATH, published())
        assert await Jwks(server.url + PATH).load() == published()


async def test_the_largest_document_is_read_and_a_larger_one_is_not() -> None:
    """64 KiB, and not a byte more."""
    async with jwks_server() as server:
        server.publish(PATH, b"x" * MAX_DOCUMENT_BYTES)
        assert len(await Jwks(server.url + PATH).load()) == MAX_DOCUMENT_BYTES
        server.publish(PATH, b"x" * 5_000_000)
        with pytest.raises(FetchError, match="more than"):
            await Jwks(server.url + PATH).load()


async def test_an_endless_document_is_left_alone() -> None:
    """Neither length nor end: it is left as soon as it is too long."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 8192)
        except ConnectionError:
            return response

    async with jwks_server() as server:
        server.handlers[PATH] = endless
        with pytest.raises(FetchError, match="more than"):
            await Jwks(server.url + PATH).load()


async def test_a_redirect_is_not_followed() -> None:
    """Wherever it points: the place it names is never visited."""
    async with jwks_server() as server, canary() as (elsewhere, visitors):
        for status in (301, 302, 303, 307, 308):
            server.publish(PATH, b"", status, Location=elsewhere)
            with pytest.raises(FetchError, match=str(status)):
                await Jwks(server.url + PATH).load()
        assert visitors == []
        assert len(server.seen) == 5


@pytest.mark.parametrize("status", [204, 400, 401, 404, 500, 503])
async def test_another_status_is_a_failure(status: int) -> None:
    """Whatever stands in the body."""
    async with jwks_server() as server:
        server.publish(PATH, b"" if status == 204 else published(), status)
        with pytest.raises(FetchError, match=str(status)):
            await Jwks(server.url + PATH).load()


async def test_a_slow_issuer_is_given_up() -> None:
    """The time limit covers the whole document, not only its first byte."""

    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await asyncio.sleep(30)
        return response

    async with jwks_server() as server:
        server.handlers[PATH] = slow
        with pytest.raises(FetchError, match="Timeout"):
            await Jwks(server.url + PATH, timeout_s=0.05).load()


async def test_a_cut_document_is_a_failure() -> None:
    """Fewer bytes than announced are not the document."""

    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return response

    async with jwks_server() as server:
        server.handlers[PATH] = cut
        with pytest.raises(FetchError):
            await Jwks(server.url + PATH).load()


async def test_compression_that_nobody_asked_for_is_not_undone() -> None:
    """Small bodies that grow to gigabytes stay small: they are no JSON, and that is all."""
    async with jwks_server() as server:
        packed = gzip.compress(b"0" * 1_000_000)
        server.publish(PATH, packed, **{"Content-Encoding": "gzip"})
        assert await Jwks(server.url + PATH).load() == packed


async def test_nobody_there_is_a_failure() -> None:
    """A refused connection is told with the URL."""
    async with jwks_server() as server:
        url = server.url + PATH
    with pytest.raises(FetchError, match="jwks"):
        await Jwks(url).load()


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    """Verification is never off; with the authority configured the same server is believed."""
    for_server, for_client = certificate(tmp_path)
    async with jwks_server(for_server) as server:
        server.publish(PATH, published())
        with pytest.raises(FetchError, match=r"(?i)certificate"):
            await Jwks(server.url + PATH).load()
        assert server.seen == []
        assert await Jwks(server.url + PATH, tls=for_client).load() == published()


async def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    """Even from an authority that is trusted."""
    for_server, for_client = certificate(tmp_path, expired=True)
    async with jwks_server(for_server) as server:
        with pytest.raises(FetchError, match="expired"):
            await Jwks(server.url + PATH, tls=for_client).load()
        assert server.seen == []


@pytest.mark.parametrize(
    "url", ["https://issuer.test/jwks", "http://127.0.0.1:1/jwks", "http://localhost/jwks", "http://[::1]:80/jwks"]
)
def test_https_and_this_machine_are_accepted(url: str) -> None:
    """Plain HTTP is for loopback."""
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.test/jwks",
        "http://169.254.169.254/latest",
        "http://127.0.0.1.attacker.test/",
        "http://localhost.attacker.test/",
        "ftp://issuer.test/jwks",
        "file:///etc/passwd",
        "https:///jwks",
        "https://user:secret@issuer.test/jwks",
        "",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    """Other machines without TLS, other schemes, URLs with passwords in them."""
    with pytest.raises(ValueError):
        check_url(url)
    with pytest.raises(ValueError):
        Jwks(url)


def test_plain_http_elsewhere_needs_the_operators_word() -> None:
    """And it is given for one entry."""
    assert Jwks("http://issuer.test/jwks", allow_plaintext=True).url == "http://issuer.test/jwks"


def discovery(server: JwksServer, **changes: str) -> None:
    """Publishes an OpenID configuration for the server itself, changed."""
    document = {"issuer": server.url, "jwks_uri": server.url + PATH, **changes}
    server.publish(DISCOVERY_PATH, json.dumps(document).encode())


async def test_the_keys_are_found_through_the_issuer() -> None:
    """The place is asked for once, the keys every time."""
    async with jwks_server() as server:
        discovery(server)
        server.publish(PATH, published())
        found = DiscoveredJwks(server.url)
        assert [await found.load(), await found.load()] == [published(), published()]
        assert server.seen == [DISCOVERY_PATH, PATH, PATH]


async def test_the_place_is_asked_for_again_after_a_failure() -> None:
    """An issuer that moved its keys is found at the new place."""
    async with jwks_server() as server:
        discovery(server)
        server.publish(PATH, published())
        found = DiscoveredJwks(server.url)
        await found.load()
        discovery(server, jwks_uri=server.url + "/moved")
        server.publish("/moved", published())
        del server.handlers[PATH]
        with pytest.raises(FetchError):
            await found.load()
        assert await found.load() == published()


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://attacker.test"},
        {"issuer": ""},
        {"jwks_uri": "http://keys.attacker.test/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": ""},
    ],
)
async def test_a_configuration_that_speaks_for_others_is_refused(changes: dict[str, str]) -> None:
    """The issuer must be named exactly, and the keys must be in a safe place."""
    async with jwks_server() as server:
        discovery(server, **changes)
        with pytest.raises(FetchError):
            await DiscoveredJwks(server.url).load()
        assert server.seen == [DISCOVERY_PATH]


@pytest.mark.parametrize(
    "document", [b"", b"<html>", b"[]", b"{}", b'{"issuer": 1}', b'{"issuer": "a", "issuer": "b"}']
)
async def test_what_is_no_configuration_is_refused(document: bytes) -> None:
    """HTML, other JSON, duplicates, missing members."""
    async with jwks_server() as server:
        server.publish(DISCOVERY_PATH, document)
        with pytest.raises(FetchError):
            await DiscoveredJwks(server.url).load()


async def test_an_issuer_with_a_path_is_asked_below_its_path() -> None:
    """OpenID Connect Discovery 1.0, section 4: the well-known path is appended to the issuer."""
    async with jwks_server() as server:
        issuer = server.url + "/realms/acme"
        server.publish(
            "/realms/acme" + DISCOVERY_PATH,
            json.dumps({"issuer": issuer, "jwks_uri": server.url + PATH}).encode(),
        )
        server.publish(PATH, published())
        assert await DiscoveredJwks(issuer).load() == published()
