"""Gateways are replaced one after the other under load, and no caller notices."""

from pathlib import Path

import pytest

from tests.e2e.rolling_restart import restart_under_load

SECONDS, RATE = 120.0, 50.0


@pytest.mark.full
async def test_a_rolling_restart_fails_no_call_and_cuts_no_stream(tmp_path: Path) -> None:
    """Two minutes at 50 calls a second, with the service config that the clients ship."""
    counted = await restart_under_load(SECONDS, RATE, tmp_path)
    assert counted.failures == {}, f"the longest of the calls took {counted.longest_s} s"
    assert counted.calls >= SECONDS * RATE - 1
    assert counted.replaced >= 3
    assert counted.streams >= 3
