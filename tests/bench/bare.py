"""The reference: a bare loop from aiohttp to grpc.aio that does nothing a gateway is for.

`python -m tests.bench.bare UPSTREAM` prints `ready PORT`. It answers `Generate` and `Complete` as the gateway
does, without identity, limits, receipts, logs, metrics, timers, and without a thought about what may go wrong.
Whatever had arrived goes out in one frame. What it costs is what the two libraries cost.
"""

import asyncio
import gc
import sys

import aiohttp
import grpc.aio
import orjson
import uvloop

from gateway.v1 import content_pb2, inference_pb2, inference_pb2_grpc
from tests.bench.script import MODEL

Context = "grpc.aio.ServicerContext[inference_pb2.Turn, inference_pb2.ServerFrame]"


class Bare(inference_pb2_grpc.InferenceServicer):
    """The two calls that are measured."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def Generate(self, request: inference_pb2.Turn, context: Context) -> None:  # noqa: N802 - grpc's names
        """Each read becomes one frame."""
        offset = seq = 0
        async with self._session.post(self._url, data=self._body(request)) as response:
            rest = b""
            async for data in response.content.iter_any():
                events, rest = split(rest + data)
                text = texts(events)
                if text:
                    seq += 1
                    delta = inference_pb2.Delta(text=text, offset=offset, events=len(events))
                    await context.write(inference_pb2.ServerFrame(seq=seq, turn_id="t", delta=delta))
                    offset += len(text)
        end = inference_pb2.TurnEnd(finish=inference_pb2.FINISH_STOP)
        await context.write(inference_pb2.ServerFrame(seq=seq + 1, turn_id="t", end=end))

    async def Complete(self, request: inference_pb2.Turn, _context: Context) -> inference_pb2.TurnResult:  # noqa: N802
        """All of it in one message."""
        async with self._session.post(self._url, data=self._body(request)) as response:
            events, _ = split(await response.read())
        return inference_pb2.TurnResult(
            message=content_pb2.Message(role=content_pb2.ROLE_ASSISTANT, content=texts(events)),
            end=inference_pb2.TurnEnd(finish=inference_pb2.FINISH_STOP),
        )

    def _body(self, request: inference_pb2.Turn) -> bytes:
        messages = [{"role": "user", "content": request.prompt}]
        return orjson.dumps({"model": MODEL, "stream": True, "messages": messages})


def split(block: bytes) -> tuple[list[bytes], bytes]:
    """The whole events of a block, and what is left."""
    *events, rest = block.split(b"\n\n")
    return events, rest


def texts(events: list[bytes]) -> str:
    """The text of events of chat completions."""
    return "".join(
        choice["delta"]["content"]
        for event in events
        if event != b"data: [DONE]"
        for choice in orjson.loads(event[6:])["choices"]
    )


async def main(upstream: str) -> None:
    """Serves until it is ended."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        server = grpc.aio.server()
        inference_pb2_grpc.add_InferenceServicer_to_server(Bare(session, f"{upstream}/chat/completions"), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        gc.collect()
        gc.freeze()
        print(f"ready {port}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
