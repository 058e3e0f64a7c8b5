"""Upstreams by TLS: the same faults told in the same way, names checked, connections kept, readers that wait."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.domain.errors import Reason
from gateway.domain.events import TextDelta
from gateway.models.http_pool import Pool
from tests.support.chat_events import DONE, LAST_CHUNK, text_chunk
from tests.support.chat_house import House, collect, failure_of, opened_house
from tests.support.upstream import FIN, RESET, STALL, Raw, Reply

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]
MIB = 1 << 20
Story = Callable[[House, ssl.SSLContext, ssl.SSLContext], Awaitable[None]]


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """The loop of the tests and the one that serves: each has a TLS of its own."""
    factory: Callable[[], asyncio.AbstractEventLoop] = request.param
    return factory


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `localhost` and 127.0.0.1 with its key, in one file."""
    return certificate(tmp_path_factory.mktemp("tls"), "localhost", "127.0.0.1")


def told(loop_factory: Callable[[], asyncio.AbstractEventLoop], pem: Path, story: Story) -> None:
    """Runs a story with a house, a server's TLS settings and a client's, on one kind of event loop."""

    async def tell() -> None:
        async with opened_house() as house:
            await story(house, serving(pem), trusting(pem))

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(tell())


@pytest.mark.parametrize("before", [0, 1, 50], ids=["before output", "after 1", "after 50"])
@pytest.mark.parametrize(
    "fault",
    [
        ([FIN], Reason.UPSTREAM_UNAVAILABLE, "connection_lost"),
        ([RESET], Reason.UPSTREAM_UNAVAILABLE, "connection_lost"),
        ([Raw(b"ff\r\nhalf a chunk"), FIN], Reason.UPSTREAM_UNAVAILABLE, "connection_lost"),
        ([Raw(b"no chunk size\r\n")], Reason.UPSTREAM_UNAVAILABLE, "connection_lost"),
        ([b"data: {not json}\n\n"], Reason.UPSTREAM_PROTOCOL, "not_json"),
        ([b"data: " + b"x" * MIB, b"x\n\n"], Reason.UPSTREAM_PROTOCOL, "event_too_large"),
    ],
    ids=["FIN", "RST", "cut chunk", "bad framing", "bad JSON", "too large"],
)
def test_a_fault_comes_after_what_was_received(
    loop: Callable[[], asyncio.AbstractEventLoop],
    pem: Path,
    before: int,
    fault: tuple[list[Any], Reason, str],
) -> None:
    """Any: steps. As without TLS, whose own end counts for nothing where the answer has none."""

    steps, reason, cause = fault

    async def story(house: House, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        texts = [text_chunk(f"{number} ") for number in range(before)]
        script = Reply.events(*texts, 0.02, *steps, *([] if steps[-1] in (FIN, RESET) else [STALL]))
        upstream = await house.upstream(script, tls=server)
        text, failure = await failure_of(house.provider(upstream.url, tls=client))
        assert text == "".join(f"{number} " for number in range(before))
        assert (failure.reason, failure.facts) == (reason, {"upstream_cause": cause})

    told(loop, pem, story)


def test_one_connection_serves_one_answer_after_the_other(
    loop: Callable[[], asyncio.AbstractEventLoop], pem: Path
) -> None:
    """A handshake costs more than a plain turn, so it is made once."""

    async def story(house: House, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        upstream = await house.upstream(Reply.answer("a"), tls=server)
        provider = house.provider(upstream.url, tls=client)
        for _ in range(3):
            assert TextDelta("a") in await collect(provider)
        assert len({exchange.connection for exchange in upstream.exchanges}) == 1

    told(loop, pem, story)


def test_the_server_is_told_the_name_and_must_prove_it(
    loop: Callable[[], asyncio.AbstractEventLoop], pem: Path, tmp_path: Path
) -> None:
    """SNI carries the host of the base URL; a certificate of another host is refused before the key is sent."""
    names: list[str | None] = []

    async def story(house: House, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        server.sni_callback = lambda _socket, name, _context: names.append(name)
        upstream = await house.upstream(Reply.answer("a"), tls=server)
        assert await collect(house.provider(f"https://localhost:{upstream.port}", tls=client))
        assert names == ["localhost"]
        other = certificate(tmp_path, "elsewhere.invalid", "127.0.0.2")
        wrong = await house.upstream(Reply.answer("a"), tls=serving(other))
        for host in ("localhost", "127.0.0.1"):
            provider = house.provider(f"https://{host}:{wrong.port}", tls=trusting(other))
            _, failure = await failure_of(provider)
            assert failure.reason is Reason.UPSTREAM_TLS
        assert wrong.exchanges == []

    told(loop, pem, story)


def test_what_nobody_reads_makes_the_server_wait(loop: Callable[[], asyncio.AbstractEventLoop], pem: Path) -> None:
    """Below TLS too the reader says stop; nothing is lost once it goes on."""
    size, sent = 32 * MIB, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        with contextlib.suppress(ConnectionError):
            while sent < size:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536
        writer.close()

    async def story(_house: House, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
        port = listener.sockets[0].getsockname()[1]
        pool = Pool("127.0.0.1", port, client, connect_timeout_s=5.0, read_ahead=65536)
        try:
            connection = await pool.take()
            await connection.exchange(b"POST / HTTP/1.1\r\n\r\n")
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.2)
            assert sent < size
            read = 0
            while piece := await connection.read():
                read += len(piece)
            assert read == size
            pool.give(connection)
        finally:
            pool.close()
            listener.close()
            await asyncio.sleep(0.01)

    told(loop, pem, story)


def test_an_answer_in_pieces_of_any_size_is_whole(
    loop: Callable[[], asyncio.AbstractEventLoop], pem: Path
) -> None:
    """Records of TLS end where they like."""

    async def story(house: House, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        texts = [f"{number}é " for number in range(300)]
        script = Reply.events(*(text_chunk(text) for text in texts), LAST_CHUNK, DONE)
        upstream = await house.upstream(script, tls=server)
        events = await collect(house.provider(upstream.url, tls=client))
        deltas = [event for event in events if isinstance(event, TextDelta)]
        assert "".join(delta.text for delta in deltas) == "".join(texts)
        assert sum(delta.events for delta in deltas) == 300

    told(loop, pem, story)


def serving(pem: Path) -> ssl.SSLContext:
    """The TLS settings of a server with this certificate."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server


def trusting(pem: Path) -> ssl.SSLContext:
    """The TLS settings of a client that trusts this certificate and no other."""
    return ssl.create_default_context(cafile=str(pem))


def certificate(folder: Path, host: str, address: str) -> Path:
    """A certificate that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(host), x509.IPAddress(ipaddress.ip_address(address))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "both.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path
