"""What is charged for a turn, however it ended.

The provider's usage wins, an explicit zero included; nonsense is replaced by our own count. `billed` is the
table of endings.
"""

from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from gateway.domain.events import ProviderUsage
from gateway.domain.usage import Usage, UsageBasis

SANE_FACTOR = 2
"""Usage above this many times the hold is nonsense."""
SANE_FLOOR = 8_192
"""…but for a prompt this many are not: a server's own template, tools and images can add thousands of tokens."""


class Ending(Enum):
    """How a turn ended, as far as its bill is concerned."""

    COMPLETE = "complete"
    CANCELLED = "cancelled"
    CLIENT_TOO_SLOW = "client_too_slow"
    DEADLINE = "deadline"
    INTERRUPTED = "interrupted"
    FAILED_BEFORE_OUTPUT = "failed_before_output"
    FROM_CACHE = "from_cache"
    WORKER_LOST = "worker_lost"


class BrokenStream(StrEnum):
    """What a stream costs that broke after its first output; the word is printed on the receipt."""

    CHARGE_DELIVERED = "charge_delivered"
    FREE = "free"


@dataclass(frozen=True, slots=True)
class Settlement:
    """Usage to charge, with the fields of the provider's usage that were nonsense and replaced."""

    usage: Usage
    flags: tuple[str, ...] = ()


def settle_usage(provider: ProviderUsage | None, counted: Usage, hold: Usage) -> Settlement:
    """The usage that counts, without its cost.

    `provider` is what the model provider reported, None for nothing; `counted` is what was received when the
    upstream was closed, by our count (its basis says which kind; its searches and tool runs are kept in any case);
    `hold` is what was reserved. A number that is negative, no whole number or above twice the hold makes the whole
    report worthless. Cached tokens are cut to the prompt they are part of; reasoning that exceeds the completion
    is flagged and stays.
    """
    flags = _nonsense(provider, hold) if provider is not None else ()
    if provider is None or flags:
        return Settlement(_clamped(counted, hold), flags)
    cached = min(provider.cached_prompt_tokens, provider.prompt_tokens)
    if cached < provider.cached_prompt_tokens:
        flags += ("cached_prompt_tokens",)
    if provider.reasoning_tokens > provider.completion_tokens:
        flags += ("reasoning_tokens",)
    usage = Usage(
        prompt_tokens=provider.prompt_tokens,
        cached_prompt_tokens=cached,
        completion_tokens=provider.completion_tokens,
        reasoning_tokens=provider.reasoning_tokens,
        search_calls=counted.search_calls,
        tool_runs=counted.tool_runs,
        basis=UsageBasis.PROVIDER,
    )
    return Settlement(usage, flags)


def billed(
    ending: Ending,
    usage: Usage,
    delivered_tokens: int = 0,
    policy: BrokenStream = BrokenStream.CHARGE_DELIVERED,
) -> Usage:
    """What of `usage` (from `settle_usage`) the customer is charged for; price the result.

    | ended | charged |
    |---|---|
    | complete | all of it |
    | cancelled, client too slow, deadline | all that was received when the upstream was closed |
    | interrupted | input and the output that was delivered, or nothing, by policy |
    | failed before output, from cache | nothing |
    | worker lost | what the last checkpoint knew: pass that as `usage` |
    """
    match ending:
        case Ending.COMPLETE | Ending.CANCELLED | Ending.CLIENT_TOO_SLOW | Ending.DEADLINE | Ending.WORKER_LOST:
            return usage
        case Ending.INTERRUPTED if policy is BrokenStream.CHARGE_DELIVERED:
            completion = min(usage.completion_tokens, max(delivered_tokens, 0))
            return replace(
                usage,
                completion_tokens=completion,
                reasoning_tokens=min(usage.reasoning_tokens, completion),
            )
        case Ending.INTERRUPTED | Ending.FAILED_BEFORE_OUTPUT | Ending.FROM_CACHE:
            return Usage()


def _nonsense(provider: ProviderUsage, hold: Usage) -> tuple[str, ...]:
    """The fields that no honest provider sends. JSON can hold anything, whatever the type says."""
    most_prompt = max(SANE_FLOOR, SANE_FACTOR * hold.prompt_tokens)
    most_completion = SANE_FACTOR * hold.completion_tokens
    limits: tuple[tuple[str, object, int], ...] = (
        ("prompt_tokens", provider.prompt_tokens, most_prompt),
        ("cached_prompt_tokens", provider.cached_prompt_tokens, most_prompt),
        ("completion_tokens", provider.completion_tokens, most_completion),
        ("reasoning_tokens", provider.reasoning_tokens, most_completion),
    )
    return tuple(name for name, value, most in limits if type(value) is not int or not 0 <= value <= most)


def _clamped(counted: Usage, hold: Usage) -> Usage:
    prompt = min(max(counted.prompt_tokens, 0), SANE_FACTOR * hold.prompt_tokens)
    completion = min(max(counted.completion_tokens, 0), SANE_FACTOR * hold.completion_tokens)
    return replace(
        counted,
        prompt_tokens=prompt,
        cached_prompt_tokens=min(max(counted.cached_prompt_tokens, 0), prompt),
        completion_tokens=completion,
        reasoning_tokens=min(max(counted.reasoning_tokens, 0), completion),
        cost_nano_usd=0,
        basis=UsageBasis.COUNTED if counted.basis is UsageBasis.NONE else counted.basis,
    )
