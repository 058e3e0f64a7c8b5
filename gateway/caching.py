"""Opens what keeps answers: the levels of the cache by the settings, and the seal of what leaves this process."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from os import urandom

from gateway import plugins
from gateway.cache import CacheObserver, Level
from gateway.cache.chain import Chain
from gateway.cache.disk import DiskLevel
from gateway.cache.lifetime import Lifetimes
from gateway.cache.memory import MemoryLevel
from gateway.cache.redis import Commands, RedisLevel, RedisSalts
from gateway.pipeline.recall import Memory
from gateway.sealing.salt_files import SaltFiles
from gateway.sealing.salts import SaltBox, Salts, name_of
from gateway.sealing.sealer import KEY_BYTES, Sealer
from gateway.settings import Settings

MIB = 1024 * 1024
SALTS = "salts"
PATIENT_S = 2.0
"""A person waits for a command longer than a turn for the cache."""


@asynccontextmanager
async def opened(settings: Settings, observer: CacheObserver) -> AsyncIterator[Memory]:
    """What recalling rests on, open. Without a seal key nothing leaves this process."""
    cache = settings.cache
    memory = MemoryLevel(cache.memory_mib * MIB)
    async with AsyncExitStack() as stack:
        outer = await _outer_levels(settings) if settings.seal.key else []
        salts = Salts(_salt_box(settings, stack), memory.forget)
        chain = Chain(memory, outer, Sealer(_secrets(settings)), salts, observer)
        stack.push_async_callback(chain.aclose)
        yield Memory(chain, _lifetimes(settings), answers=cache.answers, join=cache.join)


async def forget(settings: Settings, tenant: str) -> None:
    """Makes everything unreadable that is kept sealed for the tenant, by any gateway. Raises OperatorError."""
    name = name_of(tenant)
    await SaltFiles(settings.data_dir / SALTS).destroy(name)
    if settings.redis.url:
        store = _redis(settings, timeout_s=PATIENT_S)
        try:
            await RedisSalts(store).destroy(name)
        finally:
            await store.aclose()


async def _outer_levels(settings: Settings) -> list[Level]:
    levels: list[Level] = []
    if settings.redis.url and settings.cache.redis:
        levels.append(RedisLevel(_redis(settings)))
    if settings.cache.disk_mib:
        # Each worker keeps its part of the whole, and reads what the others wrote.
        room = settings.cache.disk_mib * MIB // settings.workers
        disk = DiskLevel(settings.data_dir / "cache", room, shared=settings.workers > 1)
        await disk.start()
        levels.append(disk)
    return levels


def _salt_box(settings: Settings, stack: AsyncExitStack) -> SaltBox:
    if not settings.seal.key:
        return _Forgetful()
    if not settings.redis.url:
        return SaltFiles(settings.data_dir / SALTS)
    store = _redis(settings)
    stack.push_async_callback(store.aclose)
    return RedisSalts(store)


def _redis(settings: Settings, **patience: float) -> Commands:
    redis = settings.redis
    made: Commands = plugins.load("gateway.cache", "redis_store").create(
        redis.url, cluster=redis.cluster, **patience
    )
    return made


class _Forgetful:
    """The salts of a process that keeps nothing outside of itself."""

    def __init__(self) -> None:
        self._secret = urandom(KEY_BYTES)

    async def read(self, name: str) -> bytes | None:
        return hashlib.sha256(self._secret + name.encode()).digest()

    async def make(self, _name: str, salt: bytes) -> bytes:
        return salt

    async def destroy(self, _name: str) -> None:
        self._secret = urandom(KEY_BYTES)


def _secrets(settings: Settings) -> list[bytes]:
    seal = settings.seal
    if not seal.key:
        return [urandom(KEY_BYTES)]
    return [bytes.fromhex(text) for text in (seal.key, *seal.old_keys)]


def _lifetimes(settings: Settings) -> Lifetimes:
    cache = settings.cache
    return Lifetimes(
        plain_s=cache.lifetime_s,
        sourced_s=cache.sourced_lifetime_s,
        stale_s=cache.stale_s,
        reasoning_s=cache.reasoning_s,
    )
