"""The two keepers of the law of slots, driven with the same histories: they never differ."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.limits.adaptive import NO_CUT, Signals
from gateway.limits.redis_script import RedisScript
from gateway.limits.slot_keeper import MemoryExchange
from gateway.limits.slot_redis import SOURCE, RedisExchange, key_of
from gateway.limits.slots import Answer, Report
from tests.support.redis_server import redis_cluster, redis_server, say

HISTORIES, STEPS = 300, 25
FULL_HISTORIES = 3_000
START_MS = 1_764_000_000_000
WORKERS = ("a", "b", "c")
TENANTS = ("acme", "beta", "gamma", "ünï {x}")
JUMPS = (0, 0, 1, 7, 49, 50, 250, 999, 1_000, 1_001, 5_000, 10_000, 600_000, -1, -3_000)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis for this file."""
    with redis_server(tmp_path_factory.mktemp("redis")) as address:
        yield address


@dataclass
class Clock:
    """What both keepers see."""

    now_ms: int = START_MS

    def __call__(self) -> float:
        return self.now_ms / 1000


@dataclass
class Worker:
    """What a worker remembers of its answers."""

    granted: int = 0
    cuts: int = 0
    usual_us: int = 0
    ends_ms: int = 0
    dead: bool = False


@dataclass
class History:
    """One random history of several workers."""

    chance: random.Random
    clock: Clock = field(default_factory=Clock)
    workers: dict[str, Worker] = field(default_factory=lambda: {name: Worker() for name in WORKERS})

    def bury(self) -> None:
        """Whoever was silent for its lease holds nothing any more, even if the clock goes back."""
        for worker in self.workers.values():
            if worker.ends_ms <= self.clock.now_ms:
                worker.dead = True

    def report(self, worker: Worker) -> Report:
        """Busy, idle, crowded or refused; a worker never says that it keeps more than it was granted."""
        chance = self.chance
        # One that was dead still has what it runs, and says so: that may be more than there is.
        granted = chance.randint(0, 0 if worker.dead else worker.granted)
        used = chance.randint(0, granted)
        lease_ms = 0 if chance.random() < 0.05 else 10_000
        some = [tenant for tenant in TENANTS if chance.random() < 0.5]
        waits = {tenant: (chance.randint(1, 6), chance.choice((0, 3, 800))) for tenant in some}
        return Report(
            lease_ms,
            chance.choice((1, 7, 60, 400)) if chance.random() < 0.2 else 60,
            granted if lease_ms else 0,
            used if lease_ms else 0,
            chance.choice((0, 4, 1_000_000)),
            self.signals(worker),
            {tenant: chance.randint(1, 5) for tenant in TENANTS if chance.random() < 0.4},
            waits if chance.random() < 0.6 else {},
            chance.choice((250, 250, 3_000)),
        )

    def signals(self, worker: Worker) -> Signals:
        """Often nothing; first outputs, fast and slow; refusals, also of calls from before the last cut."""
        chance = self.chance
        seen = chance.choice((0, 0, 1, 5, 40))
        refused = chance.random() < 0.15
        return Signals(
            seen,
            seen * chance.choice((900, 80_000, 1_234_567, 30_000_000)) + chance.randint(0, seen),
            chance.randint(0, seen),
            max(worker.cuts - chance.choice((0, 0, 1)), 0) if refused else NO_CUT,
            chance.choice((0, 3, 39)) if refused else 0,
        )


async def replay(seed: int, script: RedisScript) -> None:
    """One history; Redis has a pool of its own for it."""
    history = History(random.Random(seed))
    key, clock = ("upstream", f"model {seed}"), history.clock
    memory = MemoryExchange(clock=clock)
    shared = {name: RedisExchange(script, name, redis_now=clock) for name in WORKERS}
    for step in range(STEPS):
        clock.now_ms += history.chance.choice(JUMPS)
        history.bury()
        name = history.chance.choice(WORKERS)
        worker = history.workers[name]
        report = history.report(worker)
        first, second = memory.answer(key, report, name), await shared[name].share(key, report)
        assert first == second, (seed, step, name, report)
        worker.granted = report.granted + first.spare + len(first.tenants) if report.lease_ms else 0
        worker.cuts, worker.usual_us = first.cuts, first.usual_us
        worker.dead = not report.lease_ms
        worker.ends_ms = clock.now_ms + report.lease_ms
        check(history, worker, first, report)


def check(history: History, worker: Worker, answer: Answer, report: Report) -> None:
    """Whoever is granted anything: all that living workers hold is within the limit."""
    assert 1 <= answer.limit <= report.cap
    if answer.spare or answer.tenants:
        assert sum(w.granted for w in history.workers.values() if not w.dead) <= answer.limit
    assert all(answer.tenants.count(tenant) <= report.waits[tenant][0] for tenant in answer.tenants)


async def test_memory_and_redis_never_differ(url: str) -> None:
    """Three workers, three hundred histories: grants, limits, dead workers, other clocks."""
    script = RedisScript(url, timeout_s=30.0, connections=1, source=SOURCE)
    for seed in range(HISTORIES):
        await replay(seed, script)
    await script.aclose()


@pytest.mark.full
async def test_memory_and_redis_never_differ_at_length(url: str) -> None:
    """Three thousand further histories."""
    script = RedisScript(url, timeout_s=30.0, connections=1, source=SOURCE)
    for seed in range(HISTORIES, HISTORIES + FULL_HISTORIES):
        await replay(seed, script)
    await script.aclose()


async def test_a_cluster_keeps_every_pool_on_one_node(tmp_path: Path) -> None:
    """Pools on all three nodes grant and take back."""
    with redis_cluster(tmp_path) as url:
        exchange = RedisExchange(RedisScript(url, cluster=True, timeout_s=30.0, source=SOURCE), "w")
        for number in range(12):
            report = Report(10_000, 60, 0, 0, 4, waits={"acme": (2, 0)})
            answer = await exchange.share(("upstream", f"model-{number}"), report)
            assert answer is not None
            assert (answer.limit, answer.tenants) == (60, ("acme", "acme"))
        await exchange.aclose()


async def test_redis_counts_by_its_own_clock_and_forgets_what_nobody_uses(url: str) -> None:
    """The lease ends when Redis says so, and an idle pool has an end."""
    script = RedisScript(url, timeout_s=30.0, source=SOURCE)
    first, second = RedisExchange(script, "first"), RedisExchange(script, "second")
    key = ("upstream", "clocks")
    took = await first.share(key, Report(50, 3, 0, 0, 0, waits={"acme": (3, 0)}))
    assert took is not None
    assert len(took.tenants) == 3
    wants = Report(10_000, 3, 0, 0, 0, waits={"beta": (1, 0)})
    refused = await second.share(key, wants)
    assert refused is not None
    assert refused.tenants == ()
    await asyncio.sleep(0.1)
    served = await second.share(key, wants)
    assert served is not None
    assert served.tenants == ("beta",)
    assert 0 < int(say(url, "PTTL", key_of(key)).strip()[1:]) <= 3_600_000
    await script.aclose()
