"""The fold of a chat.completions stream: data of events in, model events out (pure).

Everything that arrived together is folded together, in order. Choice 0 only; `reasoning_content` or else
`reasoning`; tool calls by `index`; the last finish reason and the last usage win, whatever their order.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from json import loads as lenient_loads

from gateway.domain.errors import GatewayError, Reason
from gateway.domain.events import Finish, Finished, ModelEvent, ProviderUsage, TextDelta
from gateway.models.openai_errors import failure_of, protocol_failure, read_refusal, upstream_failure
from gateway.models.openai_template import Template, learn
from gateway.models.openai_tools import ToolCallFold
from gateway.models.openai_usage import read_usage

DONE = b"[DONE]"
_FINISHES = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    "tool_calls": Finish.TOOL_CALLS,
    "content_filter": Finish.CONTENT_FILTER,
    # words of older and neighbouring formats that mean exactly the same
    "function_call": Finish.TOOL_CALLS,
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "eos": Finish.STOP,
    "max_tokens": Finish.LENGTH,
}
_FAILED = frozenset({"insufficient_system_resource", "error", "abort", "aborted"})
_REASONING, _TEXT, _REFUSAL = 0, 1, 2
_RANKS = {"content": _TEXT, "reasoning_content": _REASONING}
LESSONS = 8
LESSONS_AFTER = 2
"""A lesson costs as much as parsing three events, which an answer of a few words would never earn back."""


class ChunkFolder:
    """Folds the chunks of one answer. It never raises from `feed`, so no output that came before a fault is lost.

    `decode` turns JSON bytes into objects and raises ValueError. `failure` is set when the stream is broken,
    `done` when nothing after it counts. `anomalies` counts what was tolerated: `usage_out_of_range`,
    `usage_not_the_sum`, `other_choices`.

    Plain text is cut out of its events where what surrounds it stays the same. `lessons` is how often it is tried
    to learn what that is; with 0 every event is parsed, and the result is the same.
    """

    __slots__ = (
        "_decode",
        "_finish",
        "_lessons",
        "_parsed",
        "_reasoning_beside",
        "_response_id",
        "_template",
        "_tools",
        "_usage",
        "anomalies",
        "done",
        "failure",
        "model",
    )

    def __init__(
        self, decode: Callable[[bytes], object], *, reasoning_beside: bool = False, lessons: int = LESSONS
    ) -> None:
        self._decode = decode
        self._lessons = lessons
        self._parsed = 0
        self._template: Template | None = None
        self._reasoning_beside = reasoning_beside
        self._finish = ""
        self._usage: ProviderUsage | None = None
        self._tools = ToolCallFold()
        self._response_id: str | None = None
        self.model = ""
        self.done = False
        self.failure: GatewayError | None = None
        self.anomalies: Counter[str] = Counter()

    @property
    def has_finish(self) -> bool:
        """Whether a finish reason came: from now on the answer is whole, with `[DONE]` or without."""
        return bool(self._finish)

    def feed(self, payloads: Sequence[bytes]) -> list[ModelEvent]:
        """Folds the data of events that arrived together. Role-only and empty deltas give nothing."""
        template = self._template
        if template is not None and payloads and not self.done:
            text = template.cut_all(payloads)
            if text is not None:
                return [_plain(template.field, text, len(payloads))]
        batch = _Batch(self._tools)
        position = 0
        try:
            while position < len(payloads) and not self.done:
                template = self._template
                if template is not None and (texts := template.cut(payloads, position)):
                    batch.add_texts(_RANKS[template.field], texts)
                    position += len(texts)
                else:
                    self._feed_one(payloads[position], batch)
                    position += 1
        except GatewayError as failure:
            self.failure, self.done = failure, True
        return batch.close()

    def end(self) -> Finished:
        """The end of the answer, once the stream has ended. Raises UpstreamError without a finish reason."""
        if not self._finish:
            raise protocol_failure("blank_body" if self._response_id is None else "eof_without_finish")
        finish = _FINISHES.get(self._finish)
        if finish is None:
            raise protocol_failure("unknown_finish_reason")
        return Finished(finish, self.model)

    def _feed_one(self, payload: bytes, batch: "_Batch") -> None:
        if payload == DONE:
            self.done = True
        elif payload:
            self._fold(payload, batch)
            self._parsed += 1
            if self._lessons and self._parsed > LESSONS_AFTER and not self._knows(payload):
                self._lessons -= 1
                self._template = learn(payload, self._decode) or self._template

    def _knows(self, payload: bytes) -> bool:
        return self._template is not None and self._template.fits(payload)

    def _fold(self, payload: bytes, batch: "_Batch") -> None:
        try:
            chunk = self._decode(payload)
        except ValueError:
            chunk = _decode_leniently(payload)
        if not isinstance(chunk, dict):
            raise protocol_failure("not_an_object")
        if self._response_id is None:
            self._response_id = _text(chunk.get("id"))
        usage = chunk.get("usage")
        choices = chunk.get("choices")
        if chunk.get("error"):
            raise failure_of(read_refusal(0, chunk))
        if not self.model:
            self.model = _text(chunk.get("model"))
        if choices.__class__ is list:
            for choice in choices:
                self._fold_choice(choice, batch)
        elif not usage:
            raise protocol_failure("bad_schema")
        if usage:
            self._fold_usage(usage, batch)

    def _fold_choice(self, choice: object, batch: "_Batch") -> None:
        if not isinstance(choice, dict):
            raise protocol_failure("bad_schema")
        if choice.get("index"):
            self.anomalies["other_choices"] += 1
            return
        delta = choice.get("delta")
        if delta:
            batch.add_delta(delta)
        finish = choice.get("finish_reason")
        if finish:
            self._finish = _text(finish)
            self._tools.name_all(self._response_id or "")
            if self._finish in _FAILED:
                raise upstream_failure(Reason.UPSTREAM_UNAVAILABLE, f"finish_{finish}")

    def _fold_usage(self, reported: object, batch: "_Batch") -> None:
        reading = read_usage(reported, reasoning_beside=self._reasoning_beside)
        if reading.usage is None:
            self.anomalies["usage_out_of_range"] += 1
        elif reading.usage != self._usage:
            self._usage = batch.usage = reading.usage
        if not reading.adds_up:
            self.anomalies["usage_not_the_sum"] += 1


class _Batch:
    """What one `feed` collects: pieces of text until something else comes, then events."""

    __slots__ = ("_count", "_events", "_pieces", "_rank", "_texts", "_tools", "usage")

    def __init__(self, tools: ToolCallFold) -> None:
        self._tools = tools
        self._events: list[ModelEvent] = []
        self._texts = ["", "", ""]  # by rank, of the delta being collected
        self._pieces: list[str] = []  # the last of them, not joined yet
        self._rank = self._count = 0
        self.usage: ProviderUsage | None = None

    def add_texts(self, rank: int, texts: Sequence[str]) -> None:
        """Takes the texts of as many events."""
        self._add_piece(rank, texts[0] if len(texts) == 1 else "".join(texts))
        self._count += len(texts)

    def add_delta(self, delta: object) -> None:
        """Takes reasoning, text, refusal and tool calls of one delta, in this order."""
        if not isinstance(delta, dict):
            raise protocol_failure("bad_schema")
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        content = delta.get("content")
        refusal = delta.get("refusal")
        calls = delta.get("tool_calls")
        if reasoning:
            self._add_piece(_REASONING, reasoning)
        if content:
            self._add_piece(_TEXT, content)
        if refusal:
            self._add_piece(_REFUSAL, refusal)
        if reasoning or content or refusal:
            self._count += 1
        if calls:
            self._flush_text()
            self._tools.add(calls)

    def close(self) -> list[ModelEvent]:
        """Everything collected, in order, the usage last."""
        self._flush_text()
        self._flush_calls()
        if self.usage is not None:
            self._events.append(self.usage)
        return self._events

    def _add_piece(self, rank: int, piece: object) -> None:
        if not isinstance(piece, str):
            raise protocol_failure("bad_schema")
        if self._tools.pending:
            self._flush_calls()
        if rank != self._rank:
            self._turn_to(rank)
        self._pieces.append(piece)

    def _turn_to(self, rank: int) -> None:
        """A delta holds reasoning, text and refusal in this order; any other order begins a new one."""
        if rank < self._rank:
            self._flush_text()
        else:
            self._texts[self._rank] = "".join(self._pieces)
            self._pieces.clear()
        self._rank = rank

    def _flush_text(self) -> None:
        if not self._pieces:
            return
        self._texts[self._rank] = "".join(self._pieces)
        reasoning, text, refusal = self._texts
        self._events.append(TextDelta(text, reasoning, refusal, self._count))
        self._texts = ["", "", ""]
        self._pieces.clear()
        self._rank = self._count = 0

    def _flush_calls(self) -> None:
        self._events.extend(self._tools.take())


def _plain(field: str, text: str, events: int) -> TextDelta:
    return TextDelta(text, events=events) if field == "content" else TextDelta(reasoning=text, events=events)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _decode_leniently(payload: bytes) -> object:
    """For what a strict decoder refuses but servers send: NaN counters, broken UTF-8, lone surrogates."""
    try:
        return _without_surrogates(lenient_loads(payload.decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        pass
    raise protocol_failure("not_json")


def _without_surrogates(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_without_surrogates(item) for item in value]
        case dict():
            return {key: _without_surrogates(item) for key, item in value.items()}
    return value
