"""Where an issuer's keys come from: the promise, and the way that needs no network."""

from collections.abc import Mapping
from typing import Protocol

from gateway.auth.keys import KeySet, KeySetError, PublicKey, read_key_set
from gateway.auth.policy import IssuerPolicy
from gateway.auth.signatures import VerifyingKey, prepare


class KeySource(Protocol):
    """The keys of one issuer.

    What was verified with a key stands only while `holds(generation)` is True for the generation it was verified
    under: it turns False with any change of the set, and when the set is too old to be believed.
    """

    @property
    def generation(self) -> int:
        """A number that changes with every change of the set."""
        ...

    @property
    def ready(self) -> bool:
        """Whether there are keys to verify with."""
        ...

    def holds(self, generation: int) -> bool:
        """Whether a verification of that generation still stands; cheap, it is asked on every call."""
        ...

    async def find(self, key_id: str) -> VerifyingKey | None:
        """The key of exactly this name, or None. Raises OperatorError(IDP_UNAVAILABLE) where none was ever had."""
        ...

    async def purge(self) -> None:
        """Forgets what is known and learns it anew."""
        ...

    def start(self) -> None:
        """Begins to keep the keys fresh; needs a running event loop."""
        ...

    async def aclose(self) -> None:
        """Ends what `start` began."""
        ...


class StaticKeys:
    """Keys that are known from the start and change only by `replace`."""

    def __init__(self, keys: Mapping[str, VerifyingKey]) -> None:
        self._keys = dict(keys)
        self._generation = 0

    def replace(self, keys: Mapping[str, VerifyingKey]) -> None:
        """Other keys from now on; the same ones change nothing."""
        if keys != self._keys:
            self._keys = dict(keys)
            self._generation += 1

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def ready(self) -> bool:
        return bool(self._keys)

    def holds(self, generation: int) -> bool:
        return generation == self._generation

    async def find(self, key_id: str) -> VerifyingKey | None:
        return self._keys.get(key_id)

    async def purge(self) -> None:
        self._generation += 1

    def start(self) -> None:
        """Nothing to keep fresh."""

    async def aclose(self) -> None:
        """Nothing to end."""


def read_verifying_keys(document: bytes, policy: IssuerPolicy) -> tuple[dict[str, VerifyingKey], tuple[str, ...]]:
    """The usable keys of a JWK set by `kid`, and the reasons why others were skipped.

    Raises KeySetError when nothing of the document can be used.
    """
    key_set: KeySet = read_key_set(document, policy)
    keys: dict[str, VerifyingKey] = {}
    skipped = list(key_set.skipped)
    for key in key_set.keys.values():
        _prepare_into(keys, skipped, key)
    if key_set.keys and not keys:
        raise KeySetError("; ".join(["no usable key", *skipped]))
    return keys, tuple(skipped)


def _prepare_into(keys: dict[str, VerifyingKey], skipped: list[str], key: PublicKey) -> None:
    try:
        keys[key.key_id] = prepare(key)
    except ValueError as error:
        skipped.append(f"key {key.key_id}: {error}")
