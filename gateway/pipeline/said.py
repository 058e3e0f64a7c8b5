"""What a model has said so far, for whoever begins to listen later (pure)."""

from collections.abc import Sequence

from gateway.domain.events import Finish, Finished, ModelEvent, ProviderUsage, TextDelta, ToolCallDelta
from gateway.domain.turn import ToolCall

FOLD_EVERY = 256
"""So many events are kept as they came before they are folded into few."""


class Said:
    """The events of one answer, in order. What is asked for comes folded: few events, and the same answer."""

    def __init__(self) -> None:
        self._folded: list[ModelEvent] = []
        self._fresh: list[ModelEvent] = []
        self._before = 0
        self.end = 0
        """The place behind what was said last."""
        self.size = 0
        """Characters said."""
        self.events = 0
        """Upstream events with output."""
        self.billed = False
        """Whether the model has said what all of it costs."""

    def add(self, batch: Sequence[ModelEvent]) -> None:
        """Takes in what arrived together."""
        self._fresh += batch
        self.end += len(batch)
        for event in batch:
            if isinstance(event, TextDelta):
                self.size += len(event.text) + len(event.reasoning) + len(event.refusal)
                self.events += event.events
            elif isinstance(event, ToolCallDelta):
                self.size += len(event.arguments_json)
                self.events += event.events
            elif isinstance(event, ProviderUsage):
                self.billed = True

    def since(self, place: int) -> list[ModelEvent]:
        """What was said from `place` on: the beginning (0), or a place that nobody was told to forget."""
        if place == 0 and self._folded:
            return folded([*self._folded, *self._fresh])
        fresh = self._fresh
        if place == self.end - 1:
            return [fresh[-1]]
        return folded(fresh[place - self._before :] if place > self._before else fresh)

    def forget_places(self, before: int) -> None:
        """Nobody will ask for a place before this one, but for the beginning: what lies there is folded."""
        count = before - self._before
        if count >= FOLD_EVERY:
            self._folded = folded([*self._folded, *self._fresh[:count]])
            del self._fresh[:count]
            self._before = before

    def whole(self) -> "Whole":
        """All of it, put together."""
        return Whole(self.since(0))


class Whole:
    """An answer put together. `tool_calls` are the fragments of each call by its index."""

    def __init__(self, events: Sequence[ModelEvent]) -> None:
        self.text = self.reasoning = self.refusal = self.model = ""
        self.usage: ProviderUsage | None = None
        self.finish: Finish | None = None
        self.tool_calls: dict[int, list[ToolCallDelta]] = {}
        for event in events:
            match event:
                case TextDelta():
                    self.text += event.text
                    self.reasoning += event.reasoning
                    self.refusal += event.refusal
                case ToolCallDelta():
                    self.tool_calls.setdefault(event.index, []).append(event)
                case ProviderUsage():
                    self.usage = event
                case Finished():
                    self.finish, self.model = event.finish, event.model

    def calls(self) -> list[ToolCall]:
        """The tool calls, each put together."""
        return [
            ToolCall(
                index=index,
                call_id=next((part.call_id for part in parts if part.call_id), ""),
                name=next((part.name for part in parts if part.name), ""),
                arguments_json="".join(part.arguments_json for part in parts),
            )
            for index, parts in self.tool_calls.items()
        ]


def folded(events: Sequence[ModelEvent]) -> list[ModelEvent]:
    """The same events with neighbours that continue each other made one."""
    if len(events) < 2:
        return list(events)
    found: list[ModelEvent] = []
    run: list[ModelEvent] = []
    for event in events:
        if run and not _continues(run, event):
            found.append(_one(run))
            run = []
        run.append(event)
    return [*found, _one(run)]


def _continues(run: Sequence[ModelEvent], event: ModelEvent) -> bool:
    match run[-1], event:
        case TextDelta() as last, TextDelta():
            # Within one event the reasoning comes first, then the text.
            turns_back = event.reasoning and (last.text or last.refusal)
            return not turns_back and not (event.text and last.refusal)
        case ToolCallDelta() as last, ToolCallDelta():
            return event.index == last.index and not event.call_id and not event.name
    return False


def _one(run: Sequence[ModelEvent]) -> ModelEvent:
    first = run[0]
    if len(run) == 1:
        return first
    if isinstance(first, TextDelta):
        texts = [event for event in run if isinstance(event, TextDelta)]
        return TextDelta(
            text="".join(event.text for event in texts),
            reasoning="".join(event.reasoning for event in texts),
            refusal="".join(event.refusal for event in texts),
            events=sum(event.events for event in texts),
        )
    calls = [event for event in run if isinstance(event, ToolCallDelta)]
    return ToolCallDelta(
        index=calls[0].index,
        call_id=calls[0].call_id,
        name=calls[0].name,
        arguments_json="".join(event.arguments_json for event in calls),
        events=sum(event.events for event in calls),
        after_evidence=calls[0].after_evidence,
    )
