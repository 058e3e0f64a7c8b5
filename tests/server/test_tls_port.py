"""The port under TLS: certificates that are replaced while it serves, callers known by theirs, TLS 1.3 alone."""

import asyncio
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest

from gateway.domain.errors import OperatorError
from gateway.sections import Grpc
from gateway.server.tls import ServerCertificate
from gateway.v1 import inference_pb2, inference_pb2_grpc
from tests.support.certificates import Authority, Pair
from tests.support.gateway import running

SPIFFE = "spiffe://example.org/ns/prod/sa/billing"
MODELS = inference_pb2.ListModelsRequest()


def handshake(port: int, version: ssl.TLSVersion) -> tuple[str, bytes]:
    """The version agreed on and the server's certificate (DER); raises OSError when it is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="gateway.test") as secure,
    ):
        return str(secure.version()), secure.getpeercert(binary_form=True) or b""


def der(pem: bytes) -> bytes:
    """The one certificate of a PEM file."""
    return ssl.PEM_cert_to_DER_cert(pem.decode())


def tls(pair: Pair, **more: str) -> dict[str, str]:
    """The settings of a port with this certificate."""
    return {
        "GATEWAY_GRPC_CERTIFICATE": str(pair.certificate),
        "GATEWAY_GRPC_PRIVATE_KEY": str(pair.private_key),
        "GATEWAY_HTTP_ADDRESS": "",
        **more,
    }


async def test_a_new_certificate_is_used_without_a_restart(tmp_path: Path) -> None:
    """The next handshake shows it; a bad one in between changes nothing."""
    authority = Authority(tmp_path)
    pair = authority.issue("first", host="gateway.test", file="server")
    async with running(tmp_path, environment=tls(pair)) as gateway:
        port = gateway.gateway.grpc_port

        async def shown() -> bytes:
            return (await asyncio.to_thread(handshake, port, ssl.TLSVersion.TLSv1_3))[1]

        before = pair.pem
        assert await shown() == der(before)
        pair.certificate.write_text("not a certificate")
        assert await shown() == der(before)
        authority.issue("second", host="gateway.test", file="server")
        assert pair.pem != before
        assert await shown() == der(pair.pem)


async def test_a_caller_is_known_by_its_certificate(tmp_path: Path) -> None:
    """Without a token; one that is not listed is refused, and a token comes before the certificate."""
    authority = Authority(tmp_path)
    server = authority.issue("gateway", host="gateway.test")
    config = f'[certificates.billing]\nidentity = "{SPIFFE}"\ntenant = "acme"\nscopes = ["model.read"]\n'
    environment = tls(server, GATEWAY_GRPC_CLIENT_CA=str(authority.file))
    async with running(tmp_path, environment=environment, config=config) as gateway:
        known = authority.issue("billing", uris=(SPIFFE,))
        unknown = authority.issue("stranger", uris=("spiffe://example.org/ns/prod/sa/stranger",))
        foreign = Authority(tmp_path, "Other CA").issue("forger", uris=(SPIFFE,))

        async def models(pair: Pair, *metadata: tuple[str, str]) -> int:
            credentials = grpc.ssl_channel_credentials(authority.pem, pair.key_pem, pair.pem)
            options = (("grpc.ssl_target_name_override", "gateway.test"),)
            async with grpc.aio.secure_channel(gateway.target, credentials, options) as channel:
                stub = inference_pb2_grpc.InferenceStub(channel)
                return len((await stub.ListModels(MODELS, metadata=metadata, timeout=5)).models)

        assert await models(known) > 0
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await models(unknown)
        assert (refused.value.code(), refused.value.details()) == (
            grpc.StatusCode.UNAUTHENTICATED,
            "invalid_token",
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await models(foreign)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert await models(unknown, *gateway.bearer("acme")) > 0


def test_a_set_that_does_not_fit_stops_the_start(tmp_path: Path) -> None:
    """The key of another certificate, a missing file, a locked key: each is said before a port is opened."""
    authority = Authority(tmp_path)
    one, other = authority.issue("one"), authority.issue("other")
    for certificate, key in ((one.certificate, other.private_key), (one.certificate, tmp_path / "none")):
        with pytest.raises(OperatorError, match="check the \\[grpc\\] certificate settings"):
            ServerCertificate(Grpc(certificate=str(certificate), private_key=str(key)))


def test_a_bad_new_set_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not at every handshake."""
    pair = Authority(tmp_path).issue("one")
    found = ServerCertificate(Grpc(certificate=str(pair.certificate), private_key=str(pair.private_key)))
    assert found.changed() is None
    pair.certificate.unlink()
    with caplog.at_level(logging.WARNING):
        assert [found.changed() for _ in range(3)] == [None, None, None]
    assert len(caplog.records) == 1


@contextmanager
def served(folder: Path, pair: Pair, *, tls13_only: bool) -> Iterator[int]:
    """`gateway serve` as a process of its own, because gRPC reads its cipher suites once; gives the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "GRPC_"))},
        **tls(pair, GATEWAY_GRPC_TLS13_ONLY=str(tls13_only).lower()),
        "GATEWAY_GRPC_ADDRESS": f"127.0.0.1:{port}",
        "GATEWAY_METRICS_ADDRESS": "",
        "GATEWAY_DATA_DIR": str(folder / "data"),
        "GATEWAY_JWT_ISSUER": "https://issuer.test",
        "GATEWAY_JWT_AUDIENCE": "https://gateway.test",
    }
    command = [sys.executable, "-m", "gateway", "serve"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if b"started" in line:
                    break
            yield port
        finally:
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)


def test_tls_1_2_is_refused_where_1_3_alone_is_asked_for(tmp_path: Path) -> None:
    """And taken where it is not, so the refusal is the setting's doing."""
    pair = Authority(tmp_path).issue("gateway", host="gateway.test")
    with served(tmp_path, pair, tls13_only=True) as port:
        assert handshake(port, ssl.TLSVersion.TLSv1_3)[0] == "TLSv1.3"
        with pytest.raises(OSError, match=r"EOF|handshake|reset"):
            handshake(port, ssl.TLSVersion.TLSv1_2)
    with served(tmp_path, pair, tls13_only=False) as port:
        assert handshake(port, ssl.TLSVersion.TLSv1_2)[0] == "TLSv1.2"
