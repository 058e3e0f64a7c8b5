"""The metrics of the audit; a part of the one page of metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

COMMIT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class AuditMetrics:
    """Counts what the audit writes, and says when it cannot."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._records = Counter(
            "gateway_audit_records_total", "Intents and outcomes that are durable", registry=registry
        )
        self._commit = Histogram(
            "gateway_audit_commit_seconds",
            "One wait for the disk of the audit",
            buckets=COMMIT_S,
            registry=registry,
        )
        self._failing = Gauge(
            "gateway_audit_failing", "1 while the audit cannot be written where it belongs", registry=registry
        )
        self._spooled = Gauge("gateway_audit_spooled_records", "Records that wait in the spool", registry=registry)
        self._lost = Counter(
            "gateway_audit_lost_workers_total",
            "Intents whose process died before their outcome",
            registry=registry,
        )

    def audited(self, records: int, took_s: float) -> None:
        """So many records are durable, after one wait of so many seconds."""
        if records:
            self._records.inc(records)
            self._commit.observe(took_s)

    def audit_stands(self, *, failing: bool, spooled: int) -> None:
        """Whether the store fails at the moment, and how many records wait in the spool."""
        self._failing.set(failing)
        self._spooled.set(spooled)

    def audit_lost_workers(self, intents: int) -> None:
        """So many intents were given the outcome `worker_lost`."""
        self._lost.inc(intents)
