"""Limits that are only counted, and the word that one is nearly used up: around any limiter.

What a tenant's limits name as `shadow` is held in an account of its own, by the same limiter: what would have been
refused is told, and goes on. Once a second those that were just used are looked at, and whoever has used four
fifths of one is told of.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

from gateway.domain.errors import LimitError, OperatorError
from gateway.domain.tenant import DIMENSIONS, NO_LIMITS, TenantLimits
from gateway.limits import Allowance, Hold, Limiter, Reservation, Scope

NEAR = 0.8
LOOK_S = 1.0
MOST_AT_ONCE = 100
MOST_KNOWN = 10_000
_SHADOW = "!shadow"
"""No tenant's name holds this sign, so no tenant has such an account."""


class LimitObserver(Protocol):
    """Is told what limits would have done, and what they will do soon. Must not wait and must not raise."""

    def limit_shadowed(self, tenant: str, scope: str, dimension: str) -> None:
        """A turn went on that a limit in shadow would have refused."""
        ...

    def limit_near(self, tenant: str, scope: str, dimension: str) -> None:
        """Four fifths of a limit are used, for the first time since less was."""
        ...


class LenientLimiter:
    """Keeps the promise of `Limiter` by another one; made by `watched`."""

    def __init__(self, limiter: Limiter, observer: LimitObserver) -> None:
        self._limiter = limiter
        self._observer = observer
        self._shadows: dict[str, Reservation] = {}
        self._used: dict[tuple[str, ...], tuple[str, TenantLimits, Sequence[Scope]]] = {}
        self._near: set[tuple[str, str, str]] = set()

    async def reserve(
        self, reservation_id: str, tenant: str, limits: TenantLimits, hold: Hold, scopes: Sequence[Scope] = ()
    ) -> Reservation:
        """See `Limiter`. Only what is not in shadow refuses."""
        real, real_scopes = limits, scopes
        if limits.shadow or any(scope.limits.shadow for scope in scopes):
            real, real_scopes = _split(limits, scopes, enforced)
            reservation = await self._limiter.reserve(reservation_id, tenant, real, hold, real_scopes)
            await self._shadow(reservation_id, tenant, limits, hold, scopes)
        else:
            reservation = await self._limiter.reserve(reservation_id, tenant, limits, hold, scopes)
        if len(self._used) < MOST_KNOWN:
            self._used[(tenant, *(scope.label for scope in scopes))] = tenant, real, real_scopes
        return reservation

    async def settle(self, reservation: Reservation, used: Hold) -> None:
        """See `Limiter`."""
        shadow = self._shadows.pop(reservation.reservation_id, None)
        try:
            await self._limiter.settle(reservation, used)
        finally:
            if shadow is not None:
                await self._limiter.settle(shadow, used)

    async def allowances(
        self, tenant: str, limits: TenantLimits, scopes: Sequence[Scope] = ()
    ) -> tuple[Allowance, ...]:
        """See `Limiter`. What is in shadow is no limit, and not among them."""
        return await self._limiter.allowances(tenant, *_split(limits, scopes, enforced))

    async def look(self) -> None:
        """Tells of the limits that were just used and are near; at most 100 tenants and scopes at once."""
        for key in list(self._used)[:MOST_AT_ONCE]:
            tenant, limits, scopes = self._used.pop(key)
            try:
                found = await self._limiter.allowances(tenant, limits, scopes)
            except OperatorError:
                return
            for one in found:
                self._note(tenant, one)

    def _note(self, tenant: str, found: Allowance) -> None:
        key = tenant, found.scope, found.dimension
        if found.limit - found.remaining < NEAR * found.limit:
            self._near.discard(key)
        elif key not in self._near:
            if len(self._near) >= MOST_KNOWN:
                self._near.clear()
            self._near.add(key)
            self._observer.limit_near(*key)

    async def _shadow(
        self, reservation_id: str, tenant: str, limits: TenantLimits, hold: Hold, scopes: Sequence[Scope]
    ) -> None:
        own, own_scopes = _split(limits, scopes, shadowed)
        try:
            self._shadows[reservation_id] = await self._limiter.reserve(
                f"{reservation_id}{_SHADOW}", f"{tenant}{_SHADOW}", own, hold, own_scopes
            )
        except LimitError as error:
            for violation in error.quotas:
                scope = violation.subject.removesuffix(_SHADOW)
                self._observer.limit_shadowed(tenant, scope, violation.description.partition(":")[0])


@lru_cache(1_024)
def enforced(limits: TenantLimits) -> TenantLimits:
    """Those that are kept."""
    return replace(limits, shadow=(), **dict.fromkeys(limits.shadow, 0)) if limits.shadow else limits


@lru_cache(1_024)
def shadowed(limits: TenantLimits) -> TenantLimits:
    """Those that are only counted."""
    return replace(limits, shadow=(), **dict.fromkeys(set(DIMENSIONS) - set(limits.shadow), 0))


@asynccontextmanager
async def watched(
    limiter: Limiter, observer: LimitObserver, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> AsyncIterator[LenientLimiter]:
    """The limiter with its shadows, looked at once a second until it is left."""
    lenient = LenientLimiter(limiter, observer)

    async def follow() -> None:
        while True:
            await sleep(LOOK_S)
            await lenient.look()

    looking = asyncio.get_running_loop().create_task(follow())
    try:
        yield lenient
    finally:
        looking.cancel()
        await asyncio.wait([looking])


def _split(
    limits: TenantLimits, scopes: Sequence[Scope], part: Callable[[TenantLimits], TenantLimits]
) -> tuple[TenantLimits, list[Scope]]:
    parts = [Scope(scope.kind, scope.name, part(scope.limits)) for scope in scopes]
    return part(limits), [scope for scope in parts if scope.limits != NO_LIMITS]
