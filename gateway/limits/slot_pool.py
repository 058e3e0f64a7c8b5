"""The slots of one upstream and model in this worker: given to turns, waited for in a fair line."""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Callable

from gateway.domain.errors import Reason, UpstreamError
from gateway.limits import Outlook
from gateway.limits.adaptive import NO_CUT, Signals, is_slow
from gateway.limits.line import Line, Ticket
from gateway.limits.slots import MOST_AT_ONCE, Answer, Report

MOST_TENANTS_TOLD, MOST_TURNS_TOLD = 16, MOST_AT_ONCE
"""More turns of one tenant than these could not be served by one answer."""
SPARE_PART = 4
"""A worker keeps this part of its own part of the limit at hand at least, for a burst that cannot ask first."""
REFUSED_LATELY_S = 60.0
SERVICE_WEIGHT = 0.1
HOPE = 2
"""So many times more turns may wait than are served in the time they have, by the calls of late."""


class SlotPool:
    """Slots granted to this worker, and its turns that wait. `kick` asks for a report to be made soon.

    Taking a granted slot that nobody waits for, and giving one back, is arithmetic on a few numbers.
    """

    def __init__(
        self, cap: int, most_waiting: int, kick: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`cap` is the most that all workers together may use."""
        self.cap = cap
        self.used = 0
        self.granted = 0
        self.limit = 0
        self.cuts = 0
        self.workers = 1
        self.elsewhere = 0
        self._contended = False
        self._usual_us = 0
        self._kick = kick
        self._clock = clock
        self._line = Line(most_waiting)
        self._calls: dict[Ticket, asyncio.Future[bool]] = {}
        self._held: Counter[str] = Counter()
        self._signals = Signals()
        self._refused_at = -REFUSED_LATELY_S
        self._service_s = 0.0

    @property
    def waiting(self) -> int:
        """How many turns wait here."""
        return len(self._line)

    def take(self, tenant: str) -> bool:
        """A slot at once, if one is free and nobody waits for it."""
        if self.used >= self.granted or self._contended or self._calls:
            return False
        self._hold(tenant)
        return True

    async def wait(self, tenant: str, within_s: float) -> None:
        """A slot in turn. Raises UpstreamError when it takes longer or the line is full."""
        ticket, leaves = self._line.join(tenant, self._clock(), self._served_within(within_s))
        if leaves is not None and not (left := self._calls.pop(leaves)).done():
            left.set_result(False)
        if ticket is None:
            raise self._refusal("too many turns wait for it")
        call = self._calls[ticket] = asyncio.get_running_loop().create_future()
        self._kick()
        try:
            async with asyncio.timeout(within_s):
                served = await call
        except BaseException as error:
            self._forget(ticket, call)
            if isinstance(error, TimeoutError):
                raise self._refusal("the turns before this one took too long") from None
            raise
        if not served:
            raise self._refusal("too many turns wait for it")

    def give(self, tenant: str, held_s: float) -> None:
        """A slot is free again, after this long."""
        self.used -= 1
        self._held[tenant] -= 1
        if not self._held[tenant]:
            del self._held[tenant]
        self._service_s += (held_s - self._service_s) * (SERVICE_WEIGHT if self._service_s else 1.0)
        if self._contended:
            self._kick()
        else:
            self._serve()

    def outlook(self, tenant: str) -> Outlook:
        """The place of one who came now, and how long it may wait by the calls of late."""
        if not self._calls and not self._contended and self.used < max(self.limit, self.granted):
            return Outlook()
        position = self._line.ahead(tenant, self._held) + 1
        return Outlook(position, position * self._service_s / max(self.limit, 1))

    def first_output(self, took_s: float, own_s: float = 0.0) -> None:
        """See `Slot`."""
        was, took_us = self._signals, round(took_s * 1e6)
        slow = was.slow + is_slow(took_us - round(own_s * 1e6), self._usual_us)
        self._signals = was._replace(seen=was.seen + 1, sum_us=was.sum_us + took_us, slow=slow)
        if self._calls:
            self._kick()

    def gave_up(self, took_s: float, own_s: float = 0.0) -> None:
        """See `Slot`. Only what is slow already says something: callers leave for reasons of their own."""
        if is_slow(round((took_s - own_s) * 1e6), self._usual_us):
            self.first_output(took_s, own_s)

    def refused(self, cuts: int, named: int) -> None:
        """See `Slot`; `cuts` is the number of cuts when the call was begun."""
        was = self._signals
        lowest = min(filter(None, (was.named, named)), default=0)
        self._signals = was._replace(refused_at=max(was.refused_at, cuts), named=lowest)
        self._refused_at = self._clock()
        self._kick()

    def report(self, lease_ms: int, spare: int, every_ms: int = 0) -> Report:
        """What this worker has to say, and how long it may be silent after it (milliseconds).

        Saying it gives back all spare slots but about `spare`, or all, if wanted.
        """
        spare = max(spare, self.limit // (SPARE_PART * max(self.workers, 1)))
        keep = 0 if self._contended or self._calls else min(spare, self.granted - self.used)
        self.granted = self.used + max(keep, 0)
        signals, self._signals = self._signals, Signals(refused_at=NO_CUT)
        now, told = self._clock(), self._contended or bool(self._calls)
        waits = {
            tenant: (min(count, MOST_TURNS_TOLD), round((now - since) * 1000))
            for tenant, count, since in self._line.coming(self._held, MOST_TENANTS_TOLD)
        }
        holds = dict(self._held) if told else {}
        wish = max(spare - keep, 0)
        return Report(lease_ms, self.cap, self.granted, self.used, wish, signals, holds, waits, every_ms)

    def heard(self, answer: Answer, reported: int) -> None:
        """Puts an answer to use: turns that it names are served first. `reported` were said to be in use."""
        self.limit, self.cuts, self._usual_us = answer.limit, answer.cuts, answer.usual_us
        self.workers = answer.workers
        self.elsewhere = answer.used - reported
        self._contended = answer.contended
        self.granted += answer.spare + len(answer.tenants)
        for tenant in answer.tenants:
            self._serve_one(tenant)
        if not answer.contended:
            self._serve()
        elif self.granted > self.used:
            self._kick()

    def unheard(self, report: Report) -> None:
        """The report was not answered: what was seen is told with the next one."""
        was, now = report.signals, self._signals
        self._signals = Signals(
            was.seen + now.seen,
            was.sum_us + now.sum_us,
            was.slow + now.slow,
            max(was.refused_at, now.refused_at),
            min(filter(None, (was.named, now.named)), default=0),
        )

    def _served_within(self, within_s: float) -> int | None:
        """How many may wait: about as many as are served in that time; None where nothing is known yet."""
        if self._service_s <= 0:
            return None
        return max(self.limit, math.ceil(HOPE * self.limit * within_s / self._service_s))

    def _hold(self, tenant: str) -> None:
        self.used += 1
        self._held[tenant] += 1

    def _serve(self) -> None:
        while self._calls and self.used < self.granted:
            self._serve_one("")

    def _serve_one(self, tenant: str) -> None:
        while self.used < self.granted and (ticket := self._line.next(self._held, tenant)) is not None:
            call = self._calls.pop(ticket)
            # One who was cancelled in this very moment has not left the line yet.
            if not call.done():
                self._hold(ticket.tenant)
                call.set_result(True)
                return

    def _forget(self, ticket: Ticket, call: "asyncio.Future[bool]") -> None:
        """One leaves; a slot that was given to it meanwhile goes to the next."""
        if call.done() and not call.cancelled() and call.result():
            self.give(ticket.tenant, self._service_s)
        elif self._calls.pop(ticket, None) is not None:
            self._line.leave(ticket)

    def _refusal(self, why: str) -> UpstreamError:
        limited = self._clock() - self._refused_at < REFUSED_LATELY_S
        return UpstreamError(
            Reason.UPSTREAM_RATE_LIMITED if limited else Reason.OVERLOADED,
            f"The model takes no more turns at once, and {why}; try again shortly.",
            facts={"upstream_cause": "no_slot"},
            retry_after_s=random.uniform(1.0, 10.0),  # noqa: S311 - it spreads callers, it keeps no secret
        )
