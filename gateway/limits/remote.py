"""The limiter that the workers of one gateway share without Redis: their parent keeps it (`desk.py`)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from gateway.domain.errors import LimitError, OperatorError, QuotaViolation, Reason
from gateway.domain.tenant import TenantLimits
from gateway.limits import Allowance, Hold, Reservation, Scope

Ask = Callable[[Sequence[object]], Awaitable[Sequence[Any]]]  # Any: words of JSON, as `desk.py` describes them
"""Asks the keeper. Raises ConnectionError when it has gone; what was asked before is heard before."""


class RemoteLimiter:
    """Keeps the promise of `Limiter` for one worker. Its holds are freed when this process dies."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def reserve(
        self, reservation_id: str, tenant: str, limits: TenantLimits, hold: Hold, scopes: Sequence[Scope] = ()
    ) -> Reservation:
        """See `Limiter`. Raises OperatorError(OVERLOADED) when the keeper has gone: nothing is admitted then."""
        words = ["reserve", reservation_id, tenant, _five(limits), hold.tokens, hold.cost_nano_usd, _rows(scopes)]
        try:
            answer = await self._ask(words)
        except asyncio.CancelledError:
            # It may be held all the same; this is heard after it.
            await asyncio.shield(self.settle(Reservation(reservation_id, tenant, hold), Hold(0, 0)))
            raise
        except ConnectionError as error:
            raise _alone() from error
        match answer:
            case ["held", int(tokens), int(nano_usd)]:
                return Reservation(reservation_id, tenant, Hold(tokens, nano_usd))
            case ["refused", reason, message, facts, retry_after_s, quotas]:
                violations = tuple(QuotaViolation(*quota) for quota in quotas)
                raise LimitError(
                    Reason(reason), message, facts=facts, retry_after_s=retry_after_s, quotas=violations
                )
        raise _alone()

    async def settle(self, reservation: Reservation, used: Hold) -> None:
        """See `Limiter`. Without the keeper there is nothing left to settle."""
        try:
            await self._ask(
                ["settle", reservation.reservation_id, reservation.tenant, used.tokens, used.cost_nano_usd]
            )
        except ConnectionError:
            return

    async def allowances(
        self, tenant: str, limits: TenantLimits, scopes: Sequence[Scope] = ()
    ) -> tuple[Allowance, ...]:
        """See `Limiter`."""
        try:
            _, *rows = await self._ask(["look", tenant, _five(limits), _rows(scopes)])
        except ConnectionError as error:
            raise _alone() from error
        return tuple(Allowance(*row) for row in rows)

    async def has_spent(self, tenant: str, limits: TenantLimits, day: int, month: int) -> None:
        """What the books say was spent this UTC day and month, in nano-USD; a repeat changes nothing."""
        await self._ask(["spent", tenant, _five(limits), day, month])


def _five(limits: TenantLimits) -> list[float]:
    return [
        limits.requests_per_minute,
        limits.tokens_per_minute,
        limits.concurrent_streams,
        limits.usd_per_day,
        limits.usd_per_month,
    ]


def _rows(scopes: Sequence[Scope]) -> list[list[object]]:
    return [[scope.kind.value, scope.name, _five(scope.limits)] for scope in scopes]


def _alone() -> OperatorError:
    return OperatorError(
        Reason.OVERLOADED, "this worker has lost the process that keeps the limits; call again", retry_after_s=1.0
    )
