"""A chat server that is never the bottleneck: raw HTTP/1.1, bodies made before, one timer for every stream.

`python -m tests.bench.upstream [certificate key]` prints `ready PORT`. What it sends stands in each request's
prompt (`script.py`). `GET /stats` tells how many events were sent, how many streams are open, when named ones lost
their connection, and the SHA-256 of the text each of those was sent. Every other GET is answered with the list of
models, which some gateways ask for.
"""

import asyncio
import hashlib
import json
import ssl
import sys
import time
from typing import cast

import uvloop

from tests.bench.script import MODEL, Body, Script, read_script, whole_answer

TICK_S = 0.001
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def now_us() -> int:
    """Microseconds of the clock that all processes of a machine share."""
    return time.monotonic_ns() // 1000


class Wheel:
    """Sends to every paced stream by deadline; all of them share one timer with ticks of a millisecond."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, list[set[Stream]]] = {}
        self._turns: dict[int, int] = {}
        self._streams = 0
        self._tick = 0
        self._begun = 0.0

    def add(self, stream: "Stream", gap_ms: int) -> None:
        """The streams of one pace are spread evenly over it."""
        slots = self._slots.setdefault(gap_ms, [set() for _ in range(gap_ms)])
        turn = self._turns[gap_ms] = self._turns.get(gap_ms, 0) + 1
        # A stride near the golden section spreads any number of streams.
        slot = stream.slot = slots[int(turn * 0.618034 * gap_ms) % gap_ms]
        slot.add(stream)
        self._streams += 1
        if self._streams == 1:
            self._begun, self._tick = self._loop.time(), 0
            self._loop.call_later(TICK_S, self._turn)

    def remove(self, stream: "Stream") -> None:
        """The stream has ended, or its connection has."""
        if stream.slot is not None and stream in stream.slot:
            stream.slot.remove(stream)
            self._streams -= 1

    def _turn(self) -> None:
        due = int((self._loop.time() - self._begun) / TICK_S)
        while self._tick < due:
            self._tick += 1
            for gap_ms, slots in self._slots.items():
                for stream in tuple(slots[self._tick % gap_ms]):
                    stream.send_group()
        if self._streams:
            self._loop.call_at(self._begun + (self._tick + 1) * TICK_S, self._turn)


class Shared:
    """What the connections of this process have in common."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.wheel = Wheel(loop)
        self.body = Body()
        self.sent = 0
        self.open = 0
        self.connections = 0
        self.closed_us: dict[str, int] = {}
        self.digests: dict[str, str] = {}

    def stats(self) -> bytes:
        """The counts as an HTTP answer."""
        facts = {
            "sent": self.sent,
            "open": self.open,
            "connections": self.connections,
            "closed_us": self.closed_us,
            "digests": self.digests,
        }
        return as_json(json.dumps(facts).encode())


def as_json(body: bytes) -> bytes:
    """A whole HTTP answer."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


MODELS = as_json(json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode())


class Stream:
    """One answer under way."""

    def __init__(self, script: Script, transport: asyncio.Transport, shared: Shared) -> None:
        self.script = script
        self.slot: set[Stream] | None = None
        self._left = script.events
        self._transport = transport
        self._shared = shared
        self._digest = hashlib.sha256() if script.name else None
        shared.open += 1
        transport.write(HEAD)
        self.send_group()
        if self._left:
            shared.wheel.add(self, script.gap_ms)

    @property
    def over(self) -> bool:
        """Whether everything was sent."""
        return not self._left

    def send_group(self) -> None:
        """Sends the next events, and the end after the last of them."""
        script, shared = self.script, self._shared
        count = script.together if self._left < 0 else min(script.together, self._left)
        now = now_us()
        data = shared.body.group(count, script.one_chunk, now)
        if self._digest is not None:
            self._digest.update(b"%016d" % now * count)
        shared.sent += count
        if self._left > 0:
            self._left -= count
        if not self._left:
            data += shared.body.end(script.events)
            if self._digest is not None:
                shared.digests[script.name] = self._digest.hexdigest()
            self.leave()
        self._transport.write(data)

    def leave(self) -> None:
        """Nothing more will be sent."""
        self._shared.open -= 1
        self._shared.wheel.remove(self)


class Connection(asyncio.Protocol):
    """One connection, one request after the other."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._buffer = b""
        self._stream: Stream | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._shared.connections += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"), 0
        )
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        if head.startswith(b"GET "):
            self._transport.write(self._shared.stats() if head.startswith(b"GET /stats ") else MODELS)
            return
        body = rest[:length]
        script = read_script(body)
        if script is None:
            self._transport.write(b"HTTP/1.1 400 no script\r\nContent-Length: 0\r\n\r\n")
            return
        if b'"stream":true' in body or b'"stream": true' in body:
            self._stream = Stream(script, self._transport, self._shared)
        else:
            self._transport.write(as_json(whole_answer(script.events, now_us())))

    def connection_lost(self, _error: Exception | None) -> None:
        self._shared.connections -= 1
        stream = self._stream
        if stream is not None and not stream.over:
            stream.leave()
            if stream.script.name:
                self._shared.closed_us[stream.script.name] = now_us()


async def main(arguments: list[str]) -> None:
    """Serves until it is ended."""
    loop = asyncio.get_running_loop()
    tls = None
    if arguments:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*arguments)
    shared = Shared(loop)
    server = await loop.create_server(lambda: Connection(shared), "127.0.0.1", 0, ssl=tls, backlog=4096)
    print(f"ready {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
