"""Builds what meters: the limiter (of this process, or of all with the same Redis) and the counter of tokens."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from gateway.domain.tenant import TenantLimits
from gateway.limits import Limiter
from gateway.limits.estimate import CountText, count_text
from gateway.limits.memory import MemoryLimiter
from gateway.limits.redis import shared
from gateway.limits.remote import Ask, RemoteLimiter
from gateway.limits.tokenizer import load_tokenizer
from gateway.settings import Settings


class Books(Protocol):
    """What knows the spending that a limiter has forgotten."""

    async def spent_since(self, moment: float) -> Mapping[str, int]:
        """What each tenant has spent since this moment (seconds since the epoch), in nano-USD."""
        ...


@dataclass(frozen=True, slots=True)
class _Spent:
    """Of one tenant, this UTC day and month, in nano-USD."""

    tenant: str
    limits: TenantLimits
    day: int
    month: int


@asynccontextmanager
async def opened(
    settings: Settings,
    books: Books,
    new_id: Callable[[], str],
    ask: Ask | None = None,
    settle_lost: Callable[[Limiter], Awaitable[None]] | None = None,
) -> AsyncIterator[Limiter]:
    """The limiter, which knows what the books say was spent. Raises OperatorError for a URL that is none.

    `ask` reaches the process that keeps the limits of several workers where there is no Redis. `settle_lost` books
    what was lost, before the books are asked what was spent.
    """

    async def spent_by(limiter: Limiter) -> list[_Spent]:
        if settle_lost is not None:
            await settle_lost(limiter)
        return await _spent(settings, books)

    if ask is not None and not settings.redis.url:
        remote = RemoteLimiter(ask)
        for one in await spent_by(remote):
            await remote.has_spent(one.tenant, one.limits, one.day, one.month)
        yield remote
        return
    if not settings.redis.url:
        memory = MemoryLimiter(time.time, time.monotonic)
        for one in await spent_by(memory):
            memory.restore(one.tenant, one.limits, one.day, one.month)
        yield memory
        return
    async with shared(settings.redis.url, new_id, cluster=settings.redis.cluster) as limiter:
        for one in await spent_by(limiter):
            limiter.upkeep.restore(one.tenant, one.limits, one.day, one.month)
        # A Redis that is away does not hold up the start: it hears of this when it is back.
        await limiter.upkeep.look()
        yield limiter


def text_counter(settings: Settings) -> CountText:
    """DeepSeek's own tokenizer where its file is given. Raises OperatorError for one that cannot be used."""
    path = settings.deepseek.tokenizer_file
    return load_tokenizer(Path(path)) if path else count_text


async def _spent(settings: Settings, books: Books) -> list[_Spent]:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    by_day = await books.spent_since(today.timestamp())
    by_month = await books.spent_since(today.replace(day=1).timestamp())
    known = ((settings.tenants.get(name), name, spent) for name, spent in by_month.items())
    return [_Spent(name, tenant.limits, by_day.get(name, 0), spent) for tenant, name, spent in known if tenant]
