"""`gateway receipts delete`: deletes a tenant's receipts; the audit says that it was done."""

import asyncio
import hashlib
import os
import secrets
import sys
from pathlib import Path

from gateway.audit import Intent, Outcome
from gateway.audit.folder import NAME
from gateway.audit.opening import Keeping, open_audit
from gateway.auth.api_key import ApiKeyFile
from gateway.domain.errors import OperatorError
from gateway.ledger.eraser import ReceiptEraser
from gateway.telemetry.metrics import Metrics

METHOD = "receipts delete"
ALWAYS = 1e18
UNKNOWN = 2
"""The gRPC status of an act that failed for a reason of its own."""


def run(directory: Path, url: str, tenant: str | None, before: float | None, *, sure: bool) -> int:
    """Deletes, and says how many; 2 when it does not know whose or whether, 1 when it cannot."""
    if not tenant or not sure:
        missing = "--tenant NAME" if not tenant else "--yes; what is deleted does not come back"
        sys.stderr.write(f"gateway receipts delete: needs {missing}\n")
        return 2
    try:
        if (directory / NAME).is_dir():
            erased = asyncio.run(_audited(directory, url, tenant, before))
        else:
            erased = _erase(directory, url, tenant, before)
            sys.stderr.write(f"no audit is kept in {directory}, so none says that this was done\n")
    except OperatorError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    sys.stdout.write(f"{erased} receipts of {tenant} deleted\n")
    return 0


def _erase(directory: Path, url: str, tenant: str, before: float | None) -> int:
    return sum(ReceiptEraser(directory, url).erase(tenant, ALWAYS if before is None else before))


async def _audited(directory: Path, url: str, tenant: str, before: float | None) -> int:
    """The intent is durable before anything is gone, and the outcome when it is."""
    act = f"{METHOD}\0{tenant}\0{before}".encode()
    intent = Intent(
        tenant=tenant,
        subject=f"uid:{os.getuid()}",
        client_id="",
        credential_id="",
        caller_ip="",
        request_id=secrets.token_hex(16),
        method=METHOD,
        body_sha256=hashlib.sha256(act).digest(),
        parameters=(("before", "" if before is None else f"{before:.0f}"),),
    )
    keeping = Keeping(directory / NAME)
    secret = ApiKeyFile(directory).secret()
    async with open_audit(keeping, secret, Metrics().audit, lambda: secrets.token_hex(16)) as audit:
        entry = audit.intend(intent)
        await entry.written
        try:
            erased = await asyncio.to_thread(_erase, directory, url, tenant, before)
        except OperatorError as error:
            await audit.conclude(entry, Outcome(UNKNOWN, error.reason))
            raise
        await audit.conclude(entry, Outcome(0))
    return erased
