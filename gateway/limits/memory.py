"""The limiter of a single process: the law of `bucket.py` over a map in memory.

Nothing outlives the process: `restore` brings back from the ledger what was spent today and this month.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.domain.tenant import TenantLimits
from gateway.limits import Allowance, Hold, Reservation, Scope, ScopeKind
from gateway.limits.admission import LATE_MS, LEASE_MS, Refusal, admit_all, spent_at_least
from gateway.limits.bucket import (
    DAY_MS,
    Account,
    Cost,
    Moment,
    Quota,
    advance,
    expire,
    month_of,
    settle,
    settle_late,
)
from gateway.limits.quota import allowances, quota_of, refusal

_EVICTIONS_AT_ONCE = 8
_Key = str | tuple[str, ScopeKind, str]
"""A tenant's own scope goes by its name alone, because every turn looks for it several times."""


@dataclass(slots=True)
class _Entry:
    account: Account
    limits: TenantLimits
    quota: Quota


@dataclass(slots=True)
class _Lease:
    """`entries` are those of `keys`; while it is held none of them is forgotten."""

    keys: Sequence[_Key]
    entries: Sequence[_Entry]
    hold: Hold
    ends_ms: int


@dataclass(slots=True)
class _Leases:
    """Those of one tenant, the first to end at the front."""

    held: OrderedDict[str, _Lease] = field(default_factory=OrderedDict)
    given_up: OrderedDict[str, _Lease] = field(default_factory=OrderedDict)


class MemoryLimiter:
    """Keeps the promise of `Limiter` for one process.

    `now` tells the calendar (seconds since the epoch), `ticks` refills buckets and ends leases (seconds of any
    clock that does not go back; `now` where none is given). A scope that holds nothing and has spent nothing this
    month may be forgotten when more than `max_scopes` are known, the least recently seen first.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        ticks: Callable[[], float] | None = None,
        *,
        max_scopes: int = 10_000,
    ) -> None:
        self._now = now
        self._ticks = ticks
        self._max_scopes = max_scopes
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._leases: dict[str, _Leases] = {}

    async def reserve(
        self, reservation_id: str, tenant: str, limits: TenantLimits, hold: Hold, scopes: Sequence[Scope] = ()
    ) -> Reservation:
        """Holds `hold`, one request and one stream. An id that is held already is not held twice."""
        moment = self._moment()
        ends_ms = self._give_up(tenant, moment) + LEASE_MS
        leases = self._leases.get(tenant)
        standing = leases.held.get(reservation_id) if leases else None
        if standing is not None:
            return Reservation(reservation_id, tenant, standing.hold)
        keys: list[_Key] = [tenant]
        entries = [self._entry(tenant, limits, moment)]
        for scope in scopes:
            keys.append(_key(tenant, scope))
            entries.append(self._entry(keys[-1], scope.limits, moment))
        self._admit(tenant, scopes, entries, moment, hold)
        if leases is None:
            leases = self._leases.setdefault(tenant, _Leases())
        leases.given_up.pop(reservation_id, None)
        leases.held[reservation_id] = _Lease(keys, entries, hold, ends_ms)
        return Reservation(reservation_id, tenant, hold)

    async def settle(self, reservation: Reservation, used: Hold) -> None:
        """Books `used`. An id that is not held is settled already, and stays so for good."""
        moment = self._moment()
        tenant, reservation_id = reservation.tenant, reservation.reservation_id
        self._give_up(tenant, moment)
        leases = self._leases.get(tenant)
        if leases is None:
            return
        lease, book = leases.held.pop(reservation_id, None), settle
        if lease is None:
            lease, book = leases.given_up.pop(reservation_id, None), settle_late
        if lease is None:
            return
        held = Cost(lease.hold.tokens, lease.hold.cost_nano_usd)
        spent = Cost(used.tokens, used.cost_nano_usd)
        for key, was in zip(lease.keys, lease.entries, strict=True):
            entry = was if book is settle else self._entries.get(key) or self._entry(key, was.limits, moment)
            entry.account = book(entry.account, entry.quota, moment, held, spent)

    async def allowances(
        self, tenant: str, limits: TenantLimits, scopes: Sequence[Scope] = ()
    ) -> tuple[Allowance, ...]:
        """Every limit; asking makes no scope known."""
        moment = self._moment()
        self._give_up(tenant, moment)
        found: list[Allowance] = []
        for scope in (Scope(ScopeKind.TENANT, tenant, limits), *scopes):
            quota = quota_of(scope.limits)
            entry = self._entries.get(tenant if scope.kind is ScopeKind.TENANT else _key(tenant, scope))
            account = advance(entry.account if entry else Account(), quota, moment)
            found += allowances(scope.label, account, quota, moment)
        return tuple(found)

    def restore(self, tenant: str, limits: TenantLimits, spent_day: int, spent_month: int) -> None:
        """Books what the tenant had spent before this process started, in nano-USD of this UTC day and month."""
        moment = self._moment()
        entry = self._entry(tenant, limits, moment)
        account = advance(entry.account, entry.quota, moment)
        entry.account = account._replace(
            spent_day=account.spent_day + max(spent_day, 0),
            spent_month=account.spent_month + max(spent_month, 0),
        )

    def has_spent(self, tenant: str, limits: TenantLimits, day: int, month: int) -> None:
        """Raises what was spent this UTC day and month to this, in nano-USD; a repeat changes nothing."""
        moment = self._moment()
        entry = self._entry(tenant, limits, moment)
        entry.account = spent_at_least(entry.account, entry.quota, moment, day, month)

    def give_up(self, tenant: str, reservation_id: str) -> None:
        """Frees what is held under this id, as the end of its lease does: it may still be settled."""
        leases = self._leases.get(tenant)
        lease = leases.held.pop(reservation_id, None) if leases else None
        if leases is None or lease is None:
            return
        lease.ends_ms = self._moment().ticks_ms
        leases.given_up[reservation_id] = lease
        _free(lease)

    def held(self) -> int:
        """How many reservations are neither settled nor given up."""
        return sum(len(leases.held) for leases in self._leases.values())

    def scopes(self) -> int:
        """How many scopes are remembered."""
        return len(self._entries)

    def _moment(self) -> Moment:
        epoch_ms = round(self._now() * 1000)
        return Moment(round(self._ticks() * 1000) if self._ticks else epoch_ms, epoch_ms)

    def _admit(
        self, tenant: str, scopes: Sequence[Scope], entries: Sequence[_Entry], now: Moment, hold: Hold
    ) -> None:
        cost = Cost(hold.tokens, hold.cost_nano_usd)
        accounts, refused = admit_all([e.account for e in entries], [e.quota for e in entries], now, cost)
        for entry, account in zip(entries, accounts, strict=True):
            entry.account = account
        if refused:
            labels = [f"{ScopeKind.TENANT}:{tenant}", *(scope.label for scope in scopes)]
            raise refusal([Refusal(labels[place], decision) for place, decision in refused])

    def _entry(self, key: _Key, limits: TenantLimits, now: Moment) -> _Entry:
        entry = self._entries.get(key)
        if entry is None:
            self._make_room(now)
            entry = self._entries[key] = _Entry(Account(), limits, quota_of(limits))
            return entry
        self._entries.move_to_end(key)
        if entry.limits is not limits:
            entry.limits, entry.quota = limits, quota_of(limits)
        return entry

    def _make_room(self, now: Moment) -> None:
        """Forgets idle scopes. A few are looked at each time, so that busy ones at the front cost little."""
        this_month = month_of(now.epoch_ms // DAY_MS)
        for _ in range(min(_EVICTIONS_AT_ONCE, len(self._entries) - self._max_scopes + 1)):
            key, entry = next(iter(self._entries.items()))
            tenant = key if isinstance(key, str) else key[0]
            self._give_up(tenant, now)
            account = entry.account
            spent = account.spent_month if account.month >= this_month else 0
            if account.streams or account.held_nano_usd or spent:
                self._entries.move_to_end(key)
            else:
                del self._entries[key]
                leases = self._leases.get(tenant)
                if leases is not None and not leases.held and not leases.given_up:
                    del self._leases[tenant]

    def _give_up(self, tenant: str, now: Moment) -> int:
        """Frees what nobody settled in time; returns the tenant's own clock, which never goes back."""
        own = self._entries.get(tenant)
        clock_ms = now.ticks_ms
        if own is not None and own.account.at_ms > clock_ms:
            clock_ms = own.account.at_ms
        leases = self._leases.get(tenant)
        if leases is None:
            return clock_ms
        while leases.held:
            reservation_id = next(iter(leases.held))
            lease = leases.held[reservation_id]
            if lease.ends_ms > clock_ms:
                break
            leases.given_up[reservation_id] = leases.held.pop(reservation_id)
            _free(lease)
        while leases.given_up:
            reservation_id, lease = next(iter(leases.given_up.items()))
            if lease.ends_ms + LATE_MS > clock_ms:
                break
            del leases.given_up[reservation_id]
        return clock_ms


def _free(lease: _Lease) -> None:
    for entry in lease.entries:
        entry.account = expire(entry.account, Cost(lease.hold.tokens, lease.hold.cost_nano_usd))


def _key(tenant: str, scope: Scope) -> _Key:
    return tenant, scope.kind, scope.name
