"""The operator's rule list, applied to a text (pure)."""

import re
from functools import lru_cache

from gateway.bridge import Moderation


def is_blocked(text: str, rules: Moderation) -> bool:
    """Whether a blocked word stands in the text."""
    pattern = _pattern(rules.blocked)
    return pattern is not None and pattern.search(text) is not None


def masked(text: str, rules: Moderation) -> str:
    """The text with asterisks for every masked word."""
    pattern = _pattern(rules.masked)
    return text if pattern is None else pattern.sub(lambda found: "*" * len(found[0]), text)


@lru_cache(maxsize=16)
def _pattern(words: tuple[str, ...]) -> "re.Pattern[str] | None":
    """Longer words first, so that none hides behind its own beginning."""
    wanted = sorted((word for word in words if word.strip()), key=len, reverse=True)
    return re.compile("|".join(re.escape(word) for word in wanted), re.IGNORECASE) if wanted else None
