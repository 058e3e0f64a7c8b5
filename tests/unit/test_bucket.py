"""The law of limits, checked against the clock, the calendar and its own promises."""

import datetime

from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.bucket import (
    DAY_MS,
    MOST_NANO_USD,
    MOST_PER_MINUTE,
    UNITS,
    Account,
    Cost,
    Dimension,
    Moment,
    Quota,
    admit,
    advance,
    examine,
    expire,
    month_of,
    settle,
    settle_late,
)

EXACT = 2**53
NOON = 1_764_000_000_000
OPEN = Quota(requests=0, tokens=0, streams=0, day=0, month=0)


def at(ms: int) -> Moment:
    """A moment `ms` after noon on both clocks."""
    return Moment(NOON + ms, NOON + ms)


def take(account: Account, quota: Quota, ms: int, tokens: int = 0, nano_usd: int = 0) -> Account:
    """An admission that must succeed."""
    after, refused = admit(account, quota, at(ms), Cost(tokens, nano_usd))
    assert not refused
    return after


def refused_by(account: Account, quota: Quota, ms: int, tokens: int = 0, nano_usd: int = 0) -> set[Dimension]:
    """The dimensions that refuse this turn."""
    after, refused = admit(account, quota, at(ms), Cost(tokens, nano_usd))
    assert after == advance(account, quota, at(ms))
    return {decision.dimension for decision in refused}


def test_a_tenant_never_seen_has_a_whole_minute_of_everything() -> None:
    """The burst is the limit: all of it at once, and not one more."""
    quota = OPEN._replace(requests=3, tokens=100)
    account = take(take(take(Account(), quota, 0, 60), quota, 0, 40), quota, 0)
    assert refused_by(account, quota, 0, 1) == {Dimension.REQUESTS, Dimension.TOKENS}


def test_a_limit_refills_evenly_over_a_minute() -> None:
    """600 per minute is one every 100 ms, to the millisecond."""
    quota = OPEN._replace(requests=600)
    account = Account(at_ms=NOON, requests=600 * UNITS)
    assert refused_by(account, quota, 99) == {Dimension.REQUESTS}
    take(account, quota, 100)


def test_a_refusal_names_the_wait_that_suffices() -> None:
    """After `retry_after_ms` the same turn is admitted, one millisecond earlier it is not."""
    quota = OPEN._replace(tokens=7_000)
    account = take(Account(), quota, 0, 6_500)
    _, (decision,) = admit(account, quota, at(13), Cost(1_234, 0))
    wait = decision.retry_after_ms
    assert wait is not None
    assert refused_by(account, quota, 13 + wait - 1, 1_234)
    take(account, quota, 13 + wait, 1_234)


def test_a_turn_larger_than_the_limit_is_never_promised_a_retry() -> None:
    """No waiting fills a bucket beyond its size."""
    quota = OPEN._replace(tokens=100, day=50)
    _, refused = admit(Account(), quota, at(0), Cost(101, 51))
    assert {d.dimension: d.retry_after_ms for d in refused} == {Dimension.TOKENS: None, Dimension.DAY: None}


def test_a_refusal_on_money_takes_no_request() -> None:
    """Q-4: all or nothing over every dimension."""
    quota = Quota(requests=10, tokens=1_000, streams=5, day=100, month=100)
    account = take(Account(), quota, 0, 10, 90)
    after, refused = admit(account, quota, at(0), Cost(10, 20))
    assert [d.dimension for d in refused] == [Dimension.MONTH, Dimension.DAY]
    assert after == account


def test_what_was_not_used_is_given_back() -> None:
    """Held 1,000, used 100: 900 tokens and all the money are free again."""
    quota = Quota(requests=10, tokens=1_000, streams=1, day=100, month=100)
    account = take(Account(), quota, 0, 1_000, 100)
    after = settle(account, quota, at(0), Cost(1_000, 100), Cost(100, 7))
    assert (after.tokens, after.held_tokens, after.streams, after.held_nano_usd) == (100 * UNITS, 0, 0, 0)
    assert (after.spent_day, after.spent_month) == (7, 7)


def test_what_was_used_beyond_the_hold_is_a_debt_of_at_most_one_burst() -> None:
    """Q-3: the debt is booked, the bucket stops at one burst below empty."""
    quota = OPEN._replace(tokens=100)
    account = take(Account(), quota, 0, 100)
    assert settle(account, quota, at(0), Cost(100, 0), Cost(150, 0)).tokens == 150 * UNITS
    assert settle(account, quota, at(0), Cost(100, 0), Cost(10**9, 0)).tokens == 200 * UNITS


def test_a_clock_that_goes_back_gives_nothing() -> None:
    """P-6: neither tokens nor a second budget for a day, and not when it comes back either."""
    quota = Quota(requests=60, tokens=60, streams=0, day=10, month=10)
    empty = settle(take(Account(), quota, 0, 60, 10), quota, at(0), Cost(60, 10), Cost(60, 10))
    for ms in (-1, -3_600_000, -DAY_MS, -40 * DAY_MS, 0):
        empty = advance(empty, quota, at(ms))
        assert (empty.tokens, empty.spent_day, empty.spent_month) == (60 * UNITS, 10, 10)
    _, refused = admit(empty, quota._replace(day=0, month=0), at(-5_000), Cost(1, 0))
    assert [d.retry_after_ms for d in refused] == [6_000]


def test_a_new_day_opens_the_daily_budget_and_a_new_month_both() -> None:
    """Windows are UTC days and months; what is held stays held."""
    quota = OPEN._replace(day=10, month=100)
    day_one = datetime.datetime(2026, 11, 30, 23, 59, 59, tzinfo=datetime.UTC).timestamp()
    night = int(day_one * 1000)
    account = advance(Account(), quota, Moment(0, night - DAY_MS))._replace(
        spent_day=9, spent_month=30, held_nano_usd=4
    )
    same = advance(account, quota, Moment(0, night))
    assert (same.spent_day, same.spent_month, same.held_nano_usd) == (0, 30, 4)
    later = advance(account, quota, Moment(0, night + 1_000))
    assert (later.spent_day, later.spent_month, later.held_nano_usd) == (0, 0, 4)


def test_a_budget_says_when_it_renews() -> None:
    """`reset_ms` counts to midnight UTC and to the first of the next month."""
    moment = Moment(0, int(datetime.datetime(2026, 12, 30, 18, tzinfo=datetime.UTC).timestamp() * 1000))
    quota = OPEN._replace(day=5, month=5)
    decisions = examine(advance(Account(), quota, moment), quota, moment, Cost(0, 0))
    assert {d.dimension: d.reset_ms // 3_600_000 for d in decisions} == {Dimension.DAY: 6, Dimension.MONTH: 30}


def test_months_agree_with_the_calendar() -> None:
    """`month_of` is the calendar's month for every day of two centuries."""
    epoch = datetime.date(1970, 1, 1)
    for day in range(73_000):
        date = epoch + datetime.timedelta(days=day)
        assert month_of(day) == date.year * 12 + date.month - 1


def test_a_turn_that_was_given_up_frees_its_stream_and_is_booked_when_it_comes_late() -> None:
    """Q-3, late: the money is spent then, nothing is given back twice."""
    quota = Quota(requests=10, tokens=1_000, streams=1, day=100, month=100)
    account = expire(take(Account(), quota, 0, 1_000, 60), Cost(1_000, 60))
    assert (account.streams, account.held_nano_usd) == (0, 0)
    late = settle_late(account, quota, at(0), Cost(1_000, 60), Cost(400, 20))
    assert (late.tokens, late.spent_day, late.streams) == (1_000 * UNITS, 20, 0)


def test_nonsense_never_makes_a_negative_charge() -> None:
    """B-3: negative usage is zero, absurd usage stays below 2**53."""
    quota = Quota(requests=1, tokens=1_000, streams=0, day=0, month=0)
    account = take(Account(), quota, 0, 10, 10)
    assert settle(account, quota, at(0), Cost(10, 10), Cost(-5, -5)).spent_day == 0
    absurd = settle(account, quota, at(0), Cost(10, 10), Cost(10**18, 10**18))
    assert max(absurd) < EXACT


LIMITS = st.one_of(st.just(0), st.integers(1, 50), st.integers(1, MOST_PER_MINUTE))
MONEY = st.one_of(st.just(0), st.integers(1, 1_000), st.integers(1, MOST_NANO_USD))
QUOTAS = st.builds(Quota, LIMITS, LIMITS, st.integers(0, 4), MONEY, MONEY)
COSTS = st.builds(
    Cost, st.integers(-5, 200) | st.integers(0, 2**60), st.integers(-5, 2_000) | st.integers(0, 2**60)
)
STEPS = st.lists(st.tuples(st.integers(-200_000, 200_000), COSTS, COSTS, st.booleans()), max_size=40)


@given(QUOTAS, STEPS)
def test_every_number_stays_exact_and_within_its_bounds(quota: Quota, steps: list) -> None:
    """Whatever happens in whatever order: nothing negative, nothing above two bursts, all below 2**53."""
    account, ms, held = Account(), 0, []
    for step, hold, used, ends in steps:
        ms += step
        if ends and held:
            account = settle(account, quota, at(ms), held.pop(), used)
        else:
            account, refused = admit(account, quota, at(ms), hold)
            if not refused:
                held.append(hold)
        assert all(0 <= number < EXACT for number in account)
        assert account.requests <= quota.requests * UNITS
        assert account.tokens <= 2 * quota.tokens * UNITS
        assert account.streams == len(held)
    for hold in held:
        account = settle(account, quota, at(ms), hold, Cost(0, 0))
    assert (account.streams, account.held_tokens, account.held_nano_usd) == (0, 0, 0)


@given(st.integers(1, 1_000), st.lists(st.tuples(st.integers(-90_000, 90_000), st.integers(0, 400)), max_size=60))
def test_tokens_are_never_created(limit: int, turns: list) -> None:
    """What is admitted never exceeds one burst plus the refill of the time by which the clock's best moved."""
    quota = OPEN._replace(tokens=limit)
    account, ms, taken = Account(at_ms=NOON), 0, 0
    latest = 0
    for step, tokens in turns:
        ms += step
        latest = max(latest, ms)
        account, refused = admit(account, quota, at(ms), Cost(tokens, 0))
        taken += 0 if refused else tokens
        assert taken * UNITS <= limit * UNITS + latest * limit


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=30), st.integers(1, 2_000))
def test_money_is_conserved(turns: list, budget: int) -> None:
    """What is spent is the sum of what was used, and held plus spent never passes the budget at an admission."""
    quota = OPEN._replace(day=budget)
    account, spent = advance(Account(), quota, at(0)), 0
    for hold, used in turns:
        account, refused = admit(account, quota, at(0), Cost(0, hold))
        if refused:
            continue
        assert account.spent_day + account.held_nano_usd <= budget
        account = settle(account, quota, at(0), Cost(0, hold), Cost(0, used))
        spent += used
        assert (account.spent_day, account.held_nano_usd) == (spent, 0)


@given(QUOTAS, QUOTAS, COSTS, COSTS)
def test_a_changed_limit_holds_at_once(old: Quota, new: Quota, first: Cost, second: Cost) -> None:
    """Raised, lowered, switched on or off: the next admission obeys the new limit."""
    account, _ = admit(Account(), old, at(0), first)
    account, refused = admit(account, new, at(0), second)
    if not refused and new.tokens:
        assert account.tokens <= new.tokens * UNITS
    if not refused and new.requests:
        assert account.requests <= new.requests * UNITS


@given(LIMITS.filter(bool), st.integers(1, 2**40), st.integers(0, 3_000))
def test_doubles_give_the_same_answers(limit: int, tokens: int, elapsed: int) -> None:
    """The twin's arithmetic: every operation of the law done on doubles is exact."""
    quota = OPEN._replace(tokens=limit)
    start = Account(at_ms=NOON, tokens=limit * UNITS)
    decision = examine(advance(start, quota, at(elapsed)), quota, at(elapsed), Cost(min(tokens, limit), 0))[0]
    missing = max(float(limit) * float(UNITS) - float(elapsed) * float(limit), 0.0)
    short = missing + float(min(tokens, limit)) * float(UNITS) - float(limit) * float(UNITS)
    quotient = short / float(limit)
    ceiling = int(quotient) + (1 if quotient > int(quotient) else 0)
    assert decision.retry_after_ms == (ceiling if short > 0 else 0)
