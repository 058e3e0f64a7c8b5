"""The parent of several workers: starts them, starts them again when they die, and ends them together.

The first worker starts alone: it makes what is not there yet (keys, books), and what is wrong with the
configuration is said once. None listens before all of them can, so that a gateway that is reached is whole.
"""

import asyncio
import secrets
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.workers.backoff import Backoff
from gateway.workers.crew import Crew
from gateway.workers.journal import Journal
from gateway.workers.seat import Place
from gateway.workers.worker import Worker

DONE, FAILED = 0, 1
KILL_AFTER_S = 2.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How workers are started: `words` follow `gateway serve`, `environment` None = that of this process.

    `inside` is a directory for the workers' own sockets. `drain_s` is the longest that an orderly end may take.
    """

    workers: int
    words: tuple[str, ...]
    environment: Mapping[str, str] | None
    grpc_port: int
    http_port: int
    metrics_port: int
    inside: str
    command: str
    drain_s: float


class Supervisor:
    """Run it once."""

    def __init__(self, terms: Terms, crew: Crew, journal: Journal) -> None:
        self._terms = terms
        self._crew = crew
        self._journal = journal
        self._gateway = secrets.token_hex(8)
        self._stop = asyncio.Event()
        self._at_once = asyncio.Event()

    async def run(self) -> int:
        """Serves until a signal; the exit code: 0 after an orderly end, else of the worker that did not start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        code = await self._start_all()
        if code is None:
            code = await self._serve()
        return code

    def _signalled(self) -> None:
        if self._stop.is_set():
            self._at_once.set()
        self._stop.set()

    async def _start_all(self) -> int | None:
        """Every seat with a worker that listens; an exit code where it came to an end instead."""
        seats = range(1, self._terms.workers + 1)
        for some in (seats[:1], seats[1:]):
            workers = [await self._start(number) for number in some]
            async with asyncio.TaskGroup() as group:
                coming = [group.create_task(self._prepared(worker)) for worker in workers]
            if not all(task.result() for task in coming):
                return await self._not_started(workers)
        for worker in list(self._crew.workers.values()):
            if not await self._listens(worker):
                return await self._not_started([worker])
        for worker in list(self._crew.workers.values()):
            worker.say("open")
        return None

    async def _serve(self) -> int:
        self._journal.note("workers_started", workers=self._terms.workers, pids=self._pids())
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(self._keep(worker)) for worker in list(self._crew.workers.values())]
            keepers.append(group.create_task(self._crew.keep_pages()))
            await self._stop.wait()
            for task in keepers:
                task.cancel()
        return await self._end_all()

    async def _keep(self, worker: Worker) -> None:
        """Keeps one seat taken."""
        backoff = Backoff()
        while True:
            code = await worker.ended()
            freed = self._crew.gets_up(worker)
            backoff = backoff.died(time.monotonic() - worker.begun)
            seat, delay_s = worker.place.number, backoff.delay_s
            self._journal.warn("worker_lost", worker=seat, exit_code=code, freed=freed, restart_in_s=delay_s)
            await asyncio.sleep(delay_s)
            self._crew.restarts += 1
            worker = await self._start(seat, revived=True)
            if await worker.comes_to(worker.prepared) and await self._listens(worker):
                worker.say("open")
                self._journal.note("worker_restarted", worker=seat, pid=worker.pid)

    async def _start(self, number: int, *, revived: bool = False) -> Worker:
        terms = self._terms
        place = Place(
            gateway=self._gateway,
            worker="",
            number=number,
            revived=revived,
            grpc_port=terms.grpc_port,
            http_port=terms.http_port,
            metrics_port=terms.metrics_port,
            inside=f"{terms.inside}/{number}",
            command=terms.command,
        )
        worker = Worker(place, self._crew.asked, self._crew.told)
        self._crew.sits_down(worker)
        await worker.start(terms.words, terms.environment)
        return worker

    async def _prepared(self, worker: Worker) -> bool:
        """False when it has ended before, or everything is to end."""
        async with asyncio.TaskGroup() as group:
            coming = group.create_task(worker.comes_to(worker.prepared))
            stopping = group.create_task(self._stop.wait())
            await asyncio.wait((coming, stopping), return_when=asyncio.FIRST_COMPLETED)
            arrived = coming.done() and coming.result() and not self._stop.is_set()
            coming.cancel()
            stopping.cancel()
        return arrived

    async def _listens(self, worker: Worker) -> bool:
        """One after the other: the order in which they listen is the order of the kernel's group."""
        worker.say("listen")
        if not await worker.comes_to(worker.listening):
            return False
        self._crew.listens(worker)
        return True

    async def _not_started(self, workers: Sequence[Worker]) -> int:
        """The code of the worker that ended first of these; it has said why. The others are ended."""
        stopped = self._stop.is_set()
        codes = [] if stopped else [await one.ended() for one in workers if one.has_ended]
        ended = await self._end_all()
        return ended if stopped else next((code for code in codes if code > 0), FAILED)

    async def _end_all(self) -> int:
        """Drains every worker at once. A second signal, or one that takes too long, ends them without that."""
        self._crew.leave()
        workers = list(self._crew.workers.values())
        self._journal.note("workers_draining", pids=self._pids())
        started = [worker for worker in workers if worker.prepared.is_set()]
        for worker in workers:
            worker.signal(signal.SIGTERM)
        async with asyncio.TaskGroup() as group:
            ends = group.create_task(_all_ended(workers))
            hurry = group.create_task(self._at_once.wait())
            await asyncio.wait((ends, hurry), timeout=self._terms.drain_s, return_when=asyncio.FIRST_COMPLETED)
            orderly = ends.done()
            hurry.cancel()
            if not orderly:
                for worker in workers:
                    worker.signal(signal.SIGTERM)
                await asyncio.wait((ends,), timeout=KILL_AFTER_S)
            for worker in workers:
                worker.signal(signal.SIGKILL)
        for worker in workers:
            worker.close()
        codes = [await worker.ended() for worker in started]
        return DONE if orderly and not any(codes) else FAILED

    def _pids(self) -> list[int]:
        return [worker.pid for _, worker in sorted(self._crew.workers.items())]


async def _all_ended(workers: Sequence[Worker]) -> None:
    for worker in workers:
        await worker.ended()
