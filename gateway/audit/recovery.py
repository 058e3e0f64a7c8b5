"""Puts a chain in order that its process left, however it left: nothing torn, nothing in the spool, nothing open.

Intents without an outcome get one, `worker_lost`, in their own chain, and the segment is sealed. A chain that is
broken is left exactly as it is, for its operator to look at.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.audit.append import AppendFile, Sync, sync_folder
from gateway.audit.chain import MAGIC, Broken, Frame, Head, Reading, follow, genesis, read_frames
from gateway.audit.folder import ChainFolder, first_of, spool_of
from gateway.audit.records import Content, OutcomeRecord, Seal, Start

WORKER_LOST = "worker_lost"
UNAVAILABLE = 14
"""The number of the gRPC status that the callers of a dead process see."""


class Damaged(Exception):  # noqa: N818 - the chain is, and stays as it is
    """The chain cannot be continued; the text names the file and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where the chain goes on, and how many intents had lost their process."""

    head: Head
    lost: int


def recover(folder: ChainFolder, spool: Path | None, now_us: Callable[[], int], sync: Sync) -> Recovered:
    """Brings a held chain in order. Raises Damaged, and OSError when it cannot be read or written."""
    _write_back(folder, spool, sync)
    last = _last_segment(folder)
    if last is None:
        return Recovered(genesis(folder.chain), 0)
    path, reading, size = last
    if reading.sealed:
        return Recovered(reading.head, 0)
    head, frames = reading.head, list[bytes]()
    lost: list[Content] = [_lost(intent, name) for intent, name in sorted(reading.open.items())]
    for content in (*lost, Seal(reading.in_segment + len(lost))):
        head, frame = follow(head, now_us(), content)
        frames.append(frame)
    file = AppendFile(path, size, sync)
    try:
        file.append(b"".join(frames))
    finally:
        file.close()
    return Recovered(head, len(lost))


def _last_segment(folder: ChainFolder) -> tuple[Path, Reading, int] | None:
    """The last segment that holds a record, what its records say, and how long it is without what is torn."""
    for path in reversed(folder.segments()):
        frames, size = _frames(path)
        if not frames:
            # Its process died before the first record was on the disk.
            path.unlink()
            sync_folder(path.parent)
            continue
        return path, _read(path, frames), size
    return None


def _read(path: Path, frames: list[Frame]) -> Reading:
    first = frames[0].place
    reading = Reading(Head(first.seq - 1, first.previous))
    try:
        for frame in frames:
            reading.take(frame)
    except Broken as error:
        raise _damaged(path, error) from error
    return reading


def _frames(path: Path) -> tuple[list[Frame], int]:
    """The whole records of a segment, and where the last of them ends."""
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        if MAGIC.startswith(data) or not any(data):
            return [], 0
        raise _damaged(path, Broken(0, "this is no segment of an audit"))
    try:
        found = [frame for frame in read_frames(data, len(MAGIC)) if isinstance(frame, Frame)]
    except Broken as error:
        raise _damaged(path, error) from error
    return found, found[-1].end if found else 0


def _write_back(folder: ChainFolder, spool: Path | None, sync: Sync) -> None:
    """Appends what waits in the spool where it belongs; a repeat changes nothing."""
    path = spool_of(spool, folder.chain) if spool else None
    if path is None or not path.exists():
        return
    try:
        frames = [frame for frame in read_frames(path.read_bytes()) if isinstance(frame, Frame)]
    except Broken as error:
        raise _damaged(path, error) from error
    if frames:
        _append(folder, path, frames, sync)
    path.unlink()
    sync_folder(path.parent)


def _append(folder: ChainFolder, spool: Path, frames: list[Frame], sync: Sync) -> None:
    first, last = frames[0], frames[-1]
    if _find(folder, last.place.seq, last.hash) is not None:
        return
    data = spool.read_bytes()[first.offset : last.end]
    if isinstance(first.content, Start):
        target, size, data = folder.segment(first.place.seq), 0, MAGIC + data
    else:
        # What stands after that place was never told to anybody: it is in the spool.
        place = _find(folder, first.place.seq - 1, first.place.previous)
        if place is None:
            raise Damaged(f"{spool}: it goes on from no record in {folder.path}")
        target, size = place
    file = AppendFile(target, size, sync)
    try:
        file.append(data)
    finally:
        file.close()


def _find(folder: ChainFolder, seq: int, digest: bytes) -> tuple[Path, int] | None:
    """The segment of the record of this number and hash, and where the record ends."""
    for path in reversed(folder.segments()):
        if first_of(path) <= seq:
            ends = [frame.end for frame in _frames(path)[0] if frame.hash == digest]
            return (path, ends[0]) if ends else None
    return None


def _lost(intent: int, name: str) -> OutcomeRecord:
    tenant, _, receipt_id = name.partition(":")
    return OutcomeRecord(
        intent, tenant, receipt_id, UNAVAILABLE, WORKER_LOST, "", "", "", 0, 0, 0, 0, 0, 0, 0, "none", ()
    )


def _damaged(path: Path, error: Broken) -> Damaged:
    return Damaged(f"{path}, at byte {error.offset}: {error.why}")
