"""Where a turn may go, in order, with the reason of each place (pure).

What must not be broken comes first and is never traded: what the tenant may use, where its data may go, the place
and region that the turn asks for, what the model must be able to do. What is left is put in order: the model that
was asked for, on its upstreams and keys as they are listed; then models of its family; and where the caller left
the model open, the others. Health and load are not looked at here, but when somebody is asked.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from zlib import crc32

from gateway.domain.errors import CallerError, Reason, invalid
from gateway.domain.tenant import Tenant
from gateway.domain.turn import Place
from gateway.models.catalogue import Catalogue, Endpoint, Route, Served

STANDBY_KEY, STANDBY_UPSTREAM, STANDBY_MODEL = "standby_key", "standby_upstream", "standby_model"
LOAD_STEP = 16
"""How many more calls one key may carry than another before a tenant's turns move over."""


@dataclass(frozen=True, slots=True)
class RoutingRules:
    """Whether local or cloud models come first where the caller leaves it open.

    `first` is `listed` (the order of the configuration), `local`, `cloud` or `auto`: easy, short questions go to
    local models. `local_prompt_tokens` and `local_complexity` (0 to 1) say what is easy; with `peak_local`, local
    models come first while the peak price holds. `dearer` lets a dearer model stand in, and then its price is
    held.
    """

    first: str = "listed"
    local_prompt_tokens: int = 2_000
    local_complexity: float = 0.4
    peak_local: bool = False
    dearer: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What a turn asks of its place; `model` is empty where the caller left it open.

    `needs` are capabilities without which there is no answer. `local` puts local models first (True), last (False)
    or where they are listed (None), for the reason `why`.
    """

    model: str = ""
    place: Place = Place.ANY
    region: str = ""
    needs: frozenset[str] = frozenset()
    thinks: bool = False
    local: bool | None = None
    why: str = ""


class Router:
    """Plans; remembers the plans of wishes that come again, because nothing they rest on changes."""

    def __init__(self, catalogue: Catalogue, rules: RoutingRules | None = None) -> None:
        self.catalogue = catalogue
        self.rules = rules or RoutingRules()
        self.has_choice = len({e.local for s in catalogue.models if not s.card.stand_in for e in s.endpoints}) > 1
        self._plan = lru_cache(maxsize=4096)(self._routes)

    def routes(self, wish: Wish, tenant: Tenant) -> tuple[Route, ...]:
        """Everywhere the turn may go, the best place first; never empty.

        Raises CallerError: MODEL_NOT_FOUND, MODEL_NOT_ALLOWED, INVALID_REQUEST where its wishes contradict.
        """
        return self._plan(wish, tenant.models, tenant.regions, tenant.place)

    def preference(
        self, tokens: int, complexity: Callable[[], float], peak: Callable[[], bool], *, thinks: bool
    ) -> tuple[bool | None, str]:
        """Whether local models come first for such a question, and one word for why."""
        found: tuple[bool | None, str] = (None, "")
        rules = self.rules
        if not self.has_choice:
            return found
        if rules.first in ("local", "cloud"):
            found = (rules.first == "local", f"{rules.first}_first")
        elif rules.first == "auto" and thinks:
            found = (False, "needs_thinking")
        elif rules.first == "auto" and tokens > rules.local_prompt_tokens:
            found = (False, "long_prompt")
        elif rules.peak_local and peak():
            found = (True, "peak_price")
        elif rules.first == "auto":
            hard = complexity() > rules.local_complexity
            found = (False, "complex_question") if hard else (True, "easy_question")
        return found

    def _routes(
        self, wish: Wish, models: tuple[str, ...], regions: tuple[str, ...], place: Place
    ) -> tuple[Route, ...]:
        tenant = Tenant("", models=models, regions=regions, place=place)
        wish = replace(wish, place=effective_place(wish.place, place))
        usable = self.catalogue.usable(tenant)
        if not wish.model:
            return _open_routes(usable, wish, self.catalogue)
        asked = self.catalogue.named(wish.model)
        if not tenant.may_use_model(asked.card.name):
            raise CallerError(
                Reason.MODEL_NOT_ALLOWED,
                f"this tenant may not use the model {asked.card.name}; ListModels shows which it may",
            )
        return _named_routes(asked, usable, wish, self.catalogue)


def effective_place(wish: Place, rule: Place) -> Place:
    """Where a turn runs by its own wish and its tenant's rule. Raises CallerError where they exclude each
    other."""
    if rule in (Place.LOCAL_ONLY, Place.CLOUD_ONLY):
        if wish in (Place.LOCAL_ONLY, Place.CLOUD_ONLY) and wish is not rule:
            raise invalid("routing.place", f"this tenant's turns run {rule.value}; leave the place out")
        return rule
    return rule if wish is Place.ANY else wish


def by_load(routes: Iterable[Route], tenant: str, load: Callable[[Route], int]) -> list[Route]:
    """The same order, but among the keys of one upstream for one model, the key of this tenant first.

    A tenant keeps its key, and with it the upstream's prefix cache, until others carry far less.
    """
    order: list[Route] = []
    group: list[Route] = []
    for route in routes:
        if group and (group[0].card is not route.card or group[0].upstream != route.upstream):
            order += _spread(group, tenant, load)
            group = []
        group.append(route)
    return order + _spread(group, tenant, load)


def _spread(keys: list[Route], tenant: str, load: Callable[[Route], int]) -> list[Route]:
    if len(keys) < 2:
        return keys
    ranks = {route.key: crc32(f"{tenant}/{route.upstream}/{route.key}".encode()) for route in keys}
    return sorted(keys, key=lambda route: (load(route) // LOAD_STEP, ranks[route.key]))


def _allowed(served: Served, wish: Wish) -> tuple[Endpoint, ...]:
    """Where this model may be asked, by place and region."""
    return tuple(
        endpoint
        for endpoint in served.endpoints
        if not (wish.place is Place.LOCAL_ONLY and not endpoint.local)
        and not (wish.place is Place.CLOUD_ONLY and endpoint.local)
        and wish.region in ("", endpoint.region)
    )


def _named_routes(asked: Served, usable: Sequence[Served], wish: Wish, catalogue: Catalogue) -> tuple[Route, ...]:
    name = asked.card.name
    own = next((served for served in usable if served.card is asked.card), None)
    if own is None or not any(_allowed(own, replace(wish, region=""))):
        limit = wish.place.value if wish.place is not Place.ANY else "this tenant's regions"
        raise invalid("routing.place", f"{limit} excludes the model {name}; leave out one of the two")
    first = _allowed(own, wish)
    if not first:
        raise _no_region(wish.region, catalogue, name)
    # What the model itself lacks is not demanded of those that stand in for it.
    needs = wish.needs | ({"thinking"} & set(asked.card.capabilities) if wish.thinks else set())
    family = [
        served
        for served in usable
        if served.card is not asked.card
        and served.card.family
        and served.card.family == asked.card.family
        and needs <= set(served.card.capabilities)
    ]
    others = [(served, endpoint) for served in family for endpoint in _allowed(served, wish)]
    order = [*((own, endpoint) for endpoint in first), *others]
    if wish.place is Place.LOCAL_FIRST:
        order.sort(key=lambda pair: (pair[0] is not own, not pair[1].local))
    return _with_reasons(order, "requested")


def _open_routes(usable: Sequence[Served], wish: Wish, catalogue: Catalogue) -> tuple[Route, ...]:
    local_first = True if wish.place is Place.LOCAL_FIRST else wish.local
    listed = [(served, endpoint) for served in usable for endpoint in _allowed(served, wish)]
    if not listed and wish.region:
        raise _no_region(wish.region, catalogue, "any model that this tenant may use")
    able = [pair for pair in listed if wish.needs <= set(pair[0].card.capabilities)]
    # Where nobody can, the first is chosen all the same: the refusal names what it lacks.
    pairs = able or listed
    if not pairs:
        raise CallerError(
            Reason.MODEL_NOT_FOUND,
            f"this tenant may use no model where routing.place asks for it: {wish.place.value}",
        )

    def rank(pair: tuple[Served, Endpoint]) -> tuple[bool, bool, bool]:
        served, endpoint = pair
        misplaced = local_first is not None and endpoint.local is not local_first
        lesser = served.card.stand_in and (local_first is not True or wish.place is not Place.LOCAL_FIRST)
        return (
            lesser,
            misplaced,
            served.card.stand_in or (wish.thinks and "thinking" not in served.card.capabilities),
        )

    pairs.sort(key=rank)
    first = pairs[0][0]
    # A stand-in comes first or not at all: behind others it is the degraded tier, which is always marked.
    pairs = [pair for pair in pairs if pair[0] is first or not pair[0].card.stand_in]
    if local_first is None:
        family = first.card.family
        pairs.sort(key=lambda pair: (pair[0] is not first, not family or pair[0].card.family != family))
    reason = wish.why if wish.local is not None and wish.place is Place.ANY else ""
    return _with_reasons(pairs, reason or ("default" if wish.place is Place.ANY else wish.place.value))


def _with_reasons(order: Sequence[tuple[Served, Endpoint]], reason: str) -> tuple[Route, ...]:
    first, first_place = order[0]
    routes = [Route(first.card, first_place, reason)]
    for served, endpoint in order[1:]:
        if served.card is not first.card:
            why = STANDBY_MODEL
        elif endpoint.provider.name != first_place.provider.name:
            why = STANDBY_UPSTREAM
        else:
            why = STANDBY_KEY
        routes.append(Route(served.card, endpoint, why))
    return tuple(routes)


def _no_region(region: str, catalogue: Catalogue, what: str) -> CallerError:
    if not catalogue.regions:
        text = "no upstream of this gateway is configured with a region; leave it empty"
    else:
        known = ", ".join(sorted(catalogue.regions))
        text = f"{what} is not served in {region[:64]!r}; there are the regions {known}"
    return invalid("routing.region", text)
