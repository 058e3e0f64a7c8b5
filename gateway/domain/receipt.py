"""The receipt of one turn: what was held, what was charged, who answered and why it ended."""

from dataclasses import dataclass, field

from gateway.domain.events import Finish
from gateway.domain.usage import Usage

DECIDED, UNDECIDED = "search_decided", "search_undecided"
"""The outcomes of a call that was no try to answer: it was to say whether and how to search."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to one upstream, answered or not; `took_s` in seconds, `outcome` one word."""

    upstream: str
    model: str
    outcome: str
    usage: Usage
    took_s: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """Exactly one per turn. Open (`finish` None, `settled_at` 0) from reserve, closed once.

    Times are seconds since the epoch. `(tenant, session_id, turn_id)` is unique;
    `body_sha256` tells a repeat from a conflict. `reservation_id` is the id under which the limiter holds what is
    reserved, empty where that is the receipt's own.
    """

    receipt_id: str
    tenant: str
    subject: str
    session_id: str
    turn_id: str
    body_sha256: bytes
    request_id: str
    model: str
    reserved: Usage
    created: float
    settled: Usage = field(default_factory=Usage)
    finish: Finish | None = None
    settled_at: float = 0.0
    reason: str = ""
    attempts: tuple[Attempt, ...] = ()
    price_entry: str = ""
    peak_price: bool = False
    served_by: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    route_reason: str = ""
    broken_stream_policy: str = ""
    degraded: bool = False
    cache_level: str = ""
    reservation_id: str = ""

    @property
    def may_run_again(self) -> bool:
        """Whether the turn failed before it said or cost anything: under its own id it may be tried once more."""
        answering = (a for a in self.attempts if a.outcome not in (DECIDED, UNDECIDED))
        said = self.settled.completion_tokens or any(a.usage.completion_tokens for a in answering)
        return self.finish is Finish.ERROR and not (said or self.settled.cost_nano_usd)
