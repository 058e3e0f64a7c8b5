"""How a load client asks: by gRPC as our callers do, or by HTTP with server-sent events as upstreams are asked."""

import asyncio
import re
import time
from collections.abc import Callable
from itertools import cycle
from typing import Protocol, cast

import grpc
import grpc.aio

from gateway.v1 import inference_pb2, inference_pb2_grpc
from tests.bench.script import MODEL

STREAMS_PER_CHANNEL = 60
_CONTENT = re.compile(rb'"content":"(\d{16,})"')
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


def now_us() -> int:
    """Microseconds of the clock that all processes of a machine share."""
    return time.monotonic_ns() // 1000


class GrpcCaller:
    """Calls of `gateway.v1.Inference`, spread over several channels, each with a connection of its own."""

    def __init__(self, address: str, credential: str, streams: int) -> None:
        count = -(-streams // STREAMS_PER_CHANNEL)
        self._channels = [grpc.aio.insecure_channel(address, options=_LIMITS) for _ in range(count)]
        self._stubs = cycle([inference_pb2_grpc.InferenceStub(channel) for channel in self._channels])
        self._metadata = (("authorization", f"Bearer {credential}"),)

    def turn(self, prompt: str) -> inference_pb2.Turn:
        """Neither searched nor cached: the way from the upstream to the caller is measured."""
        return inference_pb2.Turn(
            prompt=prompt,
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

    def __init__(self, address: str, credential: str, path: str = "/chat/completions") -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._credential = credential
        self._path = path
        self._idle: list[SseConnection] = []

    async def stream(self, prompt: str, heard: Heard) -> None:
        loop = asyncio.get_running_loop()
        if self._idle:
            connection = self._idle.pop()
        else:
            _, connection = await loop.create_connection(SseConnection, self._host, self._port)
        await connection.ask(self._request(prompt), heard)
        self._idle.append(connection)

    async def whole(self, prompt: str) -> None:
        await self.stream(prompt, lambda _now, _text: None)

    async def aclose(self) -> None:
        for connection in self._idle:
            connection.close()

    def _request(self, prompt: str) -> bytes:
        body = (
            f'{{"model":"{MODEL}","stream":true,"messages":[{{"role":"user","content":"{prompt}"}}]}}'
        ).encode()
        head = (
            f"POST {self._path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self._credential}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class SseConnection(asyncio.Protocol):
    """Finds the stamps in what arrives and knows the end of a chunked body; that is all it can."""

    def __init__(self) -> None:
        self._rest = b""
        self._heard: Heard = lambda _now, _text: None
        self._over: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    async def ask(self, request: bytes, heard: Heard) -> None:
        """Sends a request and returns at the end of its answer."""
        self._heard = heard
        self._over = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._over

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        now, block = now_us(), self._rest + data
        end = block.rfind(b"\n\n") + 2
        self._rest = block[end:] if end > 1 else block
        text = b"".join(_CONTENT.findall(block[:end])) if end > 1 else b""
        if text:
            self._heard(now, text.decode())
        if block.endswith(b"\r\n0\r\n\r\n") and self._over is not None and not self._over.done():
            self._rest = b""
            self._over.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_exception(CallFailedError(f"the connection was lost: {error}"))
