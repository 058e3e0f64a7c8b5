"""What a token must say before its signature is worth checking (RFC 8725, RFC 9068). Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gateway.auth.compact import TokenError
from gateway.auth.policy import TENANT, IssuerPolicy
from gateway.domain.call import Caller

LEEWAY_S = 30
MAX_LIFETIME_S = 86_400
MAX_NAME_LENGTH = 255
KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# The largest integer a double holds exactly; a time beyond it is nonsense, and would overflow when made a float.
_LATEST = 2**53
# RFC 6749 section 3.3: printable ASCII without quote and backslash, single words between spaces.
SCOPE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")


@dataclass(frozen=True, slots=True)
class Header:
    """The two members that choose the key. `algorithm` still has to equal the one bound to the key."""

    algorithm: str
    key_id: str


def read_header(header: Mapping[str, object], policy: IssuerPolicy) -> Header:
    """The algorithm and key a token names. Raises TokenError for a header outside the policy.

    Members beyond alg, kid and typ are refused unless the policy ignores them by name; none is ever followed.
    """
    surplus = header.keys() - {"alg", "kid", "typ"} - policy.ignored_header_members
    if surplus:
        raise TokenError("the header has members that are not accepted")
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in policy.algorithms:
        raise TokenError("alg is not accepted")
    if not isinstance(key_id, str) or KEY_ID.fullmatch(key_id) is None:
        raise TokenError("kid is missing or malformed")
    kind = header.get("typ", "")
    if not isinstance(kind, str) or kind not in policy.types or (kind == "" and "typ" in header):
        raise TokenError("typ is not accepted")
    return Header(algorithm, key_id)


def read_caller(payload: Mapping[str, object], policy: IssuerPolicy, key_id: str, now: float) -> Caller:
    """The caller that a token describes, if its signature is good. `now` in seconds since the epoch.

    Raises TokenError. A missing scope is no fault of the token: it makes a caller without scopes.
    """
    if payload.get("iss") != policy.issuer:
        raise TokenError("iss is not this issuer")
    _check_audience(payload.get("aud"), policy)
    expires_at = _check_times(payload, now)
    client_id = _name(payload, policy.client_id_claim, may_miss="client_id" in policy.optional_claims)
    _check_delegation(payload, policy, client_id)
    subject = _name(payload, "sub")
    if policy.subjects and not any(fnmatchcase(subject, pattern) for pattern in policy.subjects):
        raise TokenError("sub is not among the subjects of this issuer")
    return Caller(
        tenant=policy.fixed_tenant or _tenant(payload, policy.tenant_claim),
        subject=subject,
        client_id=client_id,
        scopes=policy.fixed_scopes or _scopes(payload.get(policy.scope_claim, ""), policy),
        expires_at=expires_at,
        credential_id=_name(payload, policy.jti_claim, may_miss="jti" in policy.optional_claims),
        key_id=key_id,
    )


def _check_audience(audience: object, policy: IssuerPolicy) -> None:
    match audience:
        case str():
            named = [audience]
        case list() if policy.audience_list:
            named = audience
        case _:
            raise TokenError("aud is not one string")
    if not all(isinstance(one, str) for one in named) or not set(policy.audiences).intersection(named):
        raise TokenError("aud is not this gateway")


def _check_times(payload: Mapping[str, object], now: float) -> float:
    expires_at, issued_at = _time(payload, "exp"), _time(payload, "iat")
    not_before = _time(payload, "nbf") if "nbf" in payload else issued_at
    if not 0 < expires_at - issued_at <= MAX_LIFETIME_S:
        raise TokenError("exp is not within a day after iat")
    if now >= expires_at + LEEWAY_S:
        raise TokenError("expired")
    if max(issued_at, not_before) > now + LEEWAY_S:
        raise TokenError("not valid yet")
    return expires_at


def _time(payload: Mapping[str, object], claim: str) -> float:
    value = payload.get(claim)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise TokenError(f"{claim} is not a time")
    return float(value)


def _name(payload: Mapping[str, object], claim: str, *, may_miss: bool = False) -> str:
    if may_miss and claim not in payload:
        return ""
    value = payload.get(claim)
    # Not printable are control, zero-width, bidirectional and unassigned characters, and lone surrogates.
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME_LENGTH or not value.isprintable():
        raise TokenError(f"{claim} is missing or malformed")
    return value


def _tenant(payload: Mapping[str, object], claim: str) -> str:
    value = payload.get(claim)
    if not isinstance(value, str) or TENANT.fullmatch(value) is None:
        raise TokenError(f"{claim} is not a tenant")
    return value


def _scopes(value: object, policy: IssuerPolicy) -> frozenset[str]:
    texts = value if policy.scope_list and isinstance(value, list) else [value]
    words: set[str] = set()
    for text in texts:
        if not isinstance(text, str) or SCOPE.fullmatch(text) is None:
            raise TokenError(f"{policy.scope_claim} is malformed")
        words.update(text.split(" "))
    return frozenset(words - {""})


def _check_delegation(payload: Mapping[str, object], policy: IssuerPolicy, client_id: str) -> None:
    """`cnf` asks for a proof that was not shown (RFC 7800); `act` names who acts for the subject (RFC 8693)."""
    if "cnf" in payload:
        raise TokenError("cnf without a proof")
    if "act" not in payload:
        return
    actor = payload["act"]
    if not isinstance(actor, dict) or "act" in actor or not client_id or client_id not in policy.actor_clients:
        raise TokenError("act is not accepted")
    _name(actor, "sub")
