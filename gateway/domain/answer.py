"""Two folds of a turn: how much has arrived (for the bill), and the whole answer (for a unary call)."""

from dataclasses import dataclass, field

from gateway.domain.events import (
    Citation,
    Finish,
    Finished,
    ModelEvent,
    Notice,
    ProviderUsage,
    SearchEvent,
    Source,
    TextDelta,
    ToolCallDelta,
    TurnEvent,
)
from gateway.domain.turn import ToolCall


@dataclass(slots=True)
class Received:
    """What one attempt has received from its upstream, passed on or not; it keeps counts, not text.

    `output_events` counts upstream events that carried output. DeepSeek sends about one token in each, so it is
    the count of tokens when a stream breaks before its usage.
    """

    output_events: int = 0
    reasoning_events: int = 0
    usage: ProviderUsage | None = None
    finish: Finish | None = None
    model: str = ""

    def add(self, event: ModelEvent) -> None:
        """Takes in one event."""
        match event:
            case TextDelta():
                self.output_events += event.events
                if event.reasoning and not event.text:
                    self.reasoning_events += event.events
            case ToolCallDelta():
                self.output_events += event.events
            case ProviderUsage():
                self.usage = event
            case Finished():
                self.finish = event.finish
                self.model = event.model


@dataclass(slots=True)
class Answer:
    """The whole answer of a turn, for a caller that waits for it."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    tool_calls: dict[int, ToolCall] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def add(self, event: TurnEvent) -> None:
        """Takes in one event; those that are no part of an answer pass by."""
        match event:
            case TextDelta():
                self.text.append(event.text)
                self.reasoning.append(event.reasoning)
                self.refusal.append(event.refusal)
            case ToolCallDelta():
                self._add_tool_call(event)
            case SearchEvent():
                self.sources.extend(event.sources)
            case Citation():
                self.citations.append(event)
            case Notice():
                self.notices.append(event)
            case _:
                pass

    def _add_tool_call(self, delta: ToolCallDelta) -> None:
        before = self.tool_calls.get(delta.index)
        self.tool_calls[delta.index] = ToolCall(
            index=delta.index,
            call_id=delta.call_id or (before.call_id if before else ""),
            name=delta.name or (before.name if before else ""),
            arguments_json=(before.arguments_json if before else "") + delta.arguments_json,
            after_evidence=delta.after_evidence,
        )
