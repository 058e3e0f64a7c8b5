"""Upstreams die under load and come back, and every turn ends with a receipt and the right bill."""

from pathlib import Path

import pytest

from tests.e2e.upstream_drill import drill


@pytest.mark.parametrize(
    ("seconds", "running"), [(4.0, 10), pytest.param(60.0, 50, marks=pytest.mark.full)], ids=["brief", "whole"]
)
async def test_two_regions_die_and_one_returns(tmp_path: Path, seconds: float, running: int) -> None:
    """Standby, degraded answers, and back; what was running is told that it broke off."""
    found = await drill(seconds, 20.0, running, tmp_path)
    assert found.faults == []
    assert found.ended["broken off"] >= running
    assert found.ended["refused"] == 0
    assert all(found.ended[word] for word in ("primary", "standby", "degraded"))
    assert found.seconds[max(found.seconds)]["primary"] > 0
    assert found.calls <= 1.10 * len(found.receipts)
