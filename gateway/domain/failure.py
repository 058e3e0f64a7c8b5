"""The failure of a turn that had begun: its error, and the end that its receipt records."""

from gateway.domain.errors import GatewayError
from gateway.domain.events import TurnEnd


class TurnFailed(Exception):  # noqa: N818 - the name of what happened, not of a class of errors
    """Raised once the turn is settled; `end` holds what was charged and the receipt's id."""

    def __init__(self, error: GatewayError, end: TurnEnd) -> None:
        super().__init__(error.message)
        self.error = error
        self.end = end

    @property
    def billed(self) -> bool:
        """Whether the caller was charged anything."""
        return self.end.usage.cost_nano_usd > 0
