"""Reads an audit without the gateway and says what can be proved of it: which records stand as they were written.

A chain shows every change before its end. It cannot show by itself that its newest records were cut off, or that
whoever holds the files wrote all of them anew: that takes a head (`chain count hash`) that was kept somewhere
else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.audit.chain import MAGIC, Broken, Frame, Head, Reading, Torn, genesis, read_frames
from gateway.audit.folder import chains, first_of, segments
from gateway.audit.records import Start

See = Callable[[str, Frame], None]
Heads = Mapping[str, Sequence[Head]]


@dataclass(frozen=True, slots=True)
class Fault:
    """The first record of a chain that is not what was written, and where it stands."""

    path: Path
    offset: int
    why: str


@dataclass(slots=True)
class ChainReport:
    """What was found in one chain, up to the fault if there is one.

    `open` are the places of intents without an outcome; `torn` says that the newest record was never finished,
    `sealed` that nothing can have been cut off from the newest segment; `vouched` are the heads found in it.
    """

    path: Path
    chain: str = ""
    segments: int = 0
    records: int = 0
    intents: int = 0
    outcomes: int = 0
    open: tuple[int, ...] = ()
    torn: bool = False
    sealed: bool = False
    head: Head = field(default_factory=lambda: Head(0, b""))
    vouched: int = 0
    fault: Fault | None = None


def verify(folder: Path, heads: Heads, see: See = lambda _chain, _frame: None) -> list[ChainReport]:
    """A report for each chain in the folder (or for the one that it is). `see` is told every record.

    `heads` are those that were kept, by chain. Raises OSError when the files cannot be read.
    """
    paths = chains(folder) or ([folder] if folder.is_dir() and segments(folder) else [])
    reports = [_verify_chain(path, heads, see) for path in paths]
    _mark_copies(reports)
    for chain in sorted(heads.keys() - {report.chain for report in reports}):
        missing = Fault(folder / chain, 0, f"the chain {chain} is not here, and a head of it was kept")
        reports.append(ChainReport(folder / chain, chain, fault=missing))
    return reports


def parse_heads(text: str) -> dict[str, list[Head]]:
    """Heads as `gateway audit head` prints them. Raises ValueError that names the line."""
    found: dict[str, list[Head]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            chain, count, digest = words
            found.setdefault(chain, []).append(Head(int(count), bytes.fromhex(digest)))
        except ValueError:
            raise ValueError(f"line {number} is no head, which is CHAIN COUNT HASH") from None
    return found


def head_line(report: ChainReport) -> str:
    """The head of a chain, to be kept somewhere else."""
    return f"{report.chain} {report.head.count} {report.head.hash.hex()}"


def _verify_chain(path: Path, heads: Heads, see: See) -> ChainReport:
    report = ChainReport(path)
    walk = _Walk(report, heads, see)
    found = segments(path)
    for number, segment in enumerate(found):
        try:
            walk.segment(segment, last=number + 1 == len(found))
        except Broken as error:
            report.fault = Fault(segment, error.offset, error.why)
            break
    walk.finish()
    return report


class _Walk:
    """One way through the segments of a chain."""

    def __init__(self, report: ChainReport, heads: Heads, see: See) -> None:
        self._report = report
        self._heads = heads
        self._see = see
        self._reading: Reading | None = None
        self._kept: dict[int, bytes] = {}

    def segment(self, path: Path, *, last: bool) -> None:
        """Raises Broken."""
        data = path.read_bytes()
        if not data.startswith(MAGIC):
            if last and MAGIC.startswith(data):
                self._report.torn = True
                return
            raise Broken(0, "this is no segment of an audit")
        self._report.segments += 1
        for frame in read_frames(data, len(MAGIC)):
            if isinstance(frame, Torn):
                self._torn(frame.offset, last=last)
            else:
                self._take(path, frame)
        if not last and not (self._reading and self._reading.sealed):
            raise Broken(len(data), "the segment ends without a seal, and another one follows it")

    def _torn(self, offset: int, *, last: bool) -> None:
        """What was being written when its process died; nothing is written behind a seal."""
        sealed = self._reading is not None and self._reading.sealed and offset > len(MAGIC)
        if sealed or not last:
            raise Broken(offset, "the segment ends within a record, which only an unsealed newest one may")
        self._report.torn = True

    def _take(self, path: Path, frame: Frame) -> None:
        begins = frame.offset == len(MAGIC)
        if begins != isinstance(frame.content, Start):
            raise Broken(frame.offset, "a segment begins with a start, and has no other")
        if begins and first_of(path) != frame.place.seq:
            raise Broken(frame.offset, f"the file of record {frame.place.seq} has the name of another one")
        reading = self._reading
        if reading is None:
            reading = self._reading = self._begin(path, frame)
        reading.take(frame)
        kept = self._kept.pop(reading.head.count, None)
        if kept is not None:
            if kept != reading.head.hash:
                raise Broken(frame.offset, f"record {reading.head.count} is not the one whose hash was kept")
            self._report.vouched += 1
        self._see(reading.chain, frame)

    def _begin(self, path: Path, frame: Frame) -> Reading:
        """A chain begins with record 1, or behind a head that was kept when older segments were taken away."""
        first, content = frame.place, frame.content
        chain = self._report.chain = content.chain if isinstance(content, Start) else path.parent.name
        kept = {head.count: head.hash for head in self._heads.get(chain, ())}
        start = genesis(chain)
        if first.seq != 1 and kept.get(first.seq - 1) == first.previous:
            start = Head(first.seq - 1, first.previous)
            self._report.vouched += 1
        self._kept = {count: digest for count, digest in kept.items() if count > start.count}
        if first.seq != start.count + 1:
            raise Broken(frame.offset, f"the chain begins with record {first.seq}: those before it are missing")
        return Reading(start)

    def finish(self) -> None:
        """Fills in what is known at the end."""
        report, reading = self._report, self._reading
        report.chain = report.chain or report.path.name
        if reading is not None:
            report.intents, report.outcomes = reading.intents, reading.outcomes
            report.open = tuple(sorted(reading.open))
            report.head, report.sealed = reading.head, reading.sealed
            report.records = reading.taken
        if self._kept and report.fault is None:
            count = min(self._kept)
            why = f"record {count}, whose hash was kept, is not here: the chain ends with {report.head.count}"
            report.fault = Fault(report.path, 0, why)


def _mark_copies(reports: Sequence[ChainReport]) -> None:
    """One chain has one folder: a second one is a copy, whole or forked."""
    first: dict[str, ChainReport] = {}
    for report in reports:
        known = first.setdefault(report.chain, report)
        if known is not report and report.fault is None:
            report.fault = Fault(report.path, 0, f"the chain {report.chain} lies in {known.path.name} as well")
