"""The audit in files: durable first, refused or spooled while disks fail, whole after any death."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.audit import Entry
from gateway.audit import writer as writing
from gateway.audit.chain import MAGIC, Frame, read_frames
from gateway.audit.folder import segments, spool_of
from gateway.audit.listing import read_lines
from gateway.audit.opening import Keeping, Reconciler
from gateway.audit.verify import verify
from gateway.domain.errors import OperatorError, Reason
from tests.support.audit import Disk, Told, audit, intent, only, outcome, turns

HANG_GUARD_S = 20.0


@pytest.fixture(autouse=True)
def retries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that failed is tried again by the next group."""
    monkeypatch.setattr(writing, "RETRY_S", 0.0)


@pytest.fixture
def keeping(tmp_path: Path) -> Keeping:
    """A folder, and a spool beside it."""
    return Keeping(tmp_path / "audit", tmp_path / "spool")


def with_disk(keeping: Keeping, disk: Disk, *, spool: bool = True, records: int = 10_000) -> Keeping:
    """The same folder on a disk that a test may break; the spool is on another disk."""

    def sync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        os.fdatasync(descriptor) if name.endswith(".spool") else disk.sync(descriptor)

    return Keeping(keeping.folder, keeping.spool if spool else None, records, sync)


async def refused(entry: Entry) -> bool:
    """Whether an intent is refused, with the reason it must have."""
    try:
        await entry.written
    except OperatorError as error:
        assert error.reason is Reason.AUDIT_UNAVAILABLE
        assert entry.seq == 0
        return True
    return False


async def test_every_intent_is_on_the_disk_before_anybody_goes_on(keeping: Keeping) -> None:
    """And its outcome follows it; a hundred that wait together wait once."""
    disk = Disk()
    async with audit(with_disk(keeping, disk)) as opened:
        before = len(disk.synced)
        entries = [opened.intend(intent(number)) for number in range(100)]
        await asyncio.gather(*(entry.written for entry in entries))
        assert len(disk.synced) - before <= 2
        assert only(keeping.folder).intents == 100
        await asyncio.gather(*(opened.conclude(entry, outcome(n)) for n, entry in enumerate(entries)))
    report = only(keeping.folder)
    assert (report.intents, report.outcomes, report.open, report.sealed, report.fault) == (
        100,
        100,
        (),
        True,
        None,
    )


async def test_no_text_of_a_request_and_no_digest_that_can_be_guessed_is_kept(keeping: Keeping) -> None:
    """The hash of a request is keyed, by a key of its tenant."""
    async with audit(keeping) as opened:
        for tenant in ("acme", "zeta"):
            entry = opened.intend(intent(7, tenant))
            await opened.conclude(entry, outcome(7))
    data = b"".join(path.read_bytes() for path in keeping.folder.rglob("*.audit"))
    assert bytes([7]) * 32 not in data
    lines, _ = read_lines(keeping.folder)
    assert len({line.intent.request_hash for line in lines}) == 2


async def test_the_order_is_that_of_the_chain_whatever_the_clock_does(keeping: Keeping) -> None:
    """P-6: an hour forward, an hour back."""
    moments = iter([1e9, 1e9 + 3600, 1e9 - 3600, 1e9 + 5, *[1e9] * 20])
    async with audit(Keeping(keeping.folder, now=lambda: next(moments))) as opened:
        await turns(opened, range(3))
    assert only(keeping.folder).fault is None
    lines, _ = read_lines(keeping.folder)
    assert [line.intent.receipt_id for line in lines] == ["r0", "r1", "r2"]
    assert [line.time_us for line in lines] != sorted(line.time_us for line in lines)


@pytest.mark.parametrize("trouble", [errno.ENOSPC, errno.EIO, errno.EROFS])
async def test_without_a_spool_a_store_that_fails_refuses_all_and_recovers(
    keeping: Keeping, trouble: int, caplog: pytest.LogCaptureFixture
) -> None:
    """F-2, F-3: nothing of what was refused is in the chain; what ran gets its outcome when the disk is back."""
    disk, told = Disk(), Told()
    async with audit(with_disk(keeping, disk, spool=False), told) as opened:
        running = opened.intend(intent(1))
        await running.written
        disk.fails_with = trouble
        assert await refused(opened.intend(intent(2)))
        with pytest.raises(OperatorError):
            await opened.conclude(running, outcome(1))
        assert told.failing
        disk.well()
        await turns(opened, range(3, 4))
        assert not told.failing
    lines, (report,) = read_lines(keeping.folder)
    assert (report.fault, report.open) == (None, ())
    assert [line.intent.receipt_id for line in lines] == ["r1", "r3"]
    lost, back = (record.getMessage() for record in caplog.records if record.name == "gateway.audit.files")
    assert f"{keeping.folder}" in lost and "make room there" in lost
    assert back == "the audit is written again"


async def test_a_write_that_stops_half_way_leaves_nothing_behind(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-3: the disk takes a part of a group and is full then."""
    async with audit(Keeping(keeping.folder)) as opened:
        whole, left = os.write, [50]

        def write(descriptor: int, data: bytes) -> int:
            if not left[0]:
                raise OSError(errno.ENOSPC, "full")
            taken = whole(descriptor, data[: left[0]])
            left[0] -= taken
            return taken

        with monkeypatch.context() as patch:
            patch.setattr("gateway.audit.append.os.write", write)
            assert await refused(opened.intend(intent(1)))
        assert only(keeping.folder).torn is False
        await turns(opened, range(2, 4))
    assert (only(keeping.folder).fault, only(keeping.folder).intents) == (None, 2)


async def test_strict_tenants_are_refused_at_once_and_others_go_on_in_the_spool(keeping: Keeping) -> None:
    """F-2: and when the disk is back, the spool is in the chain, in order."""
    disk, told = Disk(), Told()
    async with audit(with_disk(keeping, disk), told) as opened:
        await turns(opened, range(2))
        disk.full()
        await turns(opened, range(2, 5))
        assert await refused(opened.intend(intent(9, strict=True)))
        assert (told.failing, told.spooled) == (True, 6)
        disk.well()
        strict = opened.intend(intent(5, strict=True))
        assert not await refused(strict)
        await opened.conclude(strict, outcome(5))
        assert (told.failing, told.spooled) == (False, 0)
    lines, (report,) = read_lines(keeping.folder)
    assert (report.fault, report.open, report.sealed) == (None, (), True)
    assert [line.intent.receipt_id for line in lines] == [f"r{n}" for n in range(6)]


async def test_the_spool_has_a_bound_and_keeps_room_for_every_outcome(keeping: Keeping) -> None:
    """F-2: ten records are five turns, of which every one can end."""
    disk, told = Disk(), Told()
    async with audit(with_disk(keeping, disk, records=10), told) as opened:
        disk.full()
        entries = [opened.intend(intent(number)) for number in range(20)]
        admitted = [entry for entry in entries if not await refused(entry)]
        assert len(admitted) == 5
        for number, entry in enumerate(admitted):
            await opened.conclude(entry, outcome(number))
        assert told.spooled == 10
        assert await refused(opened.intend(intent(21)))
        disk.well()
    assert (only(keeping.folder).outcomes, only(keeping.folder).open) == (5, ())


async def test_a_spool_that_fails_as_well_refuses_all(keeping: Keeping) -> None:
    """Both disks are gone; an outcome waits in memory for one of them."""
    disk = Disk()
    async with audit(Keeping(keeping.folder, keeping.spool, sync=disk.sync)) as opened:
        running = opened.intend(intent(1))
        await running.written
        disk.fails_with = errno.EIO
        assert await refused(opened.intend(intent(2)))
        with pytest.raises(OperatorError):
            await opened.conclude(running, outcome(1))
        disk.well()
    assert (only(keeping.folder).intents, only(keeping.folder).outcomes) == (1, 1)


async def test_the_event_loop_does_not_wait_for_a_slow_disk(keeping: Keeping) -> None:
    """F-3: while a sync hangs, the loop turns."""
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_descriptor: int) -> None:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(HANG_GUARD_S)

    gate.set()
    async with audit(Keeping(keeping.folder, sync=slow)) as opened:
        gate.clear()
        entry = opened.intend(intent(1))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not entry.written.done()
        gate.set()
        await entry.written
        await opened.conclude(entry, outcome(1))


async def test_what_was_torn_off_while_it_was_written_counts_for_nothing(keeping: Keeping) -> None:
    """F-3: every length of the newest record, and zeros of a file that grew before its content came."""
    async with audit(keeping) as opened:
        await turns(opened, range(2))
        live = segments(keeping.folder / "a0")[0]
        data = live.read_bytes()
    frames = [frame for frame in read_frames(data, len(MAGIC)) if isinstance(frame, Frame)]
    live.write_bytes(data)  # as it was before the seal
    last = frames[-1]
    tails = [data[last.offset : end] for end in range(last.offset + 1, last.end, 7)] + [bytes(100)]
    for tail in tails:
        live.write_bytes(data[: last.offset] + tail)
        report = only(keeping.folder)
        assert (report.fault, report.torn, report.records, len(report.open)) == (None, True, len(frames) - 1, 1)
    Reconciler(keeping).look()
    report = only(keeping.folder)
    assert (report.fault, report.torn, report.open, report.sealed) == (None, False, (), True)
    lines, _ = read_lines(keeping.folder)
    assert [line.outcome.cause for line in lines if line.outcome] == ["", "worker_lost"]


async def test_the_next_start_gives_orphans_their_outcome_in_their_own_chain(keeping: Keeping) -> None:
    """B-7: once, and the chain goes on in a new segment."""
    script = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from gateway.audit.opening import Keeping\nfrom tests.support.audit import audit, intent, turns\n"
        "async def main():\n"
        "    async with audit(Keeping(Path(sys.argv[1]))) as opened:\n"
        "        await turns(opened, range(3))\n"
        "        for number in range(3, 5):\n            await opened.intend(intent(number)).written\n"
        "        print('ready', flush=True)\n        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(keeping.folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert len(only(keeping.folder).open) == 2
        assert Reconciler(keeping).look() == 0  # its process lives
        process.send_signal(signal.SIGKILL)
    told = Told()
    async with audit(keeping, told) as opened:
        assert told.lost == 2
        await turns(opened, range(5, 6))
    lines, (report,) = read_lines(keeping.folder)
    assert (report.fault, report.open, report.segments) == (None, (), 2)
    assert [line.outcome.cause for line in lines if line.outcome] == ["", "", "", "worker_lost", "worker_lost", ""]


async def test_a_spool_that_a_dead_process_left_is_written_back_once(keeping: Keeping) -> None:
    """However often the writing back is interrupted: behind its record, and never twice."""
    disk = Disk()
    with suppress(OperatorError):
        async with audit(with_disk(keeping, disk)) as opened:
            await turns(opened, range(2))
            disk.full()
            await turns(opened, range(2, 4))
            waiting = opened.intend(intent(4))
            await waiting.written
            spool = spool_of(keeping.spool or Path(), "a0")
            kept = spool.read_bytes()
            live = segments(keeping.folder / "a0")[0]
            before = live.read_bytes()
            disk.well()
    for left_over in (b"", kept[:100], kept):
        live.write_bytes(before + left_over)
        spool.write_bytes(kept)
        assert Reconciler(keeping).look() == 1
        assert not spool.exists()
        lines, (report,) = read_lines(keeping.folder)
        assert (report.fault, report.open) == (None, ())
        assert [line.intent.receipt_id for line in lines] == [f"r{n}" for n in range(5)]


async def test_two_processes_never_write_one_chain(keeping: Keeping) -> None:
    """Each has its own, and one that is free is gone on with rather than a new one begun."""
    async with audit(keeping) as first, audit(keeping) as second:
        await turns(first, range(2))
        await turns(second, range(2, 4))
    assert [report.fault for report in verify(keeping.folder, {})] == [None, None]
    async with audit(keeping) as third:
        await turns(third, range(4, 5))
    assert [report.intents for report in verify(keeping.folder, {})] == [3, 2]


async def test_a_damaged_chain_stays_as_it_is_and_another_one_is_begun(keeping: Keeping) -> None:
    """Whoever changed it is not helped by the next start."""
    async with audit(keeping) as opened:
        await turns(opened, range(2))
    path = segments(keeping.folder / "a0")[0]
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    async with audit(keeping) as opened:
        await turns(opened, range(2, 3))
    assert path.read_bytes() == data
    broken, good = verify(keeping.folder, {})
    assert (broken.fault is None, good.fault, good.intents) == (False, None, 1)


async def test_segments_are_sealed_and_name_what_runs_over_their_end(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn that began three segments ago gets its outcome all the same, also from a recovery."""
    monkeypatch.setattr(writing, "SEGMENT_RECORDS", 6)
    async with audit(keeping) as opened:
        long = opened.intend(intent(100))
        await long.written
        await turns(opened, range(8))
        assert len(segments(keeping.folder / "a0")) == 4
        assert only(keeping.folder).open == (long.seq,)
        live = {path: path.read_bytes() for path in segments(keeping.folder / "a0")}
        await opened.conclude(long, outcome(100))
    assert (only(keeping.folder).fault, only(keeping.folder).open) == (None, ())
    for path in segments(keeping.folder / "a0"):
        path.write_bytes(live[path]) if path in live else path.unlink()
    assert Reconciler(keeping).look() == 1
    lines, (report,) = read_lines(keeping.folder, receipt="r100")
    assert report.fault is None
    assert [line.outcome.cause for line in lines if line.outcome] == ["worker_lost"]


async def test_what_is_asked_after_the_end_is_refused(keeping: Keeping) -> None:
    """No intent is taken that could not be written."""
    async with audit(keeping) as opened:
        pass
    assert await refused(opened.intend(intent(1)))


async def test_a_folder_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    """With what to do."""
    (tmp_path / "audit").write_text("a file")
    with pytest.raises(OperatorError, match="audit cannot be kept in"):
        async with audit(Keeping(tmp_path / "audit")):
            pass
