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
