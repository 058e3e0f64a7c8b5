"""Reaching a chat server: addresses, connections, TLS, and the key that must not get out."""

import asyncio
import datetime
import ipaddress
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.domain.errors import Reason
from gateway.models.upstream_http import chat_url
from tests.support.chat_events import text_chunk
from tests.support.chat_house import KEY, House, collect, failure_of, opened_house, prompt
from tests.support.upstream import STALL, Reply


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Whatever a test opens is closed, and a test that hangs is cancelled."""
    async with opened_house() as opened:
        yield opened


class TestReachingTheServer:
    """Connecting."""

    async def test_a_refused_connection_is_unavailable(self, house: House) -> None:
        """Nobody listens on the port."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            provider = house.provider(f"http://127.0.0.1:{free.getsockname()[1]}")
            _, failure = await failure_of(provider)
        assert (failure.reason, failure.facts) == (Reason.UPSTREAM_UNAVAILABLE, {"upstream_cause": "connect"})

    async def test_an_unknown_name_is_unavailable(self, house: House) -> None:
        """`.invalid` never resolves (RFC 2606)."""
        _, failure = await failure_of(house.provider("http://no-such-host.invalid", connect_timeout_s=5.0))
        assert failure.reason is Reason.UPSTREAM_UNAVAILABLE
        assert failure.facts["upstream_cause"] in ("dns", "connect_timeout")

    async def test_a_server_that_never_accepts_ends_at_the_connect_timeout(self, house: House) -> None:
        """TLS to a port that says nothing: the handshake counts as connecting."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            _, failure = await failure_of(house.provider(f"https://127.0.0.1:{port}", connect_timeout_s=0.1))
        assert failure.facts == {"upstream_cause": "connect_timeout"}

    async def test_a_certificate_nobody_vouches_for_is_refused(self, house: House, tmp_path: Path) -> None:
        """And the request, with the key in it, is not sent."""
        server, _ = certificate(tmp_path)
        upstream = await house.upstream(Reply.answer("a"), tls=server)
        _, failure = await failure_of(house.provider(upstream.url))
        assert (failure.reason, failure.facts) == (Reason.UPSTREAM_TLS, {"upstream_cause": "tls"})
        assert upstream.exchanges == []

    async def test_plain_http_where_tls_was_expected_is_a_tls_failure(self, house: House) -> None:
        """As when a proxy answers in clear."""
        loop = asyncio.get_running_loop()

        async def answer(server: socket.socket) -> None:
            connection, _ = await loop.sock_accept(server)
            with connection:
                await loop.sock_sendall(connection, b"HTTP/1.1 400 no\r\n\r\n")
                await loop.sock_recv(connection, 4096)

        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setblocking(False)
            answering = asyncio.create_task(answer(server))
            _, failure = await failure_of(house.provider(f"https://127.0.0.1:{server.getsockname()[1]}"))
            await answering
        assert failure.reason is Reason.UPSTREAM_TLS

    async def test_leaving_closes_a_tls_socket_at_once(self, house: House, tmp_path: Path) -> None:
        """It does not wait for the server's polite end of TLS."""
        server, client = certificate(tmp_path)
        upstream = await house.upstream(Reply.events(text_chunk("a"), STALL), tls=server)
        stream = house.provider(upstream.url, tls=client).stream(prompt())
        await anext(stream)
        await stream.aclose()
        await upstream.exchanges[0].closed.wait()

    @pytest.mark.parametrize(
        ("base_url", "address"),
        [
            ("https://api.deepseek.com", "https://api.deepseek.com/chat/completions"),
            ("https://api.deepseek.com/", "https://api.deepseek.com/chat/completions"),
            ("https://api.deepseek.com/v1", "https://api.deepseek.com/v1/chat/completions"),
            ("https://api.deepseek.com/v1//", "https://api.deepseek.com/v1/chat/completions"),
            ("http://[::1]:8000/x/chat/completions", "http://[::1]:8000/x/chat/completions"),
        ],
    )
    def test_the_address_is_joined_without_doubling(self, base_url: str, address: str) -> None:
        """Whatever form the configuration has."""
        assert str(chat_url(base_url)) == address

    @pytest.mark.parametrize(
        "base_url", ["", "api.deepseek.com", "ftp://x/", "https://", "https://u:p@x/", "https://x/?k=v"]
    )
    def test_an_address_that_is_none_is_refused_at_the_start(self, base_url: str) -> None:
        """Not with the first caller."""
        with pytest.raises(ValueError, match="base URL"):
            chat_url(base_url)


class TestTheKey:
    """The key is in one header and nowhere else."""

    async def test_it_is_in_no_repr_and_no_log(self, house: House, caplog: pytest.LogCaptureFixture) -> None:
        """With every logger at its most talkative."""
        caplog.set_level(logging.DEBUG)
        upstream = await house.upstream([Reply.answer("a"), Reply.json(401, {"error": {"message": f"bad {KEY}"}})])
        provider = house.provider(upstream.url)
        await collect(provider)
        _, failure = await failure_of(provider)
        assert KEY not in f"{provider!r} {vars(provider)!r} {failure!r} {failure.message} {failure.facts}"
        assert KEY not in caplog.text

    @pytest.mark.parametrize("key", ["a\r\nX: y", "a\x00", "schlüssel"])
    async def test_one_that_no_header_can_carry_is_refused_at_the_start(self, house: House, key: str) -> None:
        """And is not named in the refusal."""
        with pytest.raises(ValueError, match="API key") as refused:
            house.provider("https://x.example", api_key=key)
        assert key not in str(refused.value)

    async def test_without_one_no_authorization_is_sent(self, house: House) -> None:
        """A server of one's own may need none."""
        upstream = await house.upstream(Reply.answer("a"))
        await collect(house.provider(upstream.url, api_key=""))
        assert "authorization" not in upstream.exchanges[0].headers


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The TLS settings of a server with a fresh certificate of its own, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    return server, ssl.create_default_context(cadata=pem.decode())
