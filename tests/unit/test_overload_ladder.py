"""The overload ladder by a clock of the test's own: what leads up, what leads down, and how often."""

import pytest

from gateway.admitting import slot_load
from gateway.domain.errors import GatewayError, Reason
from gateway.domain.turn import Generation, Message, Role, Thinking, Turn
from gateway.limits.slot_keeper import Level as SlotLevel
from gateway.pipeline.ladder import Ladder, Level, Pace, Signals, sheds
from gateway.pipeline.overload import SHED_SLOT_WAIT_S, Overload
from gateway.telemetry import Load

QUIET = Signals()
EVERY_S = 0.25
AT_ONCE = Pace(enter_after_s=0, leave_after_s=0, changes=100)


class Seen:
    """What an observer was told."""

    def __init__(self) -> None:
        self.levels: list[int] = []
        self.actions: list[str] = []

    def sampled(self, load: Load) -> None:
        """Nobody samples here."""

    def climbed(self, level: int) -> None:
        self.levels.append(int(level))

    def acted(self, action: str) -> None:
        self.actions.append(action)


def looked(ladder: Ladder, signals: Signals, since: float, for_s: float) -> float:
    """Looks at the same for so long; returns the moment after it."""
    for number in range(round(for_s / EVERY_S) + 1):
        ladder.look(signals, since + number * EVERY_S)
    return since + for_s


@pytest.mark.parametrize(
    ("signals", "level"),
    [
        (Signals(calls=0.8), Level.NORMAL),
        (Signals(calls=0.81), Level.BROWN_OUT),
        (Signals(memory=0.81), Level.BROWN_OUT),
        (Signals(slots=0.81), Level.BROWN_OUT),
        (Signals(lag_s=0.11), Level.BROWN_OUT),
        (Signals(calls=0.96), Level.SHED),
        (Signals(slots=0.96), Level.SHED),
        (Signals(lag_s=0.26), Level.SHED),
        (Signals(calls=0.99), Level.SHED),
        (Signals(memory=0.99), Level.PROTECT),
        (Signals(lag_s=0.51), Level.PROTECT),
    ],
)
def test_a_reason_leads_up_when_it_has_lasted_two_seconds(signals: Signals, level: Level) -> None:
    """And as far as it asks for, in one step."""
    ladder = Ladder()
    looked(ladder, signals, 0.0, 1.75)
    assert ladder.level is Level.NORMAL
    ladder.look(signals, 2.0)
    assert ladder.level is level


def test_a_full_model_of_few_calls_is_no_overload() -> None:
    """One that takes two calls is full whenever it is used; what is near a real limit is near it."""
    assert slot_load(("mine", "small"), SlotLevel(2, 2, 2, 5)).fullness == 0.1
    assert slot_load(("mine", "large"), SlotLevel(100, 950, 1000, 0)).fullness == 0.95


def test_a_moment_of_quiet_begins_the_two_seconds_anew() -> None:
    """A hiccup of the loop is no overload."""
    ladder = Ladder()
    now = looked(ladder, Signals(lag_s=0.6), 0.0, 1.5)
    ladder.look(QUIET, now)
    looked(ladder, Signals(lag_s=0.6), now + EVERY_S, 1.75)
    assert ladder.level is Level.NORMAL


def test_it_leads_down_when_it_was_quiet_for_ten_seconds() -> None:
    """All the way at once; what is neither much nor little changes nothing."""
    ladder = Ladder()
    now = looked(ladder, Signals(calls=0.97), 0.0, 2.0)
    now = looked(ladder, Signals(calls=0.9), now, 30.0)
    assert ladder.level is Level.SHED
    now = looked(ladder, QUIET, now + EVERY_S, 9.75)
    assert ladder.level is Level.SHED
    ladder.look(QUIET, now + EVERY_S)
    assert ladder.level is Level.NORMAL


def test_it_leads_down_a_step_where_a_lower_level_is_still_asked_for() -> None:
    """From shed to brown-out."""
    ladder = Ladder()
    now = looked(ladder, Signals(lag_s=0.3), 0.0, 2.0)
    looked(ladder, Signals(calls=0.7), now + EVERY_S, 10.0)
    assert ladder.level is Level.BROWN_OUT


def test_there_are_never_more_than_two_changes_within_a_minute() -> None:
    """L-9: under load that comes and goes every thirteen seconds, for ten minutes."""
    ladder, changes, now = Ladder(), [], 0.0
    while now < 600.0:
        before = ladder.level
        ladder.look(Signals(lag_s=0.6) if now % 26 < 13 else QUIET, now)
        if ladder.level is not before:
            changes.append(now)
        now += EVERY_S
    assert len(changes) > 10
    assert all(later - earlier >= 60.0 for earlier, later in zip(changes, changes[2:], strict=False))


def test_who_is_refused_first() -> None:
    """All above their fair share; close below it those with the nearest deadline."""
    assert sheds(10, 10.0, remaining_s=900, usual_s=60)
    assert not sheds(7, 10.0, remaining_s=0.1, usual_s=60)
    assert sheds(9, 10.0, remaining_s=20, usual_s=60)
    assert not sheds(9, 10.0, remaining_s=40, usual_s=60)
    refused = [s for s in range(0, 121, 10) if sheds(9, 10.0, s, 120)]
    assert refused == sorted(refused)[: len(refused)] == list(range(0, 60, 10))


def refused(overload: Overload, tenant: str, remaining_s: float = 60.0) -> bool:
    """Whether a turn of the tenant would be refused now."""
    try:
        with overload.turn(tenant, remaining_s):
            return False
    except GatewayError as error:
        assert error.reason is Reason.OVERLOADED
        assert 1.0 <= (error.retry_after_s or 0) <= 10.0
        return True


def test_shedding_spares_tenants_within_their_fair_share() -> None:
    """One runs nine turns, another one: the first is refused, the second and a third are not."""
    seen = Seen()
    overload = Overload(seen, AT_ONCE)
    turns = [overload.turn("loud", 60.0) for _ in range(9)] + [overload.turn("quiet", 60.0)]
    for turn in turns:
        turn.__enter__()
    assert not refused(overload, "loud")
    overload.look(Signals(calls=0.97), 0.0)
    assert (refused(overload, "loud"), refused(overload, "quiet"), refused(overload, "new")) == (
        True,
        False,
        False,
    )
    assert overload.slot_wait_s == SHED_SLOT_WAIT_S
    for turn in turns:
        turn.__exit__(None, None, None)
    overload.look(QUIET, 1.0)
    assert (seen.levels, seen.actions) == ([0, 2, 0], ["shed"])
    assert not refused(overload, "loud")


def test_the_room_shrinks_as_long_as_it_is_too_much() -> None:
    """One tenant alone is shed as well, a little more with every look, and never to nothing."""
    overload = Overload(Seen(), AT_ONCE)
    turns = [overload.turn("alone", 60.0) for _ in range(20)]
    for turn in turns:
        turn.__enter__()
    overload.look(Signals(lag_s=0.3), 0.0)
    for number in range(400):
        overload.look(Signals(lag_s=0.3), number * EVERY_S)
    for turn in turns[:19]:
        turn.__exit__(None, None, None)
    assert refused(overload, "alone")
    turns[19].__exit__(None, None, None)
    assert not refused(overload, "alone")


def test_at_the_top_everything_new_is_refused() -> None:
    """Turns and calls alike, and the worker is not ready."""
    overload = Overload(Seen(), AT_ONCE)
    overload.forced = Signals(memory=0.99)
    overload.look(QUIET, 0.0)
    assert (overload.takes_calls, refused(overload, "anybody")) == (False, True)
    with pytest.raises(GatewayError):
        overload.calls.check()


def test_a_brown_out_shortens_what_nobody_gave_a_length() -> None:
    """512 tokens, with thinking 2,048; the caller's own number stands."""
    seen = Seen()
    overload = Overload(seen, AT_ONCE)
    turn = Turn("t", False, b"", "", (Message(Role.USER, "hi"),))
    assert overload.eased(turn) == (turn, ())
    overload.look(Signals(slots=0.9), 0.0)
    eased, (notice,) = overload.eased(turn)
    assert eased.generation.max_tokens == 512
    assert notice.facts == {"field": "generation.max_tokens", "max_tokens": "512", "overload_level": "1"}
    thinking = Turn("t", False, b"", "", turn.messages, Generation(thinking=Thinking.HIGH))
    assert overload.eased(thinking)[0].generation.max_tokens == 2048
    own = Turn("t", False, b"", "", turn.messages, Generation(max_tokens=4000))
    assert overload.eased(own) == (own, ())
    assert seen.actions == ["shortened", "shortened"]


def test_the_door_counts_by_connection_and_in_all() -> None:
    """A little below gRPC's own ceiling, so that a refusal comes before a silent wait."""
    calls = Overload(Seen(), most_calls=40, per_connection=32).calls
    held = [calls.counted("one") for _ in range(30)]
    for call in held:
        call.__enter__()
    with pytest.raises(GatewayError, match="another channel"), calls.counted("one"):
        pass
    others = [calls.counted("two") for _ in range(10)]
    for call in others:
        call.__enter__()
    with pytest.raises(GatewayError, match="open calls") as caught, calls.counted("three"):
        pass
    assert caught.value.reason is Reason.OVERLOADED
    for call in held + others:
        call.__exit__(None, None, None)
    assert calls.count == 0
