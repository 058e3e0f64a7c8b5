"""Events of the domain become frames and messages of the wire (pure)."""

from string import punctuation
from typing import cast
from urllib.parse import quote

from google.protobuf import timestamp_pb2

from gateway.domain.answer import Answer
from gateway.domain.errors import GatewayError
from gateway.domain.events import (
    Accepted,
    Citation,
    Notice,
    SearchEvent,
    Source,
    TextDelta,
    ToolCallDelta,
    TurnEnd,
    TurnEvent,
)
from gateway.domain.receipt import Attempt, Receipt
from gateway.domain.turn import ToolCall
from gateway.domain.usage import Usage
from gateway.limits import Allowance
from gateway.pipeline.plan import Offer
from gateway.server.status import duration, row_of, wait_of
from gateway.v1 import account_pb2, content_pb2, inference_pb2

Frame = inference_pb2.ServerFrame
HEADER_SAFE = punctuation.replace("%", "") + " "


class TurnFrames:
    """Makes the frames of one turn. It owns the byte offset of the answer, since only it sees every delta."""

    def __init__(self, turn_id: str) -> None:
        self._turn_id = turn_id
        self._offset = 0

    def frame(self, event: TurnEvent) -> Frame:  # noqa: PLR0911 - one return for each kind of event
        """The frame of one event, its `seq` still to be set."""
        match event:
            case TextDelta():
                return self._delta(event)
            case ToolCallDelta():
                return Frame(turn_id=self._turn_id, tool_call=tool_call_delta(event))
            case Citation():
                return Frame(turn_id=self._turn_id, citation=citation(event))
            case Usage():
                return Frame(turn_id=self._turn_id, usage=usage(event))
            case SearchEvent():
                return Frame(turn_id=self._turn_id, search=search_event(event))
            case Notice():
                return Frame(turn_id=self._turn_id, notice=notice(event))
            case Accepted():
                return Frame(turn_id=self._turn_id, accepted=accepted(event))
            case TurnEnd():
                return Frame(turn_id=self._turn_id, end=turn_end(event))

    def fault(self, error: GatewayError, billed: bool) -> Frame:
        """The frame of a failure that ends this turn and not the stream."""
        row = row_of(error)
        fault = inference_pb2.Fault(
            code=row.code,
            reason=error.reason,
            message=error.message,
            charged=billed,
            retryable=row.retryable,
            facts={**error.facts, **{f"field.{v.field}": v.description for v in error.fields}},
        )
        wait_s = wait_of(error)
        if wait_s is not None:
            fault.retry_after.CopyFrom(duration(wait_s))
        return Frame(turn_id=self._turn_id, fault=fault)

    def _delta(self, event: TextDelta) -> Frame:
        text = event.text
        delta = inference_pb2.Delta(
            text=text,
            reasoning=event.reasoning,
            refusal=event.refusal,
            offset=self._offset,
            events=event.events,
        )
        self._offset += len(text) if text.isascii() else len(text.encode())
        return Frame(turn_id=self._turn_id, delta=delta)


def timestamp(seconds: float) -> timestamp_pb2.Timestamp:
    """Seconds since the epoch as a protobuf timestamp, to the microsecond."""
    micros = round(seconds * 1_000_000)
    return timestamp_pb2.Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def tool_call_delta(event: ToolCallDelta) -> content_pb2.ToolCall:
    """A fragment of a tool call."""
    return content_pb2.ToolCall(
        index=event.index,
        call_id=event.call_id,
        name=event.name,
        arguments_json=event.arguments_json,
        after_evidence=event.after_evidence,
    )


def tool_call(call: ToolCall) -> content_pb2.ToolCall:
    """A whole tool call."""
    return content_pb2.ToolCall(
        index=call.index,
        call_id=call.call_id,
        name=call.name,
        arguments_json=call.arguments_json,
        after_evidence=call.after_evidence,
    )


def source(item: Source) -> content_pb2.Source:
    """A numbered source, without the passage that only the model reads."""
    message = content_pb2.Source(
        source_id=item.source_id,
        url=item.url,
        title=item.title,
        snippet=item.snippet,
        provider=item.provider,
        score=item.score,
        content_sha256=item.content_sha256,
        flags=item.flags,
    )
    if item.published is not None:
        message.published.CopyFrom(timestamp(item.published))
    return message


def search_event(event: SearchEvent) -> inference_pb2.SearchEvent:
    """One call to one search provider."""
    return inference_pb2.SearchEvent(
        provider=event.provider,
        query=event.query,
        status=cast("inference_pb2.SearchStatus", event.status.value),
        sources=[source(item) for item in event.sources],
        took=duration(event.took_s),
        from_cache=event.from_cache,
        detail=event.detail,
    )


def citation(item: Citation) -> content_pb2.Citation:
    """A span of the answer and its sources."""
    return content_pb2.Citation(
        start=item.start,
        end=item.end,
        source_ids=item.source_ids,
        evidence=item.evidence,
        support=cast("content_pb2.Support", item.support.value),
    )


def usage(item: Usage) -> content_pb2.Usage:
    """Tokens, calls and cost."""
    return content_pb2.Usage(
        prompt_tokens=item.prompt_tokens,
        cached_prompt_tokens=item.cached_prompt_tokens,
        completion_tokens=item.completion_tokens,
        reasoning_tokens=item.reasoning_tokens,
        search_calls=item.search_calls,
        tool_runs=item.tool_runs,
        cost_nano_usd=item.cost_nano_usd,
        basis=cast("content_pb2.UsageBasis", item.basis.value),
    )


def notice(item: Notice) -> inference_pb2.Notice:
    """What the caller should know although the turn goes on."""
    kind = cast("inference_pb2.NoticeKind", item.kind.value)
    return inference_pb2.Notice(kind=kind, message=item.message, facts=item.facts)


def accepted(item: Accepted) -> inference_pb2.Accepted:
    """The turn has a receipt."""
    message = inference_pb2.Accepted(receipt_id=item.receipt_id, queue_position=item.queue_position)
    if item.estimated_wait_s:
        message.estimated_wait.CopyFrom(duration(item.estimated_wait_s))
    return message


def turn_end(item: TurnEnd) -> inference_pb2.TurnEnd:
    """The one end of a turn."""
    return inference_pb2.TurnEnd(
        finish=cast("inference_pb2.Finish", item.finish.value),
        usage=usage(item.usage),
        receipt_id=item.receipt_id,
        degraded=item.degraded,
        served_by=item.served_by,
        model=item.model,
    )


def header_text(text: str) -> str:
    """Text for a metadata value, which holds printable ASCII only; other characters are percent-encoded."""
    return quote(text, safe=HEADER_SAFE)


def turn_result(answer: Answer, end: TurnEnd) -> inference_pb2.TurnResult:
    """The whole answer of a unary call."""
    return inference_pb2.TurnResult(
        message=content_pb2.Message(
            role=content_pb2.ROLE_ASSISTANT,
            content="".join(answer.text),
            reasoning="".join(answer.reasoning),
            refusal="".join(answer.refusal),
            tool_calls=[tool_call(call) for call in answer.tool_calls.values()],
        ),
        sources=[source(item) for item in answer.sources],
        citations=[citation(item) for item in answer.citations],
        notices=[notice(item) for item in answer.notices],
        end=turn_end(end),
    )


def model(offer: Offer) -> inference_pb2.Model:
    """A model with its prices per 1,000 tokens."""
    card, prices = offer.card, offer.prices
    return inference_pb2.Model(
        name=card.name,
        owner=card.owner,
        context_tokens=card.context_tokens,
        max_output_tokens=card.max_output_tokens,
        capabilities=card.capabilities,
        local=card.local,
        prompt_nano_usd=prices.input,
        cached_prompt_nano_usd=prices.cached_input,
        completion_nano_usd=prices.output,
    )


def allowance(item: Allowance) -> account_pb2.Allowance:
    """One limit as it stands."""
    return account_pb2.Allowance(
        dimension=item.dimension,
        scope=item.scope,
        limit=item.limit,
        remaining=item.remaining,
        held=item.held,
        resets_in=duration(item.resets_in_s),
    )


def receipt(item: Receipt) -> account_pb2.Receipt:
    """A receipt as its tenant may read it."""
    message = account_pb2.Receipt(
        receipt_id=item.receipt_id,
        tenant=item.tenant,
        subject=item.subject,
        turn_id=item.turn_id,
        model=item.model,
        reserved=usage(item.reserved),
        finish=cast("inference_pb2.Finish", item.finish.value if item.finish else 0),
        created=timestamp(item.created),
        attempts=[attempt(entry) for entry in item.attempts],
        reason=item.reason,
        price_entry=item.price_entry,
        peak_price=item.peak_price,
        served_by=item.served_by,
        labels=item.labels,
        route_reason=item.route_reason,
        broken_stream_policy=item.broken_stream_policy,
        request_id=item.request_id,
        degraded=item.degraded,
        cache_level=item.cache_level,
    )
    if item.finish is not None:
        message.settled.CopyFrom(usage(item.settled))
        message.settled_at.CopyFrom(timestamp(item.settled_at))
    return message


def attempt(entry: Attempt) -> account_pb2.Attempt:
    """One call to one upstream."""
    return account_pb2.Attempt(
        upstream=entry.upstream,
        model=entry.model,
        outcome=entry.outcome,
        usage=usage(entry.usage),
        took=duration(entry.took_s),
    )
