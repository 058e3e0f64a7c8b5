"""How the upstreams are doing, for an operator, as metrics that are made when they are asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

Facts = Mapping[str, str | int | float | bool]
Standings = Callable[[], Iterable[Facts]]
"""One entry for each circuit: upstream, model, key (its number), state, in_flight, usual_first_output_s and
others."""

LABELS = ("upstream", "model", "key")
USABLE = {"closed": 1.0, "ramping": 0.5, "probing": 0.0, "open": 0.0}


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
