"""Replaces gateways one after the other under load, as the Deployment does, and counts what callers notice.

    .venv/bin/python -m tests.e2e.rolling_restart --seconds 120 --rate 50

Two gateways serve; a third starts, is ready, and the oldest gets SIGTERM: it waits 5 s, drains, leaves. Then
again. Callers reach all three addresses as clients/service-config.json says: round robin, health watched,
UNAVAILABLE retried. Short turns come at the rate; beside them runs always one answer of some eight seconds, which
fits the grace and must arrive whole. `--python-client` calls with `gateway_client` instead, and its own policy.
"""

import argparse
import asyncio
import collections
import json
import re
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import grpc
import grpc.aio

import deepseek_pb2
import deepseek_pb2_grpc
from gateway.v1 import inference_pb2, inference_pb2_grpc
from gateway_client import GatewayClient
from gateway_client.errors import GatewayClientError
from gateway_client.tokens import StaticToken
from tests.support.chat_events import DONE, LAST_CHUNK, text_chunk
from tests.support.served_gateway import Served, served
from tests.support.upstream import Reply, ScriptedUpstream

GATEWAYS = 2
DRAIN_WAIT_S, DRAIN_GRACE_S = 5, 120
CALL_S = 60.0
CALL_FAILED = (GatewayClientError, grpc.aio.AioRpcError)
QUESTION, SLOWLY = "what is a receipt?", "count slowly"
SERVICE_CONFIG = (Path(__file__).resolve().parents[2] / "clients" / "service-config.json").read_text("utf-8")
SLOW_TEXTS = [f"word {number} " for number in range(16)]
SLOW_PAUSE_S = 0.5
NO_LIMITS = """
[tenant_defaults.limits]
requests_per_minute = 0
tokens_per_minute = 0
concurrent_streams = 0
usd_per_day = 0.0
usd_per_month = 0.0
"""


@dataclass
class Counted:
    """What callers saw, and what happened to the gateways.

    Where the longest short call took many seconds, the machine could not carry the rate: calls pile up until gRPC
    refuses them, restart or not.
    """

    calls: int = 0
    longest_s: float = 0.0
    streams: int = 0
    replaced: int = 0
    failures: collections.Counter[str] = field(default_factory=collections.Counter)

    def as_json(self) -> str:
        """One line."""
        return json.dumps({**vars(self), "failures": dict(self.failures)})


class Fleet:
    """Gateways on three addresses, of which two are in use."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self._folder = folder
        self._upstream = upstream
        self._ports = list(_free_ports(GATEWAYS + 1))
        self._running: collections.deque[tuple[int, ExitStack, Served]] = collections.deque()
        self._started = 0

    @property
    def target(self) -> str:
        """Every address, as a headless Service would list those that are ready."""
        return "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in sorted(self._ports))

    async def start(self) -> None:
        """One more gateway, ready for calls."""
        used = {port for port, _, _ in self._running}
        port = next(port for port in self._ports if port not in used)
        self._started += 1
        folder = self._folder / str(self._started)
        folder.mkdir()
        environment = {
            "GATEWAY_GRPC_ADDRESS": f"127.0.0.1:{port}",
            "GATEWAY_GRPC_DRAIN_WAIT_S": str(DRAIN_WAIT_S),
            "GATEWAY_GRPC_DRAIN_GRACE_S": str(DRAIN_GRACE_S),
            "GATEWAY_LOG_LEVEL": "info",
        }
        stack = ExitStack()
        opened = served(folder, environment=environment, config=NO_LIMITS, upstream=self._upstream)
        gateway = await asyncio.to_thread(stack.enter_context, opened)
        self._running.append((port, stack, gateway))

    async def replace_oldest(self) -> None:
        """A new gateway is ready, and then the oldest drains and leaves."""
        await self.start()
        await self.stop_oldest()

    async def stop_oldest(self) -> None:
        """SIGTERM, and the wait until it has gone by itself. Raises AssertionError when it did not end well."""
        _, stack, gateway = self._running.popleft()
        await asyncio.to_thread(stack.close)
        assert gateway.process.returncode == 0, f"a gateway ended with {gateway.process.returncode}"

    async def stop_all(self) -> None:
        """Ends what still runs."""
        while self._running:
            await self.stop_oldest()


def _free_ports(number: int) -> Iterator[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        yield from [one.getsockname()[1] for one in sockets]


class Callers(Protocol):
    """How callers ask; both raise an error of CALL_FAILED."""

    async def short(self) -> str:
        """One short turn: the text of its answer."""
        ...

    async def long(self) -> str:
        """The answer of some eight seconds, put together from its pieces."""
        ...


class Stubs:
    """Generated stubs over a channel with the service config that every client but Python's ships."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._inference = inference_pb2_grpc.InferenceStub(channel)
        self._deepseek = deepseek_pb2_grpc.DeepSeekStub(channel)

    async def short(self) -> str:
        """Complete."""
        turn = inference_pb2.Turn(turn_id=uuid4().hex, prompt=QUESTION, model="embedded")
        result: inference_pb2.TurnResult = await self._inference.Complete(turn, timeout=CALL_S)
        return result.message.content

    async def long(self) -> str:
        """StreamPredict."""
        call = self._deepseek.StreamPredict(deepseek_pb2.ModelRequest(text=SLOWLY), timeout=CALL_S)
        return "".join([piece.text async for piece in call])


class PythonClient:
    """The Python client."""

    def __init__(self, client: GatewayClient) -> None:
        self._client = client

    async def short(self) -> str:
        """`complete`."""
        return (await self._client.complete(prompt=QUESTION, model="embedded", timeout_s=CALL_S)).text

    async def long(self) -> str:
        """`predict`."""
        async with self._client.predict(SLOWLY, timeout_s=CALL_S) as pieces:
            return "".join([piece.text async for piece in pieces])


@asynccontextmanager
async def callers(target: str, *, python_client: bool) -> AsyncIterator[Callers]:
    """Either of them, connected."""
    if python_client:
        async with GatewayClient(target, token=StaticToken(None)) as client:
            yield PythonClient(client)
    else:
        options = [("grpc.service_config", SERVICE_CONFIG), ("grpc.max_reconnect_backoff_ms", 5_000)]
        async with grpc.aio.insecure_channel(target, options) as channel:
            yield Stubs(channel)


async def call(ask: Callers, counted: Counted) -> None:
    """One short turn."""
    counted.calls += 1
    begun = time.monotonic()
    try:
        if not await ask.short():
            counted.failures["an answer was empty"] += 1
    except CALL_FAILED as error:
        counted.failures[why(error)] += 1
    counted.longest_s = max(counted.longest_s, round(time.monotonic() - begun, 2))


async def stream(ask: Callers, counted: Counted, until: float) -> None:
    """Long answers, one after the other, each of which must arrive whole."""
    while time.monotonic() < until:
        counted.streams += 1
        try:
            if await ask.long() != "".join(SLOW_TEXTS):
                counted.failures["a stream was cut"] += 1
        except CALL_FAILED as error:
            counted.failures[why(error)] += 1


def why(error: BaseException) -> str:
    """The words of a failure, without the id of its request."""
    words = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
    return re.sub(r" \(request .*", "", f"{words}")


async def calls_at(rate: float, ask: Callers, counted: Counted, until: float) -> None:
    """Short turns at a steady rate, however long each takes."""
    async with asyncio.TaskGroup() as group:
        due = time.monotonic()
        while due < until:
            group.create_task(call(ask, counted))
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))


async def replacing(fleet: Fleet, counted: Counted, until: float) -> None:
    """Replaces one gateway after the other."""
    while time.monotonic() < until:
        await fleet.replace_oldest()
        counted.replaced += 1


async def restart_under_load(seconds: float, rate: float, folder: Path, *, python_client: bool = False) -> Counted:
    """The whole experiment."""
    counted = Counted()
    slow: list[str | dict[str, object] | float] = []
    for text in SLOW_TEXTS:
        slow += [text_chunk(text), SLOW_PAUSE_S]
    async with ScriptedUpstream(Reply.events(*slow, LAST_CHUNK, DONE)) as upstream:
        fleet = Fleet(folder, upstream.url)
        try:
            for _ in range(GATEWAYS):
                await fleet.start()
            async with callers(fleet.target, python_client=python_client) as ask:
                until = time.monotonic() + seconds
                async with asyncio.TaskGroup() as group:
                    group.create_task(calls_at(rate, ask, counted, until))
                    group.create_task(stream(ask, counted, until))
                    group.create_task(replacing(fleet, counted, until))
        finally:
            await fleet.stop_all()
    return counted


def main() -> int:
    """Prints what was counted; 1 when a call failed."""
    parser = argparse.ArgumentParser(description="Restart gateways one after the other under load.")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=50.0, help="short turns a second")
    parser.add_argument("--python-client", action="store_true", help="call with gateway_client and its own policy")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counted = asyncio.run(
            restart_under_load(args.seconds, args.rate, Path(folder), python_client=args.python_client)
        )
    print(counted.as_json())
    return int(bool(counted.failures))


if __name__ == "__main__":
    sys.exit(main())
