"""`gateway serve` in one process, alone or as one of several workers: the gRPC server, until a signal ends it."""

import argparse
import asyncio
import os
import shlex
import signal
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import uvloop

from gateway import __version__, app, sections, settings
from gateway.auth import private_files
from gateway.commands import configuration
from gateway.commands.health import own_target
from gateway.domain.errors import OperatorError, Reason
from gateway.telemetry import logging as telemetry_logging
from gateway.workers.seat import Seat, take

DEV_SCOPES = "model.read model.stream search"
DEV_TOKEN_TTL_S = 86_400
DEV_TOKEN_RENEW_S = 3_600
QUESTION = "how does the gateway meter a broken stream?"


def run(args: argparse.Namespace) -> int:
    """Serves until the first signal and drains then; the second signal ends it at once."""
    try:
        seat = take(args.seat) if args.seat else None
    except ConnectionError:
        return 1  # the parent ended before this process had begun
    try:
        loaded = configuration.load(args.config, dev=args.dev)
    except settings.ConfigurationError as error:
        sys.stderr.write("".join(f"gateway serve: {fault}\n" for fault in error.faults))
        return 2
    environment = settings.tls13_environment(loaded)
    if environment is not None:
        # gRPC was loaded with this file and has read its variables: the same command begins again.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - no shell
    telemetry_logging.configure(loaded.log.level, loaded.log.format)
    try:
        return uvloop.run(serve(placed(loaded, seat) if seat else loaded, dev=args.dev, seat=seat))
    except OperatorError as error:
        sys.stderr.write(f"gateway serve: {error.message}\n")
        return 1


def placed(loaded: settings.Settings, seat: Seat) -> settings.Settings:
    """The settings of one worker: its ports are those that the parent keeps for all."""
    place = seat.place
    grpc = replace(loaded.grpc, address=f"{loaded.grpc.address.rpartition(':')[0]}:{place.grpc_port}")
    http = loaded.http
    if http.address:
        http = replace(http, address=f"{http.address.rpartition(':')[0]}:{place.http_port}")
    return replace(loaded, grpc=grpc, http=http)


async def serve(loaded: settings.Settings, *, dev: bool, seat: Seat | None = None) -> int:
    """Opens the gateway, waits for a signal, closes it. A worker also drains when its parent is gone."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def leave() -> None:
        stop.set()
        if seat is not None:
            seat.leave()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave)
    async with AsyncExitStack() as stack:
        if seat is not None:
            await stack.enter_async_context(seat.connected(leave))
        gateway = await stack.enter_async_context(app.opened(loaded, dev=dev, seat=seat))
        all_listen = seat is None or await seat.listens()
        # What is so for all workers is said by one of them.
        renewal = None
        if seat is None or seat.speaks:
            token = write_token(gateway, loaded) if dev else ""
            renewal = asyncio.create_task(renew(gateway, loaded)) if dev else None
            if all_listen and not (seat and seat.place.revived):
                announce(gateway, loaded, token)
        await stop.wait()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, leave_at_once)
        gateway.log.note("draining", turns=len(gateway.running))
        if renewal is not None:
            renewal.cancel()
    gateway.log.flush()
    gateway.log.note("stopped")
    return 0


def announce(gateway: app.Gateway, loaded: settings.Settings, token: str) -> None:
    """Tells a person and the log that calls are taken, and where; `token` is that of `--dev`."""
    write(greeting(gateway, loaded))
    if token:
        write(lines_to_paste(gateway, loaded, token))
    ports = {"grpc_port": gateway.grpc_port, "http_port": gateway.http_port}
    gateway.log.note("started", **ports, metrics_port=gateway.metrics_port, dev=bool(token))


def leave_at_once() -> None:
    """The second signal: receipts left open are closed at the next start."""
    os._exit(1)


def write_token(gateway: app.Gateway, loaded: settings.Settings) -> str:
    """A fresh development token, in the file that `gateway ask` reads."""
    if gateway.issuer is None:
        raise OperatorError(Reason.INTERNAL, "there is no development issuer")
    token = gateway.issuer.mint("dev", DEV_SCOPES, "developer", DEV_TOKEN_TTL_S, time.time())
    private_files.write(token_file(loaded), f"{token}\n".encode())
    return token


def token_file(loaded: settings.Settings) -> Path:
    """Where the development token is kept."""
    return loaded.data_dir / "dev-token"


async def renew(gateway: app.Gateway, loaded: settings.Settings) -> None:
    """Keeps the development token younger than its lifetime."""
    while True:
        await asyncio.sleep(DEV_TOKEN_RENEW_S)
        write_token(gateway, loaded)


def greeting(gateway: app.Gateway, loaded: settings.Settings) -> str:
    """Where it listens, and who answers."""
    places = [f"gRPC on {target_of(gateway, loaded)}"]
    if gateway.http_port:
        places.append(f"HTTP on {http_of(gateway, loaded)}")
    if gateway.metrics_port:
        places.append(f"metrics on {reached(loaded.metrics.address, gateway.metrics_port)}/metrics")
    model = configuration.cards(loaded)[0].name
    hint = "" if loaded.serving.upstreams else "; set DEEPSEEK_API_KEY and DeepSeek answers"
    return f"gateway {__version__} listens: {', '.join(places)}\nmodel: {model}{hint}\n"


def lines_to_paste(gateway: app.Gateway, loaded: settings.Settings, token: str) -> str:
    """Commands that work as printed, in any terminal of this machine."""
    target = target_of(gateway, loaded)
    environment = "" if target == "127.0.0.1:50051" else f"GATEWAY_GRPC_TARGET={target} "
    if loaded.data.dir != sections.Data().dir:
        environment += f"GATEWAY_DATA_DIR={shlex.quote(str(loaded.data_dir.resolve()))} "
    script = Path(gateway.command)
    # As it was started, so that the line works as printed: `.venv/bin/gateway` under make, else from the PATH.
    command = shlex.quote(str(script)) if script.name == "gateway" and len(script.parts) > 1 else "gateway"
    call = shlex.quote(f'{{"prompt": "{QUESTION}"}}')
    # Read from its file, the token is not three lines long, and is fresh tomorrow as well.
    bearer = f'"authorization: Bearer $(cat {shlex.quote(str(token_file(loaded).resolve()))})"'
    lines = (
        f"\nask, in another terminal:\n{environment}{command} ask {shlex.quote(QUESTION)}\n"
        f"\nor with grpcurl:\ngrpcurl -plaintext -H {bearer} -d {call} "
        f"{target} gateway.v1.Inference/Generate\n"
    )
    if gateway.http_port:
        base = f"http://{http_of(gateway, loaded)}"
        body = shlex.quote(f'{{"messages": [{{"role": "user", "content": "{QUESTION}"}}]}}')
        lines += (
            f"\nor over HTTP (OpenAI clients: {base}/v1, Dify: {base}/dify/v1, the token is the key):\n"
            f"curl {base}/v1/chat/completions -H 'content-type: application/json' -H {bearer} -d {body}\n"
        )
    return f"{lines}\ntoken (tenant dev, 24 h; `gateway token` makes others):\n{token}\n\nCtrl-C ends it.\n\n"


def target_of(gateway: app.Gateway, loaded: settings.Settings) -> str:
    """`host:port` of the gRPC port, as a client on this machine writes it."""
    return reached(loaded.grpc.address, gateway.grpc_port)


def http_of(gateway: app.Gateway, loaded: settings.Settings) -> str:
    """`host:port` of the HTTP port."""
    return reached(loaded.http.address, gateway.http_port)


def reached(address: str, port: int) -> str:
    """Where a port is reached that was opened by `address`, in which it may have been left to the system."""
    return own_target(f"{address.rpartition(':')[0]}:{port}")


def write(text: str) -> None:
    """Writes to the terminal at once."""
    sys.stdout.write(text)
    sys.stdout.flush()
