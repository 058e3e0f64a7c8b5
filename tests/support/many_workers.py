"""A gateway with several workers in processes of its own, seen from outside: workers, metrics, callers."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio

from gateway.domain.receipt import Receipt
from gateway.ledger.reader import ReceiptReader
from gateway.v1 import account_pb2_grpc, inference_pb2_grpc
from tests.support.served_gateway import Served, served
from tests.support.upstream import ScriptedUpstream

OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)
GUARD_S = 60.0
ESTABLISHED = "01"


@dataclass
class Crowd:
    """The gateway, and channels to it that share no connection."""

    served: Served
    channels: list[grpc.aio.Channel]

    @property
    def data_dir(self) -> Path:
        """Where its receipts are."""
        return self.served.data_dir

    def inference(self, number: int = 0) -> Any:
        """A stub on one of the channels. Any: the generated stub."""
        return inference_pb2_grpc.InferenceStub(self.channels[number % len(self.channels)])

    def account(self, number: int = 0) -> Any:
        """A stub on one of the channels. Any: as above."""
        return account_pb2_grpc.AccountStub(self.channels[number % len(self.channels)])

    def workers(self) -> set[int]:
        """The process ids of the workers."""
        return set(children(self.served.process.pid))

    def split(self) -> list[int]:
        """How many connections each worker serves."""
        port = int(self.served.target.rpartition(":")[2])
        return [connections(pid, port) for pid in sorted(self.workers())]

    def receipts(self) -> list[Receipt]:
        """Every receipt."""
        return list(ReceiptReader(self.data_dir).recent(None, 10_000))

    async def get(self, path: str) -> tuple[int, str]:
        """What the operator's port answers: status and body."""
        return await get(self.served.metrics, path)

    async def metric(self, name: str) -> dict[str, float]:
        """The samples of one metric, by their labels as they are written."""
        _, page = await self.get("/metrics")
        found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", page, re.MULTILINE)
        return {labels: float(value) for labels, value in found}

    async def becomes(self, name: str, value: float) -> None:
        """Waits until the samples of a metric add up to this."""
        async with asyncio.timeout(GUARD_S):
            while sum((await self.metric(name)).values()) != value:
                await asyncio.sleep(0.05)


def children(parent: int) -> list[int]:
    """The processes that this one has started, by the parent that each names in /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # it has just ended
            if int(stat.rpartition(")")[2].split()[1]) == parent:
                found.append(int(entry.name))
    return found


def connections(pid: int, port: int) -> int:
    """How many connections to this port a process has accepted, by the kernel's own tables."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == ESTABLISHED:
                inodes.add(f"socket:[{fields[9]}]")
    held = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held += str(entry.readlink()) in inodes
        except OSError:
            continue  # closed meanwhile
    return held


async def get(target: str, path: str) -> tuple[int, str]:
    """One GET over a connection of its own: the status and the body."""
    host, _, port = target.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split(" ", 2)[1]), body


@asynccontextmanager
async def crowd(
    folder: Path,
    upstream: ScriptedUpstream,
    *,
    workers: int = 2,
    channels: int = 4,
    config: str = "",
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Crowd]:
    """The gateway, ready for calls, and channels that were connected one after the other."""
    values = {"GATEWAY_WORKERS": str(workers), "GATEWAY_GRPC_DRAIN_GRACE_S": "30", **(environment or {})}
    async with AsyncExitStack() as stack:
        gateway = served(folder, upstream=upstream.url, environment=values, config=config)
        running = await asyncio.to_thread(stack.enter_context, gateway)
        opened = []
        for _ in range(channels):
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(running.target, OWN_CONNECTION))
            await asyncio.wait_for(channel.channel_ready(), GUARD_S)
            opened.append(channel)
        yield Crowd(running, opened)
        # Leaving blocks until the process has ended, and its answers may wait for the upstream in this loop.
        running.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(running.process.wait, GUARD_S)


def kill(pid: int) -> None:
    """Ends a process without a word."""
    os.kill(pid, signal.SIGKILL)
