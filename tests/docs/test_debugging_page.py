"""The lines of docs/debugging.md work as printed, and reach every rpc there is."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import deepseek_pb2
from gateway.v1 import account_pb2, inference_pb2, search_pb2
from tests.support import tools
from tests.support.served_gateway import Served, served

PAGE = (tools.ROOT / "docs" / "debugging.md").read_text("utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
TOKEN = 'TOKEN=$(gateway token --tenant dev --scope "model.read model.stream search")\n'
FILES = (deepseek_pb2, inference_pb2, search_pb2, account_pb2)
METHODS = {
    f"{service.full_name}/{method.name}"
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
GUARD_S = 60

# What a block prints, by a word of its own: a line that printed something else would not be the one described.
PRINTS = {
    "Health/Check": r'"status": "SERVING"',
    "describe gateway.v1.Turn": r"message Turn \{",
    "Inference/ListModels": r'"name": "embedded"[\s\S]*"sources"[\s\S]*"finish": "FINISH_STOP"',
    "Inference/Converse": r'"turn_?[iI]d": "(one|two)",\s*"end"',
    "DeepSeek/StreamPredict": r"gateway-receipt-id: ",
    "Search/Query": r'"source_?[iI]d": "S1"',
    "Search/Extract": r"Tides|UNIMPLEMENTED",
    "Account/GetReceipt": r'"requests_per_minute"[\s\S]*"finish": "FINISH_STOP"',
    "no-such-model": r"NotFound[\s\S]*MODEL_NOT_FOUND[\s\S]*exit 69[\s\S]*TOKEN_INVALID[\s\S]*INVALID_REQUEST",
    "buf curl": r"FINISH_STOP[\s\S]*gateway.v1.Inference/Generate",
    "ghz --insecure": r"\[OK\]\s+20 responses[\s\S]*\[OK\]\s+20 responses",
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One gateway for the whole page."""
    with served(tmp_path_factory.mktemp("page")) as running:
        yield running


# The first run compiles grpcurl for the others; ghz, a minute more, is left to the full one.
LINES = [pytest.param(word, marks=[pytest.mark.full] if word.startswith("ghz") else []) for word in PRINTS]


@pytest.mark.parametrize("word", LINES)
def test_the_lines_work_as_printed(word: str, gateway: Served) -> None:
    """Each block is run by bash with nothing changed but the port, and prints what the page says."""
    (block,) = (text for text in BLOCKS if word in text)
    for tool in ("grpcurl", "ghz"):
        if f"{tool} -" in block:
            tools.go_tool(tool)
    script = TOKEN + block.replace("127.0.0.1:50051", gateway.target)
    path = os.pathsep.join((str(Path(sys.executable).parent), str(tools.TOOLS), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=tools.ROOT,
        env={**gateway.environment, "PATH": path, "BUF_CACHE_DIR": str(tools.CACHE / "buf")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=GUARD_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(PRINTS[word], done.stdout), done.stdout


def test_every_block_is_run() -> None:
    """No line stands on the page that no test has run; the token's own is in front of each of them."""
    assert [block for block in BLOCKS if block != TOKEN and not any(word in block for word in PRINTS)] == []


def test_the_page_reaches_every_rpc() -> None:
    """There is a line for each method of the protos."""
    assert {method for method in METHODS if f" {method}\n" not in PAGE and f" {method} " not in PAGE} == set()
