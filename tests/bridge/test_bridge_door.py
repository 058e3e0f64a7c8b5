"""The HTTP port against bad bodies, odd requests and foreign pages."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from gateway.bridge import BridgeOptions, Gateway
from gateway.bridge.server import BridgePort, PortUnavailable
from tests.support.bridge import raw_request, scripted_bridge
from tests.support.gateway import running
from tests.support.scripted_gateway import Refusal, ended, forever, frames_of, text

ASK = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
SMALL = BridgeOptions(max_message_bytes=2_000, body_s=0.3)
JSON = {"Content-Type": "application/json"}


async def post(url: str, data: bytes, path: str = "/v1/chat/completions", **headers: str) -> tuple[int, Any, Any]:
    """Status, JSON body and headers of one request."""
    sent = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    async with aiohttp.ClientSession() as http, http.post(f"{url}{path}", data=data, headers=sent) as response:
        return response.status, await response.json(), response.headers


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"\xff{}", {}, 400),
        (b'{"messages": [], "messages": []}', {}, 400),
        (b'{"temperature": NaN}', {}, 400),
        (b'{"a":' * 200 + b"1" + b"}" * 200, {}, 400),
        (b"x" * 2_001, {}, 413),
        (gzip.compress(b" " * 10_000_000), {"Content_Encoding": "gzip"}, 413),
        (gzip.compress(ASK, mtime=0)[:-9], {"Content_Encoding": "gzip"}, 400),
        (gzip.compress(ASK, mtime=0) * 2, {"Content_Encoding": "gzip"}, 400),
        (ASK, {"Content_Encoding": "gzip"}, 400),
        (ASK, {"Content_Encoding": "br"}, 415),
        (ASK, {"Idempotency_Key": "two words"}, 400),
    ],
)
async def test_a_bad_body_is_refused_in_openais_form(data: bytes, headers: dict[str, str], status: int) -> None:
    """No call is made for it."""
    async with scripted_bridge(SMALL) as bridge:
        found, body, _ = await post(bridge.url, data, **headers)
        assert found == status
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert bridge.gateway.calls == []


async def test_a_gzip_body_is_read() -> None:
    """One layer of it."""
    async with scripted_bridge(
        SMALL, Complete=[Refusal(grpc.StatusCode.NOT_FOUND, "no", "MODEL_NOT_FOUND")]
    ) as bridge:
        status, _, _ = await post(bridge.url, gzip.compress(ASK, mtime=0), Content_Encoding="gzip")
        assert status == 404
        assert bridge.gateway.calls[0].request.messages[0].content == "hi"


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    """408, and the connection is closed."""
    async with scripted_bridge(SMALL) as bridge:
        head, _ = await raw_request(
            bridge.url,
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        )
    assert head.startswith("HTTP/1.1 408")
    assert "connection: close" in head.lower()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /retrieval HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\nabc",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost : x\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_a_request_of_two_lengths_is_refused(request_bytes: bytes) -> None:
    """What one server takes for a body another would take for the next request."""
    async with scripted_bridge(SMALL) as bridge:
        head, _ = await raw_request(bridge.url, request_bytes)
        assert head.split(" ")[1] in ("400", "501")
        assert bridge.gateway.calls == []


@pytest.mark.parametrize(
    "line",
    [
        "GET /v1/../v1/../../etc/passwd HTTP/1.1",
        "GET //v1/models HTTP/1.1",
        "GET /v1/models%2f..%2f..%2fadmin HTTP/1.1",
        "GET /V1/MODELS HTTP/1.1",
        "GET /v1/embeddings HTTP/1.1",
        "GET /v1/models/ HTTP/1.1",
    ],
)
async def test_a_path_that_is_not_offered_is_told_what_is(line: str) -> None:
    """Only the matched route counts."""
    async with scripted_bridge(SMALL) as bridge:
        head, body = await raw_request(bridge.url, f"{line}\r\nHost: evil\r\nConnection: close\r\n\r\n".encode())
        assert head.startswith("HTTP/1.1 404")
        assert b"POST /v1/chat/completions" in body
        assert b"evil" not in body
        assert bridge.gateway.calls == []


async def test_the_host_of_a_request_is_never_believed() -> None:
    """The document names the address that the operator gave."""
    async with scripted_bridge(BridgeOptions(public_url="https://gateway.example/")) as bridge:
        _, body = await raw_request(
            bridge.url, b"GET /openapi.json HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        )
    assert json.loads(body)["servers"] == [{"url": "https://gateway.example"}]
    assert b"evil" not in body


async def test_another_method_is_told_which_is_offered() -> None:
    """405 with Allow."""
    async with (
        scripted_bridge() as bridge,
        aiohttp.ClientSession() as http,
        http.put(f"{bridge.url}/v1/chat/completions") as response,
    ):
        assert response.status == 405
        assert response.headers["allow"] == "POST"
        assert (await response.json())["error"]["code"] == "method_not_allowed"


async def test_the_request_id_is_taken_over_or_made() -> None:
    """One that could break a log line is replaced."""
    async with scripted_bridge() as bridge:
        _, _, kept = await post(bridge.url, b"{}", x_request_id="abc-1")
        _, _, made = await post(bridge.url, b"{}", x_request_id="a b")
    assert kept["x-request-id"] == "abc-1"
    assert len(made["x-request-id"]) == 32


async def test_the_callers_credential_and_trace_go_along_unchanged() -> None:
    """The bridge judges neither."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with scripted_bridge(Complete=[Refusal(grpc.StatusCode.NOT_FOUND, "no", "NOT_FOUND")]) as bridge:
        await post(
            bridge.url, ASK, authorization="Bearer t0k", traceparent=trace, x_request_id="r-1", x_tenant_id="b"
        )
        seen = bridge.gateway.calls[0].metadata
    assert seen["authorization"] == "Bearer t0k"
    assert (seen["traceparent"], seen["x-request-id"]) == (trace, "r-1")
    assert "x-tenant-id" not in seen


async def test_a_credential_that_no_call_can_carry_is_refused() -> None:
    """401, as any bad one."""
    async with scripted_bridge() as bridge:
        head, _ = await raw_request(
            bridge.url,
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\nContent-Length: 2\r\n"
            b"Connection: close\r\n\r\n{}",
        )
    assert head.startswith("HTTP/1.1 401")


async def test_foreign_pages_may_not_call_unless_the_operator_says_so() -> None:
    """No header of CORS by default; with an origin, its preflight is answered, and nobody else's."""
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    options = BridgeOptions(cors_origins=("https://app.example",))
    async with aiohttp.ClientSession() as http:
        async with scripted_bridge() as off, http.options(f"{off.url}/v1/models", headers=preflight) as response:
            assert response.status == 405
            assert "access-control-allow-origin" not in response.headers
        async with scripted_bridge(options) as on:
            async with http.options(f"{on.url}/v1/models", headers=preflight) as response:
                assert response.status == 204
                assert response.headers["access-control-allow-origin"] == "https://app.example"
            other = {**preflight, "Origin": "https://evil.example"}
            async with http.options(f"{on.url}/v1/models", headers=other) as response:
                assert "access-control-allow-origin" not in response.headers


async def test_a_gateway_that_is_gone_is_unavailable_without_its_address() -> None:
    """503 that may be tried again."""
    port = BridgePort("127.0.0.1:0", Gateway("127.0.0.1:1"), BridgeOptions())
    await port.start()
    try:
        status, body, headers = await post(port.url, ASK)
        async with aiohttp.ClientSession() as http, http.get(f"{port.url}/readyz") as ready:
            assert ready.status == 503
    finally:
        await port.aclose()
    assert (status, headers["x-should-retry"]) == (503, "true")
    assert "127.0.0.1" not in body["error"]["message"]


async def test_health_and_readiness_need_no_credential(tmp_path: Path) -> None:
    """Beside the gateway they are its own."""
    async with running(tmp_path) as gateway, aiohttp.ClientSession() as http:
        for path in ("/healthz", "/readyz"):
            async with http.get(f"{gateway.http_url}{path}") as response:
                assert response.status == 200


async def test_a_busy_port_says_what_to_do(tmp_path: Path) -> None:
    """The bridge names the address; the gateway names the setting."""
    first = BridgePort("127.0.0.1:0", Gateway("127.0.0.1:1"), BridgeOptions())
    taken = f"127.0.0.1:{await first.start()}"
    second = BridgePort(taken, Gateway("127.0.0.1:1"), BridgeOptions())
    try:
        with pytest.raises(PortUnavailable, match=taken):
            await second.start()
    finally:
        await second.aclose()
        await first.aclose()


async def test_a_bug_says_nothing_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A JSON 500 with the request id, and not the text of the exception."""

    def explode(*_: object) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr("gateway.bridge.chat.read_chat", explode)
    async with scripted_bridge() as bridge:
        status, body, headers = await post(bridge.url, ASK)
    assert status == 500
    assert body["error"]["code"] == "internal_error"
    assert "42" not in json.dumps(body)
    assert headers["x-request-id"]


async def test_a_reader_who_takes_nothing_is_disconnected() -> None:
    """The call ends then, and nothing piles up for it."""
    options = BridgeOptions(stall_s=0.2)
    flood = [*frames_of(*(text("x" * 200_000) for _ in range(200))), forever]
    async with scripted_bridge(options, Generate=flood) as bridge:
        reader, writer = await asyncio.open_connection(*bridge.url.removeprefix("http://").split(":"), limit=1024)
        body = json.dumps({**json.loads(ASK), "stream": True}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        while not any(call.method == "Generate" for call in bridge.gateway.calls):
            await asyncio.sleep(0.01)
        await asyncio.sleep(2 * options.stall_s)
        received = 0
        try:
            while piece := await asyncio.wait_for(reader.read(65_536), 5):
                received += len(piece)
        except ConnectionResetError:
            pass
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    assert received < 200 * 200_000


async def test_what_comes_after_the_end_of_an_answer_is_the_next_request() -> None:
    """A connection is kept, also after a stream."""
    async with scripted_bridge(Generate=frames_of(text("Hi"), ended())) as bridge:
        body = json.dumps({**json.loads(ASK), "stream": True}).encode()
        first = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )
        second = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        _, rest = await raw_request(bridge.url, first + second)
    assert rest.endswith(b"ok\n")
    assert b"data: [DONE]" in rest
