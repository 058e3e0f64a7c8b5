"""Writes groups of intents and outcomes: into the chain's segment, or into the spool while that fails.

In the spool the chain goes on as if nothing had happened, so that bringing it back is copying. What is refused
never had a place in the chain.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.audit import Entry, Outcome
from gateway.audit.append import AppendFile, Sync
from gateway.audit.chain import MAGIC, Head
from gateway.audit.draft import Draft, RequestHash, Tail
from gateway.audit.folder import ChainFolder, spool_of
from gateway.audit.records import Seal

SEGMENT_RECORDS = 10_000
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Places:
    """Where one process writes: its chain, and the folder for what waits (None = nothing waits, it is refused).

    `writer` is how the chain names the process. The spool takes `spool_records` at most. `sync` waits for the
    disk.
    """

    folder: ChainFolder
    writer: str
    spool: Path | None = None
    spool_records: int = 10_000
    sync: Sync = os.fdatasync


@dataclass(frozen=True, slots=True)
class Wish:
    """One intent, or the outcome of one, that is to be written."""

    entry: Entry
    outcome: Outcome | None = None


class Writer:
    """The end of one chain, from `head` on. Every method blocks, and all of them belong to one thread.

    `failure` is why the segment cannot be written at the moment; `spooled` counts the records in the spool.
    """

    def __init__(
        self,
        places: Places,
        head: Head,
        request_hash: RequestHash,
        *,
        now: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = places
        self._tail = Tail(head, places.folder.chain, places.writer, request_hash)
        self._now = now
        self._ticks = ticks
        self._segment = self._next_segment()
        spool = spool_of(places.spool, places.folder.chain) if places.spool else None
        self._spool = AppendFile(spool, 0, places.sync) if spool else None
        self._late: list[Wish] = []
        self._retry_at = 0.0
        self.failure: OSError | None = None
        self.spooled = 0

    @property
    def waiting(self) -> bool:
        """Whether something is to be brought back, or written late."""
        return bool(self.spooled or self._late)

    def write(self, wishes: Sequence[Wish]) -> list[OSError | None]:
        """For each wish why it was not written; None = it is durable. Such an outcome is kept for later."""
        late, self._late = self._late, []
        group = [*late, *wishes]
        if self.failure is None or self._ticks() >= self._retry_at:
            try:
                self._write_through(group)
                return [None] * len(wishes)
            except OSError as error:
                self.failure = error
                self._retry_at = self._ticks() + RETRY_S
        refusals = self._write_to_spool(group, self.failure)
        self._late = [wish for wish, why in zip(group, refusals, strict=True) if why and wish.outcome]
        return refusals[len(late) :]

    def seal(self) -> None:
        """Ends the segment, so that nothing can be cut off from it. Raises OSError."""
        self._retry_at = 0.0
        self.write(())
        if self.failure is not None:
            raise self.failure
        if self._tail.in_segment:
            self._seal()

    def close(self) -> None:
        """Lets go of the files."""
        self._segment.close()
        if self._spool is not None:
            self._spool.close()

    @property
    def where(self) -> Path:
        """The folder of the chain."""
        return self._places.folder.path

    @property
    def head(self) -> Head:
        """The end of the chain, with what is in the spool."""
        return self._tail.head

    # --- into the segment -----------------------------------------------------------------------------------

    def _write_through(self, group: Sequence[Wish]) -> None:
        if self.spooled:
            self._bring_back()
        if self._tail.in_segment >= SEGMENT_RECORDS:
            self._seal()
        draft = self._draft(group)
        if draft.data:
            self._append(draft.data)
            self._tail.accept(draft)
            self.failure = None

    def _seal(self) -> None:
        draft = Draft(self._tail, self._time_us())
        draft.add(Seal(self._tail.in_segment))
        self._append(draft.data)
        self._tail.accept(draft)
        self._segment.close()
        self._segment = self._next_segment()
        self._tail.in_segment = 0

    def _bring_back(self) -> None:
        assert self._spool is not None  # noqa: S101 - nothing is counted in a spool that is not there
        self._append(self._spool.path.read_bytes()[: self._spool.size])
        # Should it not be emptied now, its next use does that; until then it only repeats what stands in the
        # segment.
        self.spooled = self._spool.size = 0
        self.failure = None
        self._spool.close()
        try:
            self._spool.empty()
        except OSError:
            self._spool.close()

    def _append(self, data: bytes) -> None:
        self._segment.append(data if self._segment.size else MAGIC + data)

    def _next_segment(self) -> AppendFile:
        path = self._places.folder.segment(self._tail.head.count + 1)
        return AppendFile(path, 0, self._places.sync)

    # --- into the spool -------------------------------------------------------------------------------------

    def _write_to_spool(self, group: Sequence[Wish], failure: OSError) -> list[OSError | None]:
        admitted = self._with_room(group) if self._spool else []
        if self._spool and admitted:
            draft = self._draft(admitted)
            try:
                self._spool.append(draft.data)
                self._tail.accept(draft)
                self.spooled += draft.count
            except OSError as error:
                failure, admitted = error, []
        taken = {id(wish) for wish in admitted}
        return [None if id(wish) in taken or _is_void(wish) else failure for wish in group]

    def _with_room(self, group: Sequence[Wish]) -> list[Wish]:
        """What the spool may take: every intent leaves room for its outcome."""
        room = self._places.spool_records - self.spooled - len(self._tail.open) - (not self._tail.in_segment)
        admitted = []
        for wish in group:
            if wish.outcome is None:
                if wish.entry.intent.strict or room < 2:
                    continue
                room -= 2
            admitted.append(wish)
        return admitted

    # --- both -----------------------------------------------------------------------------------------------

    def _draft(self, group: Sequence[Wish]) -> Draft:
        draft = Draft(self._tail, self._time_us())
        if not self._tail.in_segment:
            draft.begin()
        for wish in group:
            if wish.outcome is None:
                draft.intent(wish.entry)
            else:
                draft.outcome(wish.entry, wish.outcome)
        return draft

    def _time_us(self) -> int:
        return round(self._now() * 1_000_000)


def _is_void(wish: Wish) -> bool:
    """The outcome of an intent that was refused."""
    return wish.outcome is not None and not wish.entry.seq
