"""The metrics of limits that are in shadow or nearly used up; a part of the one page of metrics."""

from prometheus_client import CollectorRegistry, Counter

from gateway.telemetry.logging import TurnLog

LABELS = ("scope", "dimension")


class LimitMetrics:
    """Counts by the kind of scope and the dimension: whose it is stands in the log."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._shadowed = Counter(
            "gateway_limits_shadowed_total",
            "Turns that a limit in shadow would have refused",
            LABELS,
            registry=registry,
        )
        self._near = Counter(
            "gateway_limits_near_total", "Limits of which 80 % were used", LABELS, registry=registry
        )

    def shadowed(self, scope: str, dimension: str) -> None:
        """A turn went on all the same."""
        self._shadowed.labels(scope.partition(":")[0], dimension).inc()

    def near(self, scope: str, dimension: str) -> None:
        """A limit is nearly used up."""
        self._near.labels(scope.partition(":")[0], dimension).inc()


class LimitsTold:
    """Tells the metrics and the log, which says at most two lines a second for each tenant and limit."""

    def __init__(self, metrics: LimitMetrics, log: TurnLog) -> None:
        self._metrics = metrics
        self._log = log

    def limit_shadowed(self, tenant: str, scope: str, dimension: str) -> None:
        """A turn went on that a limit in shadow would have refused."""
        self._metrics.shadowed(scope, dimension)
        self._log.refused("in shadow", tenant, f"{scope} {dimension}")

    def limit_near(self, tenant: str, scope: str, dimension: str) -> None:
        """Four fifths of a limit are used."""
        self._metrics.near(scope, dimension)
        self._log.note("limit_near", tenant=tenant, scope=scope, dimension=dimension)
