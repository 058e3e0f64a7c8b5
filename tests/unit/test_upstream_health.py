"""How upstreams are doing, over minutes that take no time: calls, probes, retries, counted."""

from collections.abc import Callable, Sequence

from gateway.domain.errors import Reason, UpstreamError
from gateway.domain.tenant import Tenant
from gateway.models.breaker import State
from gateway.models.catalogue import Catalogue, Route
from gateway.models.health import Health
from gateway.models.retry import fits, in_order, move_after
from gateway.models.routing import Router, Wish
from gateway.upstreams import why_refused
from tests.support.routes import card, place, served

FLASH = card("flash", family="deep")
PRO = card("pro", family="deep")


def house(*upstreams: str) -> tuple[Health, tuple[Route, ...]]:
    """These upstreams, and everywhere that a turn for flash may go."""
    places = [place(upstream) for upstream in upstreams]
    catalogue = Catalogue([served(FLASH, *places), served(PRO, *places)])
    routes = Router(catalogue).routes(Wish("flash"), Tenant("t"))
    return Health(catalogue), routes


class World:
    """Turns that arrive at a steady rate, and upstreams that are well or not."""

    def __init__(self, health: Health, routes: Sequence[Route], well: Callable[[str, float, int], bool]) -> None:
        """`well` says of a call whether it is: by its upstream, its moment and its number there."""
        self.health = health
        self.routes = [route for route in routes if route.card is routes[0].card]
        self.well = well
        self.calls: dict[str, int] = {}
        self.answered: list[float] = []
        self.turns = 0

    def turn(self, now: float) -> None:
        """One turn, with the retries it is allowed."""
        self.turns += 1
        begun = self.health.begin(self.routes, now)
        tried: list[Route] = []
        errors: list[UpstreamError] = []
        while begun is not None:
            route, call = begun
            number = self.calls[route.upstream] = self.calls.get(route.upstream, 0) + 1
            if self.well(route.upstream, now, number):
                call.first_output(now)
                call.succeeded(now)
                self.answered.append(now)
                return
            call.failed(now)
            tried.append(route)
            errors.append(UpstreamError(Reason.UPSTREAM_UNAVAILABLE, "x", facts={"upstream_cause": "http_503"}))
            begun = self.retry(route, tried, errors, now)

    def retry(
        self, failed: Route, tried: list[Route], errors: list[UpstreamError], now: float
    ) -> "tuple[Route, object] | None":
        if len(tried) >= self.health.retry_rules.attempts:
            return None
        for route in in_order(move_after(errors), failed, tried, self.routes):
            budget = self.health.budget_of(route.upstream)
            if budget.allows and fits(0.0, 60.0, 0.0) and self.health.usable(route, now):
                begun = self.health.begin([route], now, alone=False)
                if begun is not None:
                    budget.spend()
                    return begun
        return None

    def run(self, rate: int, start: float, end: float) -> None:
        for number in range(int((end - start) * rate)):
            self.turn(start + number / rate)


def test_half_of_the_calls_fail_for_five_minutes() -> None:
    """U-22: at most a tenth more calls than turns, in every minute."""
    world = World(*house("only"), lambda _upstream, _now, number: number % 2 == 0)
    for minute in range(5):
        before = world.turns, sum(world.calls.values())
        world.run(50, minute * 60.0, minute * 60.0 + 60)
        assert sum(world.calls.values()) - before[1] <= 1.10 * (world.turns - before[0])
    assert world.answered


def test_failures_that_never_make_a_row_are_retried_within_the_budget() -> None:
    """One call in eleven fails: the circuit stays closed, every turn is answered, a tenth more calls at most."""
    world = World(*house("only"), lambda _upstream, _now, number: number % 11 != 0)
    world.run(50, 0.0, 300.0)
    assert sum(world.calls.values()) <= 1.10 * world.turns
    assert len(world.answered) == world.turns


def test_everything_down_for_ten_minutes() -> None:
    """U-23: a probe a second, everything else fails fast; back within 35 s, a tenth in the first second."""
    world = World(*house("only"), lambda _upstream, now, _number: not 10 <= now < 610)
    world.run(50, 0.0, 10.0)
    before = world.calls["only"]
    world.run(50, 10.0, 610.0)
    assert world.calls["only"] - before <= 600 + 10
    answered = len(world.answered)
    world.run(50, 610.0, 650.0)
    back = world.answered[answered]
    assert back <= 612
    assert sum(back < moment <= back + 1 for moment in world.answered) <= 5 + 1
    assert sum(moment > 645 for moment in world.answered) >= 5 * 50 - 1


def test_a_primary_that_dies_costs_a_handful_of_calls() -> None:
    """Its circuit opens, turns go to the standby; every half minute and then more seldom one probe looks again."""
    world = World(*house("primary", "standby"), lambda upstream, now, _: upstream == "standby" or now < 10)
    world.run(20, 0.0, 10.0)
    world.run(20, 10.0, 310.0)
    assert world.calls["primary"] <= 200 + 5 + 5
    assert len(world.answered) == world.turns


def test_a_dead_key_is_dead_for_every_model() -> None:
    """And only that key."""
    catalogue = Catalogue([served(FLASH, place("eu", 1), place("eu", 2)), served(PRO, place("eu", 1))])
    health = Health(catalogue)
    route = Router(catalogue).routes(Wish("flash"), Tenant("t"))[0]
    health.condemn(route, Reason.UPSTREAM_BALANCE, 0.0)
    assert health.dead([route]) is Reason.UPSTREAM_BALANCE
    states = {(one.model, one.key): one.state for one in health.standings()}
    assert states == {("flash", 1): State.OPEN, ("flash", 2): State.CLOSED, ("pro", 1): State.OPEN}


def test_the_usual_first_output_is_the_median_of_the_last() -> None:
    """And calls in flight are counted until they end."""
    health, routes = house("only")
    for took in (1.0, 9.0, 2.0):
        begun = health.begin(routes, 0.0)
        assert begun is not None
        assert health.load(routes[0]) == 1
        begun[1].first_output(took)
        begun[1].succeeded(took)
    assert health.usual_first_output_s(routes[0]) == 2.0
    assert health.load(routes[0]) == 0


def test_whoever_watches_is_told_why_a_key_is_dead() -> None:
    """So that the log can say what to do, and the list of circuits with it."""
    told: list[tuple[State, Reason | None]] = []
    catalogue = Catalogue([served(FLASH, place("only"))])
    health = Health(catalogue, told=lambda _name, state, dead: told.append((state, dead)))
    route = Router(catalogue).routes(Wish("flash"), Tenant("t"))[0]
    health.condemn(route, Reason.UPSTREAM_CREDENTIALS, 0.0)
    assert told == [(State.OPEN, Reason.UPSTREAM_CREDENTIALS)]
    assert [one.refused_key for one in health.standings()] == ["UPSTREAM_CREDENTIALS"]
    assert "check-config --online" in why_refused(Reason.UPSTREAM_CREDENTIALS)["advice"]
    assert "top up" in why_refused(Reason.UPSTREAM_BALANCE)["advice"]
    assert why_refused(None) == {}


def test_whoever_watches_is_told_of_every_change_once() -> None:
    """Open, probing, coming back."""
    told: list[str] = []
    catalogue = Catalogue([served(FLASH, place("only"))])
    health = Health(catalogue, told=lambda _name, state, _dead: told.append(state.value))
    routes = Router(catalogue).routes(Wish("flash"), Tenant("t"))
    for _ in range(5):
        begun = health.begin(routes, 0.0)
        assert begun is not None
        begun[1].failed(0.0)
    begun = health.begin(routes, 30.0)
    assert begun is not None
    begun[1].first_output(30.1)
    begun[1].failed(31.0)
    assert told == ["open", "probing", "ramping"]
