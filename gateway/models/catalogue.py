"""Which models there are, by name and alias, and who serves each (pure)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.domain.errors import CallerError, Reason, invalid
from gateway.domain.tenant import Tenant
from gateway.domain.turn import Place
from gateway.models import ModelCard, ModelProvider


@dataclass(frozen=True, slots=True)
class Route:
    """A model and who serves it, with the reason it was chosen."""

    card: ModelCard
    provider: ModelProvider
    reason: str


class Catalogue:
    """Looks models up. The first provider's first model is the default."""

    def __init__(self, providers: Iterable[ModelProvider]) -> None:
        self._routes: dict[str, Route] = {}
        self._names: dict[str, str] = {}
        for provider in providers:
            for card in provider.cards:
                self._routes.setdefault(card.name, Route(card, provider, "requested"))
                for name in (card.name, *card.aliases):
                    self._names.setdefault(name, card.name)
        self._default = next(iter(self._routes.values()), None)
        self._local = next((route for route in self._routes.values() if route.card.local), None)

    def resolve(self, wish: str, tenant: Tenant, place: Place) -> Route:
        """The route for a wish ("" = the default), within what the tenant and the place allow.

        Raises CallerError: MODEL_NOT_FOUND, MODEL_NOT_ALLOWED, INVALID_REQUEST where name and place contradict.
        """
        route = self._requested(wish) if wish else self._by_place(place, tenant)
        name, local = route.card.name, route.card.local
        if not tenant.may_use_model(name):
            raise CallerError(
                Reason.MODEL_NOT_ALLOWED,
                f"this tenant may not use the model {name}; ListModels shows which it may",
            )
        if (place is Place.LOCAL_ONLY and not local) or (place is Place.CLOUD_ONLY and local):
            raise invalid("routing.place", f"{place.value} excludes the model {name}; leave out one of the two")
        return route

    def offered(self, tenant: Tenant) -> Sequence[ModelCard]:
        """The models this tenant may use."""
        return [route.card for name, route in self._routes.items() if tenant.may_use_model(name)]

    def degraded(self, tenant: Tenant) -> Route | None:
        """What still answers when no upstream does: the first local model the tenant may use."""
        local = self._local
        if local is None or not tenant.may_use_model(local.card.name):
            return None
        return Route(local.card, local.provider, "degraded")

    def _requested(self, wish: str) -> Route:
        name = self._names.get(wish)
        if name is None:
            raise CallerError(
                Reason.MODEL_NOT_FOUND, f"there is no model {wish[:64]!r}; ListModels shows which there are"
            )
        return self._routes[name]

    def _by_place(self, place: Place, tenant: Tenant) -> Route:
        """The first model that the tenant may use where the place asks for it; LOCAL_FIRST falls back to any."""
        usable = [route for route in self._routes.values() if tenant.may_use_model(route.card.name)]
        local = [route for route in usable if route.card.local]
        cloud = [route for route in usable if not route.card.local]
        wanted = {
            Place.LOCAL_ONLY: local,
            Place.CLOUD_ONLY: cloud,
            Place.LOCAL_FIRST: local or cloud,
            Place.ANY: usable,
        }[place]
        if not wanted:
            raise CallerError(
                Reason.MODEL_NOT_FOUND,
                f"this tenant may use no model where routing.place asks for it: {place.value}",
            )
        reason = "default" if place is Place.ANY else place.value
        return Route(wanted[0].card, wanted[0].provider, reason)
