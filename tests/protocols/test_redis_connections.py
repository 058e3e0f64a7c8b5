"""No answer reaches the wrong caller, whenever a command is cut off."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from gateway.domain.tenant import NO_LIMITS
from gateway.limits import Hold
from gateway.limits.redis import RedisLimiter
from gateway.limits.redis_script import RedisScript
from tests.support.redis_server import redis_server, say
from tests.support.scripted_redis import scripted_redis

OPERATIONS, CONNECTIONS = 2_000, 10


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A real Redis."""
    with redis_server(tmp_path) as address:
        yield address


def echo(command: list[bytes]) -> bytes:
    """The last word of the command, whatever the command."""
    return b"$%d\r\n%s\r\n" % (len(command[-1]), command[-1])


async def test_no_answer_reaches_the_wrong_caller() -> None:
    """R-1: 2,000 commands over 10 connections, answered after 3 ms, cut off at random: every answer is its own."""
    chance, wrong, answered = random.Random(7), [], 0
    gate = asyncio.Semaphore(CONNECTIONS)
    async with scripted_redis(echo, delay_s=0.003) as server:
        script = RedisScript(server.url, connections=CONNECTIONS)

        async def one(number: int) -> bool:
            async with gate:
                with suppress(TimeoutError, RedisError):
                    async with asyncio.timeout(chance.uniform(0, 0.012)):
                        answer = await script.command("GET", f"key{number}")
                        if answer != f"key{number}".encode():
                            wrong.append((number, answer))
                        return True
            return False

        answered = sum(await asyncio.gather(*map(one, range(OPERATIONS))))
        assert wrong == []
        assert 0 < answered < OPERATIONS
        # None was lost to the pool on the way.
        after = await asyncio.gather(*(script.command("GET", f"after{n}") for n in range(CONNECTIONS)))
        assert after == [f"after{n}".encode() for n in range(CONNECTIONS)]
        await script.aclose()


async def test_whoever_leaves_while_giving_a_connection_back_does_not_take_it_along(url: str) -> None:
    """Cancelled at the last step, with the pool busy: the only connection is there for the next command."""
    script = RedisScript(url, timeout_s=5.0, connections=1)
    for number in range(20):
        task = asyncio.ensure_future(script.command("ECHO", f"word{number}"))
        while not script._pool._in_use_connections:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        async with script._pool._condition:
            await asyncio.sleep(0.002)  # the answer is here, and its connection cannot be given back
            task.cancel()
            await asyncio.wait([task])
        assert await script.command("ECHO", "next") == b"next"
    await script.aclose()


async def test_two_thousand_operations_of_every_kind_on_a_real_redis(url: str) -> None:
    """R-1 with a real server: reads and scripts, cut off at random; nobody hears another's answer."""
    chance, wrong, answered = random.Random(13), list[object](), 0
    script = RedisScript(url, timeout_s=5.0, connections=CONNECTIONS)
    gate = asyncio.Semaphore(2 * CONNECTIONS)
    for number in range(OPERATIONS):
        say(url, "SET", f"key{number}", f"value{number}") if number < 50 else None

    async def one(number: int) -> bool:
        words, right = (("GET", f"key{number % 50}"), f"value{number % 50}".encode())
        if number % 2:
            words, right = (("EVAL", "return ARGV[1]", 0, f"own{number}"), f"own{number}".encode())
        async with gate:
            with suppress(TimeoutError, RedisError):
                async with asyncio.timeout(chance.uniform(0, 0.02)):
                    answer = await script.command(*words)
                    if answer != right:
                        wrong.append((words, answer))
                    return True
        return False

    answered = sum(await asyncio.gather(*map(one, range(OPERATIONS))))
    assert wrong == []
    assert 0 < answered < OPERATIONS
    after = await asyncio.gather(*(script.command("ECHO", f"after{n}") for n in range(CONNECTIONS)))
    assert after == [f"after{n}".encode() for n in range(CONNECTIONS)]
    await script.aclose()


async def test_decisions_that_are_cut_off_leave_nothing_behind(url: str) -> None:
    """2,000 turns, half of them left at a random moment: each is decided by its own name, nothing stays held."""
    chance = random.Random(11)
    limiter = RedisLimiter(RedisScript(url, timeout_s=5.0, connections=CONNECTIONS), "w", lambda: "x")
    gate = asyncio.Semaphore(CONNECTIONS)

    async def one(number: int) -> None:
        tenant = f"t{number % 7}"
        async with gate:
            with suppress(TimeoutError):
                async with asyncio.timeout(chance.choice((5.0, chance.uniform(0, 0.004)))):
                    reservation = await limiter.reserve(f"r{number}", tenant, NO_LIMITS, Hold(number, number))
                    assert reservation.reservation_id == f"r{number}"
                    await limiter.settle(reservation, Hold(number, number))

    await asyncio.gather(*map(one, range(OPERATIONS)))
    await limiter.upkeep.look()
    assert not limiter.alone
    for number in range(7):
        held = say(url, "HGET", f"gateway:limits:{{t{number}}}:account:tenant:t{number}", "streams")
        left = say(url, "ZCARD", f"gateway:limits:{{t{number}}}:leases")
        assert (held, left) == (b"$1\r\n0\r\n", b":0\r\n"), number
    await limiter.aclose()
