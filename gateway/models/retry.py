"""Whether a call that failed before its first output is made again, where, and after how long (pure).

At most three calls in all, each paid for from a budget of the upstream it goes to. What the upstream will answer
the same way again (a bad request, a key that is dead) is not asked again: at most once of somebody else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from gateway.domain.errors import Reason, UpstreamError
from gateway.models.catalogue import Route

CIRCUIT_OPEN = "circuit_open"
BLANK_JSON = "blank_json"
NO_SLOT = "no_slot"
"""No call was made: the gateway keeps to what the upstream takes at once."""
_UNREACHED = frozenset({"connect", "dns", "connect_timeout"})
_PAUSE_MOST_S = 5.0


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How often, how soon and how many; times in seconds. With `attempts` 1 nothing is tried again."""

    attempts: int = 3
    backoff_s: float = 0.1
    most_backoff_s: float = 1.0
    budget: float = 100.0
    budget_floor: float = 50.0
    per_success: float = 0.1


class Budget:
    """What retries may cost one upstream: each success earns a little, each retry takes one."""

    __slots__ = ("_rules", "left")

    def __init__(self, rules: RetryRules) -> None:
        self._rules = rules
        self.left = rules.budget

    def earn(self) -> None:
        """A call went well."""
        self.left = min(self._rules.budget, self.left + self._rules.per_success)

    @property
    def allows(self) -> bool:
        """Whether there is enough for one more retry."""
        return self.left > self._rules.budget_floor

    def spend(self) -> None:
        """A retry is made."""
        self.left -= 1.0

    def refund(self) -> None:
        """It was not made after all: somebody else's call served."""
        self.left += 1.0


class Move(Enum):
    """Who may be asked after a failure, the sooner named the better."""

    SAME_FIRST = "same_first"
    """A fault that may be over in a moment: the same again, later somebody else."""
    OTHER_FIRST = "other_first"
    """The place is out of reach or too slow: somebody else, else the same."""
    OTHER_UPSTREAM_FIRST = "other_upstream_first"
    """An account is at its limit, with all of its keys."""
    OTHER_KEY_ONCE = "other_key_once"
    """This key is dead: one move, to another key or upstream."""
    OTHER_UPSTREAM_ONCE = "other_upstream_once"
    """This upstream will say the same again: one move, to another upstream."""
    NOBODY = "nobody"


_MOVES = {
    Reason.UPSTREAM_UNAVAILABLE: Move.SAME_FIRST,
    Reason.UPSTREAM_PROTOCOL: Move.SAME_FIRST,
    Reason.UPSTREAM_TTFT_TIMEOUT: Move.OTHER_FIRST,
    Reason.UPSTREAM_RATE_LIMITED: Move.OTHER_UPSTREAM_FIRST,
    Reason.UPSTREAM_CREDENTIALS: Move.OTHER_KEY_ONCE,
    Reason.UPSTREAM_BALANCE: Move.OTHER_KEY_ONCE,
    Reason.UPSTREAM_MODEL_GONE: Move.OTHER_UPSTREAM_ONCE,
    Reason.UPSTREAM_TLS: Move.OTHER_UPSTREAM_ONCE,
}
_ONCE = frozenset({Move.OTHER_KEY_ONCE, Move.OTHER_UPSTREAM_ONCE})


def is_dead_key(error: UpstreamError) -> bool:
    """Whether the upstream said that this key will not be served, which opens its circuits at once."""
    return error.reason in (Reason.UPSTREAM_CREDENTIALS, Reason.UPSTREAM_BALANCE)


def tells_nothing(error: UpstreamError) -> bool:
    """Whether the failure says nothing about the upstream's health: a whim of the model's, or no slot of ours."""
    return cause_of(error) in (BLANK_JSON, NO_SLOT)


def cause_of(error: UpstreamError) -> str:
    """The machine word for what happened."""
    return error.facts.get("upstream_cause", "")


def fact_of(error: UpstreamError) -> str:
    """What happened, without the advice to try again: that is being done."""
    return error.message.partition(";")[0].rstrip(".")


def move_after(errors: Sequence[UpstreamError]) -> Move:
    """What may be done after these failures of one turn, the last one just now."""
    error = errors[-1]
    if cause_of(error) == NO_SLOT:
        return Move.OTHER_UPSTREAM_ONCE if len(errors) == 1 else Move.NOBODY
    move = _MOVES.get(error.reason, Move.NOBODY)
    if move is Move.SAME_FIRST and cause_of(error) in _UNREACHED:
        return Move.OTHER_FIRST
    if cause_of(error) == BLANK_JSON and sum(cause_of(one) == BLANK_JSON for one in errors) > 1:
        return Move.NOBODY
    if move in _ONCE and sum(_MOVES.get(one.reason) in _ONCE for one in errors) > 1:
        return Move.NOBODY
    return move


def in_order(move: Move, failed: Route, tried: Sequence[Route], known: Sequence[Route]) -> list[Route]:
    """Whom to ask next, best first. `known` is the plan's order, `tried` who has been asked in this turn."""
    fresh = [route for route in known if route not in tried]
    elsewhere = [route for route in fresh if route.upstream != failed.upstream]
    match move:
        case Move.NOBODY:
            return []
        case Move.OTHER_KEY_ONCE:
            keys = [
                r for r in fresh if r.upstream == failed.upstream and r.key != failed.key and r.card is failed.card
            ]
            return [*keys, *elsewhere]
        case Move.OTHER_UPSTREAM_ONCE:
            return elsewhere
        case Move.OTHER_UPSTREAM_FIRST:
            return [*elsewhere, failed]
        case Move.SAME_FIRST if tried.count(failed) == 1:
            return [failed, *fresh]
        case Move.SAME_FIRST | Move.OTHER_FIRST:
            return [*fresh, failed]


def pause_s(
    error: UpstreamError, failed: Route, to: Route, *, retries: int, rules: RetryRules, chance: float
) -> float:
    """Seconds to wait before `to` is asked; `retries` is how many were made before, `chance` is from 0 to 1.

    Another upstream, or another key after a dead one, is asked at once. The same server gets time: exponential
    with full jitter, and not before the moment that it named itself.
    """
    if to.upstream != failed.upstream or (to is not failed and is_dead_key(error)):
        return 0.0
    backoff = chance * min(rules.most_backoff_s, rules.backoff_s * 2.0**retries)
    return max(backoff, asked_for_s(error)) if to is failed else backoff


def asked_for_s(error: UpstreamError) -> float:
    """The wait that the upstream itself asked for (`Retry-After`, 1 to 60 s), or 0."""
    return (error.retry_after_s or 0.0) if cause_of(error).startswith("http_") else 0.0


def fits(pause: float, remaining_s: float, median_s: float) -> bool:
    """Whether a call after this pause still makes sense in the time that is left.

    A pause is at most 5 s and half of that time; afterwards twice the usual time to a first output must remain.
    """
    return pause <= min(_PAUSE_MOST_S, remaining_s / 2) and remaining_s - pause > 2 * median_s
