"""The audit in files: one thread writes, and one wait for the disk serves all who wait at that moment.

The event loop never touches the disk. Everything is written in the order in which it was asked for.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from gateway.audit import AuditObserver, Entry, Intent, Outcome
from gateway.audit.writer import RETRY_S, Wish, Writer
from gateway.domain.errors import OperatorError, Reason
from gateway.inbox import Inbox

RETRY_AFTER_S = 5.0
_GROUP = 1_024
_REPORT_EVERY_S = 10.0
_log = logging.getLogger(__name__)

_Item = tuple[Wish, "asyncio.Future[None]"]


class FileAudit:
    """Keeps the promise of `Audit`; made by `opening.open_audit`."""

    def __init__(
        self, writer: Writer, loop: asyncio.AbstractEventLoop, observer: AuditObserver, max_waiting: int = 10_000
    ) -> None:
        self._writer = writer
        self._loop = loop
        self._observer = observer
        self._max_waiting = max_waiting
        self._inbox: Inbox[_Item | None] = Inbox(loop)
        self._waiting = 0
        self._closed = False
        self._silent_until = 0.0
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def intend(self, intent: Intent) -> Entry:
        """See `Audit`. Beyond `max_waiting` nothing waits for the disk any more, it is refused."""
        entry = Entry(intent, self._loop.create_future())
        if self._closed or self._waiting >= self._max_waiting:
            _fail(entry.written, _refusal("too much waits for the disk"))
        else:
            self._put(Wish(entry), entry.written)
        return entry

    def conclude(self, entry: Entry, outcome: Outcome) -> "asyncio.Future[None]":
        """See `Audit`."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        if self._closed:
            _fail(waiter, _refusal("the audit is closed"))
        else:
            self._put(Wish(entry, outcome), waiter)
        return waiter

    async def aclose(self) -> None:
        """Writes what waits, and seals the segment."""
        if not self._closed:
            self._closed = True
            self._inbox.put(None)
            await asyncio.to_thread(self._thread.join)

    def _put(self, wish: Wish, waiter: "asyncio.Future[None]") -> None:
        self._waiting += 1
        self._inbox.put((wish, waiter))

    def _deliver(self, items: Sequence[_Item], refusals: Sequence[OSError | None], took_s: float) -> None:
        self._waiting -= len(items)
        for (_, waiter), why in zip(items, refusals, strict=True):
            if waiter.done():
                continue
            if why is None:
                waiter.set_result(None)
            else:
                _fail(waiter, _refusal(str(why)))
        self._observer.audited(sum(why is None for why in refusals), took_s)
        self._observer.audit_stands(failing=self._writer.failure is not None, spooled=self._writer.spooled)

    # --- on the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        last = False
        while not last:
            taken = self._inbox.take(_GROUP, RETRY_S if self._writer.waiting else -1)
            last = bool(taken) and taken[-1] is None
            items = [item for item in taken if item is not None]
            begun = time.monotonic()
            refusals = self._writer.write([wish for wish, _ in items])
            self._report()
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                deliver = partial(self._deliver, items, refusals, time.monotonic() - begun)
                self._loop.call_soon_threadsafe(deliver)
        self._end()

    def _end(self) -> None:
        try:
            self._writer.seal()
        except OSError as error:
            _log.error("the audit is not sealed (%s): the next start does that", error)
        self._writer.close()

    def _report(self) -> None:
        """Not once per turn: a disk that is full refuses many."""
        failure, moment = self._writer.failure, time.monotonic()
        if failure is None and self._failing:
            _log.warning("the audit is written again")
        elif failure is not None and (moment >= self._silent_until or not self._failing):
            self._silent_until = moment + _REPORT_EVERY_S
            _log.error(
                "the audit cannot be written: %s: %s; make room there, or mend the disk or its rights: it is "
                "tried again by itself; %d records wait in the spool",
                self._writer.where,
                failure.strerror or failure,
                self._writer.spooled,
            )
        self._failing = failure is not None


def _fail(waiter: "asyncio.Future[None]", why: OperatorError) -> None:
    """Whoever does not wait for it any more need not be told."""
    waiter.set_exception(why)
    waiter.exception()


def _refusal(detail: str) -> OperatorError:
    """What a caller may read; the note is for the operator."""
    error = OperatorError(
        Reason.AUDIT_UNAVAILABLE,
        "The gateway cannot write its audit at present, so it starts nothing: retry later.",
        retry_after_s=RETRY_AFTER_S,
    )
    error.add_note(detail)
    return error
