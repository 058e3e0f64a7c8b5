"""The peers as their makers recommend to run them: one process or worker on the measured core, quiet logs."""

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.bench.machine import cores
from tests.bench.processes import Child
from tests.bench.script import MODEL
from tests.bench.targets import Target
from tests.bench.upstream_client import Upstream

COMPLETIONS = "/v1/chat/completions"
LISTENS_S = 90.0

PeerStart = Callable[[Path, Upstream, Path], AbstractContextManager[Target]]
"""Starts what is installed in the first folder, for this upstream, with a folder to write in."""

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.error.log crit;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    upstream model {{ server {upstream}; keepalive 1024; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        tcp_nodelay on;
        location / {{
            proxy_pass http://model;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 600s;
        }}
    }}
}}
"""


@contextmanager
def nginx(installed: Path, upstream: Upstream, folder: Path) -> Iterator[Target]:
    """A plain proxy that neither reads nor writes what it passes on: the limit of what any gateway can do."""
    port = _free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, upstream=upstream.address, port=port), encoding="utf-8")
    command = [str(installed / "usr/sbin/nginx"), "-p", str(folder), "-c", str(config)]
    with _listening("nginx", command, port, folder) as child:
        yield Target("nginx", child.pid, f"127.0.0.1:{port}", "sse", "nobody")


@contextmanager
def smg(installed: Path, upstream: Upstream, folder: Path) -> Iterator[Target]:
    """The Rust router that grew out of SGLang, in front of an OpenAI-compatible server."""
    port, metrics = _free_port(), _free_port()
    command = [
        str(installed / "bin/python"),
        "-m",
        "smg.launch_router",
        *("--host", "127.0.0.1", "--port", str(port), "--prometheus-port", str(metrics)),
        *("--backend", "openai", "--worker-urls", upstream.url, "--history-backend", "none"),
        *("--max-concurrent-requests", "-1", "--log-level", "error", "--disable-health-check"),
    ]
    with _listening("smg", command, port, folder) as child:
        yield Target("smg", child.pid, f"127.0.0.1:{port}", "sse", "nobody", COMPLETIONS)


@contextmanager
def portkey(installed: Path, upstream: Upstream, folder: Path) -> Iterator[Target]:
    """The Node gateway, told by headers where to go."""
    port = _free_port()
    program = installed / "node_modules/@portkey-ai/gateway/build/start-server.js"
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": upstream.url}
    environment = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "localhost,127.0.0.1"}
    command = ["node", str(program), f"--port={port}", "--headless"]
    with _listening("Portkey", command, port, folder, environment) as child:
        yield Target("Portkey", child.pid, f"127.0.0.1:{port}", "sse", "sk-measured", COMPLETIONS, MODEL, headers)


@contextmanager
def litellm(installed: Path, upstream: Upstream, folder: Path) -> Iterator[Target]:
    """The Python proxy with the settings of its page on production: one worker, uvloop, errors logged only."""
    port = _free_port()
    config = {
        "model_list": [
            {
                "model_name": MODEL,
                "litellm_params": {
                    "model": f"openai/{MODEL}",
                    "api_base": upstream.url,
                    "api_key": "sk-measured",
                },
            }
        ],
        "litellm_settings": {"set_verbose": False, "request_timeout": 600, "num_retries": 0, "telemetry": False},
        "general_settings": {"master_key": "sk-measured", "disable_spend_logs": True},
    }
    path = folder / "litellm.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    command = [
        *(str(installed / "bin/litellm"), "--config", str(path), "--host", "127.0.0.1", "--port", str(port)),
        *("--num_workers", "1"),
    ]
    environment = {
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        # A hundred equal pieces are taken for a model in a loop; what is sent here is a moment, often the same.
        "REPEATED_STREAMING_CHUNK_LIMIT": "1000000",
        "PATH": f"{installed / 'bin'}:/usr/local/bin:/usr/bin:/bin",
    }
    with _listening("LiteLLM", command, port, folder, environment) as child:
        yield Target("LiteLLM", child.pid, f"127.0.0.1:{port}", "sse", "sk-measured", COMPLETIONS)


@contextmanager
def bifrost(installed: Path, upstream: Upstream, folder: Path) -> Iterator[Target]:
    """The Go gateway, with its models named by provider."""
    port = _free_port()
    provider = {
        "keys": [{"name": "bench", "value": "sk-measured", "models": [MODEL], "weight": 1.0}],
        "network_config": {"base_url": upstream.url},
        "concurrency_and_buffer_size": {"concurrency": 1000, "buffer_size": 5000},
    }
    (folder / "config.json").write_text(json.dumps({"providers": {"openai": provider}}), encoding="utf-8")
    command = [
        *(str(installed / "bin/bifrost-http"), "-app-dir", str(folder), "-host", "127.0.0.1"),
        *("-port", str(port), "-log-level", "error"),
    ]
    with _listening("Bifrost", command, port, folder) as child:
        yield Target(
            "Bifrost", child.pid, f"127.0.0.1:{port}", "sse", "sk-measured", COMPLETIONS, f"openai/{MODEL}"
        )


STARTS: Mapping[str, PeerStart] = {
    "nginx": nginx,
    "smg": smg,
    "Portkey": portkey,
    "LiteLLM": litellm,
    "Bifrost": bifrost,
}


@contextmanager
def _listening(
    name: str, command: Sequence[str], port: int, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Child]:
    """The process, once it takes connections. Raises RuntimeError with its log."""
    log = folder / f"{name}.log"
    # Python peers must not find this project on their path.
    own = {"PYTHONPATH": "", "PYTHONNOUSERSITE": "1", **(environment or {})}
    # What it prints goes to its log: nobody reads a pipe while it is measured.
    quiet = ["sh", "-c", 'exec "$@" >>"$0" 2>&1', str(log), *command]
    with Child(quiet, cores()[0], log, own, folder=folder) as child:
        give_up = time.monotonic() + LISTENS_S
        while not _takes_connections(port):
            if child.has_ended or time.monotonic() > give_up:
                said = log.read_text(encoding="utf-8", errors="replace")[-600:]
                raise RuntimeError(f"{name} did not come to listen: {said}")
            time.sleep(0.1)
        yield child


def _takes_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
