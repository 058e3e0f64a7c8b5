"""What the gateway asks of one issuer's tokens: the strict profile, and each way to relax it by name. Pure."""

import re
from dataclasses import dataclass

ALGORITHMS = frozenset({"RS256", "ES256", "PS256", "EdDSA"})
STRICT_TYPES = frozenset({"at+jwt", "application/at+jwt"})
TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

# What a header member may not be ignored for: it changes what the signature covers, or how it is to be read.
_NEVER_IGNORED = frozenset({"alg", "kid", "typ", "crit", "b64", "zip"})
_MAY_BE_ABSENT = frozenset({"client_id", "jti"})


@dataclass(frozen=True, slots=True)
class IssuerPolicy:
    """The rules for one issuer. The defaults are RFC 8725 and RFC 9068 without exceptions.

    `types` holds the accepted `typ` values, the empty string among them accepts a token without `typ`.
    `default_algorithm` is bound to keys that the issuer publishes without `alg`. `audience_list` accepts a list of
    audiences when one of `audiences` is in it. `scope_list` accepts a list of strings as the scope claim.
    `optional_claims` may hold `client_id` and `jti`. `fixed_tenant` is the tenant of every token of the issuer,
    whatever the token says, and `fixed_scopes` are the scopes. `subjects` are shell patterns, one of which `sub`
    must match; none = any subject. `actor_clients` are the clients whose tokens may act for somebody else (`act`).

    Raises ValueError with every fault when the policy itself makes no sense.
    """

    issuer: str
    audiences: tuple[str, ...]
    algorithms: frozenset[str] = frozenset({"RS256", "ES256"})
    types: frozenset[str] = STRICT_TYPES
    ignored_header_members: frozenset[str] = frozenset()
    default_algorithm: str = ""
    audience_list: bool = False
    tenant_claim: str = "tenant"
    scope_claim: str = "scope"
    scope_list: bool = False
    client_id_claim: str = "client_id"
    jti_claim: str = "jti"
    optional_claims: frozenset[str] = frozenset()
    fixed_tenant: str = ""
    fixed_scopes: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()
    actor_clients: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        faults = _faults(self)
        if faults:
            raise ValueError("; ".join(faults))


def relaxations(policy: IssuerPolicy) -> tuple[str, ...]:
    """One warning for each rule of the strict profile that this policy gives up."""
    warnings = (*_header_warnings(policy), *_claim_warnings(policy))
    return tuple(f"issuer {policy.issuer}: {text}" for applies, text in warnings if applies)


def _faults(policy: IssuerPolicy) -> list[str]:
    unknown, required = policy.algorithms - ALGORITHMS, policy.optional_claims - _MAY_BE_ABSENT
    default, tenant = policy.default_algorithm, policy.fixed_tenant
    wrong = (
        (not policy.issuer, "the issuer is empty; give the exact `iss` of its tokens"),
        (not all(policy.audiences or ("",)), "no audience; give the `aud` that stands for this gateway"),
        (not policy.algorithms, "no algorithm; RS256 and ES256 are the usual ones"),
        (unknown, f"algorithms may be {_listed(ALGORITHMS)}, not {_listed(unknown)}"),
        (not policy.types, "no accepted typ; at+jwt is the standard one"),
        (
            policy.ignored_header_members & _NEVER_IGNORED,
            f"the header members {_listed(_NEVER_IGNORED)} can never be ignored",
        ),
        (
            default and default not in policy.algorithms,
            f"the default algorithm {default} is not among the accepted algorithms",
        ),
        (required, f"only {_listed(_MAY_BE_ABSENT)} may be optional, not {_listed(required)}"),
        (
            tenant and TENANT.fullmatch(tenant) is None,
            f"{tenant!r} is no tenant name; it must match {TENANT.pattern}",
        ),
        (not all(_claim_names(policy).values()), "a claim name is empty"),
    )
    return [text for is_wrong, text in wrong if is_wrong]


def _header_warnings(policy: IssuerPolicy) -> tuple[tuple[object, str], ...]:
    odd_types, ignored = policy.types - STRICT_TYPES, policy.ignored_header_members
    return (
        (odd_types, f"accepts typ {_listed(odd_types)}, so other kinds of token may pass as access tokens"),
        (ignored, f"ignores the header members {_listed(ignored)}"),
        (policy.default_algorithm, f"keys without alg are used as {policy.default_algorithm}"),
    )


def _claim_warnings(policy: IssuerPolicy) -> tuple[tuple[object, str], ...]:
    renamed = [f"{name} is read from {claim}" for name, claim in _claim_names(policy).items() if claim != name]
    return (
        (len(policy.audiences) > 1, f"accepts several audiences: {_listed(policy.audiences)}"),
        (policy.audience_list, "accepts tokens that are meant for other audiences as well"),
        (renamed, ", ".join(renamed)),
        (policy.scope_list, "accepts the scope as a list"),
        (policy.optional_claims, f"accepts tokens without {_listed(policy.optional_claims)}"),
        (policy.fixed_tenant, f"every token belongs to the tenant {policy.fixed_tenant}"),
        (policy.fixed_scopes, f"every token has the scopes {_listed(policy.fixed_scopes)}"),
        (policy.actor_clients, f"accepts act from the clients {_listed(policy.actor_clients)}"),
    )


def _claim_names(policy: IssuerPolicy) -> dict[str, str]:
    return {
        "tenant": policy.tenant_claim,
        "scope": policy.scope_claim,
        "client_id": policy.client_id_claim,
        "jti": policy.jti_claim,
    }


def _listed(names: frozenset[str] | tuple[str, ...]) -> str:
    return ", ".join(name or "(none)" for name in sorted(names))
