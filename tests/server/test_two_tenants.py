"""Two tenants side by side on one connection, leaving at random: neither ever carries the other's identity."""

import asyncio
import random
from pathlib import Path

import aiohttp
import grpc
import pytest
import structlog

from gateway.v1 import account_pb2, inference_pb2
from tests.support.calls import NEVER, told_by
from tests.support.chat_events import DONE, LAST_CHUNK, text_chunk
from tests.support.gateway import Running, running
from tests.support.upstream import Exchange, Reply, ScriptedUpstream, Step

TENANTS = ("acme", "globex")
TURNS, AT_ONCE = 60, 6
PIECES = 5


def echo(exchange: Exchange) -> Reply:
    """Answers with the caller's own words, piece by piece."""
    marker = exchange.json["messages"][-1]["content"]
    steps: list[Step | dict[str, object]] = []
    for _ in range(PIECES):
        steps += [text_chunk(f"<{marker}>"), 0.002]
    return Reply.events(*steps, LAST_CHUNK, DONE)


class Tenant:
    """One tenant: every turn it asks, and every receipt it was promised."""

    def __init__(self, gateway: Running, name: str, seed: int) -> None:
        self._gateway = gateway
        self._chance = random.Random(seed)
        self._metadata = gateway.bearer(name, subject=f"user-of-{name}")
        self.name = name
        self.receipts: set[str] = set()
        self.cancelled = 0

    async def hammer(self) -> None:
        """Several callers at once, each turn of another kind."""
        numbers = iter(range(TURNS))

        async def caller() -> None:
            for number in numbers:
                ask = self._chance.choice((self._generate, self._converse, self._complete))
                await ask(f"{self.name}-{number}")

        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))

    def _turn(self, marker: str) -> inference_pb2.Turn:
        return inference_pb2.Turn(prompt=marker, turn_id=marker, search=NEVER)

    def _check(self, marker: str, frame: inference_pb2.ServerFrame) -> None:
        if frame.accepted.receipt_id:
            self.receipts.add(frame.accepted.receipt_id)
        assert frame.delta.text.replace(f"<{marker}>", "") == "", f"{self.name} was told {frame.delta.text}"
        assert frame.turn_id in ("", marker)

    async def _generate(self, marker: str) -> None:
        call = self._gateway.inference.Generate(self._turn(marker), metadata=self._metadata)
        leave_after = self._chance.choice((1, 2, 4, 100))
        try:
            seen = 0
            async for frame in call:
                self._check(marker, frame)
                seen += 1
                if seen == leave_after:
                    self._leave(call)
        except asyncio.CancelledError:
            assert call.cancelled()

    async def _converse(self, marker: str) -> None:
        call = self._gateway.inference.Converse(metadata=self._metadata)
        await call.write(inference_pb2.ClientFrame(turn=self._turn(marker)))
        await call.done_writing()
        try:
            while (frame := await call.read()) is not grpc.aio.EOF:
                self._check(marker, frame)
                if self._chance.random() < 0.15:
                    self._leave(call)
        except asyncio.CancelledError:
            assert call.cancelled()

    async def _complete(self, marker: str) -> None:
        call = self._gateway.inference.Complete(self._turn(marker), metadata=self._metadata)
        if self._chance.random() < 0.4:
            await asyncio.sleep(self._chance.random() * 0.02)
            self._leave(call)
        try:
            result = await call
        except asyncio.CancelledError:
            assert call.cancelled()
        else:
            assert result.message.content == f"<{marker}>" * PIECES
            self.receipts.add(result.end.receipt_id)

    def _leave(self, call: "grpc.aio.Call") -> None:
        self.cancelled += call.cancel()

    async def receipt(self, receipt_id: str) -> account_pb2.Receipt:
        """A receipt, as this tenant sees it."""
        request = account_pb2.GetReceiptRequest(receipt_id=receipt_id)
        return await self._gateway.account.GetReceipt(request, metadata=self._metadata)


async def test_no_answer_receipt_log_or_metric_carries_the_others_identity(tmp_path: Path) -> None:
    """Every answer, receipt and line is that of its own tenant; the other's receipts do not exist."""
    with structlog.testing.capture_logs() as lines:
        async with ScriptedUpstream(echo) as upstream, running(tmp_path, upstream=upstream.url) as gateway:
            tenants = [Tenant(gateway, name, seed) for seed, name in enumerate(TENANTS)]
            await asyncio.gather(*(tenant.hammer() for tenant in tenants))
            async with asyncio.timeout(20):
                while len(gateway.gateway.running):
                    await asyncio.sleep(0.01)
            assert all(tenant.cancelled and tenant.receipts for tenant in tenants)
            for tenant, other in (tenants, tenants[::-1]):
                for receipt_id in tenant.receipts:
                    receipt = await tenant.receipt(receipt_id)
                    assert (receipt.tenant, receipt.subject) == (tenant.name, f"user-of-{tenant.name}")
                    assert receipt.turn_id.startswith(f"{tenant.name}-")
                    with pytest.raises(grpc.aio.AioRpcError) as refused:
                        await other.receipt(receipt_id)
                    assert told_by(refused.value).reason == "NOT_FOUND"
            check_upstream(upstream.exchanges)
            check_lines(lines, {one: tenant.name for tenant in tenants for one in tenant.receipts})
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{gateway.gateway.metrics_port}/metrics") as response,
            ):
                page = await response.text()
            assert not any(name in page for name in TENANTS)


def check_upstream(exchanges: list[Exchange]) -> None:
    """The upstream is told one opaque name for each tenant, and never the other's words under it."""
    names: dict[str, set[str]] = {}
    for exchange in exchanges:
        marker = exchange.json["messages"][-1]["content"]
        names.setdefault(exchange.json["user_id"], set()).add(marker.partition("-")[0])
    assert sorted(map(sorted, names.values())) == [["acme"], ["globex"]]
    assert not any(tenant in name for tenant in TENANTS for name in names)


def check_lines(lines: "list[structlog.typing.EventDict]", owner: dict[str, str]) -> None:
    """One line for each turn, with the tenant and the subject of its receipt."""
    turns = [line for line in lines if line["event"] == "turn"]
    assert owner.keys() <= {line["receipt"] for line in turns}
    for line in turns:
        assert line["subject"] == f"user-of-{line['tenant']}"
        assert owner.get(line["receipt"], line["tenant"]) == line["tenant"]
