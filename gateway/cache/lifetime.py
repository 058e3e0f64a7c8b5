"""How long an answer may stand for its question (pure).

    lifetime = base × complexity × staying
    base        what the operator says: 1 h, or 5 min for an answer that rests on sources
    complexity  1 for a short question and a short answer, up to 4 for long ones: they cost most to make again, and
                a page of explanation ages more slowly than a one-line fact
    staying     1 for a question about nothing in particular, 1/12 for one about what is so now: today's weather,
                the latest release

It is never below a minute, except where the operator's base is, and never above a day.
"""

from dataclasses import dataclass
from math import log2

LEAST_S = 60.0
MOST_S = 86_400.0
LONG_TOKENS = 8_192
MOST_COMPLEXITY = 4.0
FRESH_SHARE = 1 / 12


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """What the operator says, in seconds. `stale_s` is how long an answer is kept after its lifetime, for days
    on which no model can be reached; `reasoning_s` how long the reasoning of a tool call is kept.
    """

    plain_s: float = 3_600.0
    sourced_s: float = 300.0
    stale_s: float = 86_400.0
    reasoning_s: float = 86_400.0


def lifetime_s(base_s: float, prompt_tokens: int, completion_tokens: int, *, fresh: bool) -> float:
    """The lifetime of an answer in seconds. `fresh` says that the question is about what is so now."""
    lived = base_s * complexity(prompt_tokens, completion_tokens) * (FRESH_SHARE if fresh else 1.0)
    return min(max(lived, min(LEAST_S, base_s)), MOST_S)


def complexity(prompt_tokens: int, completion_tokens: int) -> float:
    """From 1 (nothing) to 4 (8,192 tokens and more, question and answer together); it grows with the logarithm."""
    tokens = max(prompt_tokens, 0) + max(completion_tokens, 0)
    return 1.0 + (MOST_COMPLEXITY - 1.0) * min(log2(1 + tokens) / log2(1 + LONG_TOKENS), 1.0)
