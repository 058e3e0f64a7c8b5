"""`gateway serve`: the gRPC server, until a signal ends it."""

import argparse
import asyncio
import os
import shlex
import signal
import sys
import time
from pathlib import Path

import uvloop

from gateway import __version__, app, schema, sections, settings
from gateway.auth import private_files
from gateway.domain.errors import OperatorError, Reason
from gateway.limits.price_book import BookError
from gateway.telemetry import logging as telemetry_logging

DEV_SCOPES = "model.read model.stream search"
DEV_TOKEN_TTL_S = 86_400
DEV_TOKEN_RENEW_S = 3_600
QUESTION = "how does the gateway meter a broken stream?"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--dev", action="store_true", help="loopback only, with a token issuer of its own")
    parser.add_argument("--config", default=None, help="the TOML file (GATEWAY_CONFIG)")


def run(args: argparse.Namespace) -> int:
    """Serves until the first signal and drains then; the second signal ends it at once."""
    try:
        loaded = settings.load(args.config)
        check(loaded, dev=args.dev)
    except settings.ConfigurationError as error:
        sys.stderr.write("".join(f"gateway serve: {fault}\n" for fault in error.faults))
        return 2
    environment = settings.tls13_environment(loaded)
    if environment is not None:
        # gRPC was loaded with this file and has read its variables: the same command begins again.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - no shell
    telemetry_logging.configure(loaded.log.level, loaded.log.format)
    try:
        return uvloop.run(serve(loaded, dev=args.dev))
    except OperatorError as error:
        sys.stderr.write(f"gateway serve: {error.message}\n")
        return 1
    except BookError as error:
        sys.stderr.write("".join(f"gateway serve: {fault}\n" for fault in error.faults))
        return 2


def check(loaded: settings.Settings, *, dev: bool) -> None:
    """What only this command demands. Raises ConfigurationError."""
    host = loaded.grpc.address.rpartition(":")[0].strip("[]")
    if dev and host not in schema.LOOPBACK:
        fault = f"grpc.address: --dev lets callers in without a credential, so it serves on loopback, not {host}"
        raise settings.ConfigurationError([fault])


async def serve(loaded: settings.Settings, *, dev: bool) -> int:
    """Opens the gateway, waits for a signal, closes it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with app.opened(loaded, dev=dev) as gateway:
        renewal = None
        if gateway.issuer is not None:
            token = write_token(gateway, loaded)
            welcome(gateway, loaded, token)
            renewal = asyncio.create_task(renew(gateway, loaded))
        ports = {"grpc_port": gateway.grpc_port, "http_port": gateway.http_port}
        gateway.log.note("started", **ports, metrics_port=gateway.metrics_port, dev=dev)
        await stop.wait()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, leave_at_once)
        gateway.log.note("draining", turns=len(gateway.running))
        if renewal is not None:
            renewal.cancel()
    gateway.log.flush()
    gateway.log.note("stopped")
    return 0


def leave_at_once() -> None:
    """The second signal: receipts left open are closed at the next start."""
    os._exit(1)


def write_token(gateway: app.Gateway, loaded: settings.Settings) -> str:
    """A fresh development token, in the file that `gateway ask` reads."""
    if gateway.issuer is None:
        raise OperatorError(Reason.INTERNAL, "there is no development issuer")
    token = gateway.issuer.mint("dev", DEV_SCOPES, "developer", DEV_TOKEN_TTL_S, time.time())
    private_files.write(loaded.data_dir / "dev-token", f"{token}\n".encode())
    return token


def openai_lines(gateway: app.Gateway, token: str) -> str:
    """How OpenAI clients and Dify reach it; nothing where the bridge is switched off."""
    if not gateway.http_port:
        return ""
    base = f"http://127.0.0.1:{gateway.http_port}"
    body = shlex.quote(f'{{"messages": [{{"role": "user", "content": "{QUESTION}"}}]}}')
    return (
        f"OpenAI clients: base URL {base}/v1, Dify: {base}/dify/v1, key: the token\n"
        f"curl {base}/v1/chat/completions -H 'content-type: application/json' -H 'authorization: Bearer {token}' "
        f"-d {body}\n\n"
    )


async def renew(gateway: app.Gateway, loaded: settings.Settings) -> None:
    """Keeps the development token younger than its lifetime."""
    while True:
        await asyncio.sleep(DEV_TOKEN_RENEW_S)
        write_token(gateway, loaded)


def welcome(gateway: app.Gateway, loaded: settings.Settings, token: str) -> None:
    """Prints lines that work as printed."""
    target = f"127.0.0.1:{gateway.grpc_port}"
    model = "deepseek-flash" if loaded.deepseek.api_key else "embedded (set DEEPSEEK_API_KEY for DeepSeek)"
    environment = "" if target == "127.0.0.1:50051" else f"GATEWAY_GRPC_TARGET={target} "
    if loaded.data.dir != sections.Data().dir:
        environment += f"GATEWAY_DATA_DIR={shlex.quote(str(loaded.data_dir.resolve()))} "
    script = Path(sys.argv[0])
    gateway_command = shlex.quote(str(script)) if script.name == "gateway" and script.is_absolute() else "gateway"
    call = shlex.quote(f'{{"prompt": "{QUESTION}"}}')
    sys.stdout.write(
        f"gateway {__version__} listens on {target}, model {model}\n\n"
        f"token (tenant dev, 24 h):\n{token}\n\n"
        f"ask:\n{environment}{gateway_command} ask {shlex.quote(QUESTION)}\n\n"
        f"or:\ngrpcurl -plaintext -H 'authorization: Bearer {token}' -d {call} "
        f"{target} gateway.v1.Inference/Generate\n\n"
        f"{openai_lines(gateway, token)}"
    )
    sys.stdout.flush()
