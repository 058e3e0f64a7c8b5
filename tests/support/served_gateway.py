"""`gateway serve --dev` in a process of its own, on free ports and with a directory of its own.

with served(tmp_path) as gateway:
    subprocess.run([...], env=gateway.environment)
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue

START_S, STOP_S = 60, 30


@dataclass(frozen=True)
class Served:
    """A gateway that runs, and where."""

    process: "subprocess.Popen[str]"
    target: str
    metrics: str
    data_dir: Path

    @property
    def token_file(self) -> Path:
        """Where it keeps its development token."""
        return self.data_dir / "dev-token"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of this process, with what leads a client to the gateway."""
        return {
            **os.environ,
            "GATEWAY_GRPC_TARGET": self.target,
            "GATEWAY_TOKEN_FILE": str(self.token_file),
            "GATEWAY_DATA_DIR": str(self.data_dir),
        }


@contextmanager
def served(
    folder: Path, *, environment: Mapping[str, str] | None = None, config: str = "", upstream: str = ""
) -> Iterator[Served]:
    """The gateway, ready for calls; leaving drains it. `upstream` is the base URL of a stand-in for DeepSeek.

    Answers are neither kept nor joined unless the environment says so, so that asking twice asks the model twice.
    """
    data_dir = folder / "data"
    command = [sys.executable, "-m", "gateway", "serve", "--dev"]
    if config:
        (folder / "gateway.toml").write_text(config, encoding="utf-8")
        command += ["--config", str(folder / "gateway.toml")]
    values = {
        "GATEWAY_GRPC_ADDRESS": "127.0.0.1:0",
        "GATEWAY_METRICS_ADDRESS": "127.0.0.1:0",
        "GATEWAY_HTTP_ADDRESS": "127.0.0.1:0",
        "GATEWAY_DATA_DIR": str(data_dir),
        "GATEWAY_GRPC_DRAIN_GRACE_S": "3",
        "GATEWAY_OVERLOAD_ENABLED": "false",
        "GATEWAY_CACHE_ANSWERS": "false",
        "GATEWAY_CACHE_JOIN": "false",
        **({"DEEPSEEK_API_KEY": "sk-test-key-of-nobody", "DEEPSEEK_BASE_URL": upstream} if upstream else {}),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "DEEPSEEK_"))}
    process = subprocess.Popen(
        command,
        env={**kept, **values, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        started = _started(process)
        yield Served(
            process, f"127.0.0.1:{started['grpc_port']}", f"127.0.0.1:{started['metrics_port']}", data_dir
        )
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stderr is not None
        process.stderr.close()


def _started(process: "subprocess.Popen[str]") -> dict[str, int]:
    """The record in which the gateway says where it listens; its later records are read and dropped."""
    lines: Queue[str] = Queue(4096)
    thread = threading.Thread(target=_read, args=(process, lines), daemon=True)
    thread.start()
    said = []
    while True:
        try:
            line = lines.get(timeout=START_S)
        except Empty:
            line = ""
        said.append(line)
        if re.search(r'"event": ?"started"', line):
            found: dict[str, int] = json.loads(line)
            return found
        if not line:
            raise AssertionError(f"the gateway did not start:\n{''.join(said)}")


def _read(process: "subprocess.Popen[str]", lines: "Queue[str]") -> None:
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if not lines.full():
                lines.put(line)
    except ValueError:
        return  # closed by the test, which has seen enough
    lines.put("")
