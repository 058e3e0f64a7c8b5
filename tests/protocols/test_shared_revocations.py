"""Revocations over Redis: every process hears of them, no call asks Redis, and nothing is lost when it goes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.auth.revocation import Kind, Revocation
from gateway.auth.revocations import TRUST_S, RevocationFile, Revocations
from gateway.auth.shared_revocations import SharedRevocations
from gateway.auth.withheld import WithheldScopes
from gateway.domain.call import Caller, Credentials
from gateway.domain.errors import OperatorError
from tests.support.identity import ManualClock
from tests.support.resp_server import RespServer

ALICE = Caller("acme", "alice", "web", frozenset({"model.read", "admin"}), 2e9, "jti-1", "kid-1")
GONE = Revocation(Kind.SUBJECT, "alice", "", 1_000)
Sleep = Callable[[float], Awaitable[None]]


async def soon(_seconds: float) -> None:
    """Not as long as a test would have to wait."""
    await asyncio.sleep(0.02)


class Process:
    """One gateway's view of the list."""

    def __init__(self, data_dir: Path, url: str, clock: ManualClock, sleep: Sleep = soon) -> None:
        self.clock = clock
        self.heard = asyncio.Event()
        self.list = Revocations(
            RevocationFile(data_dir), changed=lambda _revoked: self.heard.set(), now=lambda: 2_000, clock=clock
        )
        self.list.expect_shared()
        self.shared = SharedRevocations(url)
        self.task = asyncio.create_task(self.shared.follow(self.list, sleep=sleep))

    async def change(self) -> None:
        """Waits for something new."""
        await asyncio.wait_for(self.heard.wait(), 5)
        self.heard.clear()

    async def aclose(self) -> None:
        """Ends the process."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.shared.aclose()


@pytest.fixture
async def redis() -> AsyncIterator[RespServer]:
    """A Redis of the test's own."""
    async with RespServer() as server:
        yield server


@pytest.fixture
async def processes(redis: RespServer, tmp_path: Path) -> AsyncIterator[list[Process]]:
    """Two gateways on two machines."""
    both = [Process(tmp_path / name, redis.url, ManualClock()) for name in ("a", "b")]
    while not all(one.list.current for one in both):
        await asyncio.sleep(0.01)
    yield both
    for one in both:
        await one.aclose()


async def test_every_process_hears_of_a_revocation(redis: RespServer, processes: list[Process]) -> None:
    """One command, two machines; lifting it is heard as well."""
    operator = SharedRevocations(redis.url)
    await operator.add(GONE, 1_000)
    for one in processes:
        await one.change()
        assert one.list(ALICE)
    await operator.lift(GONE)
    for one in processes:
        await one.change()
        assert not one.list(ALICE)
    await operator.aclose()


async def test_a_call_never_asks_redis(redis: RespServer, processes: list[Process]) -> None:
    """A thousand questions are answered from memory."""
    before = len(redis.commands)
    for _ in range(1000):
        processes[0].list(ALICE)
    assert len(redis.commands) == before


async def test_what_was_heard_stands_while_redis_is_away(redis: RespServer, processes: list[Process]) -> None:
    """The list stays, is believed for ten minutes, and after that withholds what could do the most harm."""
    operator = SharedRevocations(redis.url)
    await operator.add(GONE, 1_000)
    one = processes[0]
    await one.change()
    await redis.cut()
    assert one.list(ALICE)
    one.clock.now += TRUST_S - 1
    assert one.list.current
    one.clock.now += 2
    assert not one.list.current
    assert one.list(ALICE)
    await redis.mend()
    await operator.lift(GONE)
    await one.change()
    assert (one.list(ALICE), one.list.current) == (False, True)
    await operator.aclose()


async def test_an_absence_is_told_once_and_so_is_its_end(
    redis: RespServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """However often Redis is tried meanwhile: the log of a bad night stays readable."""
    tried = asyncio.Semaphore(0)

    async def counted(_seconds: float) -> None:
        tried.release()
        await asyncio.sleep(0.01)

    await redis.cut()
    one = Process(tmp_path / "a", redis.url, ManualClock(), sleep=counted)
    for _ in range(5):
        await tried.acquire()
    await redis.mend()
    while not one.list.current:
        await asyncio.sleep(0.01)
    await one.aclose()
    told = [record.getMessage() for record in caplog.records if record.name == "gateway.auth.shared_revocations"]
    assert len(told) == 2
    assert "cannot be heard" in told[0] and "look at redis.url" in told[0]
    assert "are heard again" in told[1]


async def test_a_start_while_redis_is_away_knows_what_was_heard(
    redis: RespServer, processes: list[Process], tmp_path: Path
) -> None:
    """The last list is on disk, and nothing of high risk is allowed until Redis confirms it."""
    operator = SharedRevocations(redis.url)
    await operator.add(GONE, 1_000)
    await processes[0].change()
    heard = RevocationFile(tmp_path / "a").heard
    while not heard.exists():
        await asyncio.sleep(0.01)
    await redis.cut()
    later = Process(tmp_path / "a", redis.url, ManualClock())
    assert (later.list(ALICE), later.list.current) == (True, False)
    await later.aclose()
    await operator.aclose()


async def test_the_command_says_that_redis_cannot_be_reached(redis: RespServer) -> None:
    """The operator is told, and that the data directory knows it."""
    operator = SharedRevocations(redis.url)
    await redis.cut()
    with pytest.raises(OperatorError, match="GATEWAY_REDIS_URL"):
        await operator.add(GONE, 1_000)
    await operator.aclose()


async def test_what_has_run_out_is_dropped_with_the_next_one(redis: RespServer) -> None:
    """The list does not grow for ever."""
    operator = SharedRevocations(redis.url)
    await operator.add(Revocation(Kind.CREDENTIAL, "jti-1", "", 1_000, until=1_500), 1_000)
    await operator.add(GONE, 1_600)
    assert len(redis.hashes["gateway:revocations"]) == 1
    await operator.aclose()


async def test_scopes_of_high_risk_are_withheld_while_the_list_is_old() -> None:
    """Everything else goes on."""

    class Known:
        async def authenticate(self, credentials: Credentials) -> Caller:
            return ALICE

    for allowed, scopes in ((True, {"model.read", "admin"}), (False, {"model.read"})):
        caller = await WithheldScopes(Known(), lambda allowed=allowed: allowed).authenticate(Credentials("x"))
        assert caller.scopes == scopes
