"""The law of limits: what one admission or settlement does to the account of one tenant.

Whole numbers only, every one of them below 2**53, so that a twin in a language whose numbers are doubles (Lua in
Redis) computes the same results:

* A bucket is stored as what is *missing* from it, in 1/60,000 of a request or token. A limit of L per minute then
  refills exactly L of these units per millisecond, with no division and no rounding. Zero is a full bucket, so a
  tenant that was never seen is all zeros. The burst is one minute's worth: L * 60,000 units.
* What is missing may reach two bursts: the bucket is then one burst in debt. More is forgiven.
* Divisions happen only in answers (`ceil(missing / L)` milliseconds); a double gives the same there, because
  numerator and quotient are below 2**53.
* Money is in nano-USD. 2**53 of them are 9.007 million USD: budgets and spending stop counting at 8 million, and
  one turn at 1,000, which leaves room for a thousand such turns at once.
* Days are days of the epoch (UTC), months are year * 12 + month - 1.

Time has two readings: `ticks_ms` refills buckets and `epoch_ms` tells the calendar day. Either may jump. The
account keeps the latest of each: a clock that goes back refills nothing until it has caught up, and never opens a
day twice.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

UNITS = 60_000
"""Units in one request or token: the milliseconds of a minute."""

REFILL_MS = 120_000
"""From one burst of debt to full."""

MOST_PER_MINUTE = 10_000_000_000
MOST_NANO_USD = 8_000_000_000_000_000
MOST_TURN_NANO_USD = 1_000_000_000_000
DAY_MS = 86_400_000
STREAM_RETRY_MS = 1_000
"""Nobody knows when a stream will end: look again after this."""


class Dimension(StrEnum):
    """What is limited; the words of the configuration."""

    REQUESTS = "requests_per_minute"
    TOKENS = "tokens_per_minute"
    STREAMS = "concurrent_streams"
    DAY = "usd_per_day"
    MONTH = "usd_per_month"


class Moment(NamedTuple):
    """Now: milliseconds of a clock that is not set back (best), and milliseconds since the epoch."""

    ticks_ms: int
    epoch_ms: int


class Quota(NamedTuple):
    """The limits of one tenant in the units of the law; 0 = no limit of that kind. Money in nano-USD."""

    requests: int
    tokens: int
    streams: int
    day: int
    month: int


class Cost(NamedTuple):
    """What one turn may use at most, or has used. Every turn is also one request and one stream."""

    tokens: int
    nano_usd: int


class Account(NamedTuple):
    """One tenant's state. `requests` and `tokens` are missing units; money in nano-USD; all zeros = untouched.

    A tuple because two are made per turn, at a third of the cost of a frozen dataclass.
    """

    at_ms: int = 0
    requests: int = 0
    tokens: int = 0
    held_tokens: int = 0
    streams: int = 0
    held_nano_usd: int = 0
    day: int = 0
    spent_day: int = 0
    month: int = 0
    spent_month: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What the law says about one dimension.

    `remaining` is what is left before the turn, never below 0. `retry_after_ms` is None when waiting alone never
    helps: the turn is larger than the limit itself. `reset_ms` is the time until the limit is whole again.
    """

    dimension: Dimension
    allowed: bool
    limit: int
    remaining: int
    wanted: int
    retry_after_ms: int | None
    reset_ms: int


def admit(account: Account, quota: Quota, now: Moment, cost: Cost) -> tuple[Account, tuple[Decision, ...]]:
    """Holds `cost` in every dimension, or in none.

    Returns the new account and no decision, or the account as it was (brought up to now) and one decision for each
    dimension that refuses.
    """
    was = advance(account, quota, now)
    tokens, nano_usd = sane(cost)
    missing_requests = was.requests + UNITS if quota.requests else 0
    missing_tokens = was.tokens + tokens * UNITS if quota.tokens else 0
    committed = was.held_nano_usd + nano_usd
    if (
        missing_requests > quota.requests * UNITS
        or missing_tokens > quota.tokens * UNITS
        or (quota.streams and was.streams >= quota.streams)
        or (quota.day and was.spent_day + committed > quota.day)
        or (quota.month and was.spent_month + committed > quota.month)
    ):
        return was, tuple(d for d in examine(was, quota, now, Cost(tokens, nano_usd)) if not d.allowed)
    return (
        Account(
            was.at_ms,
            missing_requests,
            missing_tokens,
            was.held_tokens + tokens,
            was.streams + 1,
            committed,
            was.day,
            was.spent_day,
            was.month,
            was.spent_month,
        ),
        (),
    )


def settle(account: Account, quota: Quota, now: Moment, hold: Cost, used: Cost) -> Account:
    """Ends one turn: gives back what was held and not used, books what was used beyond it as debt."""
    was = advance(account, quota, now)
    held_tokens, held_nano = sane(hold)
    tokens, nano_usd = sane(used)
    missing = was.tokens + (tokens - held_tokens) * UNITS
    return Account(
        was.at_ms,
        was.requests,
        min(max(missing, 0), 2 * quota.tokens * UNITS),
        max(was.held_tokens - held_tokens, 0),
        max(was.streams - 1, 0),
        max(was.held_nano_usd - held_nano, 0),
        was.day,
        min(was.spent_day + nano_usd, MOST_NANO_USD),
        was.month,
        min(was.spent_month + nano_usd, MOST_NANO_USD),
    )


def expire(account: Account, hold: Cost) -> Account:
    """Gives up a turn that nobody settled: stream and money are free again, its tokens have refilled."""
    tokens, nano_usd = sane(hold)
    return account._replace(
        streams=max(account.streams - 1, 0),
        held_tokens=max(account.held_tokens - tokens, 0),
        held_nano_usd=max(account.held_nano_usd - nano_usd, 0),
    )


def settle_late(account: Account, quota: Quota, now: Moment, hold: Cost, used: Cost) -> Account:
    """Books a turn that was given up before: nothing is held any more, so there is nothing to give back."""
    was = advance(account, quota, now)
    beyond = max(sane(used)[0] - sane(hold)[0], 0) * UNITS
    nano_usd = sane(used)[1]
    return was._replace(
        tokens=min(was.tokens + beyond, 2 * quota.tokens * UNITS),
        spent_day=min(was.spent_day + nano_usd, MOST_NANO_USD),
        spent_month=min(was.spent_month + nano_usd, MOST_NANO_USD),
    )


def advance(account: Account, quota: Quota, now: Moment) -> Account:
    """The account as it stands now: buckets refilled, spending of past days and months dropped."""
    at_ms, requests, tokens, held_tokens, streams, held_nano_usd, day, spent_day, month, spent_month = account
    ticks_ms, epoch_ms = now
    today = epoch_ms // DAY_MS
    if ticks_ms <= at_ms and today <= day:
        return account
    if ticks_ms > at_ms:
        elapsed = ticks_ms - at_ms if ticks_ms - at_ms < REFILL_MS else REFILL_MS
        at_ms = ticks_ms
        if requests:
            requests = _refilled(requests, quota.requests, elapsed)
        if tokens:
            tokens = _refilled(tokens, quota.tokens, elapsed)
    if today > day:
        this_month = month_of(today)
        if this_month > month:
            month, spent_month = this_month, 0
        day, spent_day = today, 0
    return Account(
        at_ms, requests, tokens, held_tokens, streams, held_nano_usd, day, spent_day, month, spent_month
    )


def examine(account: Account, quota: Quota, now: Moment, cost: Cost) -> tuple[Decision, ...]:
    """One decision for each limit the tenant has, for an account that was brought up to now."""
    late = account.at_ms - now.ticks_ms  # above 0 while a clock that went back catches up
    found = []
    if quota.month:
        spent = account.spent_month + account.held_nano_usd
        until = _month_end_ms(account.month) - now.epoch_ms
        found.append(_window(Dimension.MONTH, quota.month, spent, cost.nano_usd, until))
    if quota.day:
        spent = account.spent_day + account.held_nano_usd
        until = (account.day + 1) * DAY_MS - now.epoch_ms
        found.append(_window(Dimension.DAY, quota.day, spent, cost.nano_usd, until))
    if quota.tokens:
        found.append(_bucket(Dimension.TOKENS, quota.tokens, account.tokens, cost.tokens, late))
    if quota.requests:
        found.append(_bucket(Dimension.REQUESTS, quota.requests, account.requests, 1, late))
    if quota.streams:
        free = max(quota.streams - account.streams, 0)
        wait = 0 if free else STREAM_RETRY_MS
        found.append(Decision(Dimension.STREAMS, free > 0, quota.streams, free, 1, wait, wait))
    return tuple(found)


def sane(cost: Cost) -> tuple[int, int]:
    """The amounts of a cost, never below zero, and small enough that no sum leaves 2**53."""
    tokens, nano_usd = cost
    if 0 <= tokens <= MOST_PER_MINUTE and 0 <= nano_usd <= MOST_TURN_NANO_USD:
        return cost
    return min(max(tokens, 0), MOST_PER_MINUTE), min(max(nano_usd, 0), MOST_TURN_NANO_USD)


def month_of(day: int) -> int:
    """Year * 12 + month - 1 of a day of the epoch, in the proleptic Gregorian calendar.

    Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (civil_from_days), in whole numbers.
    """
    shifted = day + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    from_march = (5 * of_year + 2) // 153
    return (year_of_era + era * 400) * 12 + from_march + 2


def _refilled(missing: int, limit: int, elapsed_ms: int) -> int:
    """A limit that was lowered forgives what is missing beyond two bursts of the new one."""
    return max(min(missing, 2 * limit * UNITS) - elapsed_ms * limit, 0)


def _bucket(dimension: Dimension, limit: int, missing: int, wanted: int, late_ms: int) -> Decision:
    burst = limit * UNITS
    short = missing + wanted * UNITS - burst
    wait: int | None = 0
    if wanted > limit:
        wait = None
    elif short > 0:
        wait = -(-short // limit) + late_ms
    reset = -(-missing // limit) + late_ms if missing else 0
    return Decision(dimension, short <= 0, limit, max(burst - missing, 0) // UNITS, wanted, wait, reset)


def _window(dimension: Dimension, limit: int, committed: int, wanted: int, until_ms: int) -> Decision:
    fits = committed + wanted <= limit
    wait = 0 if fits else None if wanted > limit else until_ms
    return Decision(dimension, fits, limit, max(limit - committed, 0), wanted, wait, until_ms)


def _month_end_ms(month: int) -> int:
    """The first millisecond of the month after `month`."""
    year, index = divmod(month + 1, 12)
    years = year - (1 if index < 2 else 0)
    of_year = (153 * ((index + 10) % 12) + 2) // 5
    of_era = years % 400 * 365 + years % 400 // 4 - years % 400 // 100 + of_year
    return (years // 400 * 146_097 + of_era - 719_468) * DAY_MS
