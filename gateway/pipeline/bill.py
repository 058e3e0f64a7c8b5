"""What a turn is charged: while it runs, and for good when it is over (pure)."""

from dataclasses import replace

from gateway.domain.errors import GatewayError
from gateway.domain.receipt import Receipt
from gateway.domain.usage import Usage
from gateway.limits.billing import BrokenStream, Ending, billed, settle_usage
from gateway.limits.pricing import PriceBook, Priced, price
from gateway.pipeline.job import Job, ending_of


def so_far(job: Job, prices: PriceBook) -> Usage:
    """What a running turn has used by our own count, with its price."""
    usage = job.counted()
    return replace(usage, cost_nano_usd=_priced(job, usage, prices).cost_nano_usd)


def closed_receipt(
    job: Job, failure: GatewayError | None, prices: PriceBook, policy: BrokenStream, now: float
) -> Receipt:
    """The receipt of a turn that is over at `now` (seconds since the epoch), by whichever way it ended."""
    ending = ending_of(failure, job.received)
    usage = settle_usage(job.received.usage, job.counted(), job.receipt.reserved).usage
    usage = billed(ending, usage, job.received.output_events, policy)
    priced = _priced(job, usage, prices, searched=ending is not Ending.FAILED_BEFORE_OUTPUT)
    return replace(
        job.closed(failure, now),
        settled=replace(usage, cost_nano_usd=priced.cost_nano_usd),
        price_entry=priced.entry,
        peak_price=priced.peak,
        broken_stream_policy=policy.value if ending is Ending.INTERRUPTED else "",
    )


def _priced(job: Job, usage: Usage, prices: PriceBook, *, searched: bool = True) -> Priced:
    name = prices.priced_name(job.received.model, job.route.card.name)
    return price(usage, name, job.receipt.created, prices, job.findings.paid if searched else {})
