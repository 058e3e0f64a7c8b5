"""The embedded model: answers by quoting the sources of the turn; needs no key, no network and no weights."""

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence

from gateway.domain.events import Finished, ModelEvent, ProviderUsage, TextDelta
from gateway.domain.text import token_weight
from gateway.models import ModelCard, Prompt
from gateway.models.wording import bounded, compose

NAME = "embedded"
CARD = ModelCard(
    name=NAME,
    owner="gateway",
    provider=NAME,
    context_tokens=32_768,
    max_output_tokens=4_096,
    capabilities=("streaming", "grounded"),
    local=True,
    stand_in=True,
)


class EmbeddedModel:
    """A model provider that reads `prompt.question` and `prompt.sources` as data and quotes from them.

    Same question, same sources: same answer. Temperature, tools and response formats mean nothing to it; its card
    says which of them it has.
    """

    @property
    def name(self) -> str:
        """`embedded`."""
        return NAME

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """The one model, `embedded`."""
        return (CARD,)

    def warm(self) -> None:
        """There is nothing to connect to."""

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """The answer word by word, then usage and end. Raises nothing.

        Usage is estimated, 0.3 tokens per character and 0.6 per CJK character, for prompt and answer alike.
        """
        options = prompt.generation
        words, finish = bounded(compose(prompt.question, prompt.sources), options.max_tokens, options.stop)
        for word in words:
            yield (TextDelta(text=word),)
            # Others run between two words: a long quotation must not hold the loop.
            await asyncio.sleep(0)
        yield (_usage(prompt, words), Finished(finish, model=NAME))

    async def aclose(self) -> None:
        """There is nothing to close."""


def create() -> EmbeddedModel:
    """The embedded model; it has no options."""
    return EmbeddedModel()


def _usage(prompt: Prompt, words: Sequence[str]) -> ProviderUsage:
    return ProviderUsage(
        prompt_tokens=math.ceil(sum(token_weight(message.text) for message in prompt.messages)),
        completion_tokens=math.ceil(sum(map(token_weight, words))),
    )
