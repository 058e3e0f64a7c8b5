"""What a turn is charged: while it runs, and for good when it is over (pure)."""

from dataclasses import replace

from gateway.domain.errors import GatewayError
from gateway.domain.receipt import Attempt, Receipt
from gateway.domain.usage import Usage
from gateway.limits.billing import BrokenStream, Ending, billed, settle_usage
from gateway.limits.pricing import PriceBook, Priced, cached_cost, price
from gateway.pipeline.job import Job, ending_of
from gateway.pipeline.sharing import own_part

_NEVER_TAKEN = ("http_", "connect", "dns", "tls", "disconnected", "bad_http", "error_object", "no_slot")


def so_far(job: Job, prices: PriceBook) -> Usage:
    """What a running turn has used by our own count, with its price."""
    usage = job.counted()
    return replace(usage, cost_nano_usd=_priced(job, usage, prices).cost_nano_usd).plus(job.deciding)


def unbilled(job: Job, attempt: Attempt, cause: str, prices: PriceBook) -> Usage:
    """What an attempt without output has used, with its price, which is the gateway's own to bear.

    The upstream's own numbers where it sent any. A call that broke after it was taken may have read the prompt;
    one that was refused, or never arrived, has not.
    """
    reported = job.received.usage
    if reported is not None:
        usage = settle_usage(reported, job.counted(), job.receipt.reserved).usage
    elif cause.startswith(_NEVER_TAKEN):
        return attempt.usage
    else:
        usage = replace(job.counted(), completion_tokens=0)
    usage = replace(usage, search_calls=0)
    return replace(usage, cost_nano_usd=_priced(job, usage, prices, searched=False).cost_nano_usd)


def checkpoint(job: Job, prices: PriceBook) -> Receipt:
    """The open receipt of a running turn with what it has used by our own count: its bill, should it be lost."""
    usage = settle_usage(None, job.counted(), job.receipt.reserved).usage
    priced = _priced(job, usage, prices)
    return job.closed(
        None,
        0.0,
        finish=None,
        settled=replace(usage, cost_nano_usd=priced.cost_nano_usd).plus(job.deciding),
        price_entry=priced.entry,
        peak_price=priced.peak,
    )


def closed_receipt(
    job: Job, failure: GatewayError | None, prices: PriceBook, policy: BrokenStream, now: float
) -> Receipt:
    """The receipt of a turn that is over at `now` (seconds since the epoch), by whichever way it ended."""
    ending = ending_of(failure, job.received)
    usage = settle_usage(job.received.usage, job.counted(), job.receipt.reserved).usage
    usage = billed(ending, usage, job.received.output_events, policy)
    searched = ending is not Ending.FAILED_BEFORE_OUTPUT
    priced = _priced(job, usage, prices, searched=searched)
    settled = replace(usage, cost_nano_usd=priced.cost_nano_usd)
    return job.closed(
        failure,
        now,
        settled=settled.plus(job.deciding) if searched else settled,
        price_entry=priced.entry,
        peak_price=priced.peak,
        broken_stream_policy=policy.value if ending is Ending.INTERRUPTED else "",
    )


def _priced(job: Job, usage: Usage, prices: PriceBook, *, searched: bool = True) -> Priced:
    """What others pay the model for has the price of the cache here."""
    name, when = prices.priced_name(job.received.model, job.route.card.name), job.receipt.created
    own = own_part(usage, job.sharing.paid_by_others)
    priced = price(own, name, when, prices, job.findings.paid if searched else {})
    if own is usage:
        return priced
    shared = price(usage, name, when, prices).cost_nano_usd - price(own, name, when, prices).cost_nano_usd
    return replace(priced, cost_nano_usd=priced.cost_nano_usd + cached_cost(shared, prices))
