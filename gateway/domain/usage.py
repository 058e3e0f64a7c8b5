"""What a turn used and what it cost. Money is always int64 nano-USD (1e-9 USD)."""

from dataclasses import dataclass
from enum import Enum


class UsageBasis(Enum):
    """Where token counts come from; the values are the numbers of the wire."""

    PROVIDER = 1
    COUNTED = 2
    ESTIMATED = 3
    NONE = 4


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, calls and cost. `completion_tokens` includes reasoning; cached tokens are part of prompt."""

    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    search_calls: int = 0
    tool_runs: int = 0
    cost_nano_usd: int = 0
    basis: UsageBasis = UsageBasis.NONE

    def plus(self, other: "Usage") -> "Usage":
        """Both together; the basis stays this one's."""
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_prompt_tokens=self.cached_prompt_tokens + other.cached_prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            search_calls=self.search_calls + other.search_calls,
            tool_runs=self.tool_runs + other.tool_runs,
            cost_nano_usd=self.cost_nano_usd + other.cost_nano_usd,
            basis=self.basis,
        )
