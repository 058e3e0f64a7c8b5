"""Every class of bad token: none is accepted, each is refused with the same words, nothing it names is fetched."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from gateway.auth import base64url
from gateway.auth.jwt import Issuer, JwtAuthenticator
from gateway.auth.key_source import StaticKeys, read_verifying_keys
from gateway.domain.errors import CallerError, Reason
from tests.support.identity import (
    ABSENT,
    AUDIENCE,
    ISSUER,
    NOW,
    STRICT,
    algorithm,
    authenticator,
    bearer,
    claims,
    header,
    jwks,
    private_key,
    public_jwk,
    published,
    sign,
    to_text,
    token,
)
from tests.support.jwks_server import canary

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def with_header(**changes: object) -> Callable[[], str]:
    return lambda: token(header(**changes))


def with_claims(**changes: object) -> Callable[[], str]:
    return lambda: token(payload=claims(**changes))


def raw_header(text: str) -> Callable[[], str]:
    return lambda: token(text.encode())


def raw_payload(text: bytes) -> Callable[[], str]:
    return lambda: token(payload=text)


def payload_with(extra: str) -> Callable[[], str]:
    """The good payload as text, with more members written behind the last one."""
    return raw_payload(f"{json.dumps(claims())[:-1]}, {extra}}}".encode())


def with_signature(signature: bytes, **changes: object) -> Callable[[], str]:
    def build() -> str:
        return f"{token(header(**changes)).rpartition('.')[0]}.{base64url.encode(signature)}"

    return build


def edited(change: Callable[[str, str, str], str]) -> Callable[[], str]:
    """A good token, taken apart and put together wrongly."""
    return lambda: change(*token().split("."))


def public_bytes(encoding: serialization.Encoding, kind: serialization.PublicFormat) -> bytes:
    return private_key("RS256").public_key().public_bytes(encoding, kind)


def hmac_over(secret: Callable[[], bytes], alg: str = "HS256") -> Callable[[], str]:
    """A token signed with a public key used as an HMAC secret."""

    def build() -> str:
        text = ".".join(base64url.encode(to_text(part)) for part in (header(alg=alg, kid="rs"), claims()))
        digest = hmac.new(secret(), text.encode(), hashlib.sha256).digest()
        return f"{text}.{base64url.encode(digest)}"

    return build


def rsa_pem() -> bytes:
    return public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def der_signature() -> str:
    text, _, signature = token().rpartition(".")
    raw = base64url.decode(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    return f"{text}.{base64url.encode(der)}"


def beyond_the_order() -> str:
    """r and s, each plus the order of the curve where that still fits: the same numbers modulo the order."""
    text, _, signature = token().rpartition(".")
    raw = base64url.decode(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    r, s = decode_dss_signature(der)
    return f"{text}.{base64url.encode((r + P256_ORDER).to_bytes(33) + (s + P256_ORDER).to_bytes(33))}"


def wide_encoding(encoding: str) -> str:
    return token(payload=json.dumps(claims()).encode(encoding))


def deep_act(levels: int) -> dict[str, object]:
    actor: dict[str, object] = {"sub": "bot"}
    for _ in range(levels):
        actor = {"sub": "bot", "act": actor}
    return actor


ALGORITHM: dict[str, Callable[[], str]] = {
    "alg none, no signature": lambda: token(header(alg="none")).rpartition(".")[0] + ".",
    "alg none, a signature": with_header(alg="none"),
    "alg nOnE": with_header(alg="nOnE"),
    "alg NONE": with_header(alg="NONE"),
    "alg missing": with_header(alg=ABSENT),
    "alg null": with_header(alg=None),
    "alg a number": with_header(alg=256),
    "alg a list": with_header(alg=["ES256"]),
    "alg empty": with_header(alg=""),
    "alg in lower case": with_header(alg="es256"),
    "alg with a space": with_header(alg="ES256 "),
    "HS256 over the PEM": hmac_over(rsa_pem),
    "HS256 over the PEM without its newline": hmac_over(lambda: rsa_pem().rstrip()),
    "HS256 over the DER": hmac_over(
        lambda: public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ),
    "HS256 over PKCS1": hmac_over(
        lambda: public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1)
    ),
    "HS256 over the modulus": hmac_over(lambda: str(public_jwk("RS256", "RS256", "rs")["n"]).encode()),
    "HS256 over the JWK": hmac_over(lambda: json.dumps(public_jwk("RS256", "RS256", "rs")).encode()),
    "HS256 over nothing": hmac_over(lambda: b""),
    "HS384": hmac_over(rsa_pem, "HS384"),
    "alg of another key": lambda: token(header(alg="RS256", kid="es"), signer="RS256", alg="RS256"),
    "alg of another key, signed as the key wants it": with_header(alg="RS256"),
    "kid of another key": lambda: token(header(kid="rs")),
    "PS256 with the RS256 key": lambda: token(header(alg="PS256", kid="rs"), signer="RS256", alg="PS256"),
    "PS256, published and not configured": lambda: token(
        header(alg="PS256", kid="ps"), signer="PS256", alg="PS256"
    ),
    "EdDSA, published and not configured": lambda: token(
        header(alg="EdDSA", kid="ed"), signer="EdDSA", alg="EdDSA"
    ),
    "RS512 with the RS256 key": lambda: token(header(alg="RS512", kid="rs"), signer="RS256", alg="RS512"),
    "RS256 said, PSS signed": lambda: token(header(alg="RS256", kid="rs"), signer="RS256", alg="PS256"),
    "RS256 said, SHA-512 signed": lambda: token(header(alg="RS256", kid="rs"), signer="RS256", alg="RS512"),
    "ES384": lambda: token(header(alg="ES384"), signer="ES384", alg="ES384"),
}
SHAPE: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "one segment": lambda: token().split(".")[0],
    "two segments": edited(lambda h, p, s: f"{h}.{p}"),
    "four segments": edited(lambda h, p, s: f"{h}.{p}.{s}.{s}"),
    "five segments, as if encrypted": edited(lambda h, p, s: f"{h}.{s}.{s}.{p}.{s}"),
    "a dot at the end": lambda: token() + ".",
    "a dot at the start": lambda: "." + token(),
    "dots only": lambda: "..",
    "no header": edited(lambda h, p, s: f".{p}.{s}"),
    "no payload": edited(lambda h, p, s: f"{h}..{s}"),
    "no signature": edited(lambda h, p, s: f"{h}.{p}."),
    "the prefix left in": lambda: "Bearer " + token(),
    "a space before": lambda: " " + token(),
    "a space after": lambda: token() + " ",
    "a newline after": lambda: token() + "\n",
    "a NUL after": lambda: token() + "\x00",
    "a space within": edited(lambda h, p, s: f"{h}. {p}.{s}"),
    "quotes around": lambda: f'"{token()}"',
    "two tokens": lambda: f"{token()},{token()}",
    "junk": lambda: "not a token",
    "full-width characters": lambda: token().replace("e", "ｅ", 1),
    "padding on the signature": lambda: token() + "==",
    "padding on the payload": edited(lambda h, p, s: f"{h}.{p}=.{s}"),
    "padding that was signed": lambda: sign(
        f"{base64url.encode(to_text(header()))}.{base64.urlsafe_b64encode(to_text(claims(jti='a'))).decode()}=="
    ),
    "spare bits set in the signature": lambda: token()[:-1] + chr(ord(token()[-1]) + 1),
    "signature in plain base64": lambda: token().rpartition(".")[0] + "." + "+/" * 43,
    "payload of another token": edited(lambda h, p, s: f"{h}.{token(payload=claims(sub='x')).split('.')[1]}.{s}"),
    "header of another token": edited(
        lambda h, p, s: f"{base64url.encode(to_text(header(typ='application/at+jwt')))}.{p}.{s}"
    ),
    "signature of another token": edited(
        lambda h, p, s: f"{h}.{p}.{token(payload=claims(sub='x')).split('.')[2]}"
    ),
    "another key under the right kid": lambda: token(signer="ES256:attacker"),
    "JSON serialization": lambda: json.dumps({"payload": token().split(".")[1], "signatures": []}),
}
HEADER: dict[str, Callable[[], str]] = {
    "kid unknown": with_header(kid="unknown"),
    "kid missing": with_header(kid=ABSENT),
    "kid empty": with_header(kid=""),
    "kid a number": with_header(kid=1),
    "kid a list": with_header(kid=["es"]),
    "kid null": with_header(kid=None),
    "kid a path": with_header(kid="../../../../dev/null"),
    "kid SQL": with_header(kid="es' OR '1'='1"),
    "kid a command": with_header(kid="es|whoami"),
    "kid with a NUL": with_header(kid="es\x00"),
    "kid huge": with_header(kid="k" * 3000),
    "kid in another case": with_header(kid="ES"),
    "an embedded key": lambda: token(
        header(jwk=public_jwk("ES256:attacker", "ES256", "es")), signer="ES256:attacker"
    ),
    "an embedded certificate": with_header(x5c=["MIIB"]),
    "a thumbprint": with_header(x5t="abc"),
    "crit": with_header(crit=["exp"]),
    "crit, empty": with_header(crit=[]),
    "b64 false": with_header(b64=False, crit=["b64"]),
    "zip": with_header(zip="DEF"),
    "enc": with_header(enc="A256GCM"),
    "an unknown member": with_header(other=1),
    "alg twice": raw_header('{"alg":"none","alg":"ES256","kid":"es","typ":"at+jwt"}'),
    "kid twice": raw_header('{"alg":"ES256","kid":"x","kid":"es","typ":"at+jwt"}'),
    "alg twice, once escaped": raw_header('{"alg":"ES256","\\u0061lg":"ES256","kid":"es","typ":"at+jwt"}'),
    "a list": raw_header('["ES256"]'),
    "a text": raw_header('"ES256"'),
    "null": raw_header("null"),
    "no JSON": raw_header("alg=ES256"),
    "two objects": raw_header('{"alg":"ES256","kid":"es","typ":"at+jwt"}{}'),
    "typ JWT": with_header(typ="JWT"),
    "typ missing": with_header(typ=ABSENT),
    "typ empty": with_header(typ=""),
    "typ in another case": with_header(typ="AT+JWT"),
    "typ a list": with_header(typ=["at+jwt"]),
    "typ of a logout token": with_header(typ="logout+jwt"),
    "typ of a DPoP proof": with_header(typ="dpop+jwt"),
}
TIME: dict[str, Callable[[], str]] = {
    "expired just beyond the leeway": with_claims(exp=int(NOW) - 30),
    "expired long ago": with_claims(iat=1, exp=100),
    "exp missing": with_claims(exp=ABSENT),
    "exp null": with_claims(exp=None),
    "exp a text": with_claims(exp=str(int(NOW) + 100)),
    "exp true": with_claims(exp=True),
    "exp negative": with_claims(exp=-1),
    "exp NaN": payload_with('"exp": NaN'),
    "exp NaN alone": lambda: token(payload=json.dumps(claims(exp=float("nan"))).encode()),
    "exp infinite": lambda: token(payload=json.dumps(claims(exp=float("inf"))).encode()),
    "exp 1e999": lambda: token(payload=to_text(claims(exp=0)).replace(b'"exp": 0', b'"exp": 1e999')),
    "exp in ten years": with_claims(exp=int(NOW) + 315_360_000),
    "exp of four thousand digits": with_claims(exp=10**4000),
    "exp of five thousand digits": lambda: token(
        payload=to_text(claims(exp=0)).replace(b'"exp": 0', b'"exp": ' + b"9" * 5000)
    ),
    "lifetime of a day and a second": with_claims(iat=int(NOW), exp=int(NOW) + 86_401),
    "exp before iat": with_claims(iat=int(NOW) + 20, exp=int(NOW) + 10),
    "nbf in the future": with_claims(nbf=int(NOW) + 31),
    "nbf a text": with_claims(nbf="0"),
    "nbf null": with_claims(nbf=None),
    "iat in the future": with_claims(iat=int(NOW) + 31),
    "iat in the future, nbf in the past": with_claims(iat=int(NOW) + 31, nbf=int(NOW)),
    "iat missing": with_claims(iat=ABSENT),
    "iat a text": with_claims(iat="0"),
    "iat in milliseconds": with_claims(iat=int(NOW) * 1000, exp=int(NOW) * 1000 + 3600),
}
AUDIENCE_AND_ISSUER: dict[str, Callable[[], str]] = {
    "iss missing": with_claims(iss=ABSENT),
    "iss of another": with_claims(iss="https://attacker.test"),
    "iss a prefix of ours": with_claims(iss=ISSUER[:-1]),
    "iss longer than ours": with_claims(iss=ISSUER + ".attacker.test"),
    "iss with a slash": with_claims(iss=ISSUER + "/"),
    "iss in upper case": with_claims(iss=ISSUER.upper()),
    "iss a list": with_claims(iss=[ISSUER]),
    "iss an object": with_claims(iss={"a": ISSUER}),
    "iss null": with_claims(iss=None),
    "aud missing": with_claims(aud=ABSENT),
    "aud of another": with_claims(aud="https://other.test"),
    "aud a prefix of ours": with_claims(aud=AUDIENCE[:-1]),
    "aud a list of ours": with_claims(aud=[AUDIENCE]),
    "aud ours and another": with_claims(aud=[AUDIENCE, "https://other.test"]),
    "aud empty": with_claims(aud=[]),
    "aud an object": with_claims(aud={AUDIENCE: True}),
}
IDENTITY: dict[str, Callable[[], str]] = {
    **{f"{name} missing": with_claims(**{name: ABSENT}) for name in ("sub", "tenant", "client_id", "jti")},
    **{f"{name} empty": with_claims(**{name: ""}) for name in ("sub", "tenant", "client_id", "jti")},
    **{f"{name} a number": with_claims(**{name: 7}) for name in ("sub", "tenant", "client_id", "jti")},
    **{f"{name} with a NUL": with_claims(**{name: "a\x00"}) for name in ("sub", "tenant", "client_id", "jti")},
    **{f"{name} zero width": with_claims(**{name: "a\u200b"}) for name in ("sub", "tenant", "client_id", "jti")},
    "sub a lone surrogate": with_claims(sub="\ud800"),
    "sub endless": with_claims(sub="s" * 256),
    "tenant with a colon": with_claims(tenant="t1:t2"),
    "tenant with a slash": with_claims(tenant="t1/t2"),
    "tenant in braces": with_claims(tenant="{t1}"),
    "tenant in upper case": with_claims(tenant="ACME"),
    "tenant a list": with_claims(tenant=["acme", "other"]),
    "tenant with a newline": with_claims(tenant="acme\n"),
    "tenant twice": payload_with('"tenant": "other"'),
    "sub twice": payload_with('"sub": "other"'),
    "scope a list": with_claims(scope=["admin"]),
    "scope with a quote": with_claims(scope='model.read "admin"'),
    "cnf without a proof": with_claims(cnf={"jkt": "abc"}),
    "act": with_claims(act={"sub": "bot"}),
    "act of depth fifty": with_claims(act=deep_act(50)),
}
EFFORT: dict[str, Callable[[], str]] = {
    "payload a list": raw_payload(b"[]"),
    "payload a number": raw_payload(b"7"),
    "payload with a byte order mark": lambda: token(payload=b"\xef\xbb\xbf" + to_text(claims())),
    "payload not UTF-8": lambda: token(payload=to_text(claims()).replace(b"user-1", b"user-\xff")),
    "payload UTF-16": lambda: wide_encoding("utf-16"),
    "payload UTF-32": lambda: wide_encoding("utf-32"),
    "payload nested 33 deep": payload_with('"x": ' + "[" * 32 + "]" * 32),
    "payload nested as deep as fits": raw_payload(b"[" * 5000),
    "payload nested a hundred thousand deep": raw_payload(b"[" * 100_000),
    "payload of 20 MB": lambda: f"{token().split('.')[0]}.{'A' * 20_000_000}.AAAA",
    "header of megabytes": lambda: f"{'A' * 5_000_000}.{token().split('.')[1]}.AAAA",
    "signature of megabytes": lambda: token() + "A" * 5_000_000,
    "one byte over the limit": lambda: token().ljust(8193, "A"),
    "dots up to the limit": lambda: "." * 8192,
    "escaped quotes up to the limit": raw_payload(b'{"' + b'\\"' * 2900 + b"[" * 40),
}
CRYPTOGRAPHY: dict[str, Callable[[], str]] = {
    "r and s zero": with_signature(bytes(64)),
    "r zero, s one": with_signature(bytes(63) + b"\x01"),
    "r and s the order": with_signature(P256_ORDER.to_bytes(32) * 2),
    "r and s beyond the order": beyond_the_order,
    "DER-encoded ECDSA": der_signature,
    "a short signature": with_signature(b"\x01" * 63),
    "a long signature": with_signature(b"\x01" * 65),
    "one byte": with_signature(b"\x00"),
    "a signature of the modulus' size, all zero": with_signature(bytes(256), alg="RS256", kid="rs"),
    "RSA signature one byte short": with_signature(b"\x01" * 255, alg="RS256", kid="rs"),
    "weak RSA, published and signed with": lambda: token(
        header(alg="RS256", kid="weak"), signer="RS256-1024", alg="RS256"
    ),
}
CLASSES = {
    "algorithm": ALGORITHM,
    "shape": SHAPE,
    "header": HEADER,
    "time": TIME,
    "issuer": AUDIENCE_AND_ISSUER,
    "identity": IDENTITY,
    "effort": EFFORT,
    "cryptography": CRYPTOGRAPHY,
}
BAD_TOKENS = {f"{kind}: {name}": build for kind, group in CLASSES.items() for name, build in group.items()}


def issuer_with_a_weak_key() -> JwtAuthenticator:
    """The test issuer, who also publishes an RSA key of 1,024 bits."""
    entries = json.loads(published())["keys"]
    document = jwks(*entries, public_jwk("RS256-1024", "RS256", "weak"))
    return JwtAuthenticator(
        [Issuer(STRICT, StaticKeys(read_verifying_keys(document, STRICT)[0]))], now=lambda: NOW
    )


@pytest.mark.parametrize("build", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
async def test_a_bad_token_is_refused_with_the_same_words(build: Callable[[], str]) -> None:
    """TOKEN_INVALID and `invalid_token`, without facts or fields that would tell why."""
    with pytest.raises(CallerError) as refused:
        await issuer_with_a_weak_key().authenticate(bearer(build()))
    error = refused.value
    assert (error.reason, error.message) == (Reason.TOKEN_INVALID, "invalid_token")
    assert (error.facts, error.fields, error.quotas, error.retry_after_s) == ({}, (), (), None)


async def test_the_tokens_above_are_bad_for_their_own_fault_only() -> None:
    """The token they are all made from is accepted, with each configured algorithm."""
    for alg, kid in (("ES256", "es"), ("RS256", "rs")):
        caller = await authenticator().authenticate(bearer(token(header(alg=alg, kid=kid), signer=alg, alg=alg)))
        assert (caller.tenant, caller.key_id) == ("acme", kid)


async def test_a_missing_credential_is_refused_like_a_bad_one() -> None:
    """Who shows nothing learns nothing either."""
    with pytest.raises(CallerError, match=r"^invalid_token$") as refused:
        await authenticator().authenticate(bearer(None))
    assert refused.value.reason is Reason.TOKEN_INVALID


async def test_nothing_a_token_names_is_fetched() -> None:
    """URLs in every header member and claim that other software follows; nobody ever comes to the canary."""
    async with canary() as (url, visitors):
        heads = [header(**{name: url}) for name in ("jku", "x5u", "kid", "typ", "jwk", "x5c", "url")]
        heads.append(header(x5c=[url], jku=url, x5u=url))
        bodies = [claims(**{name: url}) for name in ("iss", "aud", "sub", "tenant", "jwks_uri", "jku", "cnf")]
        relaxed = authenticator(
            replace(STRICT, ignored_header_members=frozenset({"jku", "x5u", "jwk", "x5c", "url"}))
        )
        for tokens in (authenticator(), relaxed):
            for text in [*(token(head) for head in heads), *(token(payload=body) for body in bodies)]:
                try:
                    await tokens.authenticate(bearer(text))
                except CallerError:
                    continue
        assert visitors == []


async def test_an_ignored_header_member_never_chooses_the_key() -> None:
    """With `jwk` ignored by configuration, a token signed by the key it carries is still refused."""
    policy = replace(STRICT, ignored_header_members=frozenset({"jwk"}))
    forged = token(header(jwk=public_jwk("ES256:attacker", "ES256", "es")), signer="ES256:attacker")
    with pytest.raises(CallerError):
        await authenticator(policy).authenticate(bearer(forged))
    assert await authenticator(policy).authenticate(bearer(token(header(jwk={}))))


def test_there_are_enough_of_them() -> None:
    """The list cannot shrink unnoticed, and every algorithm object is the one that really signs."""
    assert len(BAD_TOKENS) >= 180
    assert algorithm("ES256").verify(b"x", private_key("ES256").public_key(), bytes(64)) is False
