"""The frames of a turn as the events of a chat stream: a small state machine (pure).

The form that all readers take: one id and one choice in every chunk, the role in the first, tool calls one after
the other, finish reason and usage together in the last, nothing else without `choices` but an error.
"""

from gateway.bridge.answer import tool_call
from gateway.bridge.facts import FINISHES, Facts, usage
from gateway.bridge.sources import Sources
from gateway.bridge.sse import DONE, block, string
from gateway.v1 import content_pb2, inference_pb2

_TAIL = '},"logprobs":null,"finish_reason":null}]}\n\n'


class ChunkStream:
    """One answer. `facts` and `sources` fill as frames come; `ended` says that nothing more will be written."""

    def __init__(self, facts: Facts, model: str, created: int, *, with_lines: bool) -> None:
        """`created` is in seconds since the epoch; `with_lines` adds marks and source lines to the text."""
        self.facts = facts
        self.sources = Sources()
        self.ended = False
        self._model = model
        self._created = created
        self._with_lines = with_lines
        self._head = ""
        self._said_role = False
        self._answer = bytearray()
        self._calls = _CallOrder()

    def events(self, frame: inference_pb2.ServerFrame) -> bytes:
        """What to write for a frame; nothing for those that only tell facts."""
        match frame.WhichOneof("frame"):
            case "delta":
                return self._delta(frame.delta)
            case "tool_call":
                self.facts.after_evidence = self.facts.after_evidence or frame.tool_call.after_evidence
                return b"".join(self._call_chunk(piece) for piece in self._calls.add(frame.tool_call))
            case "citation":
                return self._citation(frame.citation)
            case "accepted":
                self.facts.receipt_id = frame.accepted.receipt_id
            case "search":
                self.sources.found(frame.search.sources)
            case "notice":
                self.facts.note(frame.notice)
            case "end" if frame.end.finish in FINISHES:
                return self._end(frame.end)
        return b""

    def _delta(self, delta: inference_pb2.Delta) -> bytes:
        if self._with_lines or self.sources:
            self._answer += delta.text.encode()
        written = b""
        if delta.reasoning:
            written = self._chunk('"reasoning_content":' + string(delta.reasoning))
        if delta.text:
            written += self._chunk('"content":' + string(delta.text))
        if delta.refusal:
            written += self._chunk('"refusal":' + string(delta.refusal))
        return written

    def _citation(self, citation: content_pb2.Citation) -> bytes:
        self.sources.cite(citation)
        if not self._with_lines or citation.end != len(self._answer):
            return b""
        mark = self.sources.mark(citation)
        return self._chunk('"content":' + string(mark)) if mark else b""

    def _call_chunk(self, call: content_pb2.ToolCall) -> bytes:
        if call.call_id:
            piece = block(tool_call(call, call.index))[6:-2].decode()
        else:
            piece = f'{{"index":{call.index},"function":{{"arguments":{string(call.arguments_json)}}}}}'
        return self._chunk(f'"tool_calls":[{piece}]')

    def _chunk(self, fields: str) -> bytes:
        if not self._said_role:
            self._said_role = True
            id_ = string(f"chatcmpl-{self.facts.receipt_id}")
            self._head = (
                f'data: {{"id":{id_},"object":"chat.completion.chunk","created":{self._created},'
                f'"model":{string(self._model or self.facts.model)},"choices":[{{"index":0,"delta":{{'
            )
            first = (
                '"role":"assistant",' if fields.startswith('"content"') else '"role":"assistant","content":null,'
            )
            fields = first + fields
        return (self._head + fields + _TAIL).encode()

    def _end(self, end: inference_pb2.TurnEnd) -> bytes:
        self.ended = True
        self.facts.ended(end)
        written = b"".join(self._call_chunk(piece) for piece in self._calls.rest())
        if self._with_lines and self.sources and end.finish == inference_pb2.FINISH_STOP:
            written += self._chunk('"content":' + string(self.sources.lines()))
        return written + self._last(end) + DONE

    def _last(self, end: inference_pb2.TurnEnd) -> bytes:
        delta: dict[str, object] = {} if self._said_role else {"role": "assistant", "content": ""}
        annotations = self.sources.annotations(bytes(self._answer))
        if annotations:
            delta["annotations"] = annotations
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": FINISHES[end.finish],
        }
        chunk: dict[str, object] = {
            "id": f"chatcmpl-{self.facts.receipt_id}",
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self.facts.model or self._model,
            "choices": [choice],
            "usage": usage(end.usage),
        }
        if self.sources:
            chunk["search_results"] = self.sources.results()
        chunk["gateway"] = self.facts.as_object()
        return block(chunk)


class _CallOrder:
    """Puts fragments of several calls one call after the other.

    The first call is passed on as it comes. The others wait for the end, because a fragment of an earlier call may
    still follow, and readers that append to the last call would mix them.
    """

    def __init__(self) -> None:
        self._live: int | None = None
        self._open = False
        self._held: dict[int, content_pb2.ToolCall] = {}

    def add(self, fragment: content_pb2.ToolCall) -> list[content_pb2.ToolCall]:
        """The fragments to send now."""
        if self._live is None:
            self._live = fragment.index
        if fragment.index == self._live and self._open:
            return [content_pb2.ToolCall(index=0, arguments_json=fragment.arguments_json)]
        call = self._held.setdefault(fragment.index, content_pb2.ToolCall())
        call.call_id = call.call_id or fragment.call_id
        call.name = call.name or fragment.name
        call.arguments_json += fragment.arguments_json
        # A reader needs id and name in the first fragment.
        if fragment.index != self._live or not (call.call_id and call.name):
            return []
        self._open = True
        del self._held[fragment.index]
        return [call]

    def rest(self) -> list[content_pb2.ToolCall]:
        """Everything that still waits, in order."""
        first = 1 if self._open else 0
        held = [self._held[index] for index in sorted(self._held)]
        for index, call in enumerate(held, first):
            call.index = index
        return held
