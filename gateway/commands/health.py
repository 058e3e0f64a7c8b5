"""`gateway health`: asks a gateway whether it is ready for calls, as health checks of images and scripts do."""

import argparse
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway import settings

READY, NOT_READY, WRONG_USAGE = 0, 1, 2
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - translated, not listened on


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "--target", metavar="HOST:PORT", help="the gateway (default: the one of this configuration)"
    )
    parser.add_argument("--config", default=None, help="the TOML file (GATEWAY_CONFIG)")
    parser.add_argument("--service", default="", help="one service, such as gateway.v1.Inference (default: all)")
    parser.add_argument("--timeout", type=float, default=3.0, metavar="S", help="seconds to wait (default: 3)")
    parser.add_argument("--ca-file", type=Path, metavar="PEM", help="speak TLS and trust these roots")


def run(args: argparse.Namespace) -> int:
    """0 when it is ready for calls, 1 when it is not or nobody answers, 2 for a wrong configuration."""
    try:
        target = args.target or own_target(settings.load(args.config).grpc.address)
        roots = args.ca_file.read_bytes() if args.ca_file else None
    except settings.ConfigurationError as error:
        sys.stderr.write("".join(f"gateway health: {fault}\n" for fault in error.faults))
        return WRONG_USAGE
    except OSError as error:
        sys.stderr.write(f"gateway health: {args.ca_file} cannot be read: {error.strerror}\n")
        return WRONG_USAGE
    status = ask(target, args.service, args.timeout, roots)
    sys.stdout.write(f"{status}\n")
    if status.startswith(("UNAVAILABLE", "DEADLINE_EXCEEDED")):
        sys.stderr.write(
            f"gateway health: nothing answers at {target}: start the gateway, name another with --target, "
            "or give --ca-file where it speaks TLS\n"
        )
    return READY if status == "SERVING" else NOT_READY


def own_target(address: str) -> str:
    """Where a gateway of this machine is reached that listens on `address`."""
    host, _, port = address.rpartition(":")
    return f"{ANY_ADDRESS.get(host, host)}:{port}"


def ask(target: str, service: str, timeout_s: float, roots: bytes | None) -> str:
    """The word of grpc.health.v1, or what went wrong."""
    options = (("grpc.enable_http_proxy", 0),)
    if roots is None:
        channel = grpc.insecure_channel(target, options)
    else:
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(roots), options)
    with channel:
        try:
            request = health_pb2.HealthCheckRequest(service=service)
            stub = health_pb2_grpc.HealthStub(channel)
            # Its methods are set by its constructor, which its type stubs do not know.
            reply = stub.Check(request, timeout=timeout_s)  # type: ignore[attr-defined]
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
    return health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
