"""`gateway forget`: the tenant's sealed values are unreadable afterwards, wherever they lie; nobody else's are."""

import asyncio
from pathlib import Path

import pytest

from gateway import cli
from gateway.v1 import inference_pb2
from tests.support.calls import NEVER, streamed
from tests.support.gateway import Running, running
from tests.support.redis_server import redis_server, say
from tests.support.upstream import Reply, ScriptedUpstream

SEALED = {"GATEWAY_SEAL_KEY": "a1" * 32, "GATEWAY_CACHE_MEMORY_MIB": "1"}


async def level(gateway: Running, tenant: str) -> str:
    """Where the answer came from; empty: from the model."""
    turn = inference_pb2.Turn(prompt="what is a bucket?", search=NEVER)
    frames, _ = await streamed(gateway.inference.Generate(turn, metadata=gateway.bearer(tenant)))
    return next((frame.notice.facts["level"] for frame in frames if frame.HasField("notice")), "")


@pytest.mark.parametrize("place", ["files", "redis"])
async def test_what_was_kept_is_unreadable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """In the data directory and in Redis; the files may stay, and mean nothing."""
    with redis_server(tmp_path / "redis") as url:
        environment = SEALED if place == "files" else {**SEALED, "GATEWAY_REDIS_URL": url}
        async with ScriptedUpstream(Reply.answer("tokens")) as upstream:
            async with running(tmp_path, upstream=upstream.url, recalls=True, environment=environment) as gateway:
                assert [await level(gateway, tenant) for tenant in ("acme", "other")] == ["", ""]
            # The command has an event loop of its own, as it has in a shell.
            forgotten = await _in_a_thread(monkeypatch, environment, str(tmp_path / "data"))
            async with running(tmp_path, upstream=upstream.url, recalls=True, environment=environment) as gateway:
                assert [await level(gateway, "acme"), await level(gateway, "other")] == [
                    "",
                    "disk" if place == "files" else "redis",
                ]
        assert forgotten == 0
        assert (
            "forgot acme: running gateways drop what they hold within half a minute\n" in capsys.readouterr().out
        )
        assert (b"gateway:salt:" in say(url, "KEYS", "*")) == (place == "redis")


async def _in_a_thread(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], data_dir: str) -> int:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return await asyncio.to_thread(cli.main, ["forget", "acme", "--data-dir", data_dir])


def test_what_cannot_be_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is none, and a Redis that is away: nothing is forgotten then."""
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path))
    assert cli.main(["forget", "No Tenant"]) == 2
    assert "is no name of a tenant" in capsys.readouterr().err
    monkeypatch.setenv("GATEWAY_REDIS_URL", "redis://127.0.0.1:1/0")
    assert cli.main(["forget", "acme"]) == 1
    assert "nothing is forgotten yet, call again" in capsys.readouterr().err
