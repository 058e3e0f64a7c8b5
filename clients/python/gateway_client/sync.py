"""The client for programs without an event loop: the asynchronous one on a thread of its own.

Nothing is written twice: each method here is the asynchronous method of the same name, waited for. One thread
at a time uses it; an interrupt (Ctrl-C) while waiting cancels what was waited for.
"""

import functools
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, Unpack

from deepseek_pb2 import ModelResponse
from gateway.v1.inference_pb2 import GoAway, Opened, ServerFrame
from gateway_client.client import ClientOptions, GatewayClient
from gateway_client.conversation import Conversation, RunningTurn
from gateway_client.loop_thread import LoopThread, Work
from gateway_client.streams import FrameStream, PredictFacts, PredictStream

P = ParamSpec("P")
R = TypeVar("R")
Item = TypeVar("Item")


class _Opened(Protocol):
    """An asynchronous context manager."""

    def __aenter__(self) -> Work[object]: ...

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> Work[None]: ...


Inner = TypeVar("Inner", bound=_Opened)
Result = TypeVar("Result")
Wrapper = TypeVar("Wrapper")


class _Waiting(Generic[Inner]):
    """A context manager over an asynchronous one, which lives on the loop's thread."""

    def __init__(self, loop: LoopThread, inner: Inner) -> None:
        self._loop = loop
        self._inner = inner

    def __enter__(self) -> Self:
        self._loop.run(self._inner.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.run(self._inner.__aexit__(kind, error, traceback))

    def _step(self, step: Work[Item]) -> Item:
        try:
            return self._loop.run(step)
        except StopAsyncIteration:
            raise StopIteration from None


def _waited(method: Callable[Concatenate[Inner, P], Work[R]]) -> Callable[Concatenate[_Waiting[Inner], P], R]:
    """The asynchronous method, waited for."""

    @functools.wraps(method)
    def call(self: _Waiting[Inner], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._loop.run(method(self._inner, *args, **kwargs))

    return call


def _wrapped(
    method: Callable[Concatenate[Inner, P], Work[Result]], wrapper: Callable[[LoopThread, Result], Wrapper]
) -> Callable[Concatenate[_Waiting[Inner], P], Wrapper]:
    """The asynchronous method, waited for; what it gives is asynchronous too and is wrapped."""

    @functools.wraps(method)
    def call(self: _Waiting[Inner], /, *args: P.args, **kwargs: P.kwargs) -> Wrapper:
        return wrapper(self._loop, self._loop.run(method(self._inner, *args, **kwargs)))

    return call


def _on_loop(
    method: Callable[Concatenate[Inner, P], Result],
) -> Callable[Concatenate[Inner, P], Work[Result]]:
    """A plain method as a coroutine, so that it too runs where the inner object lives."""

    @functools.wraps(method)
    async def call(inner: Inner, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        return method(inner, *args, **kwargs)

    return call


class SyncFrames(_Waiting[FrameStream]):
    """The frames of one turn; leaving it cancels the call."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ServerFrame:
        return self._step(self._inner.__anext__())

    @property
    def turn_id(self) -> str:
        """The id the turn was sent with."""
        return self._inner.turn_id

    answer = _waited(FrameStream.answer)


class SyncPredict(_Waiting[PredictStream]):
    """The pieces of a `StreamPredict` answer; leaving it cancels the call."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ModelResponse:
        return self._step(self._inner.__anext__())

    @property
    def facts(self) -> PredictFacts | None:
        """The facts of the trailing metadata, once the stream has ended."""
        return self._inner.facts


class SyncTurn(_Waiting[RunningTurn]):
    """One turn of a conversation; leaving it before its end cancels the turn."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ServerFrame:
        return self._step(self._inner.__anext__())

    @property
    def turn_id(self) -> str:
        """The id the turn was sent with."""
        return self._inner.turn_id

    answer = _waited(RunningTurn.answer)
    cancel = _waited(RunningTurn.cancel)


class SyncConversation(_Waiting[Conversation]):
    """Many turns on one stream; leaving it cancels what still runs."""

    @property
    def opened(self) -> Opened | None:
        """The gateway's greeting."""
        return self._inner.opened

    @property
    def go_away(self) -> GoAway | None:
        """The gateway's request to move to a new stream, once it came."""
        return self._inner.go_away

    send = _wrapped(Conversation.send, SyncTurn)
    cancel = _waited(Conversation.cancel)
    half_close = _waited(Conversation.half_close)


class SyncGatewayClient(_Waiting[GatewayClient]):
    """`GatewayClient` with the same arguments and methods, for `with` and `for`."""

    def __init__(self, target: str | None = None, **options: Unpack[ClientOptions]) -> None:
        super().__init__(LoopThread(), GatewayClient(target, **options))

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._loop.start()
            undo.callback(self._loop.close)
            super().__enter__()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, error, traceback)
        finally:
            self._loop.close()

    generate = _wrapped(_on_loop(GatewayClient.generate), SyncFrames)
    predict = _wrapped(_on_loop(GatewayClient.predict), SyncPredict)
    converse = _wrapped(_on_loop(GatewayClient.converse), SyncConversation)
    complete = _waited(GatewayClient.complete)
    list_models = _waited(GatewayClient.list_models)
    search = _waited(GatewayClient.search)
    limits = _waited(GatewayClient.limits)
    receipt = _waited(GatewayClient.receipt)
