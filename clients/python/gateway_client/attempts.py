"""Starts calls: token, request id, deadline, retries before the first message."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import uuid4

import grpc

from gateway_client.errors import GatewayCallError
from gateway_client.retry import RetryAfter, RetryWithFreshToken, Tried, next_step
from gateway_client.status import by_name, call_error
from gateway_client.tokens import TokenSource

Metadata = tuple[tuple[str, str], ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one try of a call is made with; `timeout_s` is what is left of the call's deadline."""

    token: str | None
    request_id: str
    timeout_s: float

    @property
    def metadata(self) -> Metadata:
        """The request's metadata."""
        bearer = (("authorization", f"Bearer {self.token}"),) if self.token else ()
        return (*bearer, ("x-request-id", self.request_id))


class Attempts:
    """The one layer that retries. `chance` gives numbers in [0, 1) for the jitter."""

    def __init__(self, target: str, tokens: TokenSource, chance: Callable[[], float]) -> None:
        self.target = target
        self.tokens = tokens
        self._chance = chance

    async def first(self, start: Callable[[Attempt], Awaitable[T]], timeout_s: float) -> T:
        """The result of `start`, tried again as `retry.py` says; it fails with AioRpcError.

        All tries share one deadline, `timeout_s` from now, and one request id.
        Raises GatewayCallError, TokenUnavailable.
        """
        deadline = time.monotonic() + timeout_s
        attempt = Attempt(await self.tokens.token(refresh=False), uuid4().hex, timeout_s)
        tried = Tried()
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            try:
                return await start(replace(attempt, timeout_s=left_s))
            except grpc.aio.AioRpcError as error:
                failure = self.failed(error, attempt.request_id)
                tried, attempt = await self._again(failure, tried, attempt, deadline - time.monotonic())

    def failed(self, error: grpc.aio.AioRpcError, request_id: str) -> GatewayCallError:
        """The gateway's words for an error of the gRPC library."""
        failure = call_error(
            error.code(),
            error.details() or "",
            by_name(error.trailing_metadata()),
            target=self.target,
            request_id=request_id,
        )
        failure.__cause__ = error
        return failure

    async def _again(
        self, failure: GatewayCallError, tried: Tried, attempt: Attempt, left_s: float
    ) -> tuple[Tried, Attempt]:
        match next_step(failure.failure, tried, time_left_s=left_s, chance=self._chance()):
            case RetryAfter(pause_s):
                await asyncio.sleep(pause_s)
                return replace(tried, retries=tried.retries + 1), attempt
            case RetryWithFreshToken():
                token = await self.tokens.token(refresh=True)
                if token != attempt.token:
                    return replace(tried, refreshed=True), replace(attempt, token=token)
        raise failure
