"""Every metric of the gateway, on one page. No tenant in a label: series stay bounded however many there are."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from gateway.domain.errors import Reason
from gateway.domain.record import TurnRecord

FIRST_OUTPUT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
GAP_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
DURATION_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
NANO = 1e-9

disable_created_metrics()  # a time of creation for each series doubles the page and says nothing


class Metrics:
    """Counts turns and refusals; `page` is what Prometheus scrapes."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._turns = Counter(
            "gateway_turns_total",
            "Turns that ended, by model, how they finished and the reason of a failure",
            ("model", "finish", "reason"),
            registry=registry,
        )
        self._active = Gauge("gateway_active_turns", "Turns that are running now", registry=registry)
        self._first_output = Histogram(
            "gateway_time_to_first_output_seconds",
            "From the turn's admission to the first model output",
            ("model",),
            buckets=FIRST_OUTPUT_S,
            registry=registry,
        )
        self._gap = Histogram(
            "gateway_longest_gap_seconds",
            "The longest wait between two batches of output within one turn",
            ("model",),
            buckets=GAP_S,
            registry=registry,
        )
        self._duration = Histogram(
            "gateway_turn_seconds",
            "From the turn's admission to its settlement",
            ("model",),
            buckets=DURATION_S,
            registry=registry,
        )
        self._events = Counter(
            "gateway_upstream_events_total", "Upstream events with output", ("model",), registry=registry
        )
        self._batches = Counter(
            "gateway_output_batches_total",
            "Batches those events arrived in",
            ("model",),
            registry=registry,
        )
        self._upstream_errors = Counter(
            "gateway_upstream_errors_total",
            "Calls to a model provider that failed",
            ("reason",),
            registry=registry,
        )
        self._tokens = Counter(
            "gateway_tokens_total",
            "Tokens charged, by kind",
            ("model", "kind"),
            registry=registry,
        )
        self._cost = Counter(
            "gateway_cost_usd_total", "What tenants were charged, in USD", ("model",), registry=registry
        )
        self._searches = Counter("gateway_search_calls_total", "Search calls of turns", registry=registry)
        self._degraded = Counter(
            "gateway_degraded_turns_total", "Turns answered by the degraded tier", registry=registry
        )
        self._refused = Counter(
            "gateway_refused_calls_total",
            "Calls refused before a turn began",
            ("method", "reason"),
            registry=registry,
        )
        self._bugs = Counter(
            "gateway_internal_errors_total", "Calls that ended INTERNAL", ("method",), registry=registry
        )

    def began(self) -> None:
        """A turn was let in."""
        self._active.inc()

    def ended(self, record: TurnRecord) -> None:
        """A turn is settled."""
        receipt, used = record.receipt, record.receipt.settled
        model = record.model
        self._active.dec()
        finish = receipt.finish.name.lower() if receipt.finish else "open"
        self._turns.labels(model, finish, receipt.reason).inc()
        self._duration.labels(model).observe(record.duration_s)
        if record.first_output_s is not None:
            self._first_output.labels(model).observe(record.first_output_s)
            self._gap.labels(model).observe(record.longest_gap_s)
        self._events.labels(model).inc(record.events)
        self._batches.labels(model).inc(record.batches)
        for reason in record.upstream_failures:
            self._upstream_errors.labels(reason).inc()
        self._count_usage(model, used.prompt_tokens - used.cached_prompt_tokens, "prompt")
        self._count_usage(model, used.cached_prompt_tokens, "cached_prompt")
        self._count_usage(model, used.completion_tokens - used.reasoning_tokens, "completion")
        self._count_usage(model, used.reasoning_tokens, "reasoning")
        self._cost.labels(model).inc(used.cost_nano_usd * NANO)
        self._searches.inc(used.search_calls)
        if receipt.degraded:
            self._degraded.inc()

    def refused(self, method: str, reason: Reason) -> None:
        """A call was refused before its turn began."""
        self._refused.labels(method, reason).inc()

    def broke(self, method: str) -> None:
        """A bug ended a call."""
        self._bugs.labels(method).inc()

    def page(self) -> bytes:
        """The text exposition of everything."""
        return generate_latest(self._registry)

    def _count_usage(self, model: str, amount: int, kind: str) -> None:
        if amount > 0:
            self._tokens.labels(model, kind).inc(amount)
