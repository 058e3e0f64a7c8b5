"""How the upstreams are doing, for an operator, as metrics that are made when they are asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gateway.domain.receipt import DECIDED, UNDECIDED
from gateway.domain.record import TurnRecord

Facts = Mapping[str, str | int | float | bool]
Standings = Callable[[], Iterable[Facts]]
"""One entry for each circuit: upstream, model, key (its number), state, in_flight, usual_first_output_s and
others."""

LABELS = ("upstream", "model", "key")
NANO = 1e-9
USABLE = {"closed": 1.0, "ramping": 0.5, "probing": 0.0, "open": 0.0}


class UpstreamMetrics:
    """Counts calls of models, by what became of them; a part of the one page of metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        counter = partial(Counter, registry=registry)
        self._attempts = counter(
            "gateway_upstream_attempts_total", "Calls to a model by their outcome", ("upstream", "outcome")
        )
        self._retries = counter(
            "gateway_upstream_retries_total", "Calls made again after a failure before any output", ("upstream",)
        )
        self._rerouted = counter(
            "gateway_rerouted_turns_total", "Turns answered elsewhere than where they go first", ("reason",)
        )
        self._oddities = counter(
            "gateway_upstream_oddities_total", "What upstreams sent and was put up with, by its kind", ("what",)
        )
        self._own_cost = counter(
            "gateway_own_cost_usd_total",
            "What calls to models cost that no tenant is charged for, in USD",
            ("model",),
        )

    def ended(self, record: TurnRecord) -> None:
        """A turn is settled."""
        for attempt in record.attempts:
            self._attempts.labels(attempt.upstream, attempt.outcome).inc()
        answering = [attempt for attempt in record.attempts if attempt.outcome not in (DECIDED, UNDECIDED)]
        for attempt in answering[1:]:
            self._retries.labels(attempt.upstream).inc()
        if record.receipt.route_reason.startswith("standby"):
            self._rerouted.labels(record.receipt.route_reason).inc()
        if record.own_cost_nano_usd:
            self._own_cost.labels(record.model).inc(record.own_cost_nano_usd * NANO)

    def oddity(self, what: str, count: int) -> None:
        """An upstream's answer was odd in a way that was put up with."""
        self._oddities.labels(what).inc(count)

    def watch(self, standings: Standings) -> None:
        """Shows on every page how the upstreams are doing then."""
        self._registry.register(UpstreamCollector(standings))


class UpstreamCollector(Collector):
    """The gauges of every circuit."""

    def __init__(self, standings: Standings) -> None:
        self._standings = standings

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing is collected when it is registered."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One sample for each upstream, model and key."""
        usable = GaugeMetricFamily(
            "gateway_upstream_usable", "1 asked as usual, 0.5 coming back, 0 its circuit is open", labels=LABELS
        )
        calls = GaugeMetricFamily("gateway_upstream_calls", "Calls under way", labels=LABELS)
        first = GaugeMetricFamily(
            "gateway_upstream_usual_first_output_seconds", "The median of the last first outputs", labels=LABELS
        )
        for facts in self._standings():
            labels = [str(facts[name]) for name in LABELS]
            usable.add_metric(labels, USABLE[str(facts["state"])])
            calls.add_metric(labels, float(facts["in_flight"]))
            first.add_metric(labels, float(facts["usual_first_output_s"]))
        yield from (usable, calls, first)
