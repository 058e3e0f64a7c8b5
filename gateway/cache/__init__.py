"""What was answered once and may be answered again: memory, then Redis, then disk, one promise and one chain.

A value is bytes under a key of its tenant's; what lies outside of this process is sealed. Whatever is wrong with a
value (another's, torn, too large, too old, of another version) is a counted miss, never an error and never served.
A level that is away is a miss as well: nobody waits for it longer than 50 ms.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from gateway.domain.events import ProviderUsage, SearchEvent, Source

T = TypeVar("T")

MAX_VALUE_BYTES = 1024 * 1024
"""A larger value is not kept, and not believed where it is found."""


class Kind(StrEnum):
    """What a value is; each kind has keys of its own."""

    ANSWER = "answer"
    TURN = "turn"
    REASONING = "reasoning"
    HITS = "hits"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class Key:
    """Where a value lies: `digest` is 64 hexadecimal digits, made under a key for the tenant's things alone."""

    tenant: str
    kind: Kind
    digest: str


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A value and the level that held it: `memory`, `redis` or `disk`."""

    level: str
    value: T


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """A complete answer as the model gave it. Times in seconds since the epoch.

    `events` counts the upstream events it arrived in; `canary` is what no caller may be shown of it; `searches`
    and `sources` are set only where the answer is kept under its turn, so that it can be told without a search.
    """

    text: str
    reasoning: str
    refusal: str
    events: int
    usage: ProviderUsage | None
    model: str
    served_by: str
    stored_at: float
    fresh_until: float
    canary: str = ""
    searches: tuple[SearchEvent, ...] = ()
    sources: tuple[Source, ...] = ()


class Miss(Exception):  # noqa: N818 - a miss is no error
    """There is nothing that can be used; `reason` is one word for a metric."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CacheObserver(Protocol):
    """Counts for an operator. Must not wait and must not raise."""

    def hit(self, level: str, kind: Kind) -> None:
        """A value was found and used."""
        ...

    def missed(self, level: str, reason: str) -> None:
        """A level had nothing, or nothing that could be used; `absent` is the everyday reason."""
        ...

    def kept(self, level: str, size: int) -> None:
        """A value of so many bytes was kept."""
        ...

    def lost(self, level: str, reason: str) -> None:
        """A value could not be kept."""
        ...

    def holds(self, level: str, size: int) -> None:
        """A level holds so many bytes in all."""
        ...


class Level(Protocol):
    """One place for values. It may lose any of them at any time."""

    @property
    def name(self) -> str:
        """Its name on receipts and in metrics."""
        ...

    @property
    def held(self) -> int | None:
        """How many bytes it holds; None where it cannot know."""
        ...

    async def get(self, key: Key) -> bytes:
        """The value. Raises Miss."""
        ...

    async def put(self, key: Key, value: bytes, ttl_s: float) -> None:
        """Keeps a value for at most so long. Raises Miss where it cannot."""
        ...

    async def aclose(self) -> None:
        """Closes what it holds."""
        ...


class Cache(Protocol):
    """Every level as one."""

    async def naming_key(self, tenant: str) -> bytes | None:
        """What the tenant's digests are made under; None while nothing can be kept for it."""
        ...

    async def find(self, key: Key, read: Callable[[bytes], T]) -> Found[T] | None:
        """The first value that `read` accepts, from the fastest level; the levels above it learn of it.

        `read` raises Miss for what it cannot use.
        """
        ...

    def keep(self, key: Key, value: bytes, ttl_s: float) -> None:
        """Keeps a value: in memory at once, elsewhere a moment later. Nobody waits, and nothing is promised."""
        ...
