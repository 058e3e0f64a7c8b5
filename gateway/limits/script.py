"""What limits and slots ask of a script in Redis; the library for it is loaded where Redis is set."""

from collections.abc import Sequence
from typing import Protocol

Word = str | bytes | int


class Unreachable(Exception):  # noqa: N818 - the caller goes on without Redis
    """Redis did not answer in time, or not with what was asked for; whether it did as told is unknown."""


class Script(Protocol):
    """One call of it, in time or not at all."""

    async def run(self, keys: Sequence[str], words: Sequence[Word]) -> list[object]:
        """What the script answers. Raises Unreachable."""
        ...

    async def aclose(self) -> None:
        """Closes every connection."""
        ...
