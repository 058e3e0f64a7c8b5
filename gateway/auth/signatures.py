"""Signatures, checked by PyJWT's algorithm objects; PyJWT never sees a token, only bytes and the key we chose."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.hashes import SHA256
from jwt import InvalidKeyError
from jwt.algorithms import Algorithm, ECAlgorithm, OKPAlgorithm, RSAAlgorithm, RSAPSSAlgorithm

from gateway.auth.keys import PublicKey

_ALGORITHMS: dict[str, Algorithm] = {
    "RS256": RSAAlgorithm(SHA256),
    "PS256": RSAPSSAlgorithm(SHA256),
    "ES256": ECAlgorithm(SHA256, SECP256R1),
    "EdDSA": OKPAlgorithm(),
}


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A key that is ready to use. `verify(signing_input, signature)` is True only for a good signature.

    Two are equal when the same key was published under the same name for the same algorithm.
    """

    public: PublicKey
    verify: Callable[[bytes, bytes], bool] = field(compare=False)

    @property
    def algorithm(self) -> str:
        """The one algorithm the key is bound to."""
        return self.public.algorithm


def prepare(key: PublicKey) -> VerifyingKey:
    """Builds the key once. Raises ValueError when its numbers are no key, such as a point off the curve."""
    algorithm = _ALGORITHMS[key.algorithm]
    try:
        built = algorithm.from_jwk(dict(key.jwk))
    except InvalidKeyError as error:
        raise ValueError(str(error)) from error

    def verify(signing_input: bytes, signature: bytes) -> bool:
        return algorithm.verify(signing_input, built, signature)

    return VerifyingKey(key, verify)
