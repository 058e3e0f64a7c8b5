"""The metrics of the books; a part of the one page of metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.domain.receipt import Receipt

NANO = 1e-9


class BooksMetrics:
    """Keeps the promise of `BooksObserver`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._unsettled = Gauge(
            "gateway_unsettled_receipts",
            "Open receipts in the books, of all workers and replicas that share them",
            registry=registry,
        )
        self._reconciled = Counter(
            "gateway_reconciled_receipts_total",
            "Receipts of dead workers that were settled by their last checkpoint",
            registry=registry,
        )
        self._cost = Counter(
            "gateway_reconciled_cost_usd_total", "What those receipts charged, in USD", registry=registry
        )

    def unsettled(self, receipts: int) -> None:
        """So many receipts are open."""
        self._unsettled.set(receipts)

    def reconciled(self, receipt: Receipt) -> None:
        """This one was settled for a dead worker."""
        self._reconciled.inc()
        self._cost.inc(receipt.settled.cost_nano_usd * NANO)
