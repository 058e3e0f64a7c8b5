"""Several workers of one gateway keep one SQLite file."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.domain.errors import OperatorError
from gateway.domain.receipt import Receipt
from gateway.domain.usage import Usage
from gateway.ledger.stored import open_ledger

ROOT = Path(__file__).parents[2]
TURNS = 60
WORKER = """
import asyncio, sys, pathlib
from dataclasses import replace
from gateway.domain.events import Finish
from gateway.ledger.stored import open_ledger
from tests.protocols.test_ledger_workers import TURNS, receipt

async def turn(ledger, name, number):
    own = receipt(f"{name}-{number}")
    assert await ledger.open(own) is None
    await ledger.close(replace(own, finish=Finish.STOP, settled_at=1.0))
    return await ledger.open(receipt(f"{name}-shared-{number}", turn=f"shared-{number}")) is None

async def main():
    directory, name = pathlib.Path(sys.argv[1]), sys.argv[2]
    ledger = await open_ledger(directory, gateway="one", worker=name)
    print("open", flush=True)
    sys.stdin.readline()
    won = await asyncio.gather(*(turn(ledger, name, number) for number in range(TURNS)))
    print(sum(won), flush=True)
    sys.stdin.readline()
    await ledger.aclose()

asyncio.run(main())
"""


def receipt(name: str, turn: str = "") -> Receipt:
    """An open receipt."""
    return Receipt(name, "acme", "", "", turn or name, b"", "", "deepseek-flash", Usage(), 1.0)


async def test_workers_of_one_gateway_write_at_once_and_each_turn_is_opened_by_one_of_them(tmp_path: Path) -> None:
    """Four processes with the same turns: nothing is refused or lost, and every shared turn has one winner."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path), f"w{number}"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": "."},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]

    async def say(worker: "subprocess.Popen[str]") -> None:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()

    async def hear(worker: "subprocess.Popen[str]") -> str:
        assert worker.stdout is not None
        return (await asyncio.to_thread(worker.stdout.readline)).strip()

    try:
        assert [await hear(worker) for worker in workers] == ["open"] * 4
        for worker in workers:
            await say(worker)
        assert sum([int(await hear(worker)) for worker in workers]) == TURNS
        with pytest.raises(OperatorError, match="Another gateway"):
            await open_ledger(tmp_path)
        ledger = await open_ledger(tmp_path, gateway="one", worker="reader")
        found = await ledger.recent(None, 10_000)
        assert len(found) == 5 * TURNS
        assert sum(one.finish is not None for one in found) == 4 * TURNS
        await ledger.aclose()
    finally:
        for worker in workers:
            worker.communicate("end\n")
    assert [worker.returncode for worker in workers] == [0] * 4


async def test_a_directory_is_free_for_another_gateway_when_the_last_worker_has_left(tmp_path: Path) -> None:
    """Until then it is refused, whichever worker opened it first."""
    first = await open_ledger(tmp_path, gateway="one", worker="a")
    second = await open_ledger(tmp_path, gateway="one", worker="b")
    await first.aclose()
    with pytest.raises(OperatorError, match="Another gateway"):
        await open_ledger(tmp_path, gateway="two")
    await second.aclose()
    await (await open_ledger(tmp_path, gateway="two")).aclose()
