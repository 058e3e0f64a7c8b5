"""The second level, which gateways with the same Redis share; and the salts of tenants, which they share too."""

from typing import Protocol

from gateway.cache import MAX_VALUE_BYTES, Key, Miss
from gateway.domain.errors import OperatorError, Reason
from gateway.sealing.envelope import OVERHEAD

MOST_BYTES = MAX_VALUE_BYTES + OVERHEAD + 64


class Commands(Protocol):
    """Single commands to Redis; the library for them is loaded where Redis is set."""

    async def ask(self, *words: str | bytes | int) -> object:
        """The answer. Raises Miss."""
        ...

    async def aclose(self) -> None:
        """Closes every connection."""
        ...


class RedisLevel:
    """Keeps the promise of `Level`. Whatever lies in Redis is read only up to the size that it may have."""

    name = "redis"
    held = None

    def __init__(self, store: Commands) -> None:
        self._store = store

    async def get(self, key: Key) -> bytes:
        """The value."""
        value = await self._store.ask("GETRANGE", _name(key), 0, MOST_BYTES)
        if not isinstance(value, bytes):
            raise Miss("wrong_type")
        if not value:
            raise Miss("absent")
        if len(value) > MOST_BYTES:
            raise Miss("too_large")
        return value

    async def put(self, key: Key, value: bytes, ttl_s: float) -> None:
        """Keeps it; Redis drops it by itself."""
        await self._store.ask("SET", _name(key), value, "PX", max(int(ttl_s * 1000), 1))

    async def aclose(self) -> None:
        """Closes its connections."""
        await self._store.aclose()


class RedisSalts:
    """Keeps the promise of `SaltBox`: the salts lie in Redis alone, so that one deletion reaches every gateway."""

    def __init__(self, store: Commands) -> None:
        self._store = store

    async def read(self, name: str) -> bytes | None:
        """The salt, or None."""
        value = await self._asked("GET", _salt(name))
        return value if isinstance(value, bytes) else None

    async def make(self, name: str, salt: bytes) -> bytes:
        """Lays it down unless another gateway was first."""
        await self._asked("SET", _salt(name), salt, "NX")
        return await self.read(name) or salt

    async def destroy(self, name: str) -> None:
        """Deletes it."""
        await self._asked("DEL", _salt(name))

    async def _asked(self, *words: str | bytes) -> object:
        try:
            return await self._store.ask(*words)
        except Miss as error:
            raise OperatorError(
                Reason.INTERNAL,
                f"Redis, where the salts of tenants lie, gives none ({error.reason}); see redis.url",
            ) from error


def _name(key: Key) -> str:
    """`{tenant}` is the slot of a cluster, like everywhere."""
    return f"gateway:cache:{{{key.tenant}}}:{key.kind.value}:{key.digest}"


def _salt(name: str) -> str:
    return f"gateway:salt:{name}"
