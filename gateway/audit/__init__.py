"""The audit: before anybody is searched or asked for a caller it is written who asks, and afterwards what came of
it.

One durable *intent* before the work and exactly one *outcome* after it, chained by hashes. Never a text of a
prompt or of an answer: digests, numbers, names and addresses only.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from gateway.domain.usage import Usage


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be done, for whom. `receipt_id` is empty for work that leaves no receipt.

    `body_sha256` is the digest of the request; only a keyed digest of it is kept. `parameters` are names and
    settings of the request, never text of the caller's. `strict` work is refused at once while the store cannot
    be written.
    """

    tenant: str
    subject: str
    client_id: str
    credential_id: str
    caller_ip: str
    request_id: str
    method: str
    body_sha256: bytes
    receipt_id: str = ""
    model: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `code` is the number of the gRPC status, `cause` its reason (empty = it went well).

    `sources` are the addresses of what was read or shown to a model, each with the SHA-256 of its content where
    that is known. `finish` is the word of the receipt, `model` and `served_by` who answered.
    """

    code: int
    cause: str = ""
    finish: str = ""
    model: str = ""
    served_by: str = ""
    usage: Usage = field(default_factory=Usage)
    sources: tuple[tuple[str, bytes], ...] = ()


@dataclass(eq=False, slots=True)
class Entry:
    """An intent on its way into the store; give it back to `conclude`, once.

    `written` is done when it is durable. It raises OperatorError(AUDIT_UNAVAILABLE) when it cannot be written:
    the work must not begin. `seq` is its place in the chain, 0 while it has none.
    """

    intent: Intent
    written: "asyncio.Future[None]"
    seq: int = 0


class Audit(Protocol):
    """Where intents and outcomes go. Neither method waits: what is to be awaited is returned."""

    def intend(self, intent: Intent) -> Entry:
        """Sends an intent to the store."""
        ...

    def conclude(self, entry: Entry, outcome: Outcome) -> "asyncio.Future[None]":
        """Sends the outcome of an intent, wherever that is by now; nothing for an intent that was refused.

        Raises OperatorError when it cannot be written now; it is kept, and written as soon as that is possible.
        """
        ...


class AuditObserver(Protocol):
    """Is told how the store does. Must not wait and must not raise."""

    def audited(self, records: int, took_s: float) -> None:
        """So many records are durable, after one wait of so many seconds for the disk."""
        ...

    def audit_stands(self, *, failing: bool, spooled: int) -> None:
        """Whether the store fails at the moment, and how many records wait in the spool."""
        ...

    def audit_lost_workers(self, intents: int) -> None:
        """So many intents of processes that died were given the outcome `worker_lost`."""
        ...
