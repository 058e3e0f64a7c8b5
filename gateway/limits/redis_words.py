"""How the acts of `bucket.lua` are written, and how its answers are read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.domain.tenant import TenantLimits
from gateway.limits import Hold, Scope
from gateway.limits.admission import LATE_MS, LEASE_MS, Refusal
from gateway.limits.bucket import Account, Cost, Moment, examine, sane
from gateway.limits.local_use import Batch
from gateway.limits.quota import quota_of

WORKER_LEASE_MS = 30_000
"""A worker that is not heard for this long is dead, and what it held is free."""

WORKERS = "gateway:limits:workers"
_ACCOUNT_FIELDS = len(Account._fields)


@dataclass(frozen=True, slots=True)
class Act:
    """One call of the script."""

    keys: list[str]
    words: list[str | int]


class Words:
    """Writes the acts of one worker; `redis_now` (seconds since the epoch) replaces Redis's own clock in tests."""

    def __init__(self, worker: str, redis_now: Callable[[], float] | None = None) -> None:
        self._worker = worker
        self._redis_now = redis_now

    def reserve(self, reservation_id: str, tenant: str, scopes: Sequence[Scope], hold: Hold) -> Act:
        """Answers (1, birth), (2, tokens, nano-USD) or (0, moment, accounts)."""
        quotas = [number for scope in scopes for number in quota_of(scope.limits)]
        cost = sane(Cost(hold.tokens, hold.cost_nano_usd))
        return Act(_keys(tenant, scopes), [*self._head("reserve"), reservation_id, *cost, *quotas])

    def settle(self, reservation_id: str, tenant: str, used: Hold) -> Act:
        """Answers (1,) or (0, birth)."""
        cost = sane(Cost(used.tokens, used.cost_nano_usd))
        return Act(_tenant_keys(tenant), [*self._head("settle"), reservation_id, *cost])

    def look(self, tenant: str, scopes: Sequence[Scope]) -> Act:
        """Answers (moment, accounts)."""
        return Act(_keys(tenant, scopes), self._head("look"))

    def absorb(self, batch: Batch) -> Act:
        """What was used without Redis; a repeat of the same batch changes nothing."""
        words: list[str | int] = []
        for use in batch.uses:
            quota, account = quota_of(use.scope.limits), use.account
            words += [quota.requests, quota.tokens, account.requests, account.tokens]
            words += [account.day, account.spent_day, account.month, account.spent_month]
        keys = [
            *_keys(batch.tenant, [use.scope for use in batch.uses]),
            _key(batch.tenant, "told", batch.batch_id),
        ]
        return Act(keys, [*self._head("absorb"), *words])

    def restore(self, tenant: str, limits: TenantLimits, day: int, month: int) -> Act:
        """Raises what was spent this day and month (nano-USD) to what the books say."""
        quota = quota_of(limits)
        return Act(_tenant_keys(tenant), [*self._head("restore"), quota.requests, quota.tokens, day, month])

    def renew(self, tenant: str) -> Act:
        """This worker lives, and so do its holds for the tenant."""
        return Act(_tenant_keys(tenant), self._head("renew"))

    def join(self) -> Act:
        """This worker lives; answers how many do."""
        return Act([WORKERS], self._head("join"))

    def leave(self) -> Act:
        """This worker ends."""
        return Act([WORKERS], self._head("leave"))

    def _head(self, act: str) -> list[str | int]:
        now = round(self._redis_now() * 1000) if self._redis_now else ""
        return [act, now, self._worker, WORKER_LEASE_MS, LEASE_MS, LATE_MS]


def read_accounts(answer: Sequence[object]) -> tuple[Moment, list[Account]]:
    """The moment of the answer, and the accounts after it. Raises ValueError for an answer of another shape."""
    match answer:
        case [int(now), *rows]:
            return Moment(now, now), [_account(row) for row in rows]
        case _:
            raise ValueError("no moment")


def refusals(answer: Sequence[object], scopes: Sequence[Scope], hold: Hold) -> list[Refusal]:
    """Why a reservation was refused: the law says it again, over the accounts of the answer."""
    now, accounts = read_accounts(answer)
    cost = Cost(*sane(Cost(hold.tokens, hold.cost_nano_usd)))
    return [
        Refusal(scope.label, decision)
        for scope, account in zip(scopes, accounts, strict=True)
        for decision in examine(account, quota_of(scope.limits), now, cost)
        if not decision.allowed
    ]


def _account(row: object) -> Account:
    if not isinstance(row, list) or len(row) != _ACCOUNT_FIELDS:
        raise ValueError("no account")
    return Account(*row)


def _keys(tenant: str, scopes: Sequence[Scope]) -> list[str]:
    """The tenant's own scope comes first."""
    return [*_tenant_keys(tenant)[:4], *(_key(tenant, "account", scope.label) for scope in scopes)]


def _tenant_keys(tenant: str) -> list[str]:
    sets = [_key(tenant, name) for name in ("leases", "gone", "holds", "workers")]
    return [*sets, _key(tenant, "account", f"tenant:{tenant}")]


def _key(tenant: str, *names: str) -> str:
    """The braces put all keys of a tenant into one hash slot."""
    return ":".join(("gateway:limits", "{" + tenant + "}", *names))
