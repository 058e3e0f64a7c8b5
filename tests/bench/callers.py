"""How a load client asks: by gRPC as our callers do, or by HTTP with server-sent events as upstreams are asked."""

import asyncio
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from itertools import cycle
from typing import Protocol, cast

import grpc
import grpc.aio

from gateway.models.http_body import Body, body_of
from gateway.models.http_head import BadAnswerError, HeadReader
from gateway.v1 import inference_pb2, inference_pb2_grpc

_CONTENT = re.compile(rb'"content": ?"(\d{16,})"')
_LIMITS = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1))

Heard = Callable[[int, str], None]
"""Is told when a piece of the answer came, in microseconds of the shared clock, and the piece."""


class CallFailedError(Exception):
    """A call did not end as it should; a measurement with failures is none."""


class Caller(Protocol):
    """One way to ask."""

    async def stream(self, prompt: str, heard: Heard) -> None:
        """Asks and reads to the end. Raises CallFailedError."""
        ...

    async def whole(self, prompt: str) -> None:
        """Asks for the whole answer in one message. Raises CallFailedError."""
        ...

    async def aclose(self) -> None:
        """Closes connections."""
        ...


def unlike(prompt: str) -> str:
    """The prompt as nobody else sends it: identical questions in flight would share one answer."""
    return f"{prompt} {secrets.token_hex(4)}"


def now_us() -> int:
    """Microseconds of the clock that all processes of a machine share."""
    return time.monotonic_ns() // 1000


class GrpcCaller:
    """Calls of `gateway.v1.Inference`, spread over several channels, each with a connection of its own."""

    def __init__(self, address: str, credential: str, channels: int) -> None:
        self._channels = [grpc.aio.insecure_channel(address, options=_LIMITS) for _ in range(channels)]
        self._stubs = cycle([inference_pb2_grpc.InferenceStub(channel) for channel in self._channels])
        self._metadata = (("authorization", f"Bearer {credential}"),)

    def turn(self, prompt: str) -> inference_pb2.Turn:
        """Neither searched nor cached: the way from the upstream to the caller is measured."""
        return inference_pb2.Turn(
            prompt=unlike(prompt),
            search=inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_NEVER),
            cache=inference_pb2.CachePolicy(use=inference_pb2.CACHE_USE_BYPASS),
        )

    def generate(self, prompt: str) -> "grpc.aio.UnaryStreamCall[inference_pb2.Turn, inference_pb2.ServerFrame]":
        """The call itself, for those who mean to cancel it."""
        return next(self._stubs).Generate(self.turn(prompt), metadata=self._metadata)

    def converse(self) -> "grpc.aio.StreamStreamCall[inference_pb2.ClientFrame, inference_pb2.ServerFrame]":
        """A conversation."""
        return next(self._stubs).Converse(metadata=self._metadata)

    async def stream(self, prompt: str, heard: Heard) -> None:
        finish = 0
        try:
            async for frame in self.generate(prompt):
                kind = frame.WhichOneof("frame")
                if kind == "delta":
                    heard(now_us(), frame.delta.text)
                elif kind == "end":
                    finish = frame.end.finish
        except grpc.aio.AioRpcError as error:
            raise CallFailedError(f"{error.code().name}: {error.details()}") from error
        if finish != inference_pb2.FINISH_STOP:
            raise CallFailedError(f"the turn ended with {finish}")

    async def whole(self, prompt: str) -> None:
        try:
            result = await next(self._stubs).Complete(self.turn(prompt), metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise CallFailedError(f"{error.code().name}: {error.details()}") from error
        if result.end.finish != inference_pb2.FINISH_STOP or not result.message.content:
            raise CallFailedError(f"the turn ended with {result.end.finish}")

    async def aclose(self) -> None:
        for channel in self._channels:
            await channel.close()


class SseCaller:
    """Chat completions over HTTP, as the upstream itself speaks: raw bytes, each stream on its own connection."""

    def __init__(self, address: str, credential: str, path: str, model: str, headers: Mapping[str, str]) -> None:
        self._model = model
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        lines = {
            "Host": f"{self._host}:{port}",
            "Content-Type": "application/json",
            "Authorization": f"Bearer {credential}",
            **headers,
        }
        self._head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._idle: list[SseConnection] = []

    async def stream(self, prompt: str, heard: Heard) -> None:
        await self._ask(self._request(prompt, stream=True), heard)

    async def whole(self, prompt: str) -> None:
        texts: list[str] = []
        await self._ask(self._request(prompt, stream=False), lambda _now, text: texts.append(text))
        if not texts:
            raise CallFailedError("the answer holds no text")

    async def aclose(self) -> None:
        for connection in self._idle:
            connection.close()

    async def _ask(self, request: bytes, heard: Heard) -> None:
        loop = asyncio.get_running_loop()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                break
        else:
            _, connection = await loop.create_connection(SseConnection, self._host, self._port)
        await connection.ask(request, heard)
        self._idle.append(connection)

    def _request(self, prompt: str, *, stream: bool) -> bytes:
        asked = {"model": self._model, "stream": stream, "messages": [{"role": "user", "content": unlike(prompt)}]}
        body = json.dumps(asked, separators=(",", ":"))
        return f"{self._head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


class SseConnection(asyncio.Protocol):
    """Reads an answer however it is framed, finds the stamps in it and knows its end; that is all it can."""

    def __init__(self) -> None:
        self._heard: Heard = lambda _now, _text: None
        self._over: asyncio.Future[None] | None = None
        self._rest = b""

    @property
    def is_open(self) -> bool:
        """Whether another request may be sent."""
        return not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    async def ask(self, request: bytes, heard: Heard) -> None:
        """Sends a request and returns at the end of its answer. Raises CallFailedError."""
        self._heard, self._rest = heard, b""
        self._head, self._body = HeadReader(), cast("Body | None", None)
        self._over = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._over

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        now = now_us()
        try:
            if self._body is None:
                found = self._head.feed(data)
                if found is None:
                    return
                head, data = found
                self._body = body_of(head)
                if head.status != 200:
                    self._end(CallFailedError(f"HTTP {head.status}: {self._body.feed(data)[:300]!r}"))
                    return
            self._take(now, self._body, data)
        except BadAnswerError:
            self._end(CallFailedError("what came is no HTTP"))

    def connection_lost(self, error: Exception | None) -> None:
        self._end(CallFailedError(f"the connection was lost: {error}"))

    def _take(self, now: int, body: Body, data: bytes) -> None:
        block = self._rest + body.feed(data)
        end = len(block) if body.over else block.rfind(b"\n\n") + 2
        self._rest = block[end:] if end > 1 else block
        text = b"".join(_CONTENT.findall(block[:end])) if end > 1 else b""
        if text:
            self._heard(now, text.decode())
        if body.over:
            self._end(None)

    def _end(self, failure: CallFailedError | None) -> None:
        if failure is not None:
            self._transport.abort()
        if self._over is not None and not self._over.done():
            if failure is None:
                self._over.set_result(None)
            else:
                self._over.set_exception(failure)
