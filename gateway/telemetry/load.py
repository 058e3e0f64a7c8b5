"""The metrics of a worker's load: how late its loop is, what it carries, and what it does about it."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.telemetry import Load

ACTIONS = ("shortened", "cached_search", "shed", "refused_all")


class LoadMetrics:
    """Keeps the promise of `LoadObserver` for Prometheus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        gauge, counter = partial(Gauge, registry=registry), partial(Counter, registry=registry)
        model = ("upstream", "model")
        self._lag = gauge("gateway_event_loop_lag_seconds", "How late the event loop was, at worst in a second")
        self._calls = gauge("gateway_open_calls", "Calls that are open now")
        self._memory = gauge("gateway_resident_memory_bytes", "Memory of this process that is in RAM")
        self._level = gauge("gateway_overload_level", "0 normal, 1 brown-out, 2 shed, 3 protect")
        self._changes = counter("gateway_overload_changes_total", "Times the level of overload changed")
        self._actions = counter(
            "gateway_overload_actions_total", "Turns and calls that got less, or nothing, under load", ("action",)
        )
        self._used = gauge(
            "gateway_upstream_slots_used", "Calls of a model that hold a slot in this worker", model
        )
        self._limit = gauge("gateway_upstream_slots_limit", "Slots of a model that all workers share", model)
        self._waiting = gauge("gateway_upstream_slots_waiting", "Turns that wait for a slot in this worker", model)
        self._stands: int | None = None
        for action in ACTIONS:
            self._actions.labels(action)

    def sampled(self, load: Load) -> None:
        """See `LoadObserver`."""
        self._lag.set(load.lag_s)
        self._calls.set(load.calls)
        self._memory.set(load.memory_bytes)
        for slot in load.slots:
            name = slot.upstream, slot.model
            self._used.labels(*name).set(slot.used)
            self._limit.labels(*name).set(slot.limit)
            self._waiting.labels(*name).set(slot.waiting)

    def climbed(self, level: int) -> None:
        """See `LoadObserver`."""
        self._level.set(level)
        self._changes.inc(self._stands is not None)
        self._stands = level

    def acted(self, action: str) -> None:
        """See `LoadObserver`."""
        self._actions.labels(action).inc()
