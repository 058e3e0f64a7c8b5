"""A-1: whatever is changed, moved, added, doubled or taken out of an audit is seen."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.audit import writer as writing
from gateway.audit.chain import MAGIC, Frame, Head, follow, read_frames
from gateway.audit.folder import segments
from gateway.audit.opening import Keeping
from gateway.audit.records import OutcomeRecord
from gateway.audit.verify import verify
from tests.support.audit import audit, only, turns

QUICK, ALL = 500, 10_000
Mutation = Callable[[Path, random.Random], None]


@pytest.fixture
async def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A chain of four sealed segments."""
    monkeypatch.setattr(writing, "SEGMENT_RECORDS", 10)
    async with audit(Keeping(tmp_path / "audit")) as opened:
        await turns(opened, range(16))
    assert len(segments(tmp_path / "audit" / "a0")) == 4
    return tmp_path / "audit"


def a_segment(folder: Path, chance: random.Random) -> Path:
    return chance.choice(segments(next(folder.iterdir())))


def pieces(data: bytes) -> list[bytes]:
    """A segment cut into its records, the magic first."""
    frames = [frame for frame in read_frames(data, len(MAGIC)) if isinstance(frame, Frame)]
    return [MAGIC, *(data[frame.offset : frame.end] for frame in frames)]


def flip(folder: Path, chance: random.Random) -> None:
    """One bit."""
    path = a_segment(folder, chance)
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def delete(folder: Path, chance: random.Random) -> None:
    """One record, or some bytes."""
    path = a_segment(folder, chance)
    data = path.read_bytes()
    if chance.random() < 0.5:
        found = pieces(data)
        del found[chance.randrange(1, len(found))]
        path.write_bytes(b"".join(found))
    else:
        at = chance.randrange(len(data))
        path.write_bytes(data[:at] + data[at + chance.randrange(1, 40) :])


def insert(folder: Path, chance: random.Random) -> None:
    """Bytes anywhere, or a whole record of one's own making with a hash that fits it."""
    path = a_segment(folder, chance)
    data = path.read_bytes()
    if chance.random() < 0.5:
        at = chance.randrange(len(data) + 1)
        path.write_bytes(data[:at] + chance.randbytes(chance.randrange(1, 40)) + data[at:])
    else:
        found = pieces(data)
        frames = [frame for frame in read_frames(data, len(MAGIC)) if isinstance(frame, Frame)]
        before = chance.choice(frames)
        forged = follow(Head(before.place.seq, before.hash), before.place.time_us, before.content)[1]
        found.insert(frames.index(before) + 2, forged)
        path.write_bytes(b"".join(found))


def swap(folder: Path, chance: random.Random) -> None:
    """Two records, or two files."""
    path = a_segment(folder, chance)
    if chance.random() < 0.7:
        found = pieces(path.read_bytes())
        one, other = chance.sample(range(1, len(found)), 2)
        found[one], found[other] = found[other], found[one]
        path.write_bytes(b"".join(found))
    else:
        one, other = chance.sample(segments(path.parent), 2)
        mine, theirs = one.read_bytes(), other.read_bytes()
        one.write_bytes(theirs)
        other.write_bytes(mine)


def truncate(folder: Path, chance: random.Random) -> None:
    """The end of a sealed segment, or a whole one that others follow."""
    path = a_segment(folder, chance)
    later = segments(path.parent)[-1] != path
    if later and chance.random() < 0.3:
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes(data[: chance.randrange(len(data))])


def replay(folder: Path, chance: random.Random) -> None:
    """A segment once more under another number, records once more, or the whole chain under another name."""
    path, kind = a_segment(folder, chance), chance.randrange(3)
    if kind == 0:
        shutil.copy(path, path.with_stem(f"{chance.randrange(1, 99):015d}x"))
        shutil.copy(path, path.with_stem(f"{chance.randrange(100, 999):015d}"))
    elif kind == 1:
        found = pieces(path.read_bytes())
        again = chance.randrange(1, len(found))
        path.write_bytes(b"".join([*found, *found[again:]]))
    else:
        shutil.copytree(path.parent, folder / "zz")


def fork(folder: Path, chance: random.Random) -> None:
    """Another history from some record on, every hash after it made to fit."""
    found = segments(next(folder.iterdir()))
    forged, head = False, Head(0, b"")
    at = chance.randrange(1, 30)
    for path in found:
        parts = [MAGIC]
        for frame in read_frames(path.read_bytes(), len(MAGIC)):
            assert isinstance(frame, Frame)
            content = frame.content
            if not forged and frame.place.seq >= at and isinstance(content, OutcomeRecord):
                content = type(content)(
                    **{n: getattr(content, n) for n in content.__slots__} | {"cost_nano_usd": -1}
                )
                head, forged = Head(frame.place.seq - 1, frame.place.previous), True
            if not forged:
                head = Head(frame.place.seq - 1, frame.place.previous)
            head, data = follow(head, frame.place.time_us, content)
            parts.append(data)
        path.write_bytes(b"".join(parts))
    assert forged


MUTATIONS: tuple[Mutation, ...] = (flip, delete, insert, swap, truncate, replay, fork)


def unseen(kept: Path, work: Path, rounds: int) -> list[str]:
    """The mutations that verifying did not see, with the number that makes each again."""
    report = only(kept)
    heads = {report.chain: [report.head]}
    missed = []
    original = {path.relative_to(kept): path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    for number in range(rounds):
        mutate = MUTATIONS[number % len(MUTATIONS)]
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(kept, work)
        mutate(work, random.Random(number))
        now = {path.relative_to(work): path.read_bytes() for path in work.rglob("*") if path.is_file()}
        if now == original:
            continue  # what was swapped was the same
        alone = any(one.fault for one in verify(work, {}))
        with_head = any(one.fault for one in verify(work, heads))
        # Without a head two things cannot be seen: all of the end made anew, and the newest records cut off.
        if not with_head or not (alone or mutate in (fork, truncate, delete)):
            missed.append(f"{mutate.__name__} {number}")
    return missed


def test_every_kind_of_change_is_seen(kept: Path, tmp_path: Path) -> None:
    """A few of each kind; the chain itself is whole."""
    assert only(kept).fault is None
    assert unseen(kept, tmp_path / "work", QUICK) == []


@pytest.mark.full
def test_ten_thousand_changes_are_seen(kept: Path, tmp_path: Path) -> None:
    """A-1, all of it."""
    assert unseen(kept, tmp_path / "work", ALL) == []


def test_a_cut_off_end_is_seen_by_a_head_that_was_kept_and_by_nothing_else(kept: Path) -> None:
    """What a chain cannot say of itself: that is why heads are kept elsewhere."""
    report = only(kept)
    newest = segments(kept / "a0")[-1]
    newest.unlink()
    assert only(kept).fault is None
    (found,) = verify(kept, {report.chain: [report.head]})
    assert found.fault is not None
    assert "is not here" in found.fault.why


def test_older_segments_may_be_taken_away_by_whoever_keeps_their_head(kept: Path) -> None:
    """The head of what was taken away vouches for where the rest goes on."""
    oldest, second = segments(kept / "a0")[:2]
    first = next(f for f in read_frames(second.read_bytes(), len(MAGIC)) if isinstance(f, Frame))
    oldest.unlink()
    broken = only(kept).fault
    assert broken is not None
    assert "those before it are missing" in broken.why
    (found,) = verify(kept, {"a0": [Head(first.place.seq - 1, first.place.previous)]})
    assert (found.fault, found.vouched) == (None, 1)


def test_a_chain_that_is_gone_is_missed(kept: Path) -> None:
    """By its head."""
    (mine, gone) = verify(kept, {"a9": [Head(1, b"x" * 32)]})
    assert mine.fault is None
    assert gone.fault is not None


def test_the_first_broken_record_is_named_with_its_file_and_place(kept: Path) -> None:
    """Exactly."""
    path = segments(kept / "a0")[1]
    frames = [f for f in read_frames(path.read_bytes(), len(MAGIC)) if isinstance(f, Frame)]
    data = bytearray(path.read_bytes())
    data[frames[4].offset + 60] ^= 1
    path.write_bytes(data)
    report = only(kept)
    assert report.fault is not None
    assert (report.fault.path, report.fault.offset) == (path, frames[4].offset)
    assert report.records == frames[4].place.seq - 1
