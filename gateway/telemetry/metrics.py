"""Every metric of the gateway, on one page. No tenant in a label: series stay bounded however many there are."""

from functools import partial

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
from gateway.telemetry.audit import AuditMetrics
from gateway.telemetry.books import BooksMetrics
from gateway.telemetry.cache import CacheMetrics
from gateway.telemetry.limits import LimitMetrics
from gateway.telemetry.load import LoadMetrics
from gateway.telemetry.upstreams import UpstreamMetrics

FIRST_OUTPUT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
GAP_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
DURATION_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
NANO = 1e-9

# A time of creation for each series doubles the page and says nothing.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves this one function untyped


class Metrics:
    """Counts turns and refusals; `page` is what Prometheus scrapes."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        counter = partial(Counter, registry=self._registry)
        gauge = partial(Gauge, registry=self._registry)
        histogram = partial(Histogram, labelnames=("model",), registry=self._registry)
        model = ("model",)

        self.audit = AuditMetrics(self._registry)
        self.limits = LimitMetrics(self._registry)
        self.cache = CacheMetrics(self._registry)
        self.books = BooksMetrics(self._registry)
        self.load = LoadMetrics(self._registry)
        self.upstreams = UpstreamMetrics(self._registry)
        # Turns
        self._turns = counter(
            "gateway_turns_total", "Turns that ended; reason says why one failed", ("model", "finish", "reason")
        )
        self._active = gauge("gateway_active_turns", "Turns that are running now")
        self._duration = histogram("gateway_turn_seconds", "From admission to settlement", buckets=DURATION_S)
        self._degraded = counter("gateway_degraded_turns_total", "Turns answered by the degraded tier")
        # How an answer feels
        self._first_output = histogram(
            "gateway_time_to_first_output_seconds", "From admission to the first output", buckets=FIRST_OUTPUT_S
        )
        self._gap = histogram(
            "gateway_longest_gap_seconds", "The longest wait between two batches of one turn", buckets=GAP_S
        )
        self._events = counter("gateway_upstream_events_total", "Upstream events with output", model)
        self._batches = counter("gateway_output_batches_total", "Batches those events arrived in", model)
        # What it cost
        self._tokens = counter("gateway_tokens_total", "Tokens charged, by kind", ("model", "kind"))
        self._cost = counter("gateway_cost_usd_total", "What tenants were charged, in USD", model)
        self._searches = counter("gateway_search_calls_total", "Search calls of turns that found something")
        self._add_failures()

    def _add_failures(self) -> None:
        counter = partial(Counter, registry=self._registry)
        self._upstream_errors = counter(
            "gateway_upstream_errors_total", "Calls to a model provider that failed", ("reason",)
        )
        self._refused = counter(
            "gateway_refused_calls_total", "Calls refused before a turn began", ("method", "reason")
        )
        self._bugs = counter("gateway_internal_errors_total", "Calls that ended INTERNAL", ("method",))

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
        for reason in record.upstream_failures:
            self._upstream_errors.labels(reason).inc()
        if receipt.cache_level:
            self.cache.recalled(receipt.cache_level)
        else:
            self._count_work(record)
        self._cost.labels(model).inc(used.cost_nano_usd * NANO)
        self._searches.inc(used.search_calls)
        if receipt.degraded:
            self._degraded.inc()
        self.upstreams.ended(record)

    def refused(self, method: str, reason: Reason) -> None:
        """A call was refused before its turn began."""
        self._refused.labels(method, reason).inc()

    def broke(self, method: str) -> None:
        """A bug ended a call."""
        self._bugs.labels(method).inc()

    def page(self) -> bytes:
        """The text exposition of everything."""
        return generate_latest(self._registry)

    def _count_work(self, record: TurnRecord) -> None:
        """What a model did for this turn alone."""
        model, used = record.model, record.receipt.settled
        self._events.labels(model).inc(record.events)
        self._batches.labels(model).inc(record.batches)
        self._count_usage(model, used.prompt_tokens - used.cached_prompt_tokens, "prompt")
        self._count_usage(model, used.cached_prompt_tokens, "cached_prompt")
        self._count_usage(model, used.completion_tokens - used.reasoning_tokens, "completion")
        self._count_usage(model, used.reasoning_tokens, "reasoning")

    def _count_usage(self, model: str, amount: int, kind: str) -> None:
        if amount > 0:
            self._tokens.labels(model, kind).inc(amount)
