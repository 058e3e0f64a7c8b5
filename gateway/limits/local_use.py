"""What one worker admits alone while Redis is away, and what it will tell Redis of it afterwards."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.domain.errors import LimitError
from gateway.domain.tenant import TenantLimits
from gateway.limits import Allowance, Hold, Reservation, Scope, ScopeKind
from gateway.limits.admission import note_use
from gateway.limits.bucket import Account, Cost, Moment
from gateway.limits.degraded import alone, explained, scope_alone
from gateway.limits.memory import MemoryLimiter
from gateway.limits.quota import quota_of


@dataclass(slots=True)
class Use:
    """What one scope has used since Redis last heard of it, as an account of its own."""

    scope: Scope
    account: Account


@dataclass(frozen=True, slots=True)
class Batch:
    """Uses of one tenant that are told to Redis once: a repeat has the same id."""

    batch_id: str
    tenant: str
    uses: tuple[Use, ...]


class LocalUse:
    """Buckets of this worker alone. They stay over the next outage, so that its cushion of money is not a new one.

    `now` is in seconds since the epoch, `ticks` of a clock that does not go back.
    """

    def __init__(self, now: Callable[[], float], ticks: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._now = now
        self._ticks = ticks
        self._new_id = new_id
        self._limiter = MemoryLimiter(now, ticks)
        self._running: dict[str, tuple[Scope, ...]] = {}
        self._uses: dict[str, dict[str, Use]] = {}

    async def reserve(
        self,
        reservation_id: str,
        tenant: str,
        limits: TenantLimits,
        hold: Hold,
        scopes: Sequence[Scope],
        *,
        workers: int,
    ) -> Reservation:
        """Holds it within this worker's part of the limits. Raises LimitError, which says so."""
        narrow = [scope_alone(scope, workers) for scope in scopes]
        try:
            reservation = await self._limiter.reserve(reservation_id, tenant, alone(limits, workers), hold, narrow)
        except LimitError as error:
            raise explained(error) from None
        self._running[reservation_id] = (Scope(ScopeKind.TENANT, tenant, limits), *scopes)
        return reservation

    async def settle(self, reservation: Reservation, used: Hold) -> bool:
        """Books it, and says whether the reservation was made here."""
        scopes = self._running.pop(reservation.reservation_id, None)
        if scopes is None:
            return False
        await self._limiter.settle(reservation, used)
        self.note(reservation.tenant, scopes, used)
        return True

    async def allowances(
        self, tenant: str, limits: TenantLimits, scopes: Sequence[Scope], workers: int
    ) -> tuple[Allowance, ...]:
        """What this worker may still admit alone."""
        narrow = [scope_alone(scope, workers) for scope in scopes]
        return await self._limiter.allowances(tenant, alone(limits, workers), narrow)

    def note(self, tenant: str, scopes: Sequence[Scope], used: Hold) -> None:
        """Redis is to hear that these scopes have used this."""
        moment = Moment(round(self._ticks() * 1000), round(self._now() * 1000))
        uses = self._uses.setdefault(tenant, {})
        for scope in scopes:
            use = uses.setdefault(scope.label, Use(scope, Account()))
            use.scope = scope
            cost = Cost(used.tokens, used.cost_nano_usd)
            use.account = note_use(use.account, quota_of(scope.limits), moment, cost)

    def gather(self) -> list[Batch]:
        """Everything noted since the last time, to be told."""
        gathered = [Batch(self._new_id(), tenant, tuple(uses.values())) for tenant, uses in self._uses.items()]
        self._uses = {}
        return gathered
