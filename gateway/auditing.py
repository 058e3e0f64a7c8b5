"""Opens the audit, by the settings; it decides nothing."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from pathlib import Path

from gateway.audit import AuditObserver
from gateway.audit.files import FileAudit
from gateway.audit.folder import NAME
from gateway.audit.opening import Keeping, open_audit
from gateway.auth.api_key import ApiKeyFile
from gateway.auth.certificate import read_certificate
from gateway.server.caller_address import Forwarding
from gateway.settings import Settings

REMEMBERED = 1_024


def opened(
    settings: Settings, observer: AuditObserver, new_id: Callable[[], str]
) -> AbstractAsyncContextManager[FileAudit]:
    """The audit of this process, in the data directory. Entering raises OperatorError."""
    chosen = settings.audit
    spool = Path(chosen.spool_dir) if chosen.spool_dir else None
    keeping = Keeping(settings.data_dir / NAME, spool, chosen.spool_records)
    return open_audit(keeping, ApiKeyFile(settings.data_dir).secret(), observer, new_id)


def forwarding(settings: Settings, secret: str) -> Forwarding:
    """Whose word is taken for a caller's address: of the bridge that knows the secret, and of certificates."""

    @lru_cache(REMEMBERED)
    def identity_of(certificate: bytes) -> str:
        return read_certificate(certificate).identity

    return Forwarding(secret, frozenset(settings.grpc.bridges), identity_of)
