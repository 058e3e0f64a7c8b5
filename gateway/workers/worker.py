"""One worker process as its parent sees it, from its start to its end."""

import asyncio
import json
import secrets
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, replace

from gateway.workers.channel import Channel, Words, connected
from gateway.workers.seat import MOST_COPIES, Place

PAGE_S = 1.0


class Worker:
    """Started by `start`. `connections` and `ready` are what it said last, `page` its last page of metrics.

    `ask` answers its questions to the limiter, `told` is called when it has said something of itself.
    """

    def __init__(
        self,
        place: Place,
        ask: Callable[["Worker", Sequence[object]], "asyncio.Future[list[object]]"],
        told: Callable[["Worker"], None],
    ) -> None:
        self.place = replace(place, worker=f"{place.number}-{secrets.token_hex(6)}")
        self.connections = 0
        self.ready = False
        self.page = ""
        self.is_listening = False
        self.copies: list[socket.socket] = []
        self.prepared = asyncio.Event()
        self.listening = asyncio.Event()
        self.draining = False
        self.begun = time.monotonic()
        self._ask = ask
        self._told = told
        self._pages: dict[int, asyncio.Future[str]] = {}
        self._asked = 0
        self._channel: Channel | None = None
        self._copies: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid if self._process is not None else 0

    @property
    def has_ended(self) -> bool:
        """Whether its process is dead."""
        return self._process is not None and self._process.returncode is not None

    async def start(self, words: Sequence[str], environment: Mapping[str, str] | None) -> None:
        """Starts the process: `gateway serve` with these words, in the environment of this one unless given."""
        wire, far_wire = socket.socketpair()
        self._copies, far_copies = socket.socketpair()
        with far_wire, far_copies:
            ends = (far_wire.fileno(), far_copies.fileno())
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway", "serve", *words, "--seat", f"{ends[0]},{ends[1]}"),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=ends,
                # Ctrl-C at a terminal is for the parent, which tells its workers once.
                start_new_session=True,
            )
        self._copies.setblocking(False)
        self._channel = await connected(wire, self._heard, self._gone)
        self._channel.send(["seat", *astuple(self.place)])

    async def ended(self) -> int:
        """Waits for its end; the exit code, negative for a signal."""
        if self._process is None:
            return 0
        return await self._process.wait()

    async def comes_to(self, event: asyncio.Event) -> bool:
        """Waits until it has come so far. False when it ended before."""
        async with asyncio.TaskGroup() as group:
            arrived, ended = group.create_task(event.wait()), group.create_task(self.ended())
            await asyncio.wait((arrived, ended), return_when=asyncio.FIRST_COMPLETED)
            done = event.is_set()
            arrived.cancel()
            ended.cancel()
        return done

    def say(self, *words: object) -> None:
        """Tells it something."""
        if self._channel is not None:
            self._channel.send(words)

    def signal(self, number: int) -> None:
        """Sends its process a signal, unless it has ended."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def metrics(self) -> str:
        """Its metrics now, or those it told last where it does not answer in time."""
        self.page = await self._page("metrics") or self.page
        return self.page

    async def upstreams(self) -> list[dict[str, object]]:
        """How its upstreams are doing; nothing where it does not answer in time."""
        standings: list[dict[str, object]] = json.loads(await self._page("upstreams") or "[]")
        return standings

    async def _page(self, which: str) -> str:
        if self._channel is None or not self._channel.is_open:
            return ""
        self._asked += 1
        number, loop = self._asked, asyncio.get_running_loop()
        waiting: asyncio.Future[str] = loop.create_future()
        self._pages[number] = waiting
        self.say("page", number, which)
        try:
            async with asyncio.timeout(PAGE_S):
                return await waiting
        except TimeoutError:
            return ""
        finally:
            self._pages.pop(number, None)

    def close(self) -> None:
        """Closes this end of the wires."""
        if self._channel is not None:
            self._channel.close()
        if self._copies is not None:
            self._copies.close()

    def _heard(self, words: Words) -> None:
        match words:
            case ["ask", int(number), list(question)]:
                answer = self._ask(self, question)
                answer.add_done_callback(lambda done: self._answer(number, done))
            case ["state", int(connections), bool(ready)]:
                self.connections, self.ready = connections, ready
                self._told(self)
            case ["page", int(number), str(text)]:
                waiting = self._pages.get(number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(text)
            case ["prepared"]:
                self.prepared.set()
            case ["listening"]:
                self._take_copies()
                self.is_listening = True
                self.listening.set()
            case ["draining"]:
                self.is_listening, self.draining = False, True
                self._told(self)

    def _answer(self, number: int, done: "asyncio.Future[list[object]]") -> None:
        if not done.cancelled():
            self.say("answer", number, done.result())

    def _take_copies(self) -> None:
        """Its listening sockets, which it has sent before it said that it listens."""
        if self._copies is None:
            return
        with suppress(BlockingIOError):
            _, descriptors, _, _ = socket.recv_fds(self._copies, 1, MOST_COPIES)
            self.copies = [socket.socket(fileno=descriptor) for descriptor in descriptors]

    def _gone(self) -> None:
        for waiting in self._pages.values():
            if not waiting.done():
                waiting.set_result("")
        self.is_listening = False
        self._told(self)
