"""An issuer for tests: keys made once, and tokens built piece by piece so that any piece can be wrong."""

import asyncio
import functools
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import Algorithm, get_default_algorithms

from gateway.auth import base64url
from gateway.auth.jwt import Issuer, JwtAuthenticator
from gateway.auth.key_source import StaticKeys, read_verifying_keys
from gateway.auth.policy import IssuerPolicy
from gateway.domain.call import Credentials

NOW = 1_800_000_000.0
ISSUER = "https://issuer.test"
AUDIENCE = "https://gateway.test"
STRICT = IssuerPolicy(ISSUER, (AUDIENCE,))
EVERY_ALGORITHM = IssuerPolicy(ISSUER, (AUDIENCE,), algorithms=frozenset({"RS256", "ES256", "PS256", "EdDSA"}))
ABSENT = object()

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class ManualClock:
    """Time that moves when the test says so; `sleep` waits for it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Waits until the clock was moved that far."""
        future = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Moves the clock and lets everybody who is due run until they wait again."""
        self.now += seconds
        due = [one for one in self._sleepers if one[0] <= self.now]
        self._sleepers = [one for one in self._sleepers if one[0] > self.now]
        for _, future in due:
            if not future.done():
                future.set_result(None)
        await settle()


async def settle() -> None:
    """Lets tasks that wait for nothing outside the loop run to their next wait."""
    for _ in range(20):
        await asyncio.sleep(0)


@functools.cache
def private_key(name: str) -> PrivateKey:
    """The key of this name, made once for the whole run: `RS256`, `ES256:other`, `RS256-1024`…"""
    kind = name.partition(":")[0]
    match kind:
        case "RS256" | "PS256":
            return rsa.generate_private_key(65537, 2048)
        case "RS256-1024":
            return rsa.generate_private_key(65537, 1024)  # noqa: S505 - the weakness is what is tested
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ES384":
            return ec.generate_private_key(ec.SECP384R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def algorithm(name: str) -> Algorithm:
    """PyJWT's implementation, for signing."""
    return get_default_algorithms()[name]


def public_jwk(key_name: str, alg: str, kid: str, /, **changes: object) -> dict[str, object]:
    """The key as an issuer publishes it, with members changed, or left out where the change is ABSENT."""
    jwk = dict(algorithm(alg).to_jwk(private_key(key_name).public_key(), as_dict=True))
    jwk.pop("key_ops", None)
    return merged({**jwk, "kid": kid, "alg": alg, "use": "sig"}, changes)


def jwks(*entries: object) -> bytes:
    """A JWK set document."""
    return json.dumps({"keys": entries}).encode()


def merged(base: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """`base` with the changes made and ABSENT members left out."""
    return {name: value for name, value in {**base, **changes}.items() if value is not ABSENT}


def header(**changes: object) -> dict[str, object]:
    """The header of a good ES256 token, changed."""
    return merged({"alg": "ES256", "kid": "es", "typ": "at+jwt"}, changes)


def claims(**changes: object) -> dict[str, object]:
    """The payload of a good token, changed."""
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "user-1",
        "client_id": "web",
        "jti": "token-1",
        "tenant": "acme",
        "scope": "model.read model.stream",
        "iat": int(NOW) - 10,
        "exp": int(NOW) + 3590,
    }
    return merged(good, changes)


def to_text(part: object) -> bytes:
    """A part as JSON, or bytes as they are."""
    return part if isinstance(part, bytes) else json.dumps(part).encode()


def token(head: object = None, payload: object = None, *, signer: str = "ES256", alg: str = "ES256") -> str:
    """A token over these parts (objects or raw bytes), really signed with the named key."""
    parts = (header() if head is None else head, claims() if payload is None else payload)
    signing_input = ".".join(base64url.encode(to_text(part)) for part in parts)
    return sign(signing_input, signer=signer, alg=alg)


def sign(signing_input: str, *, signer: str = "ES256", alg: str = "ES256") -> str:
    """Appends a good signature to whatever stands before it."""
    signature = algorithm(alg).sign(signing_input.encode(), private_key(signer))
    return f"{signing_input}.{base64url.encode(signature)}"


def published() -> bytes:
    """The JWK set of the test issuer: one key for each algorithm."""
    return jwks(
        public_jwk("RS256", "RS256", "rs"),
        public_jwk("ES256", "ES256", "es"),
        public_jwk("PS256", "PS256", "ps"),
        public_jwk("EdDSA", "EdDSA", "ed"),
    )


def static_keys(policy: IssuerPolicy = STRICT, document: bytes | None = None) -> StaticKeys:
    """The issuer's keys without any network."""
    return StaticKeys(read_verifying_keys(document or published(), policy)[0])


def authenticator(policy: IssuerPolicy = STRICT, **options: object) -> JwtAuthenticator:
    """An authenticator that trusts the test issuer and believes it is NOW."""
    options.setdefault("now", lambda: NOW)
    return JwtAuthenticator([Issuer(policy, static_keys(policy))], **options)


def bearer(text: str | None) -> Credentials:
    """Credentials as the door makes them."""
    return Credentials(text)
