"""`gateway serve` with several workers: the parent, which keeps their ports and limits and ends them together."""

import argparse
import asyncio
import socket
import sys
import tempfile
from contextlib import ExitStack

from gateway import settings
from gateway.limits.desk import Desk
from gateway.limits.memory import MemoryLimiter
from gateway.server.port import REASONS
from gateway.settings import Settings
from gateway.workers import sockets
from gateway.workers.crew import Crew
from gateway.workers.journal import Journal
from gateway.workers.port import OperatorPort
from gateway.workers.supervisor import Supervisor, Terms

FAILED = 1
# What settling and closing may take beyond the grace of running turns.
CLOSING_S = 15.0


class PortTakenError(Exception):
    """An address that cannot be listened on; the message says why and what to do."""


def run(args: argparse.Namespace) -> int:
    """Runs the workers until they have ended; the exit code."""
    loaded = settings.load(args.config)
    if not hasattr(socket, "SO_REUSEPORT"):
        sys.stderr.write("gateway serve: this system cannot share a port between processes; set workers = 1\n")
        return FAILED
    with ExitStack() as stack:
        inside = stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-"))
        try:
            grpc_port = _kept(loaded.grpc.address, "GATEWAY_GRPC_ADDRESS", stack)
            http_port = _kept(loaded.http.address, "GATEWAY_HTTP_ADDRESS", stack) if loaded.http.address else 0
            return asyncio.run(_supervised(loaded, args, grpc_port, http_port, inside))
        except PortTakenError as error:
            sys.stderr.write(f"gateway serve: {error}\n")
            return FAILED


async def _supervised(
    loaded: Settings, args: argparse.Namespace, grpc_port: int, http_port: int, inside: str
) -> int:
    crew = Crew(Desk(MemoryLimiter()))
    port = OperatorPort(crew.page, crew.upstreams, crew.ready)
    metrics_port = await _listening(port, loaded.metrics.address) if loaded.metrics.address else 0
    words = (*(("--dev",) if args.dev else ()), *(("--config", args.config) if args.config else ()))
    terms = Terms(
        workers=loaded.workers,
        words=words,
        environment=settings.tls13_environment(loaded),
        grpc_port=grpc_port,
        http_port=http_port,
        metrics_port=metrics_port,
        inside=inside,
        command=sys.argv[0],
        drain_s=loaded.grpc.drain_wait_s + loaded.grpc.drain_grace_s + CLOSING_S,
    )
    code = await Supervisor(terms, crew, Journal(loaded.log.level, loaded.log.format)).run()
    await port.aclose()
    return code


def _kept(address: str, variable: str, stack: ExitStack) -> int:
    """The port of this address, kept for the workers."""
    try:
        kept, port = sockets.reserve(address)
    except OSError as error:
        raise _taken(address, variable, error) from error
    stack.enter_context(kept)
    return port


async def _listening(port: OperatorPort, address: str) -> int:
    try:
        return await port.start(address)
    except OSError as error:
        raise _taken(address, "GATEWAY_METRICS_ADDRESS", error) from error


def _taken(address: str, variable: str, error: OSError) -> PortTakenError:
    reason = REASONS.get(error.errno or 0, error.strerror or str(error))
    host = address.rpartition(":")[0]
    return PortTakenError(f"cannot listen on {address}: {reason}; {variable}={host}:OTHER takes another port")
