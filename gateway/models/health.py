"""How every upstream is doing: circuits, retry budgets, calls in flight, the usual time to a first output (pure).

Kept in this process, and only what its own calls have shown; the moment is an argument of everything.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from statistics import median

from gateway.domain.errors import Reason
from gateway.models.breaker import BreakerRules, Circuit, Pass, State
from gateway.models.catalogue import Catalogue, Route
from gateway.models.retry import Budget, RetryRules

REMEMBERED = 64
"""First outputs that the usual time is told from."""

Name = tuple[str, str, int]
"""Upstream, model, number of the key."""
Told = Callable[[Name, State, Reason | None], None]


@dataclass(frozen=True, slots=True)
class Standing:
    """One circuit for an operator: `refused_key` is why the upstream will not serve the key, empty where it does;
    `retries_left` is what the upstream's budget still allows."""

    upstream: str
    model: str
    key: int
    region: str
    local: bool
    state: State
    refused_key: str
    in_flight: int
    usual_first_output_s: float
    retries_left: int


class Place:
    """What is known of one route."""

    __slots__ = ("circuit", "dead", "firsts", "in_flight")

    def __init__(self, rules: BreakerRules) -> None:
        self.circuit = Circuit(rules)
        self.firsts: deque[float] = deque(maxlen=REMEMBERED)
        self.in_flight = 0
        self.dead: Reason | None = None


class Call:
    """One call under way: tell it exactly once how it ended."""

    __slots__ = ("_begun", "_health", "_how", "_name", "_place", "_proved")

    def __init__(self, health: "Health", name: Name, how: Pass, now: float) -> None:
        self._health = health
        self._name = name
        self._place = health.place(name)
        self._how = how
        self._proved = False
        self._begun = now
        self._place.in_flight += 1

    def first_output(self, now: float) -> None:
        """It speaks: enough for a probe."""
        self._place.firsts.append(now - self._begun)
        self._place.dead = None
        if self._how is Pass.PROBE and not self._proved:
            self._proved = True
            self._tell(lambda circuit: circuit.succeeded(Pass.PROBE, now))

    def succeeded(self, now: float) -> None:
        """The answer was whole."""
        self._health.budget_of(self._name[0]).earn()
        self._end(lambda circuit: circuit.succeeded(self._how, now))

    def failed(self, now: float) -> None:
        """The upstream failed."""
        self._end(lambda circuit: circuit.failed(self._how, now))

    def released(self) -> None:
        """It told nothing about the upstream."""
        self._end(lambda circuit: circuit.released(self._how))

    def _end(self, tell: Callable[[Circuit], None]) -> None:
        self._place.in_flight -= 1
        if self._proved:  # the probe was given back with its first output; from then on it is a call like others
            self._how, self._proved = Pass.NORMAL, False
        self._tell(tell)

    def _tell(self, tell: Callable[[Circuit], None]) -> None:
        before = self._place.circuit.state
        tell(self._place.circuit)
        self._health.told(self._name, before)


class Health:
    """Every route of a catalogue. `told` hears of each circuit that changes, with its new state, and why its key
    is dead, if it is."""

    def __init__(
        self,
        catalogue: Catalogue,
        breaker: BreakerRules | None = None,
        retry: RetryRules | None = None,
        told: Told | None = None,
    ) -> None:
        breaker = breaker or BreakerRules()
        self.retry_rules = retry or RetryRules()
        self._told = told
        self._catalogue = catalogue
        self._places: dict[Name, Place] = {}
        self._budgets: dict[str, Budget] = {}
        for served in catalogue.models:
            for endpoint in served.endpoints:
                upstream = endpoint.provider.name
                self._places[upstream, served.card.name, endpoint.key] = Place(breaker)
                self._budgets.setdefault(upstream, Budget(self.retry_rules))

    def begin(self, routes: Sequence[Route], now: float, *, alone: bool = True) -> tuple[Route, Call] | None:
        """Lets a call through to the first of these that takes one, or to none.

        `alone` says that the turn could go nowhere else, so that an open circuit lets a probe through.
        """
        for last in (False, True) if alone else (False,):
            for route in routes:
                name = name_of(route)
                place = self._places[name]
                before = place.circuit.state
                how = place.circuit.try_pass(now, last=last)
                if how is not None:
                    self.told(name, before)
                    return route, Call(self, name, how, now)
        return None

    def condemn(self, route: Route, reason: Reason, now: float) -> None:
        """The upstream will not serve this key, for this reason: its circuits open, for every model."""
        for name, place in self._places.items():
            if name[0] == route.upstream and name[2] == route.key:
                before = place.circuit.state
                place.circuit.condemn(now)
                place.dead = reason
                self.told(name, before)

    def place(self, name: Name) -> Place:
        """What is known of one route, by its name."""
        return self._places[name]

    def budget_of(self, upstream: str) -> Budget:
        """What retries of this upstream may still cost."""
        return self._budgets[upstream]

    def dead(self, routes: Iterable[Route]) -> Reason | None:
        """Why none of these is served, where their keys are the reason of all."""
        reasons = [self._places[name_of(route)].dead for route in routes]
        return reasons[0] if reasons and None not in reasons else None

    def load(self, route: Route) -> int:
        """Calls in flight."""
        return self._places[name_of(route)].in_flight

    def usable(self, route: Route, now: float) -> bool:
        """Whether its circuit would let a call through."""
        return self._places[name_of(route)].circuit.would_pass(now)

    def usual_first_output_s(self, route: Route) -> float:
        """The median of the last first outputs, 0 while there are none."""
        return _median(self._places[name_of(route)].firsts)

    def standings(self) -> Iterator[Standing]:
        """Every circuit, in the order of the catalogue."""
        for served in self._catalogue.models:
            for endpoint in served.endpoints:
                upstream, key = endpoint.provider.name, endpoint.key
                place, budget = self._places[upstream, served.card.name, key], self._budgets[upstream]
                yield Standing(
                    upstream=upstream,
                    model=served.card.name,
                    key=key,
                    region=endpoint.region,
                    local=endpoint.local,
                    state=place.circuit.state,
                    refused_key=place.dead or "",
                    in_flight=place.in_flight,
                    usual_first_output_s=_median(place.firsts),
                    retries_left=max(0, int(budget.left - self.retry_rules.budget_floor)),
                )

    def facts(self) -> list[dict[str, str | int | float | bool]]:
        """The same as plain values, for those who show them."""
        return [
            {field.name: getattr(standing, field.name) for field in fields(Standing)}
            for standing in self.standings()
        ]

    def told(self, name: Name, before: State) -> None:
        """Passes on that a circuit changed, if it did."""
        state = self._places[name].circuit.state
        if self._told is not None and state is not before:
            self._told(name, state, self._places[name].dead)


def name_of(route: Route) -> Name:
    """What is known of a route is known by this."""
    return (route.upstream, route.card.name, route.key)


def _median(values: Iterable[float]) -> float:
    known = tuple(values)
    return median(known) if known else 0.0
