"""A worker's end of the wire to its parent: what it was told at its start, and what it hears and says later.

The parent says: `seat …` (the fields of `Place`, first of all), `listen`, `open`, `page ID WHICH`, `answer ID
WORDS`, `lost WORKER`. The worker says: `prepared`, `listening` (copies of its sockets are on the second wire),
`state CONNECTIONS READY`, `page ID TEXT`, `ask ID WORDS`, `draining`.
"""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gateway.workers.channel import Channel, Words, connected
from gateway.workers.sockets import Connections, listening

MOST_COPIES = 64
LOOK_EVERY_S = 1.0
# Counting connections takes half a percent of a worker's time at most.
PAUSE_PER_LOOK = 200.0


@dataclass(frozen=True, slots=True)
class Place:
    """What the parent decided for one worker.

    `gateway` names all workers of this parent, `worker` this process among them; `number` is 1 for the first seat,
    whose worker speaks for all; `revived` = the seat had another worker before. Ports are those of the whole
    gateway, `command` is how it was started. `inside` is the path of a socket for the worker's own HTTP port.
    """

    gateway: str
    worker: str
    number: int
    revived: bool
    grpc_port: int
    http_port: int
    metrics_port: int
    inside: str
    command: str


class Seat:
    """Made by `take` before the event loop runs, and used within `connected`."""

    def __init__(self, place: Place, wire: socket.socket, copies: socket.socket) -> None:
        self.place = place
        self.page: Callable[[], bytes] = lambda: b""
        self.ready: Callable[[], bool] = lambda: False
        self.standings: Callable[[], Iterable[Mapping[str, object]]] = tuple
        self.lost: Callable[[str], Coroutine[None, None, None]] | None = None
        self._burying: set[asyncio.Task[None]] = set()
        self._wire = wire
        self._copies = copies
        self._channel: Channel | None = None
        self._may_listen = asyncio.Event()
        self._opened = asyncio.Event()
        self._left = False
        self._questions: dict[int, asyncio.Future[Sequence[Any]]] = {}
        self._asked = 0
        self._orphaned: Callable[[], None] = lambda: None

    @property
    def speaks(self) -> bool:
        """Whether this worker tells the operator what is so for all of them."""
        return self.place.number == 1

    @asynccontextmanager
    async def connected(self, orphaned: Callable[[], None]) -> AsyncIterator[None]:
        """Hears the parent until it is left; `orphaned` is called when the parent has gone."""
        self._orphaned = orphaned
        self._channel = await connected(self._wire, self._heard, self._gone)
        telling = asyncio.get_running_loop().create_task(self._tell())
        try:
            yield
        finally:
            telling.cancel()
            self._channel.close()
            self._copies.close()

    async def may_listen(self) -> None:
        """Everything is prepared; waits until the parent lets this worker listen, or ends it."""
        self._say("prepared")
        await self._may_listen.wait()

    async def listens(self) -> bool:
        """This worker listens; waits until all of them do. False when it is to end before that."""
        copies = listening(self.place.grpc_port)[:MOST_COPIES]
        if copies:
            socket.send_fds(self._copies, [b"."], [copy.fileno() for copy in copies])
        for copy in copies:
            copy.close()
        self._say("listening")
        await self._opened.wait()
        return not self._left

    def leave(self) -> None:
        """This worker is about to take no more calls."""
        self._left = True
        self._say("draining")
        self._may_listen.set()
        self._opened.set()

    async def ask(self, words: Sequence[object]) -> Sequence[Any]:
        """The parent's answer. Raises ConnectionError when it has gone."""
        if self._channel is None or not self._channel.is_open:
            raise ConnectionError("the parent has gone")
        self._asked += 1
        number = self._asked
        answer: asyncio.Future[Sequence[Any]] = asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        self._say("ask", number, words)
        try:
            return await answer
        finally:
            self._questions.pop(number, None)

    def _say(self, *words: object) -> None:
        if self._channel is not None:
            self._channel.send(words)

    def _heard(self, words: Words) -> None:
        match words:
            case ["answer", int(number), list(answer)]:
                waiting = self._questions.get(number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
            case ["page", number, "upstreams"]:
                self._say("page", number, json.dumps([dict(facts) for facts in self.standings()]))
            case ["page", number, _]:
                self._say("page", number, self.page().decode())
            case ["lost", str(worker)] if self.lost is not None:
                task = asyncio.get_running_loop().create_task(self.lost(worker))
                self._burying.add(task)
                task.add_done_callback(self._burying.discard)
            case ["listen"]:
                self._may_listen.set()
            case ["open"]:
                self._opened.set()

    def _gone(self) -> None:
        for waiting in self._questions.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the parent has gone"))
        self._may_listen.set()
        self._opened.set()
        self._orphaned()

    async def _tell(self) -> None:
        await self._opened.wait()
        connections = Connections(self.place.grpc_port)
        while True:
            begun = time.perf_counter()
            self._say("state", connections.count(), self.ready())
            took = time.perf_counter() - begun
            await asyncio.sleep(max(LOOK_EVERY_S, took * PAUSE_PER_LOOK))


def take(descriptors: str) -> Seat:
    """The seat behind the two descriptors (`5,6`) that the parent gave this process."""
    wire, copies = (socket.socket(fileno=int(number)) for number in descriptors.split(","))
    for end in (wire, copies):
        # Processes that this one starts have no business with them.
        end.set_inheritable(False)
    first = b""
    while not first.endswith(b"\n"):
        # A byte at a time: what follows belongs to the channel.
        byte = wire.recv(1)
        if not byte:
            raise ConnectionError("the parent has gone")
        first += byte
    _, *fields = json.loads(first)
    return Seat(Place(*fields), wire, copies)
