"""Which model a turn gets: by name, by place, within what the tenant may use."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import pytest

from gateway.domain.errors import CallerError, Reason
from gateway.domain.events import ModelEvent
from gateway.domain.tenant import Tenant
from gateway.domain.turn import Place
from gateway.models import ModelCard, Prompt
from gateway.models.catalogue import Catalogue


@dataclass
class Provider:
    """A provider that is never asked."""

    name: str
    cards: tuple[ModelCard, ...]

    def stream(self, prompt: Prompt) -> AsyncGenerator[Sequence[ModelEvent], None]:
        raise AssertionError("nobody asks")

    async def aclose(self) -> None: ...


def card(name: str, *, local: bool = False, aliases: tuple[str, ...] = ()) -> ModelCard:
    return ModelCard(name, "owner", "provider", 1000, 100, local=local, aliases=aliases)


CATALOGUE = Catalogue(
    [
        Provider("cloud", (card("flash", aliases=("old-flash",)), card("pro"))),
        Provider("here", (card("embedded", local=True),)),
    ]
)
ANYONE = Tenant("any")


@pytest.mark.parametrize(
    ("wish", "place", "model"),
    [
        ("", Place.ANY, "flash"),
        ("pro", Place.ANY, "pro"),
        ("old-flash", Place.ANY, "flash"),
        ("", Place.LOCAL_ONLY, "embedded"),
        ("", Place.LOCAL_FIRST, "embedded"),
        ("", Place.CLOUD_ONLY, "flash"),
        ("embedded", Place.LOCAL_ONLY, "embedded"),
        ("flash", Place.LOCAL_FIRST, "flash"),
    ],
)
def test_a_wish_and_a_place_choose_the_model(wish: str, place: Place, model: str) -> None:
    """The name wins; without one, the first model of the place."""
    assert CATALOGUE.resolve(wish, ANYONE, place).card.name == model


@pytest.mark.parametrize(("wish", "place"), [("flash", Place.LOCAL_ONLY), ("embedded", Place.CLOUD_ONLY)])
def test_local_only_is_never_broken_by_a_name(wish: str, place: Place) -> None:
    """Data that must not leave does not leave because somebody named a model; and the other way round."""
    with pytest.raises(CallerError) as caught:
        CATALOGUE.resolve(wish, ANYONE, place)
    assert (caught.value.reason, caught.value.fields[0].field) == (Reason.INVALID_REQUEST, "routing.place")


def test_the_default_is_the_first_model_that_the_tenant_may_use() -> None:
    """A tenant of one model need not name it."""
    assert CATALOGUE.resolve("", Tenant("t", models=("pro",)), Place.ANY).card.name == "pro"
    assert CATALOGUE.resolve("", Tenant("t", models=("pro",)), Place.LOCAL_FIRST).card.name == "pro"


@pytest.mark.parametrize(
    ("wish", "tenant", "place", "reason"),
    [
        ("nope", ANYONE, Place.ANY, Reason.MODEL_NOT_FOUND),
        ("flash", Tenant("t", models=("pro",)), Place.ANY, Reason.MODEL_NOT_ALLOWED),
        ("", Tenant("t", models=("pro",)), Place.LOCAL_ONLY, Reason.MODEL_NOT_FOUND),
        ("", Tenant("t", models=()), Place.ANY, Reason.MODEL_NOT_FOUND),
    ],
)
def test_what_cannot_be_had_is_refused(wish: str, tenant: Tenant, place: Place, reason: Reason) -> None:
    """Never another model in its place."""
    with pytest.raises(CallerError) as caught:
        CATALOGUE.resolve(wish, tenant, place)
    assert caught.value.reason is reason
