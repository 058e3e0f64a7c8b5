"""The HTTP bridge as the settings want it: beside the gateway in one process, or alone before others."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from aiohttp import web
from cryptography import x509

from gateway.bridge import BridgeOptions, Gateway, Moderation
from gateway.bridge.server import BridgePort, PortUnavailable
from gateway.domain.errors import OperatorError, Reason
from gateway.settings import Settings
from gateway_client.settings import ClientSettings

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - translated, not listened on


def beside(
    settings: Settings,
    grpc_port: int,
    secret: bytes,
    more: Iterable[web.AbstractRouteDef] = (),
    *,
    inside: str = "",
    known_by: str = "",
) -> BridgePort | None:
    """The bridge of this process, not started; None where it is switched off. `more` are routes beside its own.

    `inside` is the path of this worker's own gRPC socket where it is one of several: the ports are shared, and an
    answer shall not pass through two of them. By the secret `known_by` the gateway knows this bridge. Raises
    OperatorError.
    """
    if not settings.http.address:
        return None
    gateway = Gateway(f"unix:{inside}", insecure=True) if inside else own_gateway(settings, grpc_port)
    chosen = replace(options(settings, secret), shares_port=bool(inside))
    return BridgePort(settings.http.address, replace(gateway, secret=known_by), chosen, more)


async def started(bridge: BridgePort | None, address: str) -> int:
    """Starts it; its port, 0 where there is none. Raises OperatorError when it cannot listen."""
    if bridge is None:
        return 0
    host = address.rpartition(":")[0]
    try:
        return await bridge.start()
    except PortUnavailable as error:
        raise OperatorError(
            Reason.INTERNAL,
            f"{error}; stop what listens there, or set GATEWAY_HTTP_ADDRESS={host}:OTHER (empty switches the HTTP "
            "bridge off)",
        ) from error


def options(settings: Settings, secret: bytes = b"") -> BridgeOptions:
    """What the operator chose; `secret` keys the digests of user names where no key is set for them."""
    http, timers = settings.http, settings.timers
    return BridgeOptions(
        public_url=http.public_url,
        cors_origins=http.cors_origins,
        source_lines=http.source_lines,
        moderation=Moderation(http.moderation_blocked, http.moderation_masked, http.moderation_reply),
        user_key=http.user_key.encode() or secret,
        max_message_bytes=settings.grpc.max_message_bytes,
        heartbeat_s=timers.heartbeat_s,
        stall_s=timers.client_stall_s,
        turn_s=timers.total_s,
    )


def own_gateway(settings: Settings, grpc_port: int) -> Gateway:
    """The gateway of this process, by its own port. Raises OperatorError for a certificate that cannot be read."""
    host = settings.grpc.address.rpartition(":")[0]
    target = f"{_ANYWHERE.get(host, host)}:{grpc_port}"
    if not settings.grpc.certificate:
        return Gateway(target, insecure=True)
    http = settings.http
    return Gateway(
        target,
        ca_file=Path(http.gateway_ca or settings.grpc.certificate),
        certificate_file=_path(http.gateway_certificate),
        key_file=_path(http.gateway_private_key),
        server_name=http.gateway_name or _name_in(Path(settings.grpc.certificate)),
    )


def other_gateways(settings: Settings, client: ClientSettings, target: str | None = None) -> Gateway:
    """The gateways behind `target`, else GATEWAY_GRPC_TARGET. Of a host:port every address in DNS is used."""
    http, wanted = settings.http, target or client.target
    return Gateway(
        wanted if wanted.startswith(("dns:", "ipv4:", "ipv6:", "unix:", "xds:")) else f"dns:///{wanted}",
        insecure=client.insecure,
        ca_file=client.ca_file or _path(http.gateway_ca),
        certificate_file=_path(http.gateway_certificate),
        key_file=_path(http.gateway_private_key),
        server_name=http.gateway_name,
    )


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _name_in(path: Path) -> str:
    """The first name that a certificate is for."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound) as error:
        raise OperatorError(
            Reason.INTERNAL,
            f"the HTTP bridge finds no name in {path}; set http.gateway_name to the name in the certificate",
        ) from error
    found = names.get_values_for_type(x509.DNSName) or [
        str(ip) for ip in names.get_values_for_type(x509.IPAddress)
    ]
    return found[0] if found else ""
