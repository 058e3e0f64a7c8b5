"""What the audit is told: the intent of each piece of work before it begins, and its outcome however it ends."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.audit import Audit, Intent, Outcome
from gateway.domain.call import Visitor
from gateway.domain.errors import CallerLeft, GatewayError, Reason
from gateway.domain.events import Source
from gateway.domain.receipt import Receipt
from gateway.domain.tenant import AuditMode
from gateway.domain.turn import SearchOptions
from gateway.domain.usage import Usage
from gateway.pipeline.job import Job

CodeOf = Callable[[GatewayError], int]
"""The number of the gRPC status that an error ends with."""

OK, CANCELLED, INTERNAL = 0, 1, 13


@dataclass(slots=True)
class Found:
    """What a piece of work without a receipt has found so far."""

    sources: tuple[tuple[str, bytes], ...] = ()
    usage: Usage = field(default_factory=Usage)


@asynccontextmanager
async def audited(
    audit: Audit, visitor: Visitor, body_sha256: bytes, parameters: tuple[tuple[str, str], ...], code_of: CodeOf
) -> AsyncIterator[Found]:
    """Work that leaves no receipt: entered once its intent is durable, left with its outcome.

    Raises OperatorError(AUDIT_UNAVAILABLE) where the work must not begin.
    """
    entry = audit.intend(_intent(visitor, body_sha256, parameters=parameters))
    found, code, cause = Found(), INTERNAL, str(Reason.INTERNAL)
    try:
        await entry.written
        yield found
        code, cause = OK, ""
    except GatewayError as error:
        code, cause = code_of(error), str(error.reason)
        raise
    except (asyncio.CancelledError, CallerLeft):
        code, cause = CANCELLED, str(Reason.CANCELLED)
        raise
    finally:
        # Nobody waits for it: what is sent is written, or kept until it can be.
        audit.conclude(entry, Outcome(code, cause, usage=found.usage, sources=found.sources))


def turn_intent(job: Job) -> Intent:
    """What a turn is about to ask, and of whom."""
    turn, options = job.turn, job.plan.generation
    thinking = options.thinking
    parameters = (
        ("max_tokens", str(options.max_tokens)),
        ("temperature", _number(options.temperature)),
        ("top_p", _number(options.top_p)),
        ("thinking", thinking.name.lower() if thinking else ""),
        ("json", "true" if options.json_object or options.json_schema else ""),
        ("messages", str(len(turn.messages))),
        ("tools", str(len(turn.tools)) if turn.tools else ""),
        ("search", job.search_mode.name.lower()),
    )
    named = tuple((name, value) for name, value in parameters if value)
    return _intent(job.visitor, turn.body_sha256, job.receipt.receipt_id, job.receipt.model, named)


def turn_outcome(job: Job, receipt: Receipt, failure: GatewayError | None, code_of: CodeOf) -> Outcome:
    """How a turn ended, by its closed receipt."""
    return Outcome(
        code=code_of(failure) if failure else OK,
        cause=receipt.reason,
        finish=receipt.finish.name.lower() if receipt.finish else "",
        model=(job.received.model or job.route.card.name) if job.answered else "",
        served_by=receipt.served_by,
        usage=receipt.settled,
        sources=digests(job.sources),
    )


def digests(sources: Sequence[Source]) -> tuple[tuple[str, bytes], ...]:
    """The address and the digest of each source."""
    return tuple((source.url, source.content_sha256) for source in sources)


def search_parameters(options: SearchOptions) -> tuple[tuple[str, str], ...]:
    """What of a search is told to the audit: names and numbers, not the query."""
    return (("providers", ",".join(options.providers)),) if options.providers else ()


def _intent(
    visitor: Visitor,
    body_sha256: bytes,
    receipt_id: str = "",
    model: str = "",
    parameters: tuple[tuple[str, str], ...] = (),
) -> Intent:
    call, caller, tenant = visitor.call, visitor.caller, visitor.tenant
    return Intent(
        tenant=tenant.name,
        subject=caller.subject,
        client_id=caller.client_id,
        credential_id=caller.credential_id,
        caller_ip=call.caller_ip,
        request_id=call.request_id,
        method=call.method,
        body_sha256=body_sha256,
        receipt_id=receipt_id,
        model=model,
        parameters=parameters,
        strict=tenant.audit is AuditMode.STRICT,
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
