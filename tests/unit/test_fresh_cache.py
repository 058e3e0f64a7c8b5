"""A short memory: found again in its time, made once at a time, bounded, and nobody's leaving disturbs another."""

import asyncio

import pytest

from gateway.search.fresh import FreshCache


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
    """The first to ask may leave; when nobody waits, nothing goes on."""
    cache: FreshCache[str] = FreshCache(len)
    make = Maker()
    make.go.clear()
    first, second = (asyncio.ensure_future(cache.get("a", 300, make)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0.01)
    assert not second.done()
    make.go.set()
    assert await second == ("x", True)
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
