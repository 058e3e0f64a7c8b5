"""Ids are fetched ahead and never given out twice."""

import re
import subprocess
import sys

from gateway.fresh_ids import AHEAD, new_id


def test_ids_are_32_hexadecimal_digits_and_all_different() -> None:
    """Over many visits to the system's source of chance."""
    ids = [new_id() for _ in range(20 * AHEAD)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-f]{32}", name) for name in ids)


def test_a_process_that_splits_off_has_ids_of_its_own() -> None:
    """What was fetched ahead belongs to the parent. Tried in a process without threads, which may be split."""
    program = (
        "import os; from gateway.fresh_ids import new_id; new_id(); "
        "child = os.fork(); child and os.waitpid(child, 0);"
        "print(*(new_id() for _ in range(40)), flush=True)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert len(said.split()) == len(set(said.split())) == 80
