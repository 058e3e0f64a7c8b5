"""`[limits] mode`: every limit is switched to shadow, off and on again while the gateway runs."""

import asyncio
from pathlib import Path

import grpc.aio
import pytest

from gateway import settings
from gateway.v1 import search_pb2
from tests.support.gateway import Running, running

FILE = "[tenants.acme.limits]\nrequests_per_minute = 1\n"
LONGEST_S = 5.0
"""Q-8: a switch is effective within this."""


async def admitted(gateway: Running) -> bool:
    """Whether one more request is admitted."""
    try:
        await gateway.search.Query(search_pb2.SearchRequest(query="receipts"), metadata=gateway.bearer())
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return False
    return True


async def switched(gateway: Running, path: Path, mode: str, *, admits: bool) -> None:
    """Writes the mode into the file, and waits until it is effective."""
    path.write_text(f'[limits]\nmode = "{mode}"\n{FILE}')
    async with asyncio.timeout(LONGEST_S):
        while await admitted(gateway) is not admits:
            await asyncio.sleep(0.05)


async def test_limits_are_switched_off_and_on_without_a_restart(tmp_path: Path) -> None:
    """Off and in shadow nobody is refused; enforced again, the same limit refuses."""
    async with running(tmp_path, config=FILE) as gateway:
        path = tmp_path / "gateway.toml"
        assert [await admitted(gateway), await admitted(gateway)] == [True, False]
        await switched(gateway, path, "off", admits=True)
        await switched(
            gateway, path, "enforce", admits=True
        )  # the bucket was not counted while there was no limit
        await switched(gateway, path, "enforce", admits=False)
        await switched(gateway, path, "shadow", admits=True)
        assert await admitted(gateway)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[limits]\nmode = "of"\n', "limits.mode: 'of' is none of enforce, shadow, off"),
        ("[limits]\nmod = 1\n", "limits.mod: unknown setting; did you mean mode?"),
        ('[tenants.a.limits]\nshadow = ["money"]\n', "tenants.a.limits.shadow: ['money'] is not a list of"),
        ('[tenants.a]\naudit = "loose"\n', "tenants.a.audit: 'loose' is none of spool, strict"),
    ],
)
def test_a_bad_word_is_named(tmp_path: Path, text: str, fault: str) -> None:
    """With what may stand there."""
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    with pytest.raises(settings.ConfigurationError) as caught:
        settings.load(str(path), {})
    assert any(one.startswith(fault) for one in caught.value.faults), caught.value.faults
