"""The salts of tenants as this process knows them, looked up again every half minute: none outlives its box."""

import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from os import urandom
from typing import Protocol

from gateway.domain.errors import OperatorError

SALT_BYTES = 32
CONFIRM_S = 30.0
TRUST_S = 600.0
RETRY_S = 1.0
MOST_TENANTS = 10_000

_log = logging.getLogger(__name__)


class SaltBox(Protocol):
    """Where salts lie, by hexadecimal digests. Every method raises OperatorError when it cannot be reached."""

    async def read(self, name: str) -> bytes | None:
        """The salt, or None where there is none."""
        ...

    async def make(self, name: str, salt: bytes) -> bytes:
        """Lays this salt down where there is none; the one that lies there now."""
        ...

    async def destroy(self, name: str) -> None:
        """Deletes it."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    salt: bytes
    confirmed_at: float
    ask_again_at: float


class Salts:
    """Gives a tenant its salt, made at the first use.

    A box that cannot be reached is believed for ten minutes to hold what it held. `changed` is told of a tenant
    whose salt is another one now: nothing that was kept under the old one may be used.
    """

    def __init__(
        self,
        box: SaltBox,
        changed: Callable[[str], None],
        *,
        random: Callable[[int], bytes] = urandom,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._box = box
        self._changed = changed
        self._random = random
        self._ticks = ticks
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._silent_until = 0.0

    async def of(self, tenant: str) -> bytes | None:
        """The salt, or None while it cannot be known."""
        now, known = self._ticks(), self._known.get(tenant)
        if known is not None and now < known.ask_again_at:
            return known.salt
        if known is None and now < self._silent_until:
            return None
        try:
            salt = await self._asked(tenant)
        except OperatorError as error:
            return self._trusted(tenant, known, error)
        self._learn(tenant, _Known(salt, self._ticks(), self._ticks() + CONFIRM_S))
        return salt

    async def _asked(self, tenant: str) -> bytes:
        name = name_of(tenant)
        found = await self._box.read(name)
        if found is None or len(found) != SALT_BYTES:
            if found is not None:
                await self._box.destroy(name)
            found = await self._box.make(name, self._random(SALT_BYTES))
        return found

    def _learn(self, tenant: str, new: _Known) -> None:
        before = self._known.pop(tenant, None)
        self._known[tenant] = new
        if len(self._known) > MOST_TENANTS:
            self._known.popitem(last=False)
        if before is not None and before.salt != new.salt:
            self._changed(tenant)

    def _trusted(self, tenant: str, known: _Known | None, error: OperatorError) -> bytes | None:
        now = self._ticks()
        if now >= self._silent_until:
            _log.warning("the salts of tenants cannot be read: %s", error.message)
        self._silent_until = now + RETRY_S
        if known is None or now - known.confirmed_at > TRUST_S:
            return None
        self._known[tenant] = _Known(known.salt, known.confirmed_at, now + RETRY_S)
        return known.salt


def name_of(tenant: str) -> str:
    """Under which a tenant's salt lies: it may be read by whoever sees the place, and names nobody."""
    return hashlib.sha256(b"gateway salt of tenant\0" + tenant.encode()).hexdigest()
