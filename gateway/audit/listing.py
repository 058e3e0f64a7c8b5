"""What stands in an audit, for people: each intent with its outcome, in the order of the chain, not of a clock."""

from dataclasses import asdict, dataclass
from pathlib import Path

from gateway.audit.chain import Frame
from gateway.audit.records import IntentRecord, OutcomeRecord
from gateway.audit.verify import ChainReport, verify


@dataclass(slots=True)
class Line:
    """One intent and what came of it, None while that is not known. Times in microseconds since the epoch."""

    chain: str
    seq: int
    time_us: int
    intent: IntentRecord
    outcome: OutcomeRecord | None = None
    ended_us: int = 0

    def nested(self) -> dict[str, object]:
        """The line for JSON: digests in hex, parameters and sources by name."""
        outcome = self.outcome
        return {
            "chain": self.chain,
            "seq": self.seq,
            "time": self.time_us / 1e6,
            "intent": {
                **asdict(self.intent),
                "request_hash": self.intent.request_hash.hex(),
                "parameters": dict(self.intent.parameters),
            },
            "outcome": None
            if outcome is None
            else {
                **asdict(outcome),
                "time": self.ended_us / 1e6,
                "sources": [{"url": url, "sha256": digest.hex()} for url, digest in outcome.sources],
            },
        }


def read_lines(
    folder: Path, *, tenant: str | None = None, since: float | None = None, receipt: str | None = None
) -> tuple[list[Line], list[ChainReport]]:
    """The lines that were asked for (`since` in seconds since the epoch), and how each chain stands.

    What comes after a broken record is not shown. Raises OSError when the files cannot be read.
    """
    lines: dict[tuple[str, int], Line] = {}

    def see(chain: str, frame: Frame) -> None:
        content, place = frame.content, frame.place
        if isinstance(content, IntentRecord):
            wanted = (
                tenant in (None, content.tenant)
                and receipt in (None, content.receipt_id)
                and (since is None or place.time_us >= since * 1e6)
            )
            if wanted:
                lines[chain, place.seq] = Line(chain, place.seq, place.time_us, content)
        elif isinstance(content, OutcomeRecord):
            line = lines.get((chain, content.intent))
            if line is not None:
                line.outcome, line.ended_us = content, place.time_us

    reports = verify(folder, {}, see)
    return list(lines.values()), reports
