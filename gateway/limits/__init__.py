"""Limits that hold: everything a turn may use is held before it starts and settled after it.

A limiter decides every scope and dimension of one admission at once, all or nothing, and `settle` is idempotent.
Amounts are whole: requests, tokens, streams, nano-USD.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from gateway.domain.tenant import TenantLimits


class ScopeKind(StrEnum):
    """Whose limit it is; the words that callers are told."""

    TENANT = "tenant"
    SUBJECT = "subject"
    MODEL = "model"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Scope:
    """One of those whom a turn is counted against, within its tenant."""

    kind: ScopeKind
    name: str
    limits: TenantLimits

    @property
    def label(self) -> str:
        """`subject:alice`."""
        return f"{self.kind.value}:{self.name}"


@dataclass(frozen=True, slots=True)
class Hold:
    """What one turn may use at most. `tokens` = estimated prompt + effective max_tokens."""

    tokens: int
    cost_nano_usd: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """Proof of an admission; give it back to `settle`, once or more often."""

    reservation_id: str
    tenant: str
    hold: Hold


@dataclass(frozen=True, slots=True)
class Allowance:
    """One limit as it stands. Money is in nano-USD, `resets_in_s` in seconds until it is whole again."""

    dimension: str
    scope: str
    limit: int
    remaining: int
    held: int
    resets_in_s: float


class Limiter(Protocol):
    """Keeps the limits of every tenant."""

    async def reserve(
        self, reservation_id: str, tenant: str, limits: TenantLimits, hold: Hold, scopes: Sequence[Scope] = ()
    ) -> Reservation:
        """Holds the whole amount, or raises LimitError (RATE_LIMITED, BUDGET_EXHAUSTED) and holds nothing.

        `limits` are the whole tenant's; `scopes` are further ones within it that the turn counts against.
        """
        ...

    async def settle(self, reservation: Reservation, used: Hold) -> None:
        """Gives back what was held and not used, books what was used beyond it; a repeat changes nothing."""
        ...

    async def allowances(
        self, tenant: str, limits: TenantLimits, scopes: Sequence[Scope] = ()
    ) -> tuple[Allowance, ...]:
        """Every limit of the tenant and of these scopes as it stands now."""
        ...


class Slot(Protocol):
    """A place among the calls that an upstream takes at once; what is told of the call moves its limit."""

    def first_output(self, took_s: float, own_s: float = 0.0) -> None:
        """The first output came so many seconds after it was asked for; in `own_s` of them this process worked."""
        ...

    def gave_up(self, took_s: float, own_s: float = 0.0) -> None:
        """It had not come when nobody waited for it any more."""
        ...

    def refused(self, named: int = 0) -> None:
        """The upstream said that it has too much to do; `named` is the limit that it named, 0 for none."""
        ...

    def release(self) -> None:
        """The call is closed: the slot is free. A repeat changes nothing."""
        ...


class Outlook(NamedTuple):
    """What one who comes now may expect: its place in the line (0 = none), and seconds there (0 = unknown)."""

    position: int = 0
    wait_s: float = 0.0


class Slots(Protocol):
    """Keeps calls of models within what their upstreams take at once, fairly between tenants."""

    async def take(self, upstream: str, model: str, tenant: str, within_s: float) -> Slot:
        """A slot, which must be released; where none is free, it is waited for this long.

        Raises UpstreamError (OVERLOADED, UPSTREAM_RATE_LIMITED) when none was free in time or the line is full. A
        model without a known limit has slots for everybody.
        """
        ...

    def outlook(self, upstream: str, model: str, tenant: str) -> Outlook:
        """What one who came now would find."""
        ...
