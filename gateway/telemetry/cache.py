"""What the cache of answers had and had not, for an operator."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge


class CacheMetrics:
    """Counts what the cache had and had not, level by level."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        self._recalled = counter(
            "gateway_recalled_turns_total",
            "Turns without a call of their own, by where their answer was",
            ("level",),
        )
        self._hits = counter(
            "gateway_cache_hits_total", "Values found, by level and what they are", ("level", "kind")
        )
        self._misses = counter(
            "gateway_cache_misses_total",
            "Looks at a level that found nothing of use, and why",
            ("level", "reason"),
        )
        self._written = counter("gateway_cache_written_bytes_total", "Bytes kept", ("level",))
        self._lost = counter(
            "gateway_cache_lost_writes_total", "Values that could not be kept, and why", ("level", "reason")
        )
        self._held = Gauge("gateway_cache_bytes", "Bytes held now", ("level",), registry=registry)

    def recalled(self, level: str) -> None:
        """A turn was given an answer that was there, or being given."""
        self._recalled.labels(level).inc()

    def hit(self, level: str, kind: str) -> None:
        """A value was found and used."""
        self._hits.labels(level, kind).inc()

    def missed(self, level: str, reason: str) -> None:
        """A level had nothing of use."""
        self._misses.labels(level, reason).inc()

    def kept(self, level: str, size: int) -> None:
        """A value of so many bytes was kept."""
        self._written.labels(level).inc(size)

    def lost(self, level: str, reason: str) -> None:
        """A value could not be kept."""
        self._lost.labels(level, reason).inc()

    def holds(self, level: str, size: int) -> None:
        """A level holds so many bytes."""
        self._held.labels(level).set(size)
