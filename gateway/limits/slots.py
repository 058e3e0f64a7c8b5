"""Shares the slots of one upstream and model among workers, fairly between tenants (pure).

A worker is granted slots and gives them to turns itself, so that a turn without rivals asks nobody. While any
turn waits anywhere, spare slots come back, and each free one goes to the tenant that holds the fewest, then by
turns (`line.py`), then to who waits longest, wherever it waits. A worker that is silent until its lease ends is
dead, and its slots are free. `slots.lua` is the same law.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gateway.limits.adaptive import NOTHING, Adaptive, Signals, adapted

RETURN_MS = 1_500
"""When the first worker is heard that has slots of which nothing is known, so long the others are waited for.

At least; where workers report rarely, twice the time between two reports.
"""
FRESH_MS = 1_000
"""So long the turns of a silent worker count as waiting, at least, or as long as three reports take.

A worker whose turns wait asks far more often; one that does not has none, or is dead.
"""
MOST_AT_ONCE = 128


class Waits(NamedTuple):
    """How many turns of one tenant wait at one worker, and since when the first does (milliseconds)."""

    turns: int
    since: int


class Share(NamedTuple):
    """What one worker has: slots granted to it, those in use, and by tenant what it holds and who waits.

    Moments in milliseconds: its lease ends, and its turns that wait count for so long.
    """

    ends: int
    fresh: int
    granted: int
    used: int
    holds: Mapping[str, int]
    waits: Mapping[str, Waits]


class Pool(NamedTuple):
    """All of one upstream and model. `tags` and `served` are the turns of the tenants that wait.

    Before `open_at` nothing is granted.
    """

    adaptive: Adaptive = Adaptive()
    shares: Mapping[str, Share] = {}
    tags: Mapping[str, int] = {}
    served: int = 0
    open_at: int = 0


class Report(NamedTuple):
    """What a worker says: the slots it keeps (spare ones it gives back are gone already) and what it would like.

    `waits` are by tenant, how many and for how long already (milliseconds); `lease_ms` 0 means that it ends.
    `every_ms` is the longest time to its next report.
    """

    lease_ms: int
    cap: int
    granted: int
    used: int
    wish: int
    signals: Signals = NOTHING
    holds: Mapping[str, int] = {}
    waits: Mapping[str, tuple[int, int]] = {}
    every_ms: int = 0


class Answer(NamedTuple):
    """What it is told: slots granted for turns that wait, by tenant in order, and spare ones beside them.

    `used` counts the slots in use in all workers.
    `contended`: elsewhere somebody waits, or the limit fell below what is granted, so spare slots are wanted back.
    """

    limit: int
    cuts: int
    usual_us: int
    workers: int
    used: int
    contended: bool
    spare: int
    tenants: tuple[str, ...]


def shared(pool: Pool, now: int, worker: str, report: Report) -> tuple[Pool, Answer]:
    """One report and its answer; `now` in milliseconds."""
    alive = {name: share for name, share in pool.shares.items() if share.ends > now}
    open_at = pool.open_at if alive or not report.granted else now + max(RETURN_MS, 2 * report.every_ms)
    shares = {name: share for name, share in alive.items() if name != worker}
    used = report.used + sum(share.used for share in shares.values())
    adaptive = adapted(pool.adaptive, now, report.cap, used, report.signals)
    waits = {tenant: Waits(count, now - age) for tenant, (count, age) in report.waits.items()}
    fresh = now + max(FRESH_MS, 3 * report.every_ms)
    own = Share(now + report.lease_ms, fresh, report.granted, report.used, report.holds, waits)
    if report.lease_ms:
        shares[worker] = own
    free = adaptive.limit - sum(share.granted for share in shares.values())
    if now < open_at:
        free = min(free, 0)
    round_ = _Round(pool, shares, now, worker)
    while free > 0 and round_.assigned < MOST_AT_ONCE and round_.assign():
        free -= 1
    rivals = any(share.waits and now <= share.fresh for name, share in shares.items() if name != worker)
    left = round_.anyone_waits
    spare = 0 if rivals or left or not report.lease_ms else max(0, min(free, report.wish))
    if report.lease_ms:
        shares[worker] = own._replace(
            granted=own.granted + len(round_.tenants) + spare, holds=round_.holds, waits=round_.waits
        )
    tags = {tenant: tag for tenant, tag in round_.tags.items() if tag > round_.served} if left else {}
    pool = Pool(adaptive, shares, tags, round_.served if left else 0, open_at)
    contended = rivals or free < 0
    told = adaptive.limit, adaptive.cuts, adaptive.usual_us, len(shares), used, contended, spare
    return pool, Answer(*told, tuple(round_.tenants))


class _Round:
    """Hands out free slots one by one. Those of other workers are left for them to fetch."""

    def __init__(self, pool: Pool, shares: Mapping[str, Share], now: int, worker: str) -> None:
        self._worker = worker
        self._fresh = {name: share for name, share in shares.items() if now <= share.fresh}
        self._left = {
            (tenant, name): waits.turns
            for name, share in self._fresh.items()
            for tenant, waits in share.waits.items()
            if waits.turns > 0
        }
        self._held: dict[str, int] = {}
        for share in shares.values():
            for tenant, count in share.holds.items():
                self._held[tenant] = self._held.get(tenant, 0) + count
        # What is only left for others does not count as served yet.
        self._tags, self._served = dict(pool.tags), pool.served
        self.tags, self.served = dict(pool.tags), pool.served
        own = shares.get(worker)
        self.holds = dict(own.holds) if own else {}
        self.waits = dict(own.waits) if own else {}
        self.tenants: list[str] = []
        self.assigned = 0

    @property
    def anyone_waits(self) -> bool:
        return bool(self._left)

    def assign(self) -> bool:
        """One slot to whoever comes next; False when nobody waits."""
        if not self._left:
            return False
        tenant, name = min(self._left, key=self._place)
        self.assigned += 1
        self._left[tenant, name] -= 1
        if not self._left[tenant, name]:
            del self._left[tenant, name]
        self._held[tenant] = self._held.get(tenant, 0) + 1
        self._served = max(self._tags.get(tenant, 0), self._served)
        self._tags[tenant] = self._served + 1
        if name == self._worker:
            self._grant(tenant)
        return True

    def _place(self, entry: tuple[str, str]) -> tuple[int, int, int, str, str]:
        tenant, name = entry
        tag = max(self._tags.get(tenant, 0), self._served)
        return self._held.get(tenant, 0), tag, self._fresh[name].waits[tenant].since, name, tenant

    def _grant(self, tenant: str) -> None:
        self.tenants.append(tenant)
        self.served = max(self.tags.get(tenant, 0), self.served)
        self.tags[tenant] = self.served + 1
        self.holds[tenant] = self.holds.get(tenant, 0) + 1
        turns, since = self.waits[tenant]
        if turns > 1:
            self.waits[tenant] = Waits(turns - 1, since)
        else:
            del self.waits[tenant]
