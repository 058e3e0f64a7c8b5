"""Every level keeps and loses values alike; a chain of them is one cache, and serves nothing that is not right."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from gateway.cache import MAX_VALUE_BYTES, Key, Kind, Level, Miss
from gateway.cache.chain import Chain
from gateway.cache.disk import DiskLevel
from gateway.cache.memory import MemoryLevel
from gateway.cache.redis import RedisLevel, RedisSalts
from gateway.cache.redis_store import RedisStore
from gateway.sealing.salt_files import SaltFiles
from gateway.sealing.salts import Salts, name_of
from gateway.sealing.sealer import Sealer
from tests.support.redis_server import free_port, redis_server, say

SECRET = b"k" * 32
PATIENT_S = 5.0


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Counted:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        self.misses: list[tuple[str, str]] = []
        self.losses: list[tuple[str, str]] = []
        self.sizes: dict[str, int] = {}

    def hit(self, level: str, kind: Kind) -> None:
        self.hits.append(level)

    def missed(self, level: str, reason: str) -> None:
        self.misses.append((level, reason))

    def kept(self, level: str, size: int) -> None:
        self.sizes[level] = size

    def lost(self, level: str, reason: str) -> None:
        self.losses.append((level, reason))

    def holds(self, level: str, size: int) -> None:
        return None


def key(name: str = "a", tenant: str = "acme", kind: Kind = Kind.ANSWER) -> Key:
    return Key(tenant, kind, name.encode().hex().rjust(64, "0"))


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis."""
    with redis_server(tmp_path_factory.mktemp("redis"), "--maxmemory", "64mb") as url:
        yield url


@pytest.fixture(params=["memory", "redis", "disk"])
async def level(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Level]:
    """Each level in turn."""
    made: Level
    match request.param:
        case "memory":
            made = MemoryLevel(2**23)
        case "redis":
            made = RedisLevel(RedisStore(request.getfixturevalue("redis_url"), timeout_s=PATIENT_S))
        case _:
            disk = made = DiskLevel(tmp_path / "cache", 2**23)
            await disk.start()
    yield made
    await made.aclose()


async def missed(work: object) -> str:
    """Why there is nothing."""
    with pytest.raises(Miss) as miss:
        await work  # type: ignore[misc]  # any awaitable
    return miss.value.reason


async def test_a_level_gives_what_it_was_given(level: Level) -> None:
    """The last value under a key, for its tenant and kind alone, whatever bytes it has."""
    value = bytes(range(256)) * 8
    assert await missed(level.get(key("x"))) == "absent"
    await level.put(key("x"), b"old", 60)
    await level.put(key("x"), value, 60)
    assert await level.get(key("x")) == value
    assert await missed(level.get(key("y"))) == "absent"


async def test_a_level_lets_go_in_time(level: Level) -> None:
    """What has expired is not there."""
    await level.put(key("e"), b"short", 0.001)
    await asyncio.sleep(0.01)
    assert await missed(level.get(key("e"))) in ("expired", "absent")


async def test_a_level_is_used_by_many_at_once(level: Level) -> None:
    """Cancelled or not, nobody gets another's value."""

    async def use(i: int) -> None:
        with suppress(TimeoutError, Miss):
            async with asyncio.timeout(0.0005 if i % 3 else None):
                await level.put(key(str(i)), str(i).encode(), 60)
                for _ in range(3):
                    assert await level.get(key(str(i))) == str(i).encode()

    await asyncio.gather(*(use(i) for i in range(60)))


async def test_memory_keeps_to_its_size_and_drops_the_least_used() -> None:
    """One that was looked at stays; one too large for the whole is not taken; a tenant can be forgotten."""
    memory = MemoryLevel(16_000)
    for name in "abcdefgh":
        memory.lay(key(name), b"x" * 1_500, 60)
        memory.look(key("a"))
    assert memory.held <= 16_000
    memory.lay(key("i"), b"x" * 1_500, 60)
    assert (memory.look(key("a")), await missed(memory.get(key("b")))) == (b"x" * 1_500, "absent")
    with pytest.raises(Miss, match="too_large"):
        memory.lay(key("j"), b"x" * 2_000, 60)
    memory.lay(key("a", tenant="other"), b"y", 60)
    memory.forget("acme")
    assert (memory.look(key("a", tenant="other")), await missed(memory.get(key("a")))) == (b"y", "absent")
    memory.forget("other")
    assert memory.held == 0


# --- disk -----------------------------------------------------------------------------------------------


async def test_the_disk_survives_a_restart(tmp_path: Path) -> None:
    """Names are digests and nothing else; leftovers of a write that was cut off are cleared away."""
    first = DiskLevel(tmp_path, 2**20)
    await first.start()
    await first.put(key("a"), b"value", 60)
    await first.aclose()
    torn = tmp_path / "00" / ".torn-1"
    torn.write_bytes(b"half")
    second = DiskLevel(tmp_path, 2**20)
    await second.start()
    assert (await second.get(key("a")), torn.exists()) == (b"value", False)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in files] == [key("a").digest]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    await second.aclose()


async def test_processes_that_share_a_disk_read_each_others_values(tmp_path: Path) -> None:
    """What one wrote the other finds; what one removed is a miss to the other."""
    one, two = (DiskLevel(tmp_path, 2**20, shared=True) for _ in range(2))
    for disk in (one, two):
        await disk.start()
    await one.put(key("a"), b"value", 60)
    assert await two.get(key("a")) == b"value"
    (tmp_path / key("a").digest[:2] / key("a").digest).unlink()
    assert [await missed(disk.get(key("a"))) for disk in (one, two)] == ["absent", "absent"]
    for disk in (one, two):
        await disk.aclose()


async def test_the_disk_keeps_to_its_size(tmp_path: Path) -> None:
    """The least recently used goes, also those from before the restart."""
    disk = DiskLevel(tmp_path, 5_000)
    await disk.start()
    for name in "abcd":
        await disk.put(key(name), b"x" * 1_000, 60)
    await disk.get(key("a"))
    await disk.put(key("e"), b"x" * 1_000, 60)
    assert [await missed(disk.get(key("b"))), await disk.get(key("a"))] == ["absent", b"x" * 1_000]
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) == disk.held <= 5_000
    await disk.aclose()
    smaller = DiskLevel(tmp_path, 2_500)
    await smaller.start()
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) == smaller.held <= 2_500
    await smaller.aclose()


async def test_what_lies_on_the_disk_may_be_anything(tmp_path: Path) -> None:
    """Empty, torn, huge, gone, a folder: a miss each, and it is cleared away where it can be."""
    disk = DiskLevel(tmp_path, 2**24)
    await disk.start()
    reasons = []
    for name, spoil in SPOILED.items():
        await disk.put(key(name), b"value", 60)
        spoil(tmp_path / key(name).digest[:2] / key(name).digest)
        reasons.append(await missed(disk.get(key(name))))
    assert reasons == ["torn", "torn", "too_large", "absent", "disk_broken"]
    await disk.aclose()


def _as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILED: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "torn": lambda path: path.write_bytes(b"12345678"),
    "huge": lambda path: os.truncate(path, MAX_VALUE_BYTES * 2),
    "gone": Path.unlink,
    "folder": _as_folder,
}


async def test_a_full_disk_stops_nobody(tmp_path: Path) -> None:
    """The write is lost and nothing of it stays; the disk rests, what is there is still read; then it goes on."""
    clock, full = Clock(), [False]

    def write(descriptor: int, data: bytes) -> int:
        if full[0]:
            os.write(descriptor, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(descriptor, data[:100])  # the system may take less than it is given

    disk = DiskLevel(tmp_path, 2**20, ticks=clock, write=write)
    await disk.start()
    await disk.put(key("a"), b"x" * 1_000, 60)
    full[0] = True
    assert await missed(disk.put(key("b"), b"x" * 1_000, 60)) == "disk_full"
    assert await missed(disk.put(key("c"), b"x", 60)) == "disk_rests"
    assert await disk.get(key("a")) == b"x" * 1_000
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [key("a").digest]
    full[0] = False
    clock.now += 31
    await disk.put(key("c"), b"x", 60)
    assert await disk.get(key("c")) == b"x"
    await disk.aclose()


# --- the chain ------------------------------------------------------------------------------------------


class House:
    """A chain with its parts."""

    def __init__(self, folder: Path, url: str, *, secret: bytes = SECRET, clock: Clock | None = None) -> None:
        self.now = clock or Clock()
        self.counted = Counted()
        self.memory = MemoryLevel(2**22, self.now)
        self.redis = RedisLevel(RedisStore(url, timeout_s=PATIENT_S))
        self.disk = DiskLevel(folder / "cache", 2**24, now=self.now, ticks=self.now)
        box = SaltFiles(folder / "salts")
        self.salts = Salts(box, self.memory.forget, ticks=self.now)
        self.chain = Chain(
            self.memory, [self.redis, self.disk], Sealer([secret]), self.salts, self.counted, now=self.now
        )

    async def written(self) -> None:
        """Everything that was kept is in its place."""
        while self.chain._writing:
            await asyncio.wait(self.chain._writing)

    async def find(self, asked: Key) -> tuple[str, bytes] | None:
        found = await self.chain.find(asked, bytes)
        return None if found is None else (found.level, found.value)


@asynccontextmanager
async def house(folder: Path, url: str, **options: object) -> AsyncIterator[House]:
    made = House(folder, url, **options)  # type: ignore[arg-type]  # the options of House
    await made.disk.start()
    try:
        yield made
    finally:
        await made.chain.aclose()


async def test_a_hit_fills_the_levels_above(tmp_path: Path, redis_url: str) -> None:
    """Memory first, then Redis, then disk; what a lower one had, the upper ones have the next time."""
    say(redis_url, "FLUSHALL")
    async with house(tmp_path, redis_url) as one:
        one.chain.keep(key(), b"value", 600)
        assert await one.find(key()) == ("memory", b"value")
        await one.written()
        one.memory.forget("acme")
        assert await one.find(key()) == ("redis", b"value")
        assert await one.find(key()) == ("memory", b"value")
        say(redis_url, "FLUSHALL")
        one.memory.forget("acme")
        assert await one.find(key()) == ("disk", b"value")
        await one.written()
        one.memory.forget("acme")
        assert await one.find(key()) == ("redis", b"value")
        assert one.counted.hits == ["memory", "redis", "memory", "disk", "redis"]
    async with house(tmp_path, redis_url) as two:
        say(redis_url, "FLUSHALL")
        assert await two.find(key()) == ("disk", b"value")


async def test_nothing_lies_outside_in_the_clear(tmp_path: Path, redis_url: str) -> None:
    """Neither in Redis nor on the disk; and a value that expired is not served from there either."""
    async with house(tmp_path, redis_url) as one:
        one.chain.keep(key(), b"a very secret answer", 600)
        await one.written()
        raw = say(redis_url, "GET", f"gateway:cache:{{acme}}:answer:{key().digest}")
        files = b"".join(path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file())
        assert len(raw) > 20 < len(files)
        assert b"secret" not in raw + files
        one.now.now += 601
        assert await one.find(key()) is None


async def test_another_tenants_value_is_a_miss(tmp_path: Path, redis_url: str) -> None:
    """A's ciphertext under B's key, in Redis and on the disk; and under another kind or name of A's own."""
    async with house(tmp_path, redis_url) as one:
        one.chain.keep(key("a"), b"of acme", 600)
        await one.written()
        sealed = await one.redis.get(key("a"))
        for other in (key("a", tenant="other"), key("a", kind=Kind.TURN), key("b")):
            one.memory.forget("acme")
            await one.redis.put(other, sealed, 600)
            await one.disk.put(other, sealed, 600)
            assert await one.find(other) is None
        assert one.counted.misses.count(("redis", "seal")) == one.counted.misses.count(("disk", "seal")) == 3


async def test_a_deleted_tenants_values_are_unreadable(tmp_path: Path, redis_url: str) -> None:
    """Its salt gone, within half a minute in every gateway, memory included; the other tenant keeps its own."""
    clock = Clock()
    async with house(tmp_path, redis_url, clock=clock) as one, house(tmp_path, redis_url, clock=clock) as two:
        for here in (one, two):
            here.chain.keep(key("d"), b"of acme", 600)
            here.chain.keep(key("d", tenant="other"), b"of other", 600)
            await here.written()
        await SaltFiles(tmp_path / "salts").destroy(name_of("acme"))
        clock.now += 31
        for here in (one, two):
            await here.chain.naming_key("acme")
            assert await here.find(key("d")) is None
            here.memory.forget("other")
            assert await here.find(key("d", tenant="other")) == ("redis", b"of other")


POISON = {
    "a list": (["RPUSH", "KEY", "x"], "wrong_type"),
    "a hash": (["HSET", "KEY", "f", "x"], "wrong_type"),
    "plain text": (["SET", "KEY", "an answer in the clear"], "seal"),
    "nothing much": (["SET", "KEY", "x"], "seal"),
    "far too large": (["SETRANGE", "KEY", str(8 * MAX_VALUE_BYTES), "x"], "too_large"),
}


@pytest.mark.parametrize("poison", POISON)
async def test_poison_in_redis_is_a_counted_miss(tmp_path: Path, redis_url: str, poison: str) -> None:
    """Whatever lies there: the disk's own value is served, and why Redis had none is counted."""
    words, reason = POISON[poison]
    name = f"gateway:cache:{{acme}}:answer:{key('p').digest}"
    async with house(tmp_path, redis_url) as one:
        one.chain.keep(key("p"), b"right", 600)
        await one.written()
        one.memory.forget("acme")
        say(redis_url, "DEL", name)
        say(redis_url, *(name if word == "KEY" else word for word in words))
        assert await one.find(key("p")) == ("disk", b"right")
        assert ("redis", reason) in one.counted.misses


@pytest.mark.parametrize("cut", [1, 30, 44])
async def test_a_truncated_seal_is_a_miss(tmp_path: Path, redis_url: str, cut: int) -> None:
    """In Redis and on the disk."""
    async with house(tmp_path, redis_url) as one:
        one.chain.keep(key("t"), b"right", 600)
        await one.written()
        sealed = await one.redis.get(key("t"))
        one.memory.forget("acme")
        await one.redis.put(key("t"), sealed[:-cut], 600)
        await one.disk.put(key("t"), sealed[:-cut], 600)
        assert await one.find(key("t")) is None
        assert one.counted.misses[-2:] == [("redis", "seal"), ("disk", "seal")]


async def test_a_value_that_is_too_large_is_kept_nowhere(tmp_path: Path, redis_url: str) -> None:
    """Above 1 MiB."""
    async with house(tmp_path, redis_url) as one:
        one.chain.keep(key("l"), b"x" * (MAX_VALUE_BYTES + 1), 600)
        await one.written()
        assert await one.find(key("l")) is None
        assert one.counted.losses == [("memory", "too_large")]


async def test_the_salts_lie_in_redis_where_gateways_share_one(tmp_path: Path, redis_url: str) -> None:
    """Two gateways make one salt; deleting it reaches both."""
    store = RedisStore(redis_url, timeout_s=PATIENT_S)
    clock = Clock()
    one, two = (Salts(RedisSalts(store), lambda _tenant: None, ticks=clock) for _ in range(2))
    salts = await asyncio.gather(one.of("t"), two.of("t"), one.of("t"))
    assert len({*salts}) == 1
    say(redis_url, "FLUSHALL")
    clock.now += 31
    assert await one.of("t") == await two.of("t") != salts[0]
    await store.aclose()


# --- a Redis that is away -------------------------------------------------------------------------------


async def test_a_redis_that_is_away_costs_a_miss_and_then_nothing(tmp_path: Path) -> None:
    """Nobody listens: after five failures it is left alone for a second, and then one looks again."""
    clock = Clock()
    store = RedisStore(f"redis://127.0.0.1:{free_port()}/0", ticks=clock)
    level = RedisLevel(store)
    for _ in range(5):
        assert await missed(level.get(key())) == "unreachable"
    assert store._rests_until > clock.now
    assert await missed(level.get(key())) == "unreachable"
    clock.now += 1.1
    tried = asyncio.gather(*(missed(level.get(key())) for _ in range(3)))
    assert set(await tried) == {"unreachable"}
    assert store._rests_until > clock.now
    await level.aclose()


async def test_a_redis_that_comes_back_is_used_again(redis_url: str) -> None:
    """The one that looks finds it, and everybody follows."""
    clock = Clock()
    store = RedisStore(redis_url, ticks=clock, timeout_s=PATIENT_S)
    store._rests_until = clock.now + 1
    level = RedisLevel(store)
    assert await missed(level.put(key("back"), b"x", 60)) == "unreachable"
    clock.now += 1.1
    await level.put(key("back"), b"x", 60)
    assert await level.get(key("back")) == b"x"
    await level.aclose()
