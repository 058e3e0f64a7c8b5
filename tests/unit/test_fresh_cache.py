"""A short memory: found again in its time, made once at a time, bounded, and nobody's leaving disturbs another."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest

from gateway.search.fresh import FreshCache
from gateway.search.outer import Outer

T = TypeVar("T")


class Maker:
    """Counts how often it made something; waits for `go` where a test says so."""

    def __init__(self, value: str = "x") -> None:
        self.value = value
        self.made = 0
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self) -> str:
        self.made += 1
        await self.go.wait()
        return self.value


async def test_a_value_is_found_again_until_its_time_is_over() -> None:
    """Then it is made anew; another key is another value."""
    now = [0.0]
    cache: FreshCache[str] = FreshCache(len, clock=lambda: now[0])
    make = Maker()
    assert await cache.get("a", 300, make) == ("x", False)
    now[0] = 299.0
    assert await cache.get("a", 300, make) == ("x", True)
    assert await cache.get("b", 300, make) == ("x", False)
    now[0] = 300.0
    assert await cache.get("a", 300, make) == ("x", False)
    assert make.made == 3


async def test_many_who_ask_at_once_wait_for_one() -> None:
    """And all of them get it."""
    cache: FreshCache[str] = FreshCache(len)
    make = Maker()
    make.go.clear()
    asking = [asyncio.ensure_future(cache.get("a", 300, make)) for _ in range(5)]
    await asyncio.sleep(0)
    make.go.set()
    assert sorted(await asyncio.gather(*asking)) == [("x", False)] + [("x", True)] * 4
    assert make.made == 1


async def test_who_leaves_disturbs_nobody_and_the_last_one_ends_it() -> None:
    """The first to ask may leave, and it is new to the next; when nobody waits, nothing goes on."""
    cache: FreshCache[str] = FreshCache(len)
    make = Maker()
    make.go.clear()
    first, second = (asyncio.ensure_future(cache.get("a", 300, make)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0.01)
    assert not second.done()
    make.go.set()
    assert await second == ("x", False)
    make.go.clear()
    alone = asyncio.ensure_future(cache.get("b", 300, make))
    await asyncio.sleep(0.01)
    alone.cancel()
    await asyncio.sleep(0.01)
    assert [task for task in asyncio.all_tasks() if "_made" in repr(task)] == []


async def test_a_failure_reaches_everyone_who_waits_and_is_not_kept() -> None:
    """The next one tries again."""
    cache: FreshCache[str] = FreshCache(len)
    tries = []

    async def fail() -> str:
        tries.append(1)
        await asyncio.sleep(0)
        raise ValueError("broken")

    results = await asyncio.gather(*(cache.get("a", 300, fail) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(result, ValueError) for result in results)
    with pytest.raises(ValueError, match="broken"):
        await cache.get("a", 300, fail)
    assert len(tries) == 2


async def test_the_memory_is_bounded_and_the_least_used_goes_first() -> None:
    """What is larger than all of it is not kept at all."""
    cache: FreshCache[str] = FreshCache(len, max_weight=10)
    make = Maker("1234")
    for key in ("a", "b"):
        await cache.get(key, 300, make)
    await cache.get("a", 300, make)
    await cache.get("c", 300, make)
    assert (await cache.get("a", 300, make))[1]
    assert not (await cache.get("b", 300, make))[1]
    big = Maker("x" * 11)
    assert await cache.get("big", 300, big) == ("x" * 11, False)
    assert await cache.get("big", 300, big) == ("x" * 11, False)


class DictShelf:
    """A shelf of the test's own, which two gateways share; `away` says that nothing answers."""

    def __init__(self) -> None:
        self.laid: dict[tuple[str, str, object], bytes] = {}
        self.away = False

    async def find(self, tenant: str, kind: str, parts: object, read: Callable[[bytes], T]) -> T | None:
        value = self.laid.get((tenant, kind, parts))
        try:
            return None if value is None or self.away else read(value)
        except ValueError:
            return None

    async def keep(self, tenant: str, kind: str, parts: object, value: bytes, _ttl_s: float) -> None:
        if not self.away:
            self.laid[tenant, kind, parts] = value


def gateways(shelf: DictShelf, now: list[float]) -> list[FreshCache[str]]:
    """The memories of two gateways with one shelf."""
    outer = Outer[str](shelf, "word", str.encode, bytes.decode, now=lambda: now[0])
    return [FreshCache(len, clock=lambda: now[0], outer=outer) for _ in range(2)]


async def test_what_one_gateway_found_another_finds_on_the_shelf() -> None:
    """Within its time, which began when it was found, and within its tenant."""
    now, make = [1_000.0], Maker()
    one, other = gateways(DictShelf(), now)
    assert await one.get(("acme", "q"), 300, make) == ("x", False)
    now[0] += 200
    assert await other.get(("acme", "q"), 300, make) == ("x", True)
    assert await other.get(("umbrella", "q"), 300, make) == ("x", False)
    now[0] += 99
    assert await other.get(("acme", "q"), 300, make) == ("x", True)
    now[0] += 1
    assert await other.get(("acme", "q"), 300, make) == ("x", False)
    assert make.made == 3


@pytest.mark.parametrize(
    "poison", [b"", b"x", b"\n", b"soon\nx", b"nan\nx", b"inf\nx", b"999\nx", b"99999\nx", b"1200\n\xff"]
)
async def test_poison_on_the_shelf_is_a_miss(poison: bytes) -> None:
    """Torn, too old, from the future, of another kind: it is made anew, and what was made takes its place."""
    now, make, shelf = [1_000.0], Maker(), DictShelf()
    shelf.laid["acme", "word", ("q",)] = poison
    one, other = gateways(shelf, now)
    assert await one.get(("acme", "q"), 300, make) == ("x", False)
    assert await other.get(("acme", "q"), 300, make) == ("x", True)


async def test_a_shelf_that_is_away_is_a_miss() -> None:
    """And many who ask at once still wait for one."""
    shelf, make = DictShelf(), Maker()
    shelf.away = True
    one, _ = gateways(shelf, [1_000.0])
    found = await asyncio.gather(*(one.get(("acme", "q"), 300, make) for _ in range(5)))
    assert [value for value, _ in found] == ["x"] * 5
    assert make.made == 1
