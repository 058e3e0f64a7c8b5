"""What is revoked: which credentials, of whom, until when; and whether a caller is among them. Pure."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from gateway.auth.strict_json import parse_object
from gateway.domain.call import Caller

FOREVER = 0


class Kind(StrEnum):
    """What a revocation names. CREDENTIAL is the `jti` of a token or the prefix of an API key."""

    CREDENTIAL = "credential"
    SUBJECT = "subject"
    CLIENT = "client"
    TENANT = "tenant"
    SIGNING_KEY = "signing_key"


@dataclass(frozen=True, slots=True)
class Revocation:
    """One revocation. `tenant` limits it to callers of one tenant, empty = of any.

    Times are whole seconds since the epoch; `until` FOREVER = until it is lifted.
    """

    kind: Kind
    value: str
    tenant: str = ""
    revoked_at: int = 0
    until: int = FOREVER

    @property
    def key(self) -> tuple[Kind, str, str]:
        """What it is found by; two of the same key are one."""
        return self.kind, self.value, self.tenant


class Revoked:
    """The revocations of one moment, asked on every call: at most ten look-ups, none where nothing is revoked."""

    def __init__(self, revocations: Iterable[Revocation] = ()) -> None:
        self._until = {one.key: one.until for one in revocations}
        self._kinds = tuple({one.kind for one in revocations})

    def __len__(self) -> int:
        return len(self._until)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Revoked) and self._until == other._until

    def __hash__(self) -> int:
        return hash(frozenset(self._until.items()))

    def holds(self, caller: Caller, now: float) -> bool:
        """Whether this caller is revoked at `now` (seconds since the epoch)."""
        for kind in self._kinds:
            value = _value(caller, kind)
            for tenant in ("", caller.tenant):
                until = self._until.get((kind, value, tenant))
                if until is not None and (until == FOREVER or now < until):
                    return True
        return False


def added(revocations: Iterable[Revocation], new: Revocation) -> list[Revocation]:
    """The revocations with a new one, which replaces one of the same key, and without those that have run out."""
    return [one for one in _standing(revocations, new.revoked_at) if one.key != new.key] + [new]


def lifted(revocations: Iterable[Revocation], gone: Revocation) -> list[Revocation]:
    """The revocations without that of the same key. Raises KeyError where there is none."""
    before = list(revocations)
    left = [one for one in before if one.key != gone.key]
    if len(left) == len(before):
        raise KeyError(gone.value)
    return left


def write_revocations(revocations: Sequence[Revocation]) -> bytes:
    """The file that `read_revocations` reads."""
    entries = [asdict(one) for one in revocations]
    return json.dumps({"revocations": entries}, indent=1).encode("utf-8") + b"\n"


def read_revocations(content: bytes) -> list[Revocation]:
    """The revocations of a file. Raises ValueError that says which one is wrong."""
    entries = parse_object(content).get("revocations")
    if not isinstance(entries, list):
        raise ValueError("not a revocation file: it has no list of revocations")
    return [read_revocation(entry, f"revocation {number}") for number, entry in enumerate(entries, 1)]


def read_revocation(entry: object, name: str) -> Revocation:
    """One entry. Raises ValueError with the name it is given here."""
    match entry:
        case {
            "kind": str(kind),
            "value": str(value),
            "tenant": str(tenant),
            "revoked_at": int(revoked_at),
            "until": int(until),
        } if kind in set(Kind):
            return Revocation(Kind(kind), value, tenant, revoked_at, until)
        case _:
            raise ValueError(f"{name} is malformed")


def _standing(revocations: Iterable[Revocation], now: int) -> list[Revocation]:
    return [one for one in revocations if one.until == FOREVER or one.until > now]


def _value(caller: Caller, kind: Kind) -> str:
    match kind:
        case Kind.CREDENTIAL:
            return caller.credential_id
        case Kind.SUBJECT:
            return caller.subject
        case Kind.CLIENT:
            return caller.client_id
        case Kind.TENANT:
            return caller.tenant
        case Kind.SIGNING_KEY:
            return caller.key_id
