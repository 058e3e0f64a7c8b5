"""The gRPC channel: TLS unless the target is loopback, one balancer, keepalive, no retries of its own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from gateway import __version__
from gateway_client.errors import SettingsError
from gateway_client.targets import is_loopback

# A gateway that drains says so through its health: without looking at it, calls still go there until it hangs up.
_SERVICE_CONFIG = json.dumps(
    {"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}
)

_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.primary_user_agent", f"gateway-client-python/{__version__}"),
    ("grpc.service_config", _SERVICE_CONFIG),
    # A service config from DNS could switch retries on again: one layer retries, and it is ours.
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.enable_retries", 0),
    # The gateway answers pings that come more often than every 10 s with GOAWAY.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # A gateway that was just started is found at once instead of after a second or more.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


@dataclass(frozen=True, slots=True)
class Tls:
    """How to check the gateway's certificate, and who we are to it.

    `ca_file` (PEM) replaces the system's roots; `certificate_file` and `key_file` (PEM) go together and are
    for mutual TLS; `server_name` is the name to expect in the certificate instead of the target's host.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    server_name: str = ""


def open_channel(
    target: str, tls: Tls | None, *, insecure: bool, more: Sequence[tuple[str, str | int]] = ()
) -> grpc.aio.Channel:
    """A channel to `target`; call it where the event loop runs. `more` are channel arguments of the caller's own.

    Plain text without `tls` for loopback targets, and for any target with `insecure`, which sends tokens in
    plain text too. Raises SettingsError for unreadable certificate files.
    """
    own = {name for name, _ in more}
    options = [*(option for option in _OPTIONS if option[0] not in own), *more]
    if is_loopback(target):
        # A proxy of the environment has no business between two programs on one machine.
        options.append(("grpc.enable_http_proxy", 0))
    if tls is None and (insecure or is_loopback(target)):
        return grpc.aio.insecure_channel(target, options)
    tls = tls or Tls()
    if tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return grpc.aio.secure_channel(target, _credentials(tls), options)


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(_read(tls.ca_file), _read(tls.key_file), _read(tls.certificate_file))


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
