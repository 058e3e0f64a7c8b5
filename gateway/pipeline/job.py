"""One turn under way: what was decided, what has been received so far, and the receipt it will leave."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.audit import Entry
from gateway.domain.answer import Received
from gateway.domain.call import Visitor
from gateway.domain.errors import CallerError, GatewayError, Reason, UpstreamError
from gateway.domain.events import Finish, Notice, NoticeKind, SearchEvent, SearchStatus, Source, TurnEnd
from gateway.domain.receipt import Attempt, Receipt
from gateway.domain.record import TurnRecord
from gateway.domain.turn import SearchMode, Turn
from gateway.domain.usage import Usage, UsageBasis
from gateway.limits import Reservation
from gateway.limits.billing import Ending
from gateway.models import Warming
from gateway.models.catalogue import Route
from gateway.models.retry import fact_of
from gateway.pipeline.plan import Plan
from gateway.pipeline.sharing import JOINED, Sharing
from gateway.search import Findings

FINISHES = {
    Reason.CANCELLED: Finish.CANCELLED,
    Reason.DEADLINE: Finish.DEADLINE,
}
ENDINGS = {
    Reason.CANCELLED: Ending.CANCELLED,
    Reason.DEADLINE: Ending.DEADLINE,
    Reason.CLIENT_TOO_SLOW: Ending.CLIENT_TOO_SLOW,
    Reason.STREAM_INTERRUPTED: Ending.INTERRUPTED,
}


@dataclass(frozen=True, slots=True)
class SearchTimes:
    """When the search of a turn ran, and the connection that was opened meanwhile; on the performance counter."""

    begun: float
    ended: float
    warming: Warming | None = None

    @property
    def overlap_s(self) -> float:
        """How much of the connecting happened during the search; 0 where a connection was there already."""
        if self.warming is None:
            return 0.0
        ready = self.ended if self.warming.ready is None else min(self.warming.ready, self.ended)
        return max(0.0, ready - max(self.warming.begun, self.begun))


@dataclass(slots=True)
class Job:
    """The state of one turn. Moments are on the performance counter: an event loop may count in milliseconds."""

    visitor: Visitor
    turn: Turn
    plan: Plan
    receipt: Receipt
    begun: float
    route: Route
    search_mode: SearchMode
    reservation: Reservation | None = None
    findings: Findings = field(default_factory=Findings)
    evidence_tokens: int = 0
    received: Received = field(default_factory=Received)
    attempts: list[Attempt] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    searched: SearchTimes | None = None
    deciding: Usage = field(default_factory=Usage)
    asked: bool = False  # a model has its question, and the caller pays for what it read
    degraded: bool = False
    again: bool = False
    opened: bool = False
    opening: Awaitable[Receipt | None] | None = None  # of a receipt whose id others know
    entry: Entry | None = None
    first_output: float | None = None
    last_output: float = 0.0
    longest_gap_s: float = 0.0
    heard: Callable[[float], None] | None = None  # is told of the first output
    own_cost_nano_usd: int = 0
    batches: int = 0
    sharing: Sharing = field(default_factory=Sharing)

    @property
    def sources(self) -> Sequence[Source]:
        """The evidence of this turn."""
        return self.findings.sources

    @property
    def answered(self) -> bool:
        """Whether a model gave an answer, if only a part of one."""
        return self.received.output_events > 0 or self.received.finish is not None

    @property
    def calls(self) -> tuple[Attempt, ...]:
        """The calls of models that were this turn's own."""
        return tuple(attempt for attempt in self.attempts if attempt.outcome != JOINED)

    def note_output(self, now: float) -> None:
        """A batch of output has arrived."""
        self.batches += 1
        if self.first_output is None:
            self.first_output = now
            if self.heard is not None:
                self.heard(now)
        else:
            self.longest_gap_s = max(self.longest_gap_s, now - self.last_output)
        self.last_output = now

    def closed(self, failure: GatewayError | None, now: float, **bill: Any) -> Receipt:
        """The receipt of this turn, over at `now` (seconds since the epoch).

        `bill` are fields of the receipt that only its bill knows. Any: each has a type of its own.
        """
        known = {
            "finish": finish_of(failure, self.received),
            "settled_at": now,
            "reason": failure.reason if failure else "",
            "attempts": (*self.receipt.attempts, *self.calls),
            "served_by": self.route.provider.name if self.answered else "",
            "route_reason": self.route.reason,
            "degraded": self.degraded,
            "cache_level": self.sharing.level,
        }
        return replace(self.receipt, **{**known, **bill})

    def end(self, receipt: Receipt) -> TurnEnd:
        """What the caller is told of a closed receipt."""
        return TurnEnd(
            finish=receipt.finish or Finish.ERROR,
            usage=receipt.settled,
            receipt_id=receipt.receipt_id,
            degraded=receipt.degraded,
            served_by=receipt.served_by,
            model=(self.received.model or self.route.card.name) if self.answered else "",
        )

    def record(self, receipt: Receipt, now: float) -> TurnRecord:
        """What observers are told of it, over `now`."""
        return TurnRecord(
            call=self.visitor.call,
            receipt=receipt,
            model=self.route.card.name,
            duration_s=now - self.begun,
            first_output_s=None if self.first_output is None else self.first_output - self.begun,
            longest_gap_s=self.longest_gap_s,
            batches=self.batches,
            events=self.received.output_events,
            upstream_failures=tuple(self.failures),
            attempts=self.calls,
            own_cost_nano_usd=self.own_cost_nano_usd,
            search_s=self.searched.ended - self.searched.begun if self.searched else None,
            connect_overlap_s=self.searched.overlap_s if self.searched else 0.0,
        )

    def counted(self) -> Usage:
        """Our own count of what was used: the estimated prompt, and one token for each event with output."""
        is_read = self.asked or self.received.output_events > 0
        prompt = self.plan.estimated_tokens + self.evidence_tokens if is_read else 0
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=self.received.output_events,
            reasoning_tokens=self.received.reasoning_events,
            search_calls=sum(self.findings.paid.values()),
            basis=UsageBasis.COUNTED,
        )


def repeated(standing: Receipt, turn: Turn) -> CallerError:
    """Why a turn that has a receipt already is not run again."""
    facts = {"receipt_id": standing.receipt_id}
    if standing.body_sha256 != turn.body_sha256:
        return CallerError(
            Reason.IDEMPOTENCY_CONFLICT, "this turn_id was used for another request; choose a new one", facts=facts
        )
    if standing.finish is None:
        return CallerError(Reason.TURN_IN_PROGRESS, "the turn of this id is still running", facts=facts)
    return CallerError(
        Reason.TURN_SETTLED, "this turn was answered and charged; its answer is no longer kept", facts=facts
    )


def degraded(error: UpstreamError, model: str) -> Notice:
    """The answer comes from a simpler model, and why."""
    return Notice(
        NoticeKind.DEGRADED,
        f"the model could not be reached ({fact_of(error)}); {model} quotes the sources instead",
        {"reason": error.reason, "model": model},
    )


def search_notice(event: SearchEvent) -> Notice:
    """A provider failed or was left out; the answer goes on without it."""
    failed = event.status is SearchStatus.FAILED
    kind = NoticeKind.SEARCH_FAILED if failed else NoticeKind.SEARCH_SKIPPED
    verb = "failed" if failed else "was left out"
    facts = {"provider": event.provider, "detail": event.detail}
    return Notice(kind, f"the search provider {event.provider} {verb}: {event.detail}", facts)


def as_turn_failure(error: GatewayError, received: Received) -> GatewayError:
    """After the first output every failure of ours or the upstream's is an interruption, never to be retried."""
    upstream_cause = error.facts.get("upstream_cause")
    draining = error.reason is Reason.DRAINING
    if not received.output_events or not (draining or upstream_cause):
        return error
    cause = {"cause": "draining"} if draining else {"upstream_cause": str(upstream_cause)}
    return UpstreamError(
        Reason.STREAM_INTERRUPTED,
        "the answer broke off; what was delivered stands, a new turn starts over",
        facts={"delivered_tokens": str(received.output_events), **cause},
    )


def ending_of(error: GatewayError | None, received: Received) -> Ending:
    """How the turn ended, as far as its bill is concerned."""
    if error is None:
        return Ending.COMPLETE
    known = ENDINGS.get(error.reason)
    if known is not None:
        return known
    return Ending.INTERRUPTED if received.output_events else Ending.FAILED_BEFORE_OUTPUT


def finish_of(error: GatewayError | None, received: Received) -> Finish:
    """The finish that the caller and the receipt are told."""
    if error is None:
        return received.finish or Finish.ERROR
    return FINISHES.get(error.reason, Finish.ERROR)
