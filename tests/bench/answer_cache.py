"""What an answer from the cache costs: when its first frame is there, from each level, and the CPU of it all."""

import gc
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from gateway.cache import Kind, Level
from gateway.cache.chain import Chain
from gateway.cache.disk import DiskLevel
from gateway.cache.lifetime import Lifetimes
from gateway.cache.memory import MemoryLevel
from gateway.cache.redis import RedisLevel
from gateway.cache.redis_store import RedisStore
from gateway.domain.answer import Received
from gateway.domain.call import Call, Caller, Visitor
from gateway.domain.events import Finish, Finished, ProviderUsage, TextDelta, TurnEvent
from gateway.domain.receipt import Receipt
from gateway.domain.tenant import Tenant
from gateway.domain.turn import Generation, Message, Role, SearchMode, Turn
from gateway.domain.usage import Usage
from gateway.models.catalogue import Endpoint, Route
from gateway.models.deepseek import CARDS
from gateway.models.embedded import EmbeddedModel
from gateway.pipeline.job import Job
from gateway.pipeline.outlet import Outlet
from gateway.pipeline.plan import Plan
from gateway.pipeline.recall import Memory, Recall
from gateway.pipeline.said import Said
from gateway.sealing.salt_files import SaltFiles
from gateway.sealing.salts import Salts
from gateway.sealing.sealer import Sealer
from gateway.server.frames import TurnFrames
from tests.bench.shared_limits import on_other_cores
from tests.bench.summary import percentile
from tests.support.redis_server import redis_server

ANSWER = "A token bucket is filled at a steady rate, and every request takes what it needs from it. " * 45
"""About a thousand tokens."""
TOKENS, QUESTIONS, REPEATS = 1_000, 300, 1_000
WORDS = "Explain to me what a token bucket is, how it differs from a leaky bucket, and when I would use which. "


class Nobody:
    """Counts nothing."""

    def hit(self, level: str, kind: Kind) -> None:
        return None

    def missed(self, level: str, reason: str) -> None:
        return None

    def kept(self, level: str, size: int) -> None:
        return None

    def lost(self, level: str, reason: str) -> None:
        return None

    def holds(self, level: str, size: int) -> None:
        return None


@dataclass(slots=True)
class Told:
    """What a caller is told, as bytes of frames, and when its first piece of the answer was there."""

    made: TurnFrames = field(default_factory=lambda: TurnFrames("t"))
    begun: float = field(default_factory=time.perf_counter)
    first: float = 0.0

    async def __call__(self, event: TurnEvent) -> None:
        self.made.frame(event).SerializeToString()
        if not self.first and isinstance(event, TextDelta):
            self.first = time.perf_counter()


async def answers_from_cache() -> dict[str, float]:
    """Times in milliseconds of each level: `cold` for a value read first, `warm` for the same one again."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, found = Path(name), dict[str, float]()
        levels: dict[str, Level] = {}
        disk = levels["disk"] = DiskLevel(folder / "cache", 2**28)
        await disk.start()
        if shutil.which("redis-server"):
            with on_other_cores():
                url = stack.enter_context(redis_server(folder / "redis"))
            levels["redis"] = RedisLevel(RedisStore(url, timeout_s=5.0))
        async with chain(folder, []) as (recall, _):
            found |= await memory_hits(recall)
        for level_name, level in levels.items():
            async with chain(folder, [level]) as (recall, memory):
                found |= await outer_hits(level_name, recall, memory)
        return found


@asynccontextmanager
async def chain(folder: Path, outer: list[Level]) -> AsyncIterator[tuple[Recall, MemoryLevel]]:
    """A whole cache with these levels behind its memory."""
    memory = MemoryLevel(2**26)
    salts = Salts(SaltFiles(folder / "salts"), memory.forget)
    cache = Chain(memory, outer, Sealer([b"k" * 32]), salts, Nobody())
    try:
        yield Recall(Memory(cache, Lifetimes()), time.time), memory
    finally:
        await cache.aclose()


async def memory_hits(recall: Recall) -> dict[str, float]:
    """A hit in memory, and the CPU of looking where there is none."""
    await keep(recall, 0)
    times = [await first_ms(recall, 0) for _ in range(REPEATS)]
    gc.collect()
    begun = time.process_time()
    for _ in range(REPEATS):
        await first_ms(recall, 0)
    replay = (time.process_time() - begun) / REPEATS * 1000
    begun = time.process_time()
    for number in range(1, REPEATS):
        told = Told()
        job = job_of(number)
        await recall.answered(job, outlet(job, told))
    miss = (time.process_time() - begun) / REPEATS * 1e6
    return {
        "hit_memory_p50_ms": percentile(times, 0.5),
        "hit_memory_p99_ms": percentile(times, 0.99),
        "hit_replay_cpu_ms": replay,
        "cache_miss_cpu_us": miss,
    }


async def outer_hits(level: str, recall: Recall, memory: MemoryLevel) -> dict[str, float]:
    """Cold: each answer for the first time in its level. Warm: the same one again, memory emptied in between."""
    for number in range(QUESTIONS):
        await keep(recall, number)
        await written(recall)
    cold, warm = [], []
    for number in range(QUESTIONS):
        memory.forget("acme")
        cold.append(await first_ms(recall, number))
        await written(recall)
    for _ in range(QUESTIONS):
        memory.forget("acme")
        warm.append(await first_ms(recall, 0))
        await written(recall)
    return {
        f"hit_{level}_{state}_{place}_ms": percentile(times, share)
        for state, times in (("cold", cold), ("warm", warm))
        for place, share in (("p50", 0.5), ("p99", 0.99))
    }


async def first_ms(recall: Recall, number: int) -> float:
    """How long until the first piece of a kept answer is a frame, ready to send."""
    job, told = job_of(number), Told()
    if not await recall.answered(job, outlet(job, told)):
        raise RuntimeError("the answer is not in the cache")
    return (told.first - told.begun) * 1000


async def keep(recall: Recall, number: int) -> None:
    """Has an answer kept, as after a turn that a model answered."""
    job = job_of(number)
    await recall.answered(job, outlet(job, Told()))
    said = job.sharing.said = Said()
    said.add([TextDelta(f"{number} {ANSWER}", events=TOKENS), ProviderUsage(20, 0, TOKENS), Finished(Finish.STOP)])
    job.received = Received()
    for event in said.since(0):
        job.received.add(event)
    await recall.keep(job)


async def written(recall: Recall) -> None:
    """Waits for what is on its way to the levels outside."""
    cache = recall._cache
    assert isinstance(cache, Chain)
    while cache._writing:
        await next(iter(cache._writing))


def outlet(job: Job, told: Told) -> Outlet:
    """What a caller hears through."""
    return Outlet(told, job.findings, job.turn.question, False)


_ids = count()


def job_of(number: int) -> Job:
    """A turn of three messages that has come as far as its answer."""
    route = Route(CARDS[0], Endpoint(EmbeddedModel()), "default")
    messages = (
        Message(Role.SYSTEM, "You are an assistant who answers briefly."),
        Message(Role.USER, WORDS * 4),
        Message(Role.USER, f"{WORDS} {number}"),
    )
    turn = Turn(f"t{next(_ids)}", False, b"", "", messages)
    visitor = Visitor(Call("m", "r", 1e9), Caller("acme", "s", "c", frozenset(), 0.0, "k"), Tenant("acme"))
    receipt = Receipt("r", "acme", "s", "", turn.turn_id, b"", "r", CARDS[0].name, Usage(), 0.0)
    plan = Plan(route, Generation(max_tokens=2048), 140, ())
    return Job(visitor, turn, plan, receipt, begun=0.0, route=route, search_mode=SearchMode.NEVER)
