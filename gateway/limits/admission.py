"""One turn counts against several accounts (tenant, subject, model, key): all of them decide at once (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.limits.bucket import (
    MOST_NANO_USD,
    UNITS,
    Account,
    Cost,
    Decision,
    Moment,
    Quota,
    admit,
    advance,
    settle_late,
)

LEASE_MS = 960_000
"""The longest stream and a minute: a reservation that nobody settles until then is given up."""

LATE_MS = 86_400_000
"""How long a reservation that was given up may still be settled."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One dimension of one scope (`subject:alice`) that refused a turn."""

    label: str
    decision: Decision


def admit_all(
    accounts: Sequence[Account], quotas: Sequence[Quota], now: Moment, cost: Cost
) -> tuple[list[Account], list[tuple[int, Decision]]]:
    """Holds `cost` in every account, or in none.

    Returns the new accounts and no decision, or the accounts as they were (brought up to now) and, by the place of
    its account, each decision that refuses.
    """
    if len(accounts) == 1:
        one, decisions = admit(accounts[0], quotas[0], now, cost)
        return [one], [(0, decision) for decision in decisions]
    after: list[Account] = []
    refused: list[tuple[int, Decision]] = []
    for place, (account, quota) in enumerate(zip(accounts, quotas, strict=True)):
        held, decisions = admit(account, quota, now, cost)
        after.append(held)
        refused += [(place, decision) for decision in decisions]
    if refused:
        after = [advance(account, quota, now) for account, quota in zip(accounts, quotas, strict=True)]
    return after, refused


def note_use(account: Account, quota: Quota, now: Moment, used: Cost) -> Account:
    """Books a turn that was admitted elsewhere: one request and what it used, as `absorb` will hand it over."""
    was = settle_late(account, quota, now, Cost(0, 0), used)
    return was._replace(requests=min(was.requests + UNITS, quota.requests * UNITS))


def absorb(account: Account, quota: Quota, now: Moment, use: Account) -> Account:
    """Adds what `note_use` gathered: what is missing there is missing here, money is spent in its own days."""
    was = advance(account, quota, now)
    day = use.spent_day if use.day == was.day else 0
    month = use.spent_month if use.month == was.month else 0
    return was._replace(
        requests=min(was.requests + use.requests, quota.requests * UNITS),
        tokens=min(was.tokens + use.tokens, 2 * quota.tokens * UNITS),
        spent_day=min(was.spent_day + day, MOST_NANO_USD),
        spent_month=min(was.spent_month + month, MOST_NANO_USD),
    )


def spent_at_least(account: Account, quota: Quota, now: Moment, day: int, month: int) -> Account:
    """Raises what was spent this day and month to what the books say (nano-USD); a repeat changes nothing."""
    was = advance(account, quota, now)
    return was._replace(
        spent_day=min(max(was.spent_day, day), MOST_NANO_USD),
        spent_month=min(max(was.spent_month, month), MOST_NANO_USD),
    )
