"""Token counts as chat servers report them, made comparable: one meaning for every vendor (pure)."""

from dataclasses import dataclass

from gateway.domain.events import ProviderUsage

MAX_TOKEN_COUNT = 10**9
"""A count above this is no count: the longest context is a thousand times shorter."""


@dataclass(frozen=True, slots=True)
class UsageReading:
    """What a usage object says: counts, or None where one is negative, fractional, NaN or absurd.

    `adds_up` is False where the total is not the sum of its parts.
    """

    usage: ProviderUsage | None
    adds_up: bool = True


def read_usage(reported: object, *, reasoning_beside: bool = False) -> UsageReading:
    """Reads `usage` of a chat answer; absent details are zero.

    Cached tokens are DeepSeek's `prompt_cache_hit_tokens`, else `prompt_tokens_details.cached_tokens`. A vendor
    that counts reasoning beside the completion (`reasoning_beside`) has it added there; of any other, the numbers
    stay as they were sent, also where they do not add up.
    """
    if not isinstance(reported, dict):
        return UsageReading(None)
    cached = reported.get("prompt_cache_hit_tokens")
    if cached is None:
        cached = _detail(reported, "prompt_tokens_details", "cached_tokens")
    prompt = _count(reported.get("prompt_tokens"))
    hit = _count(cached)
    completion = _count(reported.get("completion_tokens"))
    reasoning = _count(_detail(reported, "completion_tokens_details", "reasoning_tokens"))
    total = _count(reported.get("total_tokens"))
    if min(prompt, hit, completion, reasoning, total) < 0:
        return UsageReading(None)
    if reasoning_beside:
        completion += reasoning
    usage = ProviderUsage(prompt, min(hit, prompt), completion, reasoning)
    adds_up = total in (0, prompt + completion) and hit <= prompt and reasoning <= completion
    return UsageReading(usage, adds_up)


def _count(value: object) -> int:
    """A whole number of tokens; absent is 0, anything that is no such number is -1."""
    if value is None:
        return 0
    return value if type(value) is int and 0 <= value <= MAX_TOKEN_COUNT else -1


def _detail(reported: dict[str, object], group: str, name: str) -> object:
    details = reported.get(group)
    return details.get(name) if isinstance(details, dict) else None
