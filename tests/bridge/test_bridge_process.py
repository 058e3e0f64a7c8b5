"""Where the bridge runs: beside the gateway through its drain, or alone before several."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from gateway import app, settings
from gateway.v1 import inference_pb2
from tests.support.chat_events import text_chunk
from tests.support.gateway import FAST
from tests.support.scripted_gateway import LIMITS, ScriptedGateway, scripted_gateway
from tests.support.upstream import STALL, Reply, ScriptedUpstream


@asynccontextmanager
async def bridge_process(target: str) -> AsyncIterator[str]:
    """`gateway bridge` before `target`; its URL. It must end well."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "bridge",
        env={**kept, "GATEWAY_GRPC_TARGET": target, "GATEWAY_HTTP_ADDRESS": "127.0.0.1:0"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
        assert target in line
        yield line.split()[4].rstrip(",")
        process.send_signal(signal.SIGTERM)
        _, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0, err.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_bridge_alone_spreads_calls_over_every_gateway() -> None:
    """Round robin, without a word to say so."""
    gateways = [ScriptedGateway(), ScriptedGateway()]
    for gateway in gateways:
        for _ in range(20):
            gateway.script("GetLimits", LIMITS)
            gateway.script("ListModels", inference_pb2.ListModelsResponse())
    async with (
        scripted_gateway(gateways[0]) as first,
        scripted_gateway(gateways[1]) as second,
        bridge_process(f"ipv4:{first.target},{second.target}") as url,
        aiohttp.ClientSession() as http,
    ):
        for _ in range(40):
            async with http.get(f"{url}/v1/models") as response:
                assert response.status == 200
            if first.calls and second.calls:
                break
            await asyncio.sleep(0.05)
    assert first.calls
    assert second.calls


async def test_a_drain_tells_http_readers_that_their_answer_broke_off(tmp_path: Path) -> None:
    """The bridge stays until the gateway has ended every answer."""
    values = {
        "GATEWAY_GRPC_ADDRESS": "127.0.0.1:0",
        "GATEWAY_METRICS_ADDRESS": "",
        "GATEWAY_HTTP_ADDRESS": "127.0.0.1:0",
        "GATEWAY_DATA_DIR": str(tmp_path / "data"),
        "DEEPSEEK_API_KEY": "sk-test-key-of-nobody",
        **FAST,
        "GATEWAY_TIMERS_SILENCE_S": "30",
        "GATEWAY_GRPC_DRAIN_GRACE_S": "2.3",
    }
    async with ScriptedUpstream(Reply.events(text_chunk("Hel"), STALL)) as upstream:
        loaded = settings.load(None, {**values, "DEEPSEEK_BASE_URL": upstream.url})
        async with app.opened(loaded, dev=True) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
            body = b'{"messages": [{"role": "user", "content": "hi"}], "stream": true}'
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await reader.readuntil(b'"Hel"')
        rest = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
    assert b'"code":"stream_interrupted"' in rest
    assert b"[DONE]" not in rest
    assert rest.endswith(b"0\r\n\r\n")
