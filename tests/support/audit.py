"""An audit for a test: intents and outcomes made up from a number, disks that fail, and who is told."""

import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from gateway.audit import Intent, Outcome
from gateway.audit.files import FileAudit
from gateway.audit.opening import Keeping, open_audit
from gateway.audit.verify import ChainReport, verify
from gateway.domain.usage import Usage, UsageBasis

SECRET = b"s" * 32


@dataclass
class Told:
    """What an audit says of itself."""

    records: int = 0
    lost: int = 0
    failing: bool = False
    spooled: int = 0

    def audited(self, records: int, took_s: float) -> None:
        assert took_s >= 0
        self.records += records

    def audit_stands(self, *, failing: bool, spooled: int) -> None:
        self.failing, self.spooled = failing, spooled

    def audit_lost_workers(self, intents: int) -> None:
        self.lost += intents


@dataclass
class Disk:
    """Syncs a file, unless it is told to fail with an error of this number."""

    fails_with: int = 0
    synced: list[int] = field(default_factory=list)

    def sync(self, descriptor: int) -> None:
        if self.fails_with:
            raise OSError(self.fails_with, os.strerror(self.fails_with), "the test's disk")
        self.synced.append(descriptor)

    def full(self) -> None:
        """No space is left."""
        self.fails_with = errno.ENOSPC

    def well(self) -> None:
        """It works again."""
        self.fails_with = 0


def intent(number: int = 0, tenant: str = "acme", *, strict: bool = False) -> Intent:
    """The intent of turn `number`."""
    return Intent(
        tenant=tenant,
        subject="alice",
        client_id="cli",
        credential_id="jti-1",
        caller_ip="192.0.2.7",
        request_id=f"q{number}",
        method="/gateway.v1.Inference/Generate",
        body_sha256=bytes([number % 256]) * 32,
        receipt_id=f"r{number}",
        model="deepseek-flash",
        parameters=(("max_tokens", "2048"), ("search", "auto")),
        strict=strict,
    )


def outcome(number: int = 0) -> Outcome:
    """How turn `number` went."""
    return Outcome(
        code=0,
        finish="stop",
        model="deepseek-flash",
        served_by="deepseek",
        usage=Usage(100, 10, number, cost_nano_usd=number * 1000, basis=UsageBasis.PROVIDER),
        sources=(("https://example.org/tides", bytes(32)),) * (number % 3),
    )


@asynccontextmanager
async def audit(
    keeping: Keeping, told: Told | None = None, new_id: Callable[[], str] | None = None
) -> AsyncIterator[FileAudit]:
    """An audit in the folder, sealed when it is left; its chains are named a0, a1…"""
    numbers = count(len(list(keeping.folder.glob("*"))))
    async with open_audit(keeping, SECRET, told or Told(), new_id or (lambda: f"a{next(numbers)}")) as opened:
        yield opened


async def turns(audit: FileAudit, numbers: range, tenant: str = "acme") -> None:
    """Turns one after the other, each with its outcome."""
    for number in numbers:
        entry = audit.intend(intent(number, tenant))
        await entry.written
        await audit.conclude(entry, outcome(number))


def only(folder: Path) -> ChainReport:
    """The report of the only chain."""
    (report,) = verify(folder, {})
    return report
