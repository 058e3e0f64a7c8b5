"""Sends the messages of one call: one at a time, never for ever, and truthful about which of them gRPC has taken.

Three things of grpcio 1.85.1 shape it. A message cannot be taken back: when its sender is cancelled gRPC goes on
sending it, tells nobody when it is out, and refuses every other message before that. The first message carries the
initial metadata, and a cancelled sender of it leaves a call that can be given no status any more. A caller that
reads nothing holds up messages, and the status behind them, for as long as it likes.
"""

import asyncio
from typing import Any, Protocol

import grpc.aio

from gateway.domain.errors import CallerLeft, GatewayError, Reason

BUSY = "TOO_MANY_OPERATIONS"
TRY_AGAIN_S = 0.005


class WireContext(Protocol):
    """The part of a gRPC context that sends."""

    # Any: a stream of frames and the plain one of the frozen service send different messages.
    async def write(self, message: Any, /) -> None:
        """Sends one message, waiting while the caller's window is full."""
        ...


class Wire:
    """One `send` at a time; close it before the status. `taken` is how many messages gRPC has taken."""

    def __init__(self, context: WireContext, stall_s: float) -> None:
        """A message that is not taken for `stall_s` seconds ends the call."""
        self._context = context
        self._stall_s = stall_s
        self._loop = asyncio.get_running_loop()
        self._first: asyncio.Task[None] | None = None
        self._sender: asyncio.Task[Any] | None = None
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._too_slow = False
        self.taken = 0

    async def send(self, message: Any) -> None:
        """Raises CallerLeft when the call is over, GatewayError (CLIENT_TOO_SLOW) when nobody reads it.

        A sender that is cancelled has sent its message all the same if `taken` counts it.
        """
        sender = asyncio.current_task()
        if sender is None:
            raise RuntimeError("a message needs a task that sends it")
        self._check_reader()
        self._sender, cancelling = sender, sender.cancelling()
        self._began = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._stall_s, self._look)
        self.taken += 1
        try:
            try:
                # Straight to gRPC: this is done for every message, and each coroutine in between costs.
                await (self._hand_over_first(message) if self.taken == 1 else self._context.write(message))
            except grpc.aio.InternalError as error:
                await self._hand_over_again(message, error)
        except asyncio.CancelledError:
            if self._too_slow and sender.uncancel() <= cancelling:
                raise client_too_slow() from None
            raise
        finally:
            self._sender = None

    def _check_reader(self) -> None:
        if self._too_slow:
            raise client_too_slow()

    async def _hand_over_first(self, message: Any) -> None:
        self._first = self._loop.create_task(self._context.write(message))
        self._first.add_done_callback(_take_notice)
        await asyncio.shield(self._first)

    async def _hand_over_again(self, message: Any, refusal: grpc.aio.InternalError) -> None:
        """A message whose sender was cancelled is still on its way, and nobody will say when it is out."""
        while True:
            self.taken -= 1
            if BUSY not in str(refusal):
                # The call ended while the message was waiting to be sent.
                raise CallerLeft from refusal
            await asyncio.sleep(TRY_AGAIN_S)
            self.taken += 1
            try:
                await (self._hand_over_first(message) if self.taken == 1 else self._context.write(message))
                return
            except grpc.aio.InternalError as error:
                refusal = error

    def _look(self) -> None:
        """One timer for many messages: it moves on when it finds a younger one, and stops when it finds none."""
        self._timer = None
        due = self._began + self._stall_s
        if self._sender is None:
            return
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._look)
        else:
            self._too_slow = True
            self._sender.cancel()

    async def aclose(self) -> None:
        """Lets the first message out, without which no status can follow."""
        if self._timer is not None:
            self._timer.cancel()
        if self._first is not None and not self._first.done():
            try:
                await asyncio.wait([self._first], timeout=self._stall_s)
            finally:
                self._first.cancel()


def _take_notice(first: asyncio.Task[None]) -> None:
    """Whoever still waits sees what became of it; a sender that was cancelled does not."""
    if not first.cancelled():
        first.exception()


def client_too_slow() -> GatewayError:
    """The caller took no message for too long."""
    return GatewayError(Reason.CLIENT_TOO_SLOW, "the answer was not read in time; read frames as they come")
