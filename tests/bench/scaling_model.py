"""Many gateways and their callers as a model: turns arrive, are admitted, spread over workers, and use CPU.

Nothing here measures. Costs are arguments, taken from a run of the bench; time advances in small steps, and a
worker that cannot keep up hands its events out later. What no step sees (network, upstream, garbage) is not here.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from tests.bench.summary import percentile

STEP_S = 0.05


class Balancing(Enum):
    """How a caller's turns find a worker."""

    EACH_CALL = "each-call"  # round robin over every worker's address, as the shipped clients do
    CONNECTION = "connection"  # each caller's few connections fall on workers by chance, and stay
    LEAST = "least"  # the worker with the fewest running turns: no balancer is better


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured, in seconds of one core unless the name says otherwise.

    `folded_s` is the cost of an event that waited for others: a worker that is behind writes many in one message.
    `decision_s` is the time of Redis for one call of the limiter's script.
    """

    turn_s: float = 700e-6
    event_s: float = 60e-6
    folded_s: float = 8e-6
    decision_s: float = 25e-6
    decisions_per_turn: float = 2.0


@dataclass(frozen=True, slots=True)
class House:
    """`workers` processes, which share `cores` (0 = one core each); each takes at most `streams_each` turns."""

    workers: int
    cores: int = 0
    streams_each: int = 2500
    costs: Costs = field(default_factory=Costs)

    @property
    def capacity_s(self) -> float:
        """Seconds of CPU that all workers together can use in a second."""
        return float(min(self.workers, self.cores or self.workers))


@dataclass(frozen=True, slots=True)
class Callers:
    """Turns arrive by chance, `turns_per_s` in all; each is an answer of `events` events, `gap_s` apart."""

    turns_per_s: float
    events: int = 300
    gap_s: float = 0.03
    connections: int = 64
    balancing: Balancing = Balancing.EACH_CALL

    @property
    def lasts_s(self) -> float:
        """How long an answer takes."""
        return self.events * self.gap_s


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it, over the time after the first answer could have ended.

    Utilisation is a share of one core per worker; lag is how much later than it arrived an event is handed out.
    """

    turns: int
    refused: int
    streams: float
    busiest_share: float
    utilisation: float
    utilisation_max: float
    lag_p50_s: float
    lag_p99_s: float
    redis_utilisation: float
    redis_wait_p99_s: float

    @property
    def refused_share(self) -> float:
        """Of all turns."""
        return self.refused / self.turns if self.turns else 0.0


def simulate(house: House, callers: Callers, seconds: float = 60.0, seed: int = 1) -> Outcome:
    """A stretch of time of this house under this load, after it has filled up."""
    run = _Run(house, callers, Random(seed))
    warm_s = callers.lasts_s + 1.0
    for step in range(round((warm_s + seconds) / STEP_S)):
        run.step(step * STEP_S, counted=step * STEP_S >= warm_s)
    return run.outcome(seconds)


class _Run:
    """The state of one simulation."""

    def __init__(self, house: House, callers: Callers, chance: Random) -> None:
        self._house, self._callers, self._chance = house, callers, chance
        self._active = [0] * house.workers
        self._behind_s = [0.0] * house.workers
        self._ends: list[tuple[float, int]] = []
        self._at_connection = [chance.randrange(house.workers) for _ in range(callers.connections)]
        self._next = 0
        self._arrival_s = self._gap()
        self._redis_free_s = 0.0
        self._turns = self._refused = self._steps = 0
        self._used_s = [0.0] * house.workers
        self._streams: list[float] = [0.0] * house.workers
        self._lags: list[float] = []
        self._waits: list[float] = []
        self._decided = 0.0

    def step(self, now: float, *, counted: bool) -> None:
        """One step of time, of which the numbers are kept where `counted`."""
        while self._ends and self._ends[0][0] <= now:
            self._active[heapq.heappop(self._ends)[1]] -= 1
        begun = [0] * self._house.workers
        while self._arrival_s <= now:
            self._arrive(self._arrival_s, begun, counted=counted)
            self._arrival_s += self._gap()
        self._work(begun, counted=counted)

    def outcome(self, seconds: float) -> Outcome:
        """The numbers of the counted steps."""
        used = [each / seconds for each in self._used_s]
        streams = [each / max(self._steps, 1) for each in self._streams]
        mean = sum(streams) / len(streams)
        return Outcome(
            turns=self._turns,
            refused=self._refused,
            streams=sum(streams),
            busiest_share=max(streams) / mean if mean else 1.0,
            utilisation=sum(used) / len(used),
            utilisation_max=max(used),
            lag_p50_s=percentile(self._lags, 0.5),
            lag_p99_s=percentile(self._lags, 0.99),
            redis_utilisation=self._decided * self._house.costs.decision_s / seconds,
            redis_wait_p99_s=percentile(self._waits or [0.0], 0.99),
        )

    def _gap(self) -> float:
        return self._chance.expovariate(self._callers.turns_per_s)

    def _arrive(self, now: float, begun: list[int], *, counted: bool) -> None:
        costs, callers = self._house.costs, self._callers
        # Redis serves one script after the other; the second decision of a turn comes when it is settled.
        free = max(self._redis_free_s, now)
        self._redis_free_s = free + costs.decision_s * costs.decisions_per_turn
        worker = self._worker()
        full = self._active[worker] >= self._house.streams_each
        if counted:
            self._turns += 1
            self._refused += full
            self._decided += costs.decisions_per_turn
            self._waits.append(free - now)
        if full:
            return
        self._active[worker] += 1
        begun[worker] += 1
        heapq.heappush(self._ends, (now + callers.lasts_s + self._behind_s[worker], worker))

    def _worker(self) -> int:
        match self._callers.balancing:
            case Balancing.EACH_CALL:
                self._next = (self._next + 1) % self._house.workers
                return self._next
            case Balancing.CONNECTION:
                return self._chance.choice(self._at_connection)
            case Balancing.LEAST:
                return self._active.index(min(self._active))

    def _work(self, begun: Sequence[int], *, counted: bool) -> None:
        costs, gap = self._house.costs, self._callers.gap_s
        wanted = []
        for worker, behind in enumerate(self._behind_s):
            # An event that has to wait for longer than the next one takes is folded with it.
            event_s = costs.event_s if behind < gap else costs.folded_s
            fresh = begun[worker] * costs.turn_s + self._active[worker] / gap * event_s * STEP_S
            wanted.append(behind + fresh)
        given = shared(wanted, self._house.capacity_s * STEP_S, STEP_S)
        for worker, (want, got) in enumerate(zip(wanted, given, strict=True)):
            self._behind_s[worker] = want - got
            if counted:
                self._used_s[worker] += got
                self._streams[worker] += self._active[worker]
                self._lags.append(want - got)
        self._steps += counted


def shared(wanted: Sequence[float], total: float, most: float) -> list[float]:
    """What each gets of `total` when none gets more than it wants or than `most`: equal shares of what is left."""
    given = [0.0] * len(wanted)
    waiting = sorted(range(len(wanted)), key=lambda one: min(wanted[one], most))
    for place, one in enumerate(waiting):
        given[one] = min(wanted[one], most, total / (len(waiting) - place))
        total -= given[one]
    return given
