"""Counts the calls that are open, and refuses what is too much at once, fast and with a reason."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.domain.errors import GatewayError, Reason

MOST_CALLS = 2500
PER_CONNECTION = 256
RETRY_MIN_S, RETRY_MAX_S = 1.0, 10.0


def nothing() -> None:
    """No further check."""


class OpenCalls:
    """Counts them, in all and by connection: grpc lets a stream over its own ceiling wait in silence."""

    def __init__(
        self, most: int = MOST_CALLS, per_connection: int = PER_CONNECTION, check: Callable[[], None] = nothing
    ) -> None:
        """`per_connection` is grpc's own ceiling, ours lies below it; `check` raises where no call is taken."""
        self.most = most
        self.count = 0
        self.check = check
        self._per_connection = max(per_connection * 15 // 16, 1)
        self._by_peer: dict[str, int] = {}

    @contextmanager
    def counted(self, peer: str) -> Iterator[None]:
        """One call of this connection. Raises GatewayError OVERLOADED."""
        here = self._by_peer.get(peer, 0)
        if here >= self._per_connection:
            raise GatewayError(
                Reason.OVERLOADED,
                f"more than {self._per_connection} calls at once on this connection; open another channel",
                retry_after_s=1.0,
            )
        if self.count >= self.most:
            raise overloaded("the server is at its limit of open calls; try again")
        self._by_peer[peer] = here + 1
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1
            left = self._by_peer[peer] - 1
            if left:
                self._by_peer[peer] = left
            else:
                del self._by_peer[peer]


def overloaded(message: str, chance: Callable[[], float] = random.random) -> GatewayError:
    """The refusal, with a wait that spreads those who come back."""
    retry_after_s = RETRY_MIN_S + (RETRY_MAX_S - RETRY_MIN_S) * chance()
    return GatewayError(Reason.OVERLOADED, message, retry_after_s=retry_after_s)
