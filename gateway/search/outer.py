"""What was fetched a moment ago, outside of this process, where other gateways find it as well.

What comes back from there is a stranger's until it was read: whatever is not exactly what was written is a miss,
and so is everything that goes wrong.
"""

import time
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
K = TypeVar("K")

MAX_LEFT_S = 3_600.0


class Shelf(Protocol):
    """Keeps sealed bytes for a tenant, under a name made of everything that they rest on."""

    async def find(self, tenant: str, kind: str, parts: object, read: Callable[[bytes], K]) -> K | None:
        """What `read` makes of the bytes; None where there are none, or none that can be used.

        Takes at most some 50 ms and raises nothing; a ValueError of `read` is a miss.
        """
        ...

    async def keep(self, tenant: str, kind: str, parts: object, value: bytes, ttl_s: float) -> None:
        """Keeps the bytes, a moment later, or not at all; raises nothing."""
        ...


class Outer(Generic[T]):
    """One kind of thing on a shelf; keys are tuples that begin with the tenant. `now`: seconds since the epoch."""

    def __init__(
        self,
        shelf: Shelf,
        kind: str,
        encode: Callable[[T], bytes],
        decode: Callable[[bytes], T],
        now: Callable[[], float] = time.time,
    ) -> None:
        """`decode` raises ValueError for bytes that `encode` never wrote."""
        self._shelf = shelf
        self._kind = kind
        self._encode = encode
        self._decode = decode
        self._now = now

    async def find(self, key: Hashable) -> tuple[T, float] | None:
        """The thing, and for how many seconds it is still fresh."""
        tenant, parts = _split(key)
        return await self._shelf.find(tenant, self._kind, parts, self._read)

    async def keep(self, key: Hashable, value: T, ttl_s: float) -> None:
        """Lays it down for others."""
        tenant, parts = _split(key)
        until = f"{self._now() + ttl_s:.3f}\n".encode()
        await self._shelf.keep(tenant, self._kind, parts, until + self._encode(value), ttl_s)

    def _read(self, value: bytes) -> tuple[T, float]:
        until, _, content = value.partition(b"\n")
        left_s = float(until) - self._now()
        if not 0 < left_s <= MAX_LEFT_S:
            raise ValueError("too old, or from a time that has not come")
        return self._decode(content), left_s


def _split(key: Hashable) -> tuple[str, object]:
    if not isinstance(key, tuple) or not isinstance(key[0], str):
        raise TypeError("a key that is kept outside begins with its tenant")
    return key[0], key[1:]
