"""Which models there are, by name and alias, and where each can be asked (pure)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from gateway.domain.errors import CallerError, Reason
from gateway.domain.tenant import Tenant
from gateway.domain.turn import Place
from gateway.models import ModelCard, ModelProvider

DEGRADED = "degraded"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One upstream with one of its keys: `key` counts them from 1, and is never the key itself.

    `local` says that it runs on machines of the operator's own. Times in seconds, 0 = the gateway's own timers.
    """

    provider: ModelProvider
    key: int = 1
    region: str = ""
    local: bool = False
    first_output_s: float = 0.0
    first_output_thinking_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Route:
    """A model and where it is asked, with one word for why it stands where it does in the plan."""

    card: ModelCard
    endpoint: Endpoint
    reason: str

    @property
    def provider(self) -> ModelProvider:
        """Who is asked."""
        return self.endpoint.provider

    @property
    def upstream(self) -> str:
        """The name of the upstream, as in the configuration."""
        return self.endpoint.provider.name

    @property
    def key(self) -> int:
        """Which of the upstream's keys."""
        return self.endpoint.key


@dataclass(frozen=True, slots=True)
class Served:
    """A model with the endpoints that serve it, in order of preference."""

    card: ModelCard
    endpoints: tuple[Endpoint, ...]


class Catalogue:
    """Looks models up; the first one is the default unless another is named."""

    def __init__(self, models: Iterable[Served], default: str = "") -> None:
        ordered = sorted(models, key=lambda served: served.card.name != default)
        self.models = tuple(
            Served(replace(served.card, local=all(e.local for e in served.endpoints)), served.endpoints)
            for served in ordered
        )
        self._by_name: dict[str, Served] = {}
        for served in self.models:
            card = served.card
            for name in (card.name, *card.aliases, *card.thinking_aliases):
                self._by_name.setdefault(name, served)
        self.regions = frozenset(e.region for served in self.models for e in served.endpoints if e.region)

    def named(self, wish: str) -> Served:
        """The model of this name or alias. Raises CallerError MODEL_NOT_FOUND."""
        found = self._by_name.get(wish)
        if found is None:
            raise CallerError(
                Reason.MODEL_NOT_FOUND, f"there is no model {wish[:64]!r}; ListModels shows which there are"
            )
        return found

    def usable(self, tenant: Tenant) -> tuple[Served, ...]:
        """The models this tenant may use, each where the tenant's data may go."""
        return tuple(
            Served(served.card, places)
            for served in self.models
            if tenant.may_use_model(served.card.name)
            and (places := tuple(e for e in served.endpoints if may_go(tenant, e)))
        )

    def offered(self, tenant: Tenant) -> Sequence[ModelCard]:
        """The cards of these models."""
        return [served.card for served in self.usable(tenant)]

    def degraded(self, tenant: Tenant) -> Route | None:
        """What still answers when no upstream does: the stand-in, if the tenant may use it."""
        for served in self.models:
            if served.card.stand_in and tenant.may_use_model(served.card.name):
                return Route(served.card, served.endpoints[0], DEGRADED)
        return None


def may_go(tenant: Tenant, endpoint: Endpoint) -> bool:
    """Whether the tenant's own rules let its questions go there."""
    if endpoint.local:
        return tenant.place is not Place.CLOUD_ONLY
    in_region = any(fnmatchcase(endpoint.region, pattern) for pattern in tenant.regions)
    return in_region and tenant.place is not Place.LOCAL_ONLY
