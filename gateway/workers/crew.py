"""All workers of one gateway: who sits where, what they share, and what they say together."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from gateway.limits.desk import Desk
from gateway.workers.balance import Balance
from gateway.workers.pages import Standing, merged, own_page, without_gauges
from gateway.workers.sockets import resident_bytes
from gateway.workers.worker import Worker

PAGES_EVERY_S = 5.0


class Crew:
    """`workers` are those that live, by the number of their seat; `restarts` counts successors of dead ones."""

    def __init__(self, desk: Desk) -> None:
        self.workers: dict[int, Worker] = {}
        self.restarts = 0
        self.leaving = False
        self._desk = desk
        self._balance = Balance()
        self._past = ""
        self._lost: list[str] = []

    def sits_down(self, worker: Worker) -> None:
        """This worker has the seat now."""
        self.workers[worker.place.number] = worker

    def listens(self, worker: Worker) -> None:
        """It takes calls: connections are spread over it too."""
        self._balance.join(worker.place.number, worker.copies)
        self._tell_losses()

    def gets_up(self, worker: Worker) -> int:
        """It is dead: what it held is free, the others close its books. How many reservations it held."""
        number = worker.place.number
        self._balance.leave(number)
        if self.workers.get(number) is worker:
            del self.workers[number]
        worker.close()
        freed = self._desk.lost(worker.place.worker)
        self._lost.append(worker.place.worker)
        self._tell_losses()
        self._past = merged([self._past, without_gauges(worker.page)])
        return freed

    def _tell_losses(self) -> None:
        """Whoever lives closes the books of the dead; where nobody does, the next to come."""
        living = [worker for worker in self.workers.values() if worker.is_listening]
        for worker in living:
            for lost in self._lost:
                worker.say("lost", lost)
        if living:
            self._lost.clear()

    def leave(self) -> None:
        """Nobody takes calls any more."""
        self.leaving = True
        self._balance.close()

    def told(self, worker: Worker) -> None:
        """It has said something of itself."""
        if worker.is_listening:
            self._balance.counted(worker.place.number, worker.connections)
        else:
            self._balance.leave(worker.place.number)

    def asked(self, worker: Worker, question: Sequence[Any]) -> "asyncio.Future[list[object]]":
        """Answers a question to the limiter. Any: words of JSON."""
        return asyncio.ensure_future(self._desk.answer(worker.place.worker, question))

    def ready(self) -> bool:
        """Whether the gateway takes calls: whoever connects meets a worker that is ready."""
        listening = [worker for worker in self.workers.values() if worker.is_listening]
        return not self.leaving and bool(listening) and all(worker.ready for worker in listening)

    async def page(self) -> str:
        """The metrics of all workers, those that are dead included."""
        pages = await asyncio.gather(*(worker.metrics() for worker in self.workers.values()))
        counts = self._balance.counts
        standings = [
            Standing(str(number), resident_bytes(worker.pid), counts.get(number, worker.connections))
            for number, worker in sorted(self.workers.items())
        ]
        serving = sum(worker.is_listening for worker in self.workers.values())
        return merged([self._past, *pages]) + own_page(standings, serving, self.restarts)

    async def upstreams(self) -> str:
        """How every worker's upstreams are doing, as JSON."""
        workers = sorted(self.workers.items())
        told = await asyncio.gather(*(worker.upstreams() for _, worker in workers))
        named = [
            {"worker": number, **facts}
            for (number, _), all_of in zip(workers, told, strict=True)
            for facts in all_of
        ]
        return json.dumps({"upstreams": named})

    async def keep_pages(self) -> None:
        """Looks at the metrics now and then, so that what a worker counted outlives it, but for seconds."""
        while True:
            await asyncio.sleep(PAGES_EVERY_S)
            await self.page()
