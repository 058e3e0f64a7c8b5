"""The limiter of one process, kept for others: it answers questions in words of JSON, and knows who holds what.

Words in: `reserve ID TENANT LIMITS TOKENS NANO_USD SCOPES`, `settle ID TENANT TOKENS NANO_USD`,
`look TENANT LIMITS SCOPES`, `spent TENANT LIMITS DAY MONTH`; LIMITS are the five of `TenantLimits` in order, a
scope is KIND NAME LIMITS. Words out: `held TOKENS NANO_USD`, `refused REASON MESSAGE FACTS RETRY_AFTER_S QUOTAS`,
`settled`, `allowances [DIMENSION SCOPE LIMIT REMAINING HELD RESETS_IN_S]…`, `noted`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from gateway.domain.errors import LimitError
from gateway.domain.tenant import TenantLimits
from gateway.limits import Hold, Reservation, Scope, ScopeKind
from gateway.limits.memory import MemoryLimiter


class Desk:
    """One limiter for many workers. Nothing here waits for anything, so answers come in the order of questions."""

    def __init__(self, limiter: MemoryLimiter) -> None:
        self._limiter = limiter
        self._held: dict[str, dict[str, str]] = {}

    # Any: words of JSON; a worker is as trustworthy as this process.
    async def answer(self, worker: str, words: Sequence[Any]) -> list[object]:
        """The answer to one question of this worker."""
        match words:
            case ["reserve", reservation_id, tenant, limits, tokens, nano_usd, scopes]:
                asked = Reservation(reservation_id, tenant, Hold(tokens, nano_usd))
                return await self._reserve(worker, asked, limits, scopes)
            case ["settle", reservation_id, tenant, tokens, nano_usd]:
                self._held.get(worker, {}).pop(reservation_id, None)
                used = Hold(tokens, nano_usd)
                await self._limiter.settle(Reservation(reservation_id, tenant, used), used)
                return ["settled"]
            case ["look", tenant, limits, scopes]:
                found = await self._limiter.allowances(tenant, _limits(*limits), _scopes(scopes))
                rows = [[a.dimension, a.scope, a.limit, a.remaining, a.held, a.resets_in_s] for a in found]
                return ["allowances", *rows]
            case ["spent", tenant, limits, day, month]:
                self._limiter.has_spent(tenant, _limits(*limits), day, month)
                return ["noted"]
        raise ValueError(f"no question to a limiter: {words[:1]}")

    def lost(self, worker: str) -> int:
        """Frees what a dead worker held, as after the end of a lease; how many reservations that were."""
        held = self._held.pop(worker, {})
        for reservation_id, tenant in held.items():
            self._limiter.give_up(tenant, reservation_id)
        return len(held)

    async def _reserve(
        self, worker: str, asked: Reservation, limits: Sequence[Any], scopes: Sequence[Any]
    ) -> list[object]:
        name, tenant = asked.reservation_id, asked.tenant
        try:
            made = await self._limiter.reserve(name, tenant, _limits(*limits), asked.hold, _scopes(scopes))
        except LimitError as error:
            quotas = [[one.subject, one.description] for one in error.quotas]
            return ["refused", error.reason, error.message, error.facts, error.retry_after_s, quotas]
        self._held.setdefault(worker, {})[name] = tenant
        return ["held", made.hold.tokens, made.hold.cost_nano_usd]


@lru_cache(maxsize=1024)
def _limits(*five: Any) -> TenantLimits:
    """The same object for the same limits: the limiter then needs no second look at them."""
    return TenantLimits(*five)


def _scopes(rows: Sequence[Any]) -> list[Scope]:
    return [Scope(ScopeKind(kind), name, _limits(*limits)) for kind, name, limits in rows]
