"""Where a turn may go: by name, place, region and need, within what its tenant may use; and in which order."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import CallerError, Reason
from gateway.domain.tenant import Tenant
from gateway.domain.turn import Place
from gateway.models.catalogue import Catalogue, Route
from gateway.models.complexity import complexity
from gateway.models.routing import Router, RoutingRules, Wish, by_load
from tests.support.routes import card, place, served

FLASH = card("flash", family="deep", able=("tools", "thinking", "vision"), aliases=("old-flash",))
PRO = card("pro", family="deep", able=("tools", "thinking"))
QWEN = card("qwen", family="qwen", able=("tools", "json"))
EMBEDDED = card("embedded", stand_in=True)
HOME = served(EMBEDDED, place("embedded", local=True))
SMALL = Router(Catalogue([served(FLASH, place("cloud")), served(PRO, place("cloud")), HOME]))
LARGE = Router(
    Catalogue(
        [
            served(FLASH, place("eu", region="eu"), place("eu", 2, region="eu"), place("asia", region="asia")),
            served(PRO, place("eu", region="eu")),
            served(QWEN, place("rack", local=True), place("asia", region="asia")),
            HOME,
        ]
    )
)
ANYONE = Tenant("any")


def told(routes: Sequence[Route]) -> list[str]:
    """`model@upstream/key` of each."""
    return [f"{route.card.name}@{route.upstream}/{route.key}" for route in routes]


def models(routes: Sequence[Route]) -> list[str]:
    return list(dict.fromkeys(route.card.name for route in routes))


@pytest.mark.parametrize(
    ("wish", "where", "model"),
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
def test_a_wish_and_a_place_choose_the_model(wish: str, where: Place, model: str) -> None:
    """The name wins; without one, the first model of the place."""
    assert SMALL.routes(Wish(wish, where), ANYONE)[0].card.name == model


@pytest.mark.parametrize(("wish", "where"), [("flash", Place.LOCAL_ONLY), ("embedded", Place.CLOUD_ONLY)])
def test_local_only_is_never_broken_by_a_name(wish: str, where: Place) -> None:
    """Data that must not leave does not leave because somebody named a model; and the other way round."""
    with pytest.raises(CallerError) as caught:
        SMALL.routes(Wish(wish, where), ANYONE)
    assert (caught.value.reason, caught.value.fields[0].field) == (Reason.INVALID_REQUEST, "routing.place")


def test_the_default_is_the_first_model_that_the_tenant_may_use() -> None:
    """A tenant of one model need not name it."""
    only = Tenant("t", models=("pro",))
    assert models(SMALL.routes(Wish(), only)) == ["pro"]
    assert models(SMALL.routes(Wish(place=Place.LOCAL_FIRST), only)) == ["pro"]


def test_the_operator_may_name_another_default() -> None:
    """It does not have to be the first."""
    router = Router(Catalogue(LARGE.catalogue.models, default="qwen"))
    assert router.routes(Wish(), ANYONE)[0].card.name == "qwen"


@pytest.mark.parametrize(
    ("wish", "tenant", "where", "reason"),
    [
        ("nope", ANYONE, Place.ANY, Reason.MODEL_NOT_FOUND),
        ("flash", Tenant("t", models=("pro",)), Place.ANY, Reason.MODEL_NOT_ALLOWED),
        ("", Tenant("t", models=("pro",)), Place.LOCAL_ONLY, Reason.MODEL_NOT_FOUND),
        ("", Tenant("t", models=()), Place.ANY, Reason.MODEL_NOT_FOUND),
    ],
)
def test_what_cannot_be_had_is_refused(wish: str, tenant: Tenant, where: Place, reason: Reason) -> None:
    """Never another model in its place."""
    with pytest.raises(CallerError) as caught:
        SMALL.routes(Wish(wish, where), tenant)
    assert caught.value.reason is reason


class TestOrder:
    """The model asked for, by key and upstream as listed; then its family; then, if none was named, others."""

    def test_keys_then_upstreams_then_family(self) -> None:
        """With the reason of each."""
        routes = LARGE.routes(Wish("flash"), ANYONE)
        assert told(routes) == ["flash@eu/1", "flash@eu/2", "flash@asia/1", "pro@eu/1"]
        assert [route.reason for route in routes] == [
            "requested",
            "standby_key",
            "standby_upstream",
            "standby_model",
        ]

    def test_a_family_member_must_be_able_and_allowed(self) -> None:
        """Pro sees no images; and who may not use it does not get it by the back door."""
        assert models(LARGE.routes(Wish("flash", needs=frozenset({"vision"})), ANYONE)) == ["flash"]
        assert models(LARGE.routes(Wish("flash"), Tenant("t", models=("flash",)))) == ["flash"]

    def test_an_open_wish_goes_to_who_is_able(self) -> None:
        """JSON only qwen writes; the stand-in is never a silent standby."""
        assert models(LARGE.routes(Wish(needs=frozenset({"json"})), ANYONE)) == ["qwen"]
        assert models(LARGE.routes(Wish(), ANYONE)) == ["flash", "pro", "qwen"]

    def test_local_first_means_first(self) -> None:
        """The rack, then the cloud; a model by name at its local place."""
        assert told(LARGE.routes(Wish(place=Place.LOCAL_FIRST), ANYONE))[0] == "qwen@rack/1"
        assert told(LARGE.routes(Wish("qwen", Place.LOCAL_FIRST), ANYONE)) == ["qwen@rack/1", "qwen@asia/1"]

    def test_a_region_is_kept(self) -> None:
        """By the turn's wish or the tenant's rule; one that nobody has is refused by name."""
        assert told(LARGE.routes(Wish("flash", region="asia"), ANYONE)) == ["flash@asia/1"]
        european = Tenant("t", regions=("eu",))
        assert told(LARGE.routes(Wish("flash"), european)) == ["flash@eu/1", "flash@eu/2", "pro@eu/1"]
        assert told(LARGE.routes(Wish("qwen"), european)) == ["qwen@rack/1"]
        with pytest.raises(CallerError, match="asia, eu"):
            LARGE.routes(Wish("flash", region="mars"), ANYONE)


class TestTheTenantsPlace:
    """Data rules of the tenant hold whatever the turn says."""

    def test_local_only_stays_local(self) -> None:
        """Even for a model that is elsewhere as well."""
        bound = Tenant("t", place=Place.LOCAL_ONLY)
        assert told(LARGE.routes(Wish("qwen"), bound)) == ["qwen@rack/1"]
        assert told(LARGE.routes(Wish("qwen", Place.LOCAL_FIRST), bound)) == ["qwen@rack/1"]
        for wish in (Wish("flash"), Wish("qwen", Place.CLOUD_ONLY)):
            with pytest.raises(CallerError, match="local_only"):
                LARGE.routes(wish, bound)

    def test_it_sees_only_what_it_may_use(self) -> None:
        """As ListModels shows it."""
        bound = Tenant("t", place=Place.LOCAL_ONLY)
        assert [card.name for card in LARGE.catalogue.offered(bound)] == ["qwen", "embedded"]
        assert [card.name for card in LARGE.catalogue.offered(Tenant("t", regions=("mars",)))] == [
            "qwen",
            "embedded",
        ]


HARD = "Prove and analyse this algorithm: ```def f(x):```"


@pytest.mark.parametrize(
    ("first", "asked", "expected"),
    [
        ("listed", (10, "hi", False), (None, "")),
        ("local", (10**6, HARD, True), (True, "local_first")),
        ("cloud", (1, "hi", False), (False, "cloud_first")),
        ("auto", (10, "hi", False), (True, "easy_question")),
        ("auto", (10, "hi", True), (False, "needs_thinking")),
        ("auto", (5_000, "hi", False), (False, "long_prompt")),
        ("auto", (10, HARD, False), (False, "complex_question")),
    ],
)
def test_rules_say_where_an_open_wish_goes_first(
    first: str, asked: tuple[int, str, bool], expected: tuple[bool | None, str]
) -> None:
    """Each with one word for the receipt."""
    tokens, text, thinks = asked
    router = Router(LARGE.catalogue, RoutingRules(first=first))
    assert router.preference(tokens, lambda: complexity(text), lambda: True, thinks=thinks) == expected


def test_at_the_peak_price_local_models_come_first_if_the_operator_says_so() -> None:
    """Also where models are listed; and not while the price is low."""
    router = Router(LARGE.catalogue, RoutingRules(peak_local=True))
    assert router.preference(1, lambda: 1.0, lambda: True, thinks=False) == (True, "peak_price")
    assert router.preference(1, lambda: 1.0, lambda: False, thinks=False) == (None, "")
    wish = Wish(local=True, why="peak_price")
    assert router.routes(wish, ANYONE)[0].reason == "peak_price"
    assert told(router.routes(wish, ANYONE))[0] == "qwen@rack/1"


def test_harder_questions_score_higher() -> None:
    """From small talk to a proof, in two languages, and never outside 0 to 1."""
    ladder = [
        "hi",
        "What is the capital of France?",
        "Compare the trade-offs of B-trees and LSM-trees, step by step. Which writes faster? And which reads?",
        "Prove the theorem, analyse the algorithm and implement it:\n```python\ndef f(x): ...\n```\n"
        + "why " * 500,
    ]
    scores = [complexity(question) for question in ladder]
    assert scores == sorted(scores)
    assert 0 <= scores[0] < 0.1
    assert 0.4 < scores[-1] <= 1
    assert complexity("请证明并分析这个算法") > complexity("你好")


class TestLoad:
    """Among the keys of one upstream."""

    def test_a_tenant_keeps_its_key_while_loads_are_alike(self) -> None:
        """And with it the upstream's prefix cache; tenants spread over keys."""
        keys = served(FLASH, *(place("eu", key) for key in range(1, 5)))
        routes = Router(Catalogue([keys])).routes(Wish("flash"), ANYONE)
        first = {tenant: by_load(routes, tenant, lambda _: 3)[0].key for tenant in map(str, range(100))}
        assert set(first.values()) == {1, 2, 3, 4}
        again = {tenant: by_load(routes, tenant, lambda route: route.key)[0].key for tenant in first}
        assert again == first

    def test_a_key_that_carries_far_more_is_left(self) -> None:
        """Sixteen calls are a step."""
        keys = served(FLASH, place("eu", 1), place("eu", 2))
        routes = Router(Catalogue([keys])).routes(Wish("flash"), ANYONE)
        for busy in (1, 2):
            order = by_load(routes, "t", lambda route, busy=busy: 100 if route.key == busy else 0)
            assert [route.key for route in order] == [3 - busy, busy]


NEEDS = st.frozensets(st.sampled_from(["tools", "vision", "json", "thinking"]))
WISHES = st.builds(
    Wish,
    model=st.sampled_from(["", "flash", "pro", "qwen", "embedded", "old-flash"]),
    place=st.sampled_from(list(Place)),
    region=st.sampled_from(["", "eu", "asia"]),
    needs=NEEDS,
    thinks=st.booleans(),
    local=st.sampled_from([None, True, False]),
)
TENANTS = st.builds(
    Tenant,
    st.just("t"),
    models=st.lists(st.sampled_from(["flash", "pro", "qwen", "embedded", "*"]), max_size=3).map(tuple),
    regions=st.sampled_from([("*",), ("eu",), ("asia",), ()]),
    place=st.sampled_from(list(Place)),
)


@given(WISHES, TENANTS)
def test_no_plan_ever_leaves_its_bounds(wish: Wish, tenant: Tenant) -> None:
    """Allow-list, place and region of turn and tenant hold for every route, and the same plan comes out again."""
    try:
        routes = LARGE.routes(wish, tenant)
    except CallerError:
        return
    assert len(routes) == len(set(told(routes))) > 0
    for route in routes:
        assert tenant.may_use_model(route.card.name)
        if Place.LOCAL_ONLY in (wish.place, tenant.place):
            assert route.endpoint.local
        if Place.CLOUD_ONLY in (wish.place, tenant.place):
            # A tenant's own rule is the stronger one; a mere preference of the turn is not.
            assert not route.endpoint.local
        assert wish.region in ("", route.endpoint.region)
        in_region = "*" in tenant.regions or route.endpoint.region in tenant.regions
        assert route.endpoint.local or in_region
    if wish.model:
        asked = routes[0].card
        assert asked.name == wish.model.removeprefix("old-")
        assert all(route.card is asked or route.card.family == asked.family for route in routes)
    assert LARGE.routes(wish, tenant) is routes
