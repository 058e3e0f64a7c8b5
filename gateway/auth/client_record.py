"""What is kept of a client of the gateway's own token issuer. Pure."""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from gateway.auth.strict_json import parse_object

CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """One client. `digest` is the hex HMAC of its secret; the secret itself is nowhere.

    `scopes` are the most it may ask for. Times are whole seconds since the epoch; `revoked_at` 0 = not revoked.
    """

    client_id: str
    digest: str
    tenant: str
    scopes: tuple[str, ...]
    created_at: int
    revoked_at: int = 0

    def has_secret(self, secret: str, hashing_secret: bytes) -> bool:
        """Whether this is the client's secret; takes as long for a wrong one."""
        return hmac.compare_digest(self.digest, digest_of(self.client_id, secret, hashing_secret))


def digest_of(client_id: str, secret: str, hashing_secret: bytes) -> str:
    """The hex HMAC-SHA-256 of a client's secret, which is of use for this client only."""
    text = f"client\0{client_id}\0{secret}".encode("utf-8", "surrogatepass")
    return hmac.new(hashing_secret, text, hashlib.sha256).hexdigest()


def revoke(records: Iterable[ClientRecord], client_id: str, now: float) -> list[ClientRecord]:
    """The records with this one revoked at `now`. Raises KeyError where there is none of that name."""
    changed = [
        replace(one, revoked_at=one.revoked_at or int(now)) if one.client_id == client_id else one
        for one in records
    ]
    if not any(one.client_id == client_id for one in changed):
        raise KeyError(client_id)
    return changed


def write_records(records: Iterable[ClientRecord]) -> bytes:
    """The file that `read_records` reads."""
    return json.dumps({"clients": [asdict(record) for record in records]}, indent=1).encode("utf-8") + b"\n"


def read_records(content: bytes) -> list[ClientRecord]:
    """The records of a client file. Raises ValueError that says which one is wrong."""
    entries = parse_object(content).get("clients")
    if not isinstance(entries, list):
        raise ValueError("not a client file: it has no list of clients")
    return [_record(entry, position) for position, entry in enumerate(entries)]


def _record(entry: object, position: int) -> ClientRecord:
    match entry:
        case {
            "client_id": str(client_id),
            "digest": str(digest),
            "tenant": str(tenant),
            "scopes": list(scopes),
            "created_at": int(created_at),
            "revoked_at": int(revoked_at),
        } if all(isinstance(scope, str) for scope in scopes):
            return ClientRecord(client_id, digest, tenant, tuple(scopes), created_at, revoked_at)
        case _:
            raise ValueError(f"client {position + 1} is malformed")
