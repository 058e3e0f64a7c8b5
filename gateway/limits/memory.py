"""The limiter of a single process: the law of `bucket.py` over a map in memory.

Nothing outlives the process: `restore` brings back from the ledger what was spent today and this month.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gateway.domain.tenant import TenantLimits
from gateway.limits import Allowance, Hold, Reservation
from gateway.limits.bucket import Account, Cost, Moment, Quota, admit, advance, expire, settle, settle_late
from gateway.limits.quota import allowances, quota_of, refusal

LEASE_MS = 960_000
"""The longest stream and a minute: a reservation that nobody settles until then is given up."""

LATE_MS = 86_400_000
"""How long a reservation that was given up may still be settled."""

_SWEEP_MS = 1_000
_EVICTIONS_AT_ONCE = 8


@dataclass(slots=True)
class _Tenant:
    account: Account
    limits: TenantLimits
    quota: Quota


@dataclass(slots=True)
class _Lease:
    tenant: str
    limits: TenantLimits
    hold: Hold
    ends_ms: int


class MemoryLimiter:
    """Keeps the promise of `Limiter` for one process.

    `now` tells the calendar (seconds since the epoch), `ticks` refills buckets and ends leases (seconds of any
    clock that does not go back; `now` where none is given). A tenant that holds nothing and has spent nothing this
    month may be forgotten when more than `max_tenants` are known, the least recently seen first.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        ticks: Callable[[], float] | None = None,
        *,
        max_tenants: int = 10_000,
    ) -> None:
        self._now = now
        self._ticks = ticks
        self._max_tenants = max_tenants
        self._tenants: OrderedDict[str, _Tenant] = OrderedDict()
        self._leases: OrderedDict[str, _Lease] = OrderedDict()
        self._given_up: OrderedDict[str, _Lease] = OrderedDict()
        self._sweep_at_ms = 0

    async def reserve(self, reservation_id: str, tenant: str, limits: TenantLimits, hold: Hold) -> Reservation:
        """Holds `hold`, one request and one stream. An id that is held already is not held twice."""
        standing = self._leases.get(reservation_id)
        if standing is not None:
            return Reservation(reservation_id, standing.tenant, standing.hold)
        moment = self._moment()
        entry = self._entry(tenant, limits)
        account, refusals = admit(entry.account, entry.quota, moment, Cost(hold.tokens, hold.cost_nano_usd))
        entry.account = account
        if refusals:
            raise refusal(tenant, refusals)
        self._leases[reservation_id] = _Lease(tenant, limits, hold, moment.ticks_ms + LEASE_MS)
        return Reservation(reservation_id, tenant, hold)

    async def settle(self, reservation: Reservation, used: Hold) -> None:
        """Books `used`. An id that is not held is settled already, and stays so for good."""
        moment = self._moment()
        lease = self._leases.pop(reservation.reservation_id, None)
        book = settle
        if lease is None:
            lease = self._given_up.pop(reservation.reservation_id, None)
            book = settle_late
        if lease is None:
            return
        entry = self._tenants.get(lease.tenant) or self._entry(lease.tenant, lease.limits)
        held = Cost(lease.hold.tokens, lease.hold.cost_nano_usd)
        entry.account = book(entry.account, entry.quota, moment, held, Cost(used.tokens, used.cost_nano_usd))

    async def allowances(self, tenant: str, limits: TenantLimits) -> tuple[Allowance, ...]:
        """Every limit of the tenant; asking makes no tenant known."""
        moment = self._moment()
        quota = quota_of(limits)
        entry = self._tenants.get(tenant)
        account = advance(entry.account if entry else Account(), quota, moment)
        return allowances(tenant, account, quota, moment)

    def restore(self, tenant: str, limits: TenantLimits, spent_day: int, spent_month: int) -> None:
        """Books what the tenant had spent before this process started, in nano-USD of this UTC day and month."""
        entry = self._entry(tenant, limits)
        account = advance(entry.account, entry.quota, self._moment())
        entry.account = account._replace(
            spent_day=account.spent_day + max(spent_day, 0),
            spent_month=account.spent_month + max(spent_month, 0),
        )

    def held(self) -> int:
        """How many reservations are neither settled nor given up."""
        return len(self._leases)

    def tenants(self) -> int:
        """How many tenants are remembered."""
        return len(self._tenants)

    def _moment(self) -> Moment:
        epoch_ms = round(self._now() * 1000)
        ticks_ms = round(self._ticks() * 1000) if self._ticks else epoch_ms
        if ticks_ms >= self._sweep_at_ms:
            self._sweep_at_ms = ticks_ms + _SWEEP_MS
            self._give_up(ticks_ms)
        return Moment(ticks_ms, epoch_ms)

    def _entry(self, tenant: str, limits: TenantLimits) -> _Tenant:
        entry = self._tenants.get(tenant)
        if entry is None:
            self._make_room()
            entry = self._tenants[tenant] = _Tenant(Account(), limits, quota_of(limits))
            return entry
        self._tenants.move_to_end(tenant)
        if entry.limits is not limits:
            entry.limits, entry.quota = limits, quota_of(limits)
        return entry

    def _make_room(self) -> None:
        """Forgets idle tenants. A few are looked at each time, so that busy ones at the front cost little."""
        for _ in range(min(_EVICTIONS_AT_ONCE, len(self._tenants) - self._max_tenants + 1)):
            name, entry = next(iter(self._tenants.items()))
            if entry.account.streams or entry.account.held_nano_usd or entry.account.spent_month:
                self._tenants.move_to_end(name)
            else:
                del self._tenants[name]

    def _give_up(self, ticks_ms: int) -> None:
        while self._leases:
            reservation_id, lease = next(iter(self._leases.items()))
            if lease.ends_ms > ticks_ms:
                break
            del self._leases[reservation_id]
            entry = self._tenants[lease.tenant]
            entry.account = expire(entry.account, Cost(lease.hold.tokens, lease.hold.cost_nano_usd))
            self._given_up[reservation_id] = lease
        while self._given_up:
            reservation_id, lease = next(iter(self._given_up.items()))
            if lease.ends_ms + LATE_MS > ticks_ms:
                break
            del self._given_up[reservation_id]
