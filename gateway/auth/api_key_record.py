"""What is kept of an API key, and how it is recognised. Pure."""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from gateway.auth.strict_json import parse_object
from gateway.domain.call import Caller

KEY_PREFIX = "gw_"
KEY_FORMAT = re.compile(r"(gw_[a-z2-7]{8})_[A-Za-z0-9_-]{43}")
# The last second of the year 9999, the latest that a protobuf Timestamp can say.
NEVER = 253_402_300_799


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """One key. `prefix` is its public name, `digest` the hex HMAC of the whole key; the key itself is nowhere.

    Times are whole seconds since the epoch; `revoked_at` 0 = not revoked.
    """

    prefix: str
    digest: str
    tenant: str
    subject: str
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int = NEVER
    revoked_at: int = 0

    @property
    def caller(self) -> Caller:
        """The identity that the key stands for."""
        return Caller(
            tenant=self.tenant,
            subject=self.subject,
            client_id=self.prefix,
            scopes=frozenset(self.scopes),
            expires_at=float(self.expires_at),
            credential_id=self.prefix,
        )


def assemble(name: str, secret: str) -> str:
    """The key as the caller gets it: `gw_<name>_<secret>`."""
    return f"{KEY_PREFIX}{name}_{secret}"


def prefix_of(key: str) -> str:
    """The public name of a well-formed key, else the empty string."""
    found = KEY_FORMAT.fullmatch(key)
    return found[1] if found else ""


def digest_of(key: str, secret: bytes) -> str:
    """The hex HMAC-SHA-256 of the whole key: what the record holds, and useless without the gateway's secret."""
    return hmac.new(secret, key.encode("utf-8"), hashlib.sha256).hexdigest()


def revoke(records: Iterable[ApiKeyRecord], prefix: str, now: float) -> list[ApiKeyRecord]:
    """The records with this one revoked at `now`. Raises KeyError where there is none of that prefix."""
    changed = [
        replace(one, revoked_at=one.revoked_at or int(now)) if one.prefix == prefix else one for one in records
    ]
    if not any(one.prefix == prefix for one in changed):
        raise KeyError(prefix)
    return changed


def write_records(records: Iterable[ApiKeyRecord]) -> bytes:
    """The file that `read_records` reads."""
    return json.dumps({"keys": [asdict(record) for record in records]}, indent=1).encode("utf-8") + b"\n"


def read_records(content: bytes) -> list[ApiKeyRecord]:
    """The records of a key file. Raises ValueError that says which one is wrong."""
    entries = parse_object(content).get("keys")
    if not isinstance(entries, list):
        raise ValueError("not a key file: it has no list of keys")
    return [_record(entry, position) for position, entry in enumerate(entries)]


def _record(entry: object, position: int) -> ApiKeyRecord:
    match entry:
        case {
            "prefix": str(prefix),
            "digest": str(digest),
            "tenant": str(tenant),
            "subject": str(subject),
            "scopes": list(scopes),
            "created_at": int(created_at),
            "expires_at": int(expires_at),
            "revoked_at": int(revoked_at),
        } if all(isinstance(scope, str) for scope in scopes):
            return ApiKeyRecord(prefix, digest, tenant, subject, tuple(scopes), created_at, expires_at, revoked_at)
        case _:
            raise ValueError(f"key {position + 1} is malformed")
