"""Model providers: a prompt in, what the model says out, exactly as it arrives.

A provider is an async generator, the only kind in the house. It yields what has already arrived, together, and
never waits to fill a batch. It is closed (`aclose`) by whoever opened it, and closes its upstream connection then.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.events import ModelEvent, Source
from gateway.domain.turn import Generation, Message, Tool

CAPABILITIES = ("tools", "vision", "json", "thinking")
"""What a turn may need of a model, beyond plain text."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is and can do. Prices are not here: they are the price book's.

    A model of the same `family` may stand in for it. Under one of `thinking_aliases` it thinks unless told
    otherwise. `thinks_without_tool_demand` says that it refuses a demanded tool call while it thinks,
    `wants_reasoning_back` that it refuses a history whose tool calls lack their reasoning. A `stand_in` answers
    from evidence alone: it is asked first or as the last resort, and never in another model's place unmarked.
    """

    name: str
    owner: str
    provider: str
    context_tokens: int
    max_output_tokens: int
    capabilities: tuple[str, ...] = ()
    local: bool = False
    aliases: tuple[str, ...] = ()
    family: str = ""
    thinking_aliases: tuple[str, ...] = ()
    thinks_without_tool_demand: bool = False
    wants_reasoning_back: bool = False
    stand_in: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """One call to a model, ready to send.

    `messages` already contain the fenced evidence; `question` and `sources` are the same for a provider that
    reads them as data. `generation.max_tokens` is effective (never 0). `user_id` is opaque. `deadline` is a
    moment on the event loop's clock.
    """

    model: str
    messages: tuple[Message, ...]
    generation: Generation
    tools: tuple[Tool, ...]
    question: str
    sources: tuple[Source, ...]
    user_id: str
    deadline: float


@dataclass(slots=True)
class Warming:
    """A connection that is opened ahead of its use. Moments of the performance counter; `ready` None: not yet."""

    begun: float
    ready: float | None = None


class ModelProvider(Protocol):
    """One way to reach models."""

    @property
    def name(self) -> str:
        """The name on receipts and in `served_by`: the file's own."""
        ...

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """The models it serves."""
        ...

    def warm(self) -> Warming | None:
        """Begins to connect for a prompt that will come soon, and returns at once; None where there is no need.

        At most one connection is opened ahead at a time. It fails in silence: whoever asks meets the failure.
        """
        ...

    def stream(self, prompt: Prompt) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """Yields what arrived together, in order; the last sequence holds exactly one `Finished`.

        An empty sequence is a sign of life that is no progress (a keep-alive). Raises UpstreamError, before
        the first event or after it; a stream that ends without `Finished` is an error, never a clean end.
        """
        ...

    async def aclose(self) -> None:
        """Closes connections."""
        ...
