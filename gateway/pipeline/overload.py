"""What a worker does about its load: the level of the ladder, and what turns get at it.

Every act is a notice or a typed refusal to the caller, and counted.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from gateway.domain.events import Notice, NoticeKind
from gateway.domain.turn import Thinking, Turn
from gateway.pipeline.ladder import Ladder, Level, Pace, Signals, asks_for, sheds
from gateway.pipeline.open_calls import MOST_CALLS, PER_CONNECTION, OpenCalls, overloaded
from gateway.telemetry import LoadObserver

SHORT_TOKENS, SHORT_TOKENS_THINKING = 512, 2048
"""A quarter of what is usual. An answer that thinks would be used up by its thoughts with less."""
SHED_SLOT_WAIT_S = 0.05
SHRINK = 0.975
USUAL_WEIGHT = 0.05


class Overload:
    """The load of one worker. `look` is called with what was seen, some times a second.

    `calls` counts at the door. `forced` takes the place of what is seen, for exercises.
    """

    def __init__(
        self,
        observer: LoadObserver,
        pace: Pace | None = None,
        *,
        slot_wait_s: float = 10.0,
        most_calls: int = MOST_CALLS,
        per_connection: int = PER_CONNECTION,
    ) -> None:
        """`slot_wait_s` is how long a turn may wait for a model in quiet times, in seconds."""
        self.calls = OpenCalls(most_calls, per_connection, self.check_call)
        self.forced: Signals | None = None
        self._ladder = Ladder(pace)
        self._observer = observer
        self._slot_wait_s = slot_wait_s
        self._turns: Counter[str] = Counter()
        self._running = 0
        self._room = 0.0
        self._usual_s = 0.0
        observer.climbed(Level.NORMAL)

    @property
    def level(self) -> Level:
        """Where the worker is on the ladder."""
        return self._ladder.level

    @property
    def takes_calls(self) -> bool:
        """Whether there are new calls that are taken."""
        return self.level < Level.PROTECT

    @property
    def slot_wait_s(self) -> float:
        """How long a turn may wait for a model now."""
        return self._slot_wait_s if self.level < Level.SHED else min(SHED_SLOT_WAIT_S, self._slot_wait_s)

    @property
    def cached_search_only(self) -> bool:
        """Whether searches are answered from what was found lately."""
        return self.level >= Level.BROWN_OUT

    def look(self, signals: Signals, now: float) -> None:
        """Goes up or down the ladder; `now` in seconds of a clock that does not go back."""
        signals = self.forced or signals
        before, level = self.level, self._ladder.look(signals, now)
        if level is not before:
            self._observer.climbed(level)
        if before < Level.SHED <= level:
            self._room = float(max(self._running, 1))
        elif level >= Level.SHED and asks_for(Level.SHED, signals):
            # It is still too much: a little less in every look, about a tenth in a second.
            self._room = max(self._room * SHRINK, 1.0)

    def acted(self, action: str) -> None:
        """Counts one act."""
        self._observer.acted(action)

    def check_call(self) -> None:
        """Raises OVERLOADED where no new call is taken."""
        if self.level is Level.PROTECT:
            self.acted("refused_all")
            raise overloaded("the server protects what runs on it; try again shortly")

    @contextmanager
    def turn(self, tenant: str, remaining_s: float) -> Iterator[None]:
        """Counts one turn of the tenant, with this much time. Raises OVERLOADED where it is not taken."""
        self.check_call()
        if self.level is Level.SHED:
            active = len(self._turns) + (tenant not in self._turns)
            if sheds(self._turns[tenant], self._room / active, remaining_s, self._usual_s):
                self.acted("shed")
                raise overloaded(
                    "the server has too much to do, and this tenant its fair share of it; wait a little"
                )
        self._usual_s += (remaining_s - self._usual_s) * (USUAL_WEIGHT if self._usual_s else 1.0)
        self._turns[tenant] += 1
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._turns[tenant] -= 1
            if not self._turns[tenant]:
                del self._turns[tenant]

    def eased(self, turn: Turn) -> tuple[Turn, tuple[Notice, ...]]:
        """The turn as it will be planned, and what its caller is told of the difference."""
        wish = turn.generation
        if self.level < Level.BROWN_OUT or wish.max_tokens:
            return turn, ()
        tokens = SHORT_TOKENS if wish.thinking in (None, Thinking.OFF) else SHORT_TOKENS_THINKING
        self.acted("shortened")
        field = "generation.max_tokens"
        notice = Notice(
            NoticeKind.OPTION_CLAMPED,
            f"{field}: {tokens}, because the gateway has much to do and the turn leaves it open",
            {"field": field, "max_tokens": str(tokens), "overload_level": str(int(self.level))},
        )
        return replace(turn, generation=replace(wish, max_tokens=tokens)), (notice,)
