"""A gateway, its scripted upstream and a caller for one test, swept afterwards: whoever left, nothing may stay.

    async with opened(tmp_path, Reply.answer("Hel", "lo")) as house:
        frames = [frame async for frame in house.generate("hi")]
        receipt = await house.receipt()          # the only one, closed

Leaving the block sweeps: no upstream connection in use, no task but those of an idle gateway, no reservation, no
active turn, every receipt closed, and what the limiter says was spent is what the receipts say. A sweep waits for
all of that to come true, and says what did not when the hang guard ends it.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from gateway.domain.receipt import Receipt
from gateway.ledger.reader import ReceiptReader
from gateway.ledger.stored import StoredLedger
from gateway.ledger.works import Work
from gateway.limits.memory import MemoryLimiter
from gateway.limits.slot_keeper import SlotKeeper
from gateway.v1 import account_pb2, inference_pb2, inference_pb2_grpc
from tests.support.gateway import Running, running
from tests.support.outcomes import Outcome, outcome_of
from tests.support.upstream import Script, ScriptedUpstream

HANG_GUARD_S = 20.0
LOOK_AGAIN_S = 0.005
NEVER = inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_NEVER)
NO_CACHE = inference_pb2.CachePolicy(use=inference_pb2.CACHE_USE_BYPASS)
NOT_DEGRADED = inference_pb2.Routing(allow_degraded=False)
MOST_RECEIPTS = 10_000
# Flow control at its tightest: what a reader has not taken soon holds up the writer.
NARROW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024), ("grpc.use_local_subchannel_pool", 1))
_ours = ("ScriptedUpstream.", "_play")


def question(prompt: str = "hi", **options: Any) -> inference_pb2.Turn:
    """A turn without search, cache or stand-in, unless told otherwise. Any: the fields of Turn."""
    fields = {"search": NEVER, "cache": NO_CACHE, "routing": NOT_DEGRADED, **options}
    return inference_pb2.Turn(prompt=prompt, **fields)


class House:
    """One gateway with one upstream, and what a test asks of them."""

    def __init__(
        self,
        upstream: ScriptedUpstream,
        gateway: Running,
        limiter: MemoryLimiter,
        ledger: StoredLedger,
        slots: SlotKeeper,
    ) -> None:
        self.upstream = upstream
        self.gateway = gateway
        self.limiter = limiter
        self.ledger = ledger
        self.slots = slots
        self.idle_tasks = tasks()
        self.tried_again = 0
        """Turns that ran, or were to run, under the receipt of another one."""

    def generate(self, turn: inference_pb2.Turn | str = "hi", **call: Any) -> Any:
        """A call of Generate. Any: what grpc calls take, and the call itself."""
        asked = question(turn) if isinstance(turn, str) else turn
        return self.gateway.inference.Generate(asked, metadata=self.gateway.bearer(), **call)

    def converse(self, **call: Any) -> Any:
        """A call of Converse. Any: as above."""
        return self.gateway.inference.Converse(metadata=self.gateway.bearer(), **call)

    async def outcome(self, turn: inference_pb2.Turn | str = "hi", **call: Any) -> Outcome:
        """Everything Generate says to one turn. Any: as above."""
        return await outcome_of(self.generate(turn, **call))

    def receipts(self) -> list[Receipt]:
        """Every receipt, the oldest first."""
        return ReceiptReader(self.gateway.data_dir).recent(None, MOST_RECEIPTS)[::-1]

    async def receipt(self) -> Receipt:
        """The only receipt, once it is closed."""
        await until(lambda: [r.finish for r in self.receipts()] not in ([], [None]))
        (receipt,) = self.receipts()
        return receipt

    @asynccontextmanager
    async def narrow(self) -> AsyncIterator[Any]:
        """A stub whose channel takes little ahead of its reader. Any: the generated stub."""
        async with grpc.aio.insecure_channel(self.gateway.target, options=NARROW) as channel:
            yield inference_pb2_grpc.InferenceStub(channel)

    @contextmanager
    def stuck_books(self) -> Iterator[None]:
        """Inside, the ledger's thread hangs, as on a disk that does not answer."""
        gate = threading.Event()
        self.ledger._ask(Work("", (), lambda _: None, lambda _session: gate.wait() and None))
        try:
            yield
        finally:
            gate.set()

    async def sweep(self) -> None:
        """Nothing is left behind; waits for it, because leaving takes a moment."""
        await self._settled_in_time()
        await self._check_money()

    async def _settled_in_time(self) -> None:
        try:
            await until(lambda: not self.leftovers(), within_s=HANG_GUARD_S / 2)
        except TimeoutError:
            pytest.fail(f"left behind: {'; '.join(self.leftovers())}")

    def leftovers(self) -> list[str]:
        """What is not as it is in an idle gateway."""
        found = [f"task {name} x{count}" for name, count in (tasks() - self.idle_tasks).items()]
        found += [
            f"upstream connection {exchange.connection} in use"
            for exchange in self.upstream.exchanges
            if not (exchange.closed.is_set() or exchange.replied.is_set())
        ]
        found += [f"{self.limiter.held()} reservations"] if self.limiter.held() else []
        found += [f"slots of {key}" for key, level in self.slots.levels().items() if level.used or level.waiting]
        found += [f"{len(self.gateway.gateway.running)} active turns"] if len(self.gateway.gateway.running) else []
        found += [f"open receipt of {r.turn_id}" for r in self.receipts() if r.finish is None]
        return found

    async def _check_money(self) -> None:
        """A tenant's limits say what its receipts say, nothing is held, and the metrics count what there was."""
        charged: Counter[str] = Counter()
        for receipt in self.receipts():
            charged[receipt.tenant] += receipt.settled.cost_nano_usd
        # A gateway that has drained answers no calls.
        for tenant, cost in () if self.gateway.gateway.running.draining else charged.items():
            limits = await self.gateway.account.GetLimits(
                account_pb2.GetLimitsRequest(), metadata=self.gateway.bearer(tenant)
            )
            by_name = {item.dimension: item for item in limits.allowances}
            assert {name: item.held for name, item in by_name.items() if item.held} == {}
            if day := by_name.get("usd_per_day"):
                assert day.limit - day.remaining == cost
        page = await _page(self.gateway.gateway.metrics_port)
        assert "gateway_active_turns 0.0" in page
        turns = sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if _counts_turns(line))
        assert turns == len(self.receipts()) + self.tried_again


async def until(true: Callable[[], bool], within_s: float = HANG_GUARD_S) -> None:
    """Waits for something to become true; TimeoutError is the hang guard."""
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(LOOK_AGAIN_S)


def tasks() -> Counter[str]:
    """The tasks of this event loop by their coroutine, without those of the scripted upstream and the test."""
    names: Counter[str] = Counter()
    for task in asyncio.all_tasks():
        name = getattr(task.get_coro(), "__qualname__", "?")
        if task is not asyncio.current_task() and not name.startswith(_ours):
            names[name] += 1
    return names


class _Kept:
    """The stations that a sweep looks into: the newest of their kind, wherever the gateway made them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._newest: dict[type, Any] = {}  # Any: an instance of its key
        for kind in (MemoryLimiter, StoredLedger, SlotKeeper):
            patch.setattr(kind, "__init__", self._keeping(kind, kind.__init__))

    @property
    def limiter(self) -> MemoryLimiter:
        """The limiter in use."""
        limiter: MemoryLimiter = self._newest[MemoryLimiter]
        return limiter

    @property
    def ledger(self) -> StoredLedger:
        """The ledger in use."""
        ledger: StoredLedger = self._newest[StoredLedger]
        return ledger

    @property
    def slots(self) -> SlotKeeper:
        """The slots of upstreams in use."""
        slots: SlotKeeper = self._newest[SlotKeeper]
        return slots

    def _keeping(self, kind: type, make: Callable[..., None]) -> Callable[..., None]:
        def keep(made: object, *arguments: object, **named: object) -> None:
            self._newest[kind] = made
            make(made, *arguments, **named)

        return keep


@asynccontextmanager
async def opened(
    data_dir: Path, script: Script, *, hang_guard_s: float = HANG_GUARD_S, **options: Any
) -> AsyncIterator[House]:
    """A house that is swept and closed, and cancels a test that hangs. Any: the options of `running`."""
    guard = asyncio.get_running_loop().call_later(hang_guard_s, _cancel_all)
    with pytest.MonkeyPatch.context() as patch:
        kept = _Kept(patch)
        async with ScriptedUpstream(script) as upstream:
            async with running(data_dir, **{"upstream": upstream.url, **options}) as gateway:
                await gateway.inference.ListModels(
                    inference_pb2.ListModelsRequest(), metadata=gateway.bearer(), wait_for_ready=True
                )
                house = House(upstream, gateway, kept.limiter, kept.ledger, kept.slots)
                yield house
                await house.sweep()
            await until(lambda: upstream.open == 0)
    guard.cancel()


def _cancel_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel("the test hangs")


def _counts_turns(line: str) -> bool:
    return line.startswith("gateway_turns_total{")


async def _page(port: int) -> str:
    """The metrics, read without any library that keeps connections."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    page = await reader.read()
    writer.close()
    await writer.wait_closed()
    return page.decode()
