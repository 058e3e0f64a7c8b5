"""The revocations in force in this process: from the data directory and, where replicas share one, from Redis."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.auth.record_file import RecordFile
from gateway.auth.revocation import (
    Revocation,
    Revoked,
    added,
    lifted,
    read_revocations,
    write_revocations,
)
from gateway.auth.snapshot import FileSnapshot
from gateway.domain.call import Caller
from gateway.domain.errors import invalid

LOOK_EVERY_S = 1.0
# How long a list that nobody confirms is still believed for what could do the most harm.
TRUST_S = 600.0
_EMPTY = b'{"revocations": []}'

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RevocationFile:
    """The revocations of one data directory, for the commands. Every method raises OperatorError."""

    data_dir: Path

    @property
    def path(self) -> Path:
        """The file itself."""
        return self.data_dir / "revocations" / "revocations.json"

    @property
    def heard(self) -> Path:
        """The copy of what was last heard from Redis, for a start while Redis is away."""
        return self.data_dir / "revocations" / "heard.json"

    def records(self) -> Sequence[Revocation]:
        """Every revocation, oldest first."""
        return self._file.records()

    def add(self, revocation: Revocation) -> None:
        """Revokes; one of the same key is replaced."""
        self._file.change(lambda before: added(before, revocation))

    def lift(self, revocation: Revocation) -> None:
        """Takes one back. Raises CallerError(INVALID_REQUEST) where there is none of its key."""
        try:
            self._file.change(lambda before: lifted(before, revocation))
        except KeyError as error:
            raise invalid(
                "", f"{revocation.value} is not revoked; `gateway revoke --list` shows what is"
            ) from error

    @property
    def _file(self) -> RecordFile[Revocation]:
        return RecordFile(self.path, read_revocations, write_revocations)


class Revocations:
    """Asked on every call, answers from memory; `changed` is told whenever there is something new to ask for.

    `now` is in seconds since the epoch, `clock` monotonic.
    """

    def __init__(
        self,
        file: RevocationFile,
        *,
        changed: Callable[[Callable[[Caller], bool]], None] = lambda _revoked: None,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises OperatorError when a file is there and cannot be used."""
        self._file = file
        self._snapshot = FileSnapshot(file.path, _parse, missing=_EMPTY, clock=clock)
        self._own = self._snapshot.current()
        self._shared = Revoked()
        self._changed = changed
        self._now = now
        self._clock = clock
        self._shares = False
        self._confirmed_at: float | None = None

    def __call__(self, caller: Caller) -> bool:
        """Whether this caller is revoked."""
        now = self._now()
        return self._own.holds(caller, now) or self._shared.holds(caller, now)

    @property
    def current(self) -> bool:
        """Whether the list is fresh enough for what could do the most harm; always, where it is not shared."""
        if not self._shares:
            return True
        return self._confirmed_at is not None and self._clock() - self._confirmed_at < TRUST_S

    def expect_shared(self) -> None:
        """There is a shared list; until it is heard, what was heard last time stands in for it."""
        self._shares = True
        self._shared = FileSnapshot(self._file.heard, _parse, missing=_EMPTY, clock=self._clock).current()

    def confirm(self) -> None:
        """The shared list was heard to be as it is known here."""
        self._confirmed_at = self._clock()

    async def hear(self, revocations: Sequence[Revocation]) -> None:
        """The shared list as it stands now. Raises OperatorError when the copy for the next start fails."""
        self.confirm()
        shared = Revoked(revocations)
        if shared != self._shared:
            self._shared = shared
            self._changed(self)
            keep = RecordFile(self._file.heard, read_revocations, write_revocations)
            await asyncio.to_thread(keep.change, lambda _before: revocations)

    async def follow_file(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Looks at the file once a second, for ever."""
        while True:
            await sleep(LOOK_EVERY_S)
            own = self._snapshot.current()
            if own != self._own:
                self._own = own
                _log.info("%d revocations are in force from %s", len(own), self._file.path)
                self._changed(self)


def _parse(content: bytes) -> Revoked:
    return Revoked(read_revocations(content))
