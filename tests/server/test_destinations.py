"""Whatever a caller sends, the gateway connects to configured hosts alone, and as itself.

Every connection that Python makes in this process, and every name it looks up, is seen by an audit hook
(https://docs.python.org/3/library/audit_events.html); the gateway runs in this process, on asyncio's own loop.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import aiohttp
import grpc.aio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.v1 import inference_pb2, search_pb2
from tests.support.gateway import Running, running
from tests.support.search_web import ScriptedVendor
from tests.support.upstream import Reply, ScriptedUpstream
from tests.support.vendor_replies import KEY

EVIL = "http://evil.example:81/steal"
WORDS = st.sampled_from(
    [
        EVIL,
        "evil.example",
        "http://169.254.169.254/",
        "http://127.0.0.2:6379/",
        "http://[::1]/",
        "file:///etc/passwd",
    ]
) | st.text(max_size=12)
METADATA = st.sampled_from(
    ["host", "x-forwarded-host", "x-upstream", "forwarded", "x-tenant-id", "proxy", "x-url"]
)
TURNS = st.fixed_dictionaries(
    {
        "prompt": WORDS.map(lambda word: f"what is {word} ?"),
        "model": st.just("") | WORDS,
        "labels": st.dictionaries(st.sampled_from(["url", "host", "base_url"]), WORDS, max_size=2),
        "only": st.lists(WORDS, max_size=2),
        "locale": WORDS,
        "region": st.just("") | WORDS,
        "user": WORDS,
        "unknown": st.binary(max_size=20),
        "metadata": st.lists(st.tuples(METADATA, st.just(EVIL)), max_size=2),
    }
)
_seen: list[tuple[str, object]] = []
_watching: list[bool] = []


def _hook(event: str, args: tuple[object, ...]) -> None:
    if _watching and event in ("socket.connect", "socket.getaddrinfo"):
        _seen.append((event, args))


sys.addaudithook(_hook)  # for the life of the process: there is no way to take one away


@contextmanager
def watched() -> Iterator[list[tuple[str, object]]]:
    """What is connected to and looked up meanwhile."""
    _seen.clear()
    _watching.append(True)
    try:
        yield _seen
    finally:
        _watching.clear()


def turn_of(wish: dict[str, object]) -> inference_pb2.Turn:
    """A turn with an address in every field that takes text, and fields that no version knows."""
    turn = inference_pb2.Turn(prompt=str(wish["prompt"]), model=str(wish["model"]))
    turn.labels.update(wish["labels"])  # type: ignore[arg-type]  # as generated
    turn.search.mode = inference_pb2.SEARCH_MODE_ALWAYS
    turn.search.only_domains.extend(wish["only"])  # type: ignore[arg-type]
    turn.search.locale = str(wish["locale"])
    turn.routing.region = str(wish["region"])
    raw = turn.SerializeToString() + b"\xfa\x7f" + bytes([len(bytes(wish["unknown"]))]) + bytes(wish["unknown"])  # type: ignore[call-overload]
    return inference_pb2.Turn.FromString(raw)


async def test_no_field_of_a_request_chooses_a_destination(tmp_path: Path) -> None:
    """gRPC and the bridge, with addresses in every field, in metadata and in nested JSON."""
    async with ScriptedVendor("external") as vendor, ScriptedUpstream(Reply.answer("Yes.")) as upstream:
        environment = {
            "GATEWAY_SEARCH_PROVIDERS": "external",
            "GATEWAY_SEARCH_EXTERNAL_URL": vendor.url,
            "GATEWAY_SEARCH_EXTERNAL_KEY": KEY,
        }
        async with running(tmp_path, upstream=upstream.url, environment=environment) as gateway:
            ports = {
                int(url.rsplit(":", 1)[1].split("/")[0]) for url in (vendor.url, upstream.url, gateway.http_url)
            }
            with watched() as seen:
                for wish in examples(60):
                    await ask(gateway, wish)
            # Connections to ports of the test's own client are made by gRPC's core, which this does not see.
            reached = {tuple(args[1][:2]) for event, args in seen if event == "socket.connect"}  # type: ignore[index]
            assert len(vendor.asked) > 10
            assert len(upstream.exchanges) > 10
            assert reached <= {("127.0.0.1", port) for port in ports}
            names = {args[0] for event, args in seen if event == "socket.getaddrinfo"}  # type: ignore[index]
            assert names <= {"127.0.0.1", "localhost", None}
            for exchange in upstream.exchanges:
                assert exchange.headers["host"] == upstream.url.split("/")[2]
                assert exchange.headers["authorization"] == "Bearer sk-test-key-of-nobody"
                assert "evil" not in str(exchange.headers)
            for asked in vendor.asked:
                assert asked.headers["Authorization"] == f"Bearer {KEY}"
                assert asked.headers["Host"] == vendor.url.split("/")[2]
                assert set(asked.json) == {"query", "count"}


def examples(count: int) -> list[dict[str, object]]:
    """So many generated wishes, the same ones each time."""
    made: list[dict[str, object]] = []

    @settings(max_examples=count, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(TURNS)
    def collect(wish: dict[str, object]) -> None:
        made.append(wish)

    collect()
    return made


async def ask(gateway: Running, wish: dict[str, object]) -> None:
    """The same wish through every door; a refusal is as good as an answer."""
    metadata = (*gateway.bearer(), *wish["metadata"])  # type: ignore[misc]  # as generated
    with suppress(grpc.aio.AioRpcError):
        async for _ in gateway.inference.Generate(turn_of(wish), metadata=metadata):
            pass
    query = search_pb2.SearchRequest(query=str(wish["prompt"]))
    query.options.only_domains.extend(wish["only"])  # type: ignore[arg-type]
    with suppress(grpc.aio.AioRpcError):
        await gateway.search.Query(query, metadata=gateway.bearer())
    body = {
        "model": wish["model"] or "deepseek-flash",
        "messages": [{"role": "user", "content": wish["prompt"]}],
        "web_search_options": {"base_url": EVIL, "user_location": {"url": wish["locale"]}},
        "extra_body": {"base_url": EVIL, "api_base": EVIL, "proxies": {"http": EVIL}},
        "user": wish["user"],
        "metadata": wish["labels"],
    }
    headers = {"Authorization": dict(gateway.bearer())["authorization"], "X-Forwarded-Host": "evil.example"}
    async with aiohttp.ClientSession(trust_env=False) as session:
        url = f"{gateway.http_url}/v1/chat/completions"
        async with session.post(url, json=body, headers=headers) as response:
            await response.read()
