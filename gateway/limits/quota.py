"""Between the words of the house and the units of the law: limits in, refusals and allowances out."""

from collections.abc import Sequence

from gateway.domain.errors import LimitError, QuotaViolation, Reason
from gateway.domain.tenant import TenantLimits
from gateway.limits import Allowance, ScopeKind
from gateway.limits.admission import Refusal
from gateway.limits.bucket import (
    MOST_NANO_USD,
    MOST_PER_MINUTE,
    Account,
    Cost,
    Decision,
    Dimension,
    Moment,
    Quota,
    examine,
)

NANO = 1_000_000_000
_MONEY = (Dimension.DAY, Dimension.MONTH)


def quota_of(limits: TenantLimits) -> Quota:
    """The limits of a tenant in the units of the law; what is negative is no limit, like 0."""
    return Quota(
        min(max(limits.requests_per_minute, 0), MOST_PER_MINUTE),
        min(max(limits.tokens_per_minute, 0), MOST_PER_MINUTE),
        max(limits.concurrent_streams, 0),
        _nano(limits.usd_per_day),
        _nano(limits.usd_per_month),
    )


def refusal(refusals: Sequence[Refusal]) -> LimitError:
    """The error for the dimensions that refused, told by the one that matters most.

    Money comes first, then what no waiting helps; otherwise the caller is told to wait until every one of them
    would admit the same turn.
    """
    chosen = min(refusals, key=lambda refused: _rank(refused.decision))
    first, whose = chosen.decision, _whose(chosen.label)
    quotas = tuple(QuotaViolation(refused.label, _violation(refused.decision)) for refused in refusals)
    facts = {
        "scope": chosen.label,
        "dimension": first.dimension.value,
        "limit": str(first.limit),
        "remaining": str(first.remaining),
    }
    if first.dimension in _MONEY:
        facts["resets_in"] = _seconds(first.reset_ms)
        return LimitError(Reason.BUDGET_EXHAUSTED, _money_message(first, whose), facts=facts, quotas=quotas)
    waits = [r.decision.retry_after_ms for r in refusals if r.decision.retry_after_ms is not None]
    if first.retry_after_ms is None:
        return LimitError(Reason.RATE_LIMITED, _never_message(first, whose), facts=facts, quotas=quotas)
    retry_after_ms = max(waits)
    facts["retry_after"] = _seconds(retry_after_ms)
    return LimitError(
        Reason.RATE_LIMITED,
        _wait_message(first, whose, retry_after_ms),
        facts=facts,
        retry_after_s=retry_after_ms / 1000,
        quotas=quotas,
    )


def allowances(label: str, account: Account, quota: Quota, now: Moment) -> tuple[Allowance, ...]:
    """Every limit of one scope as it stands, in the order of the configuration."""
    order = list(Dimension)
    held = {
        Dimension.TOKENS: account.held_tokens,
        Dimension.STREAMS: account.streams,
        Dimension.DAY: account.held_nano_usd,
        Dimension.MONTH: account.held_nano_usd,
    }
    decisions = sorted(examine(account, quota, now, Cost(0, 0)), key=lambda d: order.index(d.dimension))
    return tuple(
        Allowance(
            dimension=d.dimension.value,
            scope=label,
            limit=d.limit,
            remaining=d.remaining,
            held=held.get(d.dimension, 0),
            resets_in_s=d.reset_ms / 1000,
        )
        for d in decisions
    )


def _whose(label: str) -> str:
    """The tenant is the caller's own and needs no name."""
    kind, _, name = label.partition(":")
    return "the tenant" if kind == ScopeKind.TENANT else f"the {kind} {name}"


def _nano(usd: float) -> int:
    return min(max(round(usd * NANO), 0), MOST_NANO_USD)


def _rank(decision: Decision) -> tuple[bool, bool, int]:
    wait = decision.retry_after_ms
    return decision.dimension not in _MONEY, wait is not None, -(wait or 0)


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".")


def _usd(nano_usd: int) -> str:
    """Exact: something is never shown as nothing."""
    whole, nano = divmod(nano_usd, NANO)
    return f"{whole}.{nano:09d}".rstrip("0").rstrip(".") + " USD"


def _amount(decision: Decision, number: int) -> str:
    if decision.dimension in _MONEY:
        return _usd(number)
    noun = {Dimension.REQUESTS: "requests", Dimension.TOKENS: "tokens"}.get(decision.dimension, "streams")
    return f"{number:,} {noun}"


def _violation(decision: Decision) -> str:
    left, limit = _amount(decision, decision.remaining), _amount(decision, decision.limit)
    return f"{decision.dimension.value}: {left} left of {limit}, {_amount(decision, decision.wanted)} needed"


def _wait_message(decision: Decision, whose: str, retry_after_ms: int) -> str:
    wait = _seconds(retry_after_ms)
    if decision.dimension is Dimension.STREAMS:
        return f"All {decision.limit:,} concurrent streams of {whose} are in use: end one, or retry in {wait} s."
    return f"The limit of {whose} is met ({_violation(decision)}): retry in {wait} s."


def _never_message(decision: Decision, whose: str) -> str:
    return (
        f"This turn may use up to {_amount(decision, decision.wanted)} (prompt and max_tokens), more than the "
        f"{_amount(decision, decision.limit)} that {whose} may use per minute: it can never be admitted. Lower "
        "max_tokens or shorten the prompt."
    )


def _money_message(decision: Decision, whose: str) -> str:
    span = "day" if decision.dimension is Dimension.DAY else "month"
    budget = _amount(decision, decision.limit)
    if decision.retry_after_ms is None:
        return (
            f"This turn may cost up to {_usd(decision.wanted)}, more than the whole budget of {budget} "
            f"per {span} of {whose}: it can never be admitted. Lower max_tokens, shorten the prompt or use a "
            "cheaper model."
        )
    return (
        f"The budget of {whose}, {budget} per {span} (UTC), has {_usd(decision.remaining)} left and this turn may "
        f"cost up to {_usd(decision.wanted)}: lower max_tokens, or ask the operator for a higher budget; "
        f"it renews in {_seconds(decision.reset_ms)} s."
    )
