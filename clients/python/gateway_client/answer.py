"""The fold of a turn's frames into one answer: pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.v1 import content_pb2, inference_pb2
from gateway_client.status import fault_error


@dataclass(frozen=True, slots=True)
class Answer:
    """All that one turn said.

    `text` is the answer byte for byte; the offsets of `citations` count its UTF-8 bytes. `tool_calls` are
    whole. `finish` is a `Finish` number, FINISH_UNSPECIFIED while the turn has not ended. `faults` holds what
    went wrong with a turn of a conversation.
    """

    turn_id: str = ""
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[content_pb2.ToolCall, ...] = ()
    sources: tuple[content_pb2.Source, ...] = ()
    citations: tuple[content_pb2.Citation, ...] = ()
    notices: tuple[inference_pb2.Notice, ...] = ()
    faults: tuple[inference_pb2.Fault, ...] = ()
    usage: content_pb2.Usage | None = None
    finish: inference_pb2.Finish = inference_pb2.FINISH_UNSPECIFIED
    receipt_id: str = ""
    model: str = ""
    served_by: str = ""
    degraded: bool = False

    def raise_for_fault(self) -> None:
        """Raises GatewayCallError for the first fault, if there is one."""
        if self.faults:
            raise fault_error(self.faults[0], self.receipt_id)


class AnswerFold:
    """Takes the frames of one turn in order; `answer()` is what they say so far."""

    def __init__(self) -> None:
        self._turn_id = ""
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._tool_calls: dict[int, content_pb2.ToolCall] = {}
        self._sources: dict[str, content_pb2.Source] = {}
        self._citations: list[content_pb2.Citation] = []
        self._notices: list[inference_pb2.Notice] = []
        self._faults: list[inference_pb2.Fault] = []
        self._usage: content_pb2.Usage | None = None
        self._receipt_id = ""
        self._end = inference_pb2.TurnEnd()

    def add(self, frame: inference_pb2.ServerFrame) -> None:
        """One more frame; frames that say nothing about the answer (heartbeats, go-away) change nothing."""
        self._turn_id = frame.turn_id or self._turn_id
        match frame.WhichOneof("frame"):
            case "delta":
                self._add_delta(frame.delta)
            case "tool_call":
                self._add_tool_call(frame.tool_call)
            case "search":
                self._add_sources(frame.search.sources)
            case "citation":
                self._citations.append(frame.citation)
            case "notice":
                self._notices.append(frame.notice)
            case "fault":
                self._faults.append(frame.fault)
            case "usage":
                self._usage = frame.usage
            case "accepted":
                self._receipt_id = frame.accepted.receipt_id
            case "end":
                self._add_end(frame.end)

    def answer(self) -> Answer:
        """What the frames said so far."""
        return Answer(
            turn_id=self._turn_id,
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            refusal="".join(self._refusal),
            tool_calls=tuple(self._tool_calls[index] for index in sorted(self._tool_calls)),
            sources=tuple(self._sources.values()),
            citations=tuple(self._citations),
            notices=tuple(self._notices),
            faults=tuple(self._faults),
            usage=self._usage,
            finish=self._end.finish,
            receipt_id=self._receipt_id,
            model=self._end.model,
            served_by=self._end.served_by,
            degraded=self._end.degraded,
        )

    def _add_delta(self, delta: inference_pb2.Delta) -> None:
        self._text.append(delta.text)
        self._reasoning.append(delta.reasoning)
        self._refusal.append(delta.refusal)

    def _add_tool_call(self, fragment: content_pb2.ToolCall) -> None:
        """Fragments of one call share its index: names come once, arguments in pieces."""
        call = self._tool_calls.setdefault(fragment.index, content_pb2.ToolCall(index=fragment.index))
        call.call_id = fragment.call_id or call.call_id
        call.name = fragment.name or call.name
        call.arguments_json += fragment.arguments_json
        call.after_evidence = call.after_evidence or fragment.after_evidence

    def _add_sources(self, sources: Iterable[content_pb2.Source]) -> None:
        self._sources.update({source.source_id or source.url: source for source in sources})

    def _add_end(self, end: inference_pb2.TurnEnd) -> None:
        self._end = end
        self._receipt_id = end.receipt_id or self._receipt_id
        if end.HasField("usage"):
            self._usage = end.usage


def fold(frames: Iterable[inference_pb2.ServerFrame]) -> Answer:
    """The answer of one turn's frames."""
    folding = AnswerFold()
    for frame in frames:
        folding.add(frame)
    return folding.answer()


def answer_of(result: inference_pb2.TurnResult, turn_id: str = "") -> Answer:
    """The answer of a `Complete` call: the same facts as folding the frames of `Generate`."""
    end = result.end
    return Answer(
        turn_id=turn_id,
        text=result.message.content,
        reasoning=result.message.reasoning,
        refusal=result.message.refusal,
        tool_calls=tuple(result.message.tool_calls),
        sources=tuple(result.sources),
        citations=tuple(result.citations),
        notices=tuple(result.notices),
        usage=end.usage if end.HasField("usage") else None,
        finish=end.finish,
        receipt_id=end.receipt_id,
        model=end.model,
        served_by=end.served_by,
        degraded=end.degraded,
    )
