"""Builds what admits work: the slots of upstreams, the overload ladder and what it sees; it decides nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from gateway import plugins
from gateway.limits.script import Script
from gateway.limits.slot_keeper import Exchange, Key, Level, MemoryExchange, SlotKeeper, kept
from gateway.limits.slot_redis import CONNECTIONS, SOURCE, RedisExchange
from gateway.models.catalogue import Catalogue
from gateway.pipeline.ladder import Pace
from gateway.pipeline.overload import Overload
from gateway.server.sampler import Gauges, Sampler, memory_limit, resident_bytes
from gateway.settings import Settings
from gateway.telemetry import Load, LoadObserver, SlotLoad
from gateway.telemetry.logging import TurnLog
from gateway.telemetry.metrics import Metrics

DEEPSEEK = {"deepseek-flash": 2500, "deepseek-v4-pro": 500}
"""Calls at once of one account, all of its keys together (api-docs.deepseek.com, November 2026)."""
USED_PERCENT = 80
FEW_CALLS = 20
"""A limit below this says nothing of the worker's load: who waits for such a model waits in its line."""


@asynccontextmanager
async def slots(settings: Settings, catalogue: Catalogue, new_id: Callable[[], str]) -> AsyncIterator[SlotKeeper]:
    """The slots, shared through Redis where there is one. Raises OperatorError for a URL that is none."""
    redis, exchange = settings.redis, None
    if redis.url and settings.slots.enabled:
        load = plugins.load("gateway.limits", "redis_script")
        script: Script = load.create(redis.url, cluster=redis.cluster, connections=CONNECTIONS, source=SOURCE)
        exchange = RedisExchange(script, new_id())
    shared: Exchange = exchange or MemoryExchange()
    # Without Redis each worker has its part from the start.
    caps = limits_of(settings, catalogue, 1 if exchange else settings.workers)
    async with kept(SlotKeeper(caps, shared, most_waiting=settings.slots.waiting)) as keeper:
        yield keeper


def limits_of(settings: Settings, catalogue: Catalogue, parts: int) -> dict[Key, int]:
    """The most calls at once by upstream and model, of one of so many parts; models of the house have none."""
    if not settings.slots.enabled:
        return {}
    named = {word.rpartition("=")[0]: int(word.rpartition("=")[2]) for word in settings.slots.calls_at_once}
    known: Mapping[str, int] = {**DEEPSEEK, **named}
    found: dict[Key, int] = {}
    for served in catalogue.models:
        model = served.card.name
        for endpoint in served.endpoints:
            upstream = endpoint.provider.name
            limit = named.get(f"{upstream}/{model}", 0 if endpoint.local else known.get(model, 0))
            if limit:
                found[upstream, model] = max(limit * USED_PERCENT // 100 // parts, 1)
    return found


class Told(LoadObserver):
    """Tells metrics of everything, and the log of each change of the level."""

    def __init__(self, metrics: Metrics, log: TurnLog) -> None:
        self._metrics = metrics.load
        self._log = log
        self._level = 0

    def sampled(self, load: Load) -> None:
        """What was seen."""
        self._metrics.sampled(load)

    def acted(self, action: str) -> None:
        """What was done."""
        self._metrics.acted(action)

    def climbed(self, level: int) -> None:
        """The worker gives way, or need not any more."""
        self._metrics.climbed(level)
        if level != self._level:
            tell = self._log.warn if level > self._level else self._log.note
            # Not `level`: that is the log's own word for how grave a line is.
            tell("overload", step=int(level), before=self._level)
            self._level = int(level)


@asynccontextmanager
async def opened(
    settings: Settings, catalogue: Catalogue, observer: LoadObserver, new_id: Callable[[], str]
) -> AsyncIterator[tuple[SlotKeeper, Overload]]:
    """Slots and ladder, both at work until they are left. Raises OperatorError for a Redis URL that is none."""
    section, grpc = settings.overload, settings.grpc
    ladder = Overload(
        observer,
        Pace(enter_after_s=section.enter_after_s, leave_after_s=section.leave_after_s),
        slot_wait_s=settings.slots.wait_s,
        most_calls=grpc.calls,
        per_connection=grpc.streams_per_connection,
    )
    async with slots(settings, catalogue, new_id) as keeper, sampled(settings, keeper, ladder, observer):
        yield keeper, ladder


@asynccontextmanager
async def sampled(
    settings: Settings, keeper: SlotKeeper, ladder: Overload, observer: LoadObserver
) -> AsyncIterator[None]:
    """Looks at the worker until it is left; the ladder hears of it where it is switched on."""
    gauges = Gauges(
        calls=lambda: ladder.calls.count,
        most_calls=ladder.calls.most,
        memory=resident_bytes,
        most_memory=memory_limit(settings.overload.memory_bytes, settings.workers),
        slots=lambda: [slot_load(key, level) for key, level in keeper.levels().items()],
    )
    sampler = Sampler(gauges, observer, ladder.look if settings.overload.enabled else None)
    following = asyncio.get_running_loop().create_task(sampler.follow())
    try:
        yield
    finally:
        following.cancel()
        await asyncio.wait([following])


def slot_load(key: Key, level: Level) -> SlotLoad:
    """How full one model is. One that takes few calls is often full, and that is no overload."""
    return SlotLoad(*key, level.used, level.limit, level.waiting, level.busy / max(level.limit, FEW_CALLS))
