"""Models and places for tests that only plan: nobody is ever asked."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from gateway.domain.events import ModelEvent
from gateway.models import ModelCard, Prompt
from gateway.models.catalogue import Endpoint, Served


@dataclass(frozen=True)
class Provider:
    """A provider that is never asked."""

    name: str
    cards: tuple[ModelCard, ...] = ()

    def warm(self) -> None: ...

    def stream(self, prompt: Prompt) -> AsyncGenerator[Sequence[ModelEvent], None]:
        raise AssertionError("nobody asks")

    async def aclose(self) -> None: ...


def card(
    name: str,
    *,
    family: str = "",
    able: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    stand_in: bool = False,
) -> ModelCard:
    """A small model."""
    return ModelCard(name, "owner", "provider", 1000, 100, able, family=family, aliases=aliases, stand_in=stand_in)


def place(upstream: str, key: int = 1, *, region: str = "", local: bool = False) -> Endpoint:
    """An upstream with one of its keys."""
    return Endpoint(Provider(upstream), key, region, local)


def served(model: ModelCard, *places: Endpoint) -> Served:
    """The model, at these places."""
    return Served(model, places)
