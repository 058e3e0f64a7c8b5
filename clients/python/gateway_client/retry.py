"""Whether and when a call is tried again: pure. This is the only layer of the client that retries.

Retried is UNAVAILABLE alone, before the first message, at most twice, with full jitter over 0.1 s, 0.2 s.
`grpc-retry-pushback-ms` (gRFC A6) decides where the server sends it; `google.rpc.RetryInfo` is the least wait.
A refused credential is answered once with a fresh token.
"""

from dataclasses import dataclass

import grpc

from gateway_client.errors import Failure

MAX_RETRIES = 2
MAX_PAUSE_S = 10.0
BASE_S = 0.1


@dataclass(frozen=True, slots=True)
class Tried:
    """What was done for this call so far."""

    retries: int = 0
    refreshed: bool = False


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Try the same request again after `pause_s` seconds."""

    pause_s: float


@dataclass(frozen=True, slots=True)
class RetryWithFreshToken:
    """Try the same request at once with a fresh token."""


Step = RetryAfter | RetryWithFreshToken | None


def next_step(failure: Failure, tried: Tried, *, time_left_s: float, chance: float) -> Step:
    """What to do after a failure before the first message; `None` ends it. `chance` lies in [0, 1)."""
    if failure.code is grpc.StatusCode.UNAUTHENTICATED:
        return None if tried.refreshed else RetryWithFreshToken()
    if failure.code is not grpc.StatusCode.UNAVAILABLE or not failure.retryable or tried.retries >= MAX_RETRIES:
        return None
    pause_s = _pause_s(failure, tried.retries, chance)
    if pause_s < 0 or pause_s > MAX_PAUSE_S or pause_s >= time_left_s:
        return None
    return RetryAfter(pause_s)


def _pause_s(failure: Failure, retries: int, chance: float) -> float:
    if failure.pushback_s is not None:
        return failure.pushback_s
    return (failure.retry_after_s or 0.0) + chance * BASE_S * (1 << retries)
