"""What a worker may admit alone while the shared counters are away (pure).

Rates stay below what was agreed, because nobody knows what the other workers admit: each takes half of its part.
Money has a cushion for the whole fleet and is closed after it.
"""

from gateway.domain.errors import LimitError
from gateway.domain.tenant import TenantLimits
from gateway.limits import Scope

SHARE = 0.5
MONTHLY_SHARE = 0.01
MOST_CUSHION_USD = 5.0
_NANO = 1_000_000_000


def alone(limits: TenantLimits, workers: int) -> TenantLimits:
    """The limits of one of `workers` workers. A limit never becomes none: one request, token or stream stays."""
    cushion = cushion_usd(limits) / workers
    return TenantLimits(
        requests_per_minute=_part(limits.requests_per_minute, workers),
        tokens_per_minute=_part(limits.tokens_per_minute, workers),
        concurrent_streams=_part(limits.concurrent_streams, workers),
        usd_per_day=max(cushion, 1 / _NANO) if cushion else 0.0,
        usd_per_month=0.0,
    )


def scope_alone(scope: Scope, workers: int) -> Scope:
    """The same for a scope within a tenant."""
    return Scope(scope.kind, scope.name, alone(scope.limits, workers))


def cushion_usd(limits: TenantLimits) -> float:
    """What all workers together may spend a day without the shared counters; 0 where money is not limited."""
    monthly = limits.usd_per_month * MONTHLY_SHARE
    bounds = [bound for bound in (monthly, limits.usd_per_day) if bound > 0]
    return min(*bounds, MOST_CUSHION_USD) if bounds else 0.0


def explained(error: LimitError) -> LimitError:
    """The refusal, saying that limits are narrower for the moment."""
    return LimitError(
        error.reason,
        f"{error.message} Limits are narrower for the moment, because the shared counters cannot be reached.",
        facts={**error.facts, "counters": "local"},
        retry_after_s=error.retry_after_s,
        quotas=error.quotas,
    )


def _part(limit: int, workers: int) -> int:
    return max(int(limit * SHARE / workers), 1) if limit > 0 else 0
