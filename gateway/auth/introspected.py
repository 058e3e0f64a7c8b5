"""What an introspection answer must say before the opaque token it speaks of is believed (RFC 7662). Pure."""

from collections.abc import Mapping
from dataclasses import replace

from gateway.auth.claims import MAX_LIFETIME_S, read_caller
from gateway.auth.compact import TokenError
from gateway.auth.policy import IssuerPolicy
from gateway.domain.call import Caller


def read_introspected(
    answer: Mapping[str, object], policy: IssuerPolicy, now: float, *, audience_optional: bool
) -> Caller | None:
    """The caller behind an active token; None for one that is not active. `now` in seconds since the epoch.

    Raises TokenError for an active token outside the policy. The rules are those of signed tokens, except where
    RFC 7662 section 2.2 leaves a member out: `iss` is then the issuer that was asked, and `client_id` and `jti`
    may be absent. A token that lives longer than a day is believed for a day.
    """
    if answer.get("active") is not True:
        return None
    expires_at = answer.get("exp")
    claims = {"iss": policy.issuer, **answer}
    if "aud" not in answer and audience_optional:
        claims["aud"] = policy.audiences[0]
    if isinstance(expires_at, int | float) and not isinstance(expires_at, bool):
        # Asked again within seconds, so the lifetime that a signed token is held to does not apply.
        claims |= {"iat": int(now), "exp": min(expires_at, int(now) + MAX_LIFETIME_S)}
    for claim in (policy.client_id_claim, policy.jti_claim):
        if claims.get(claim) is None:
            claims.pop(claim, None)
    if "sub" not in claims:
        # A client that got the token for itself is its own subject (RFC 9068 section 2.2).
        claims["sub"] = claims.get(policy.client_id_claim)
    if isinstance(expires_at, int | float) and expires_at <= now:
        raise TokenError("expired")
    return read_caller(claims, replace(policy, optional_claims=frozenset({"client_id", "jti"})), "", now)
