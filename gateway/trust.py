"""Who is trusted to say who a caller is: token issuers and client certificates, as the configuration names them.

`[issuers.NAME]` is one issuer, `[certificates.NAME]` one caller known by its certificate. The issuer of `[jwt]` is
one more issuer, under the name `jwt`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from gateway import schema
from gateway.auth.policy import STRICT_TYPES, TENANT, IssuerPolicy, relaxations
from gateway.schema import read_table, setting
from gateway.sections import Jwks, Jwt

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class IssuerTable:
    """The keys of `[issuers.NAME]`. What relaxes the strict profile is said in `IssuerPolicy`.

    Keys come from `jwks_file`, from `jwks_url`, or by OIDC discovery; `introspection_url` accepts opaque tokens
    (RFC 7662), and then there is no discovery unless `discovery` asks for it.
    """

    issuer: str = setting("")
    audience: tuple[str, ...] = setting(())
    algorithms: tuple[str, ...] = setting(("RS256", "ES256"))
    jwks_url: str = setting("", check=schema.url)
    jwks_file: str = setting("")
    discovery: bool = setting(False)
    ca_file: str = setting("")
    allow_plaintext: bool = setting(False)
    types: tuple[str, ...] = setting(tuple(sorted(STRICT_TYPES)))
    ignored_header_members: tuple[str, ...] = setting(())
    default_algorithm: str = setting("")
    audience_list: bool = setting(False)
    tenant_claim: str = setting("tenant")
    scope_claim: str = setting("scope")
    scope_list: bool = setting(False)
    client_id_claim: str = setting("client_id")
    jti_claim: str = setting("jti")
    optional_claims: tuple[str, ...] = setting(())
    fixed_tenant: str = setting("")
    fixed_scopes: tuple[str, ...] = setting(())
    subjects: tuple[str, ...] = setting(())
    actor_clients: tuple[str, ...] = setting(())
    introspection_url: str = setting("", check=schema.url)
    introspection_client_id: str = setting("")
    introspection_client_secret: str = setting("", secret=True)
    introspection_prefix: str = setting("")
    introspection_audience_optional: bool = setting(False)


@dataclass(frozen=True, slots=True)
class Introspection:
    """Where an issuer's opaque tokens are asked about, and as which client.

    Only tokens that begin with `prefix` are sent there. `audience_optional` believes answers without an audience.
    """

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    prefix: str = ""
    audience_optional: bool = False


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One issuer: the rules for its tokens, and where its keys are; neither file nor URL = OIDC discovery.

    `ca_file` holds the authorities that vouch for the issuer's own servers; empty = those of the system.
    `signed` = its signed tokens are accepted; one that only answers introspection has no keys to fetch.
    """

    name: str
    policy: IssuerPolicy
    jwks_url: str = ""
    jwks_file: str = ""
    ca_file: str = ""
    allow_plaintext: bool = False
    signed: bool = True
    introspection: Introspection | None = None


@dataclass(frozen=True, slots=True)
class CertificateCaller:
    """The caller behind one client certificate.

    `identity` is the certificate's SPIFFE URI, or its subject as RFC 4514 writes it (`CN=billing,O=Acme`).
    """

    name: str
    identity: str
    tenant: str
    scopes: tuple[str, ...]


def read_issuers(
    document: Mapping[str, object], environment: Mapping[str, str], jwt: Jwt, jwks: Jwks, faults: list[str]
) -> tuple[TrustedIssuer, ...]:
    """Every issuer of the configuration; faults are appended, not raised."""
    found = [_from_jwt(jwt, jwks, faults)] if jwt.issuer and jwt.audience else []
    for name, table in _tables(document, "issuers", faults):
        section = f"issuers.{name}"
        keys = read_table(IssuerTable, table, environment, section, faults)
        before = len(faults)
        faults += [f"{section}: {text}" for text in _issuer_faults(keys)]
        policy = _policy(keys, section, faults)
        if policy is not None and len(faults) == before:
            found.append(_trusted(name, keys, policy))
    trusted = [one for one in found if one is not None]
    return tuple(one for one in trusted if _is_new(one, trusted, faults))


def read_certificates(
    document: Mapping[str, object], environment: Mapping[str, str], faults: list[str]
) -> tuple[CertificateCaller, ...]:
    """Every caller that is known by a certificate; faults are appended, not raised."""
    found: dict[str, CertificateCaller] = {}
    for name, table in _tables(document, "certificates", faults):
        section = f"certificates.{name}"
        keys = read_table(_CertificateTable, table, environment, section, faults)
        if not keys.identity:
            faults.append(f"{section}.identity: missing; give the certificate's SPIFFE URI or its subject")
        if keys.identity in found:
            faults.append(f"{section}.identity: is that of certificates.{found[keys.identity].name} already")
        if TENANT.fullmatch(keys.tenant) is None:
            faults.append(f"{section}.tenant: {keys.tenant!r} is no tenant name; it must match {TENANT.pattern}")
        if not keys.scopes:
            faults.append(f'{section}.scopes: missing; list them, like ["model.read", "model.stream"]')
        found[keys.identity] = CertificateCaller(name, keys.identity, keys.tenant, keys.scopes)
    return tuple(found.values())


def warnings(issuers: tuple[TrustedIssuer, ...]) -> list[str]:
    """What an operator should know of each issuer although it is allowed: every rule that was given up."""
    return [text for issuer in issuers for text in _warnings(issuer)]


@dataclass(frozen=True, slots=True)
class _CertificateTable:
    identity: str = setting("")
    tenant: str = setting("")
    scopes: tuple[str, ...] = setting(())


def _warnings(issuer: TrustedIssuer) -> list[str]:
    found = list(relaxations(issuer.policy))
    prefix = f"issuer {issuer.policy.issuer}:"
    if issuer.allow_plaintext:
        found.append(f"{prefix} keys and tokens may travel over plain HTTP; whoever is on the way can be anybody")
    if issuer.introspection is not None and issuer.introspection.audience_optional:
        found.append(f"{prefix} accepts opaque tokens although introspection names no audience")
    return found


def _from_jwt(jwt: Jwt, jwks: Jwks, faults: list[str]) -> TrustedIssuer | None:
    keys = IssuerTable(
        issuer=jwt.issuer,
        audience=(jwt.audience,),
        algorithms=jwt.algorithms,
        jwks_url=jwks.url,
        allow_plaintext=jwks.allow_plaintext,
        tenant_claim=jwt.tenant_claim,
    )
    faults += [f"jwks: {text}" for text in _issuer_faults(keys)]
    policy = _policy(keys, "jwt", faults)
    return None if policy is None else _trusted("jwt", keys, policy)


def _policy(keys: IssuerTable, section: str, faults: list[str]) -> IssuerPolicy | None:
    same = {f.name for f in fields(IssuerPolicy)} & {f.name for f in fields(IssuerTable)}
    values: dict[str, object] = {name: getattr(keys, name) for name in same}
    try:
        return IssuerPolicy(
            audiences=keys.audience,
            **{name: frozenset(v) if isinstance(v, tuple) else v for name, v in values.items()},  # type: ignore[arg-type]  # names and kinds are those of the table
        )
    except ValueError as error:
        faults.append(f"{section}: {error}")
        return None


def _trusted(name: str, keys: IssuerTable, policy: IssuerPolicy) -> TrustedIssuer:
    introspection = None
    if keys.introspection_url:
        introspection = Introspection(
            keys.introspection_url,
            keys.introspection_client_id,
            keys.introspection_client_secret,
            keys.introspection_prefix,
            keys.introspection_audience_optional,
        )
    signed = bool(keys.jwks_url or keys.jwks_file or keys.discovery or introspection is None)
    return TrustedIssuer(
        name, policy, keys.jwks_url, keys.jwks_file, keys.ca_file, keys.allow_plaintext, signed, introspection
    )


def _issuer_faults(keys: IssuerTable) -> list[str]:
    by_discovery = keys.discovery or not (keys.jwks_url or keys.jwks_file or keys.introspection_url)
    ways = [name for name in ("jwks_url", "jwks_file", "discovery") if getattr(keys, name)]
    faults = []
    if len(ways) > 1:
        faults.append(f"keys come from one place, not from {' and '.join(ways)}")
    if by_discovery and schema.url(keys.issuer or "-"):
        faults.append("without jwks_url or jwks_file keys are found by discovery, so the issuer must be a URL")
    if keys.introspection_url and not (keys.introspection_client_id and keys.introspection_client_secret):
        faults.append("introspection_url needs introspection_client_id and introspection_client_secret")
    places = (keys.jwks_url, keys.introspection_url, keys.issuer if by_discovery else "")
    faults += [
        f"{place} is plain HTTP to another machine; use https, or set allow_plaintext = true"
        for place in places
        if schema.is_plaintext(place) and not keys.allow_plaintext
    ]
    return faults


def _is_new(issuer: TrustedIssuer, trusted: list[TrustedIssuer], faults: list[str]) -> bool:
    first = next(one for one in trusted if one.policy.issuer == issuer.policy.issuer)
    if first is not issuer:
        faults.append(f"issuers.{issuer.name}: the issuer {issuer.policy.issuer} is that of {first.name} already")
    rival = next((one for one in trusted if _same_prefix(one, issuer)), issuer)
    if rival is not issuer:
        faults.append(
            f"issuers.{issuer.name}: opaque tokens go to {rival.name} already; give each an introspection_prefix"
        )
    return first is issuer


def _same_prefix(one: TrustedIssuer, other: TrustedIssuer) -> bool:
    if one.introspection is None or other.introspection is None:
        return False
    return one.introspection.prefix == other.introspection.prefix


def _tables(document: Mapping[str, object], kind: str, faults: list[str]) -> list[tuple[str, object]]:
    tables = document.get(kind, {})
    if not isinstance(tables, dict):
        faults.append(f"[{kind}] must hold tables: write [{kind}.NAME]")
        return []
    faults += [
        f"{kind}.{name}: a name is lower-case letters, digits, hyphens and underscores"
        for name in tables
        if NAME.fullmatch(name) is None
    ]
    return list(tables.items())
