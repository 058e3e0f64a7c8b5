"""A whole gateway in the test's own process: real server, real port, real files in a directory of the test's own.

    async with running(tmp_path, upstream=upstream.url) as gateway:
        async for frame in gateway.inference.Generate(Turn(prompt="hi"), metadata=gateway.bearer()):
            ...

`environment` adds settings by their variables; `config` is the text of a TOML file. Answers are neither kept nor
joined unless `recalls=True`, so that asking twice asks the model twice. Timers run at 1/100 scale when
`fast=True`. Every gateway is a development one: it has a token issuer, and a caller without a credential is the
tenant `dev`.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio

import deepseek_pb2_grpc
from gateway import app, settings
from gateway.v1 import account_pb2_grpc, inference_pb2_grpc, search_pb2_grpc

ALL_SCOPES = "model.read model.stream search"
FAST = {
    "GATEWAY_TIMERS_CONNECT_S": "0.5",
    "GATEWAY_TIMERS_FIRST_OUTPUT_S": "0.3",
    "GATEWAY_TIMERS_FIRST_OUTPUT_THINKING_S": "1.2",
    "GATEWAY_TIMERS_SILENCE_S": "0.3",
    "GATEWAY_TIMERS_CLIENT_STALL_S": "0.3",
    "GATEWAY_TIMERS_TOTAL_S": "9",
    "GATEWAY_TIMERS_HEARTBEAT_S": "0.15",
    "GATEWAY_TIMERS_END_MARGIN_S": "0.2",
    "GATEWAY_GRPC_DRAIN_GRACE_S": "3",
    "GATEWAY_ROUTING_BACKOFF_S": "0.001",
    "GATEWAY_ROUTING_CIRCUIT_OPEN_S": "0.3",
    "GATEWAY_ROUTING_PROBE_S": "0.01",
}


@dataclass(frozen=True)
class Running:
    """The gateway and a client channel to it."""

    gateway: app.Gateway
    target: str
    channel: grpc.aio.Channel
    data_dir: Path

    @property
    def http_url(self) -> str:
        """The base of the HTTP bridge, without a slash at its end."""
        return f"http://127.0.0.1:{self.gateway.http_port}"

    @property
    def inference(self) -> "inference_pb2_grpc.InferenceAsyncStub":
        return inference_pb2_grpc.InferenceStub(self.channel)

    @property
    def search(self) -> "search_pb2_grpc.SearchAsyncStub":
        return search_pb2_grpc.SearchStub(self.channel)

    @property
    def account(self) -> "account_pb2_grpc.AccountAsyncStub":
        return account_pb2_grpc.AccountStub(self.channel)

    @property
    def deepseek(self) -> "deepseek_pb2_grpc.DeepSeekAsyncStub":
        return deepseek_pb2_grpc.DeepSeekStub(self.channel)

    def token(
        self, tenant: str = "acme", scope: str = ALL_SCOPES, subject: str = "tester", ttl_s: int = 600
    ) -> str:
        """A token of the development issuer."""
        assert self.gateway.issuer is not None
        return self.gateway.issuer.mint(tenant, scope, subject, ttl_s, time.time())

    def bearer(self, tenant: str = "acme", scope: str = ALL_SCOPES, **claims: str) -> tuple[tuple[str, str], ...]:
        """Metadata with such a token."""
        return (("authorization", f"Bearer {self.token(tenant, scope, **claims)}"),)


@asynccontextmanager
async def running(
    data_dir: Path,
    *,
    upstream: str = "",
    environment: Mapping[str, str] | None = None,
    config: str = "",
    fast: bool = False,
    recalls: bool = False,
) -> AsyncIterator[Running]:
    """A gateway on a free port; `upstream` is the base URL of a stand-in for DeepSeek."""
    path = None
    if config:
        path = data_dir / "gateway.toml"
        path.write_text(config, encoding="utf-8")
    values = {
        "GATEWAY_GRPC_ADDRESS": "127.0.0.1:0",
        "GATEWAY_METRICS_ADDRESS": "127.0.0.1:0",
        "GATEWAY_HTTP_ADDRESS": "127.0.0.1:0",
        "GATEWAY_DATA_DIR": str(data_dir / "data"),
        "GATEWAY_LOG_LEVEL": "error",
        # A busy machine must not change what a test is told; the ladder has tests of its own.
        "GATEWAY_OVERLOAD_ENABLED": "false",
        **({"DEEPSEEK_API_KEY": "sk-test-key-of-nobody", "DEEPSEEK_BASE_URL": upstream} if upstream else {}),
        **(FAST if fast else {}),
        **({} if recalls else {"GATEWAY_CACHE_ANSWERS": "false", "GATEWAY_CACHE_JOIN": "false"}),
        **(environment or {}),
    }
    loaded = settings.load(str(path) if path else None, values)
    async with app.opened(loaded, dev=True) as gateway:
        target = f"127.0.0.1:{gateway.grpc_port}"
        async with grpc.aio.insecure_channel(target, options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
            yield Running(gateway, target, channel, loaded.data_dir)
