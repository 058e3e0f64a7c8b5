"""Limits that hold: everything a turn may use is held before it starts and settled after it.

A limiter decides every dimension of one admission at once, all or nothing, and `settle` is idempotent.
Amounts are whole: requests, tokens, streams, nano-USD.
"""

from dataclasses import dataclass
from typing import Protocol

from gateway.domain.tenant import TenantLimits


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

    async def reserve(self, reservation_id: str, tenant: str, limits: TenantLimits, hold: Hold) -> Reservation:
        """Holds the whole amount, or raises LimitError (RATE_LIMITED, BUDGET_EXHAUSTED) and holds nothing."""
        ...

    async def settle(self, reservation: Reservation, used: Hold) -> None:
        """Gives back what was held and not used, books what was used beyond it; a repeat changes nothing."""
        ...

    async def allowances(self, tenant: str, limits: TenantLimits) -> tuple[Allowance, ...]:
        """Every limit of the tenant as it stands now."""
        ...
