"""What every client holds a copy of is the same everywhere: version, service config, names; no compiler needed."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import deepseek_pb2
from gateway import __version__
from gateway.v1 import account_pb2, inference_pb2, search_pb2

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / "clients"
CONFIG = json.loads((CLIENTS / "service-config.json").read_text("utf-8"))
GENERATE = CLIENTS / "generate.py"
STAMPS: dict[Path, str] = runpy.run_path(str(GENERATE))["stamps"]()
FILES = (deepseek_pb2, inference_pb2, search_pb2, account_pb2)
SERVICES = {service.full_name for file in FILES for service in file.DESCRIPTOR.services_by_name.values()}
METHODS: list[dict[str, Any]] = CONFIG["methodConfig"]  # Any: JSON


@pytest.mark.parametrize("path", STAMPS, ids=lambda path: str(path.relative_to(CLIENTS)))
def test_a_client_holds_what_the_gateway_says(path: Path) -> None:
    """The file is what `make clients` would write into it now."""
    assert path.read_text("utf-8") == STAMPS[path]


def test_every_client_names_the_version_of_the_gateway() -> None:
    """The version stands in each file that carries one."""
    names = ("version.go", "stamped.ts", "package.json", "package-lock.json", "Version.java", "pom.xml")
    carriers = {path.name: text for path, text in STAMPS.items()}
    assert [name for name in names if __version__ not in carriers[name]] == []


def test_only_unavailable_is_retried() -> None:
    """A library that repeated anything else would repeat what was delivered or charged."""
    policies = [method["retryPolicy"] for method in METHODS if "retryPolicy" in method]
    assert policies and all(policy["retryableStatusCodes"] == ["UNAVAILABLE"] for policy in policies)


def test_every_method_of_the_gateway_has_a_deadline() -> None:
    """The service config covers every service, and each of its entries names a timeout."""
    named = {name["service"] for method in METHODS for name in method["name"]}
    assert named == SERVICES
    assert all(re.fullmatch(r"[0-9]+s", method["timeout"]) for method in METHODS)


def test_a_conversation_is_never_repeated_by_a_library() -> None:
    """Converse has no retry policy: what was said on a stream cannot be said again unseen."""
    converse = [m for m in METHODS if {"service": "gateway.v1.Inference", "method": "Converse"} in m["name"]]
    assert len(converse) == 1 and "retryPolicy" not in converse[0]


def test_calls_are_spread_over_every_address() -> None:
    """Round robin: with the default, all calls of a client go to one gateway."""
    assert CONFIG["loadBalancingConfig"] == [{"round_robin": {}}]


def test_a_gateway_that_drains_gets_no_more_calls() -> None:
    """Clients watch the health of the whole server, and Go and Java link what does the watching."""
    assert CONFIG["healthCheckConfig"] == {"serviceName": ""}
    assert '_ "google.golang.org/grpc/health"' in (CLIENTS / "go/connection.go").read_text("utf-8")
    assert "<artifactId>grpc-services</artifactId>" in (CLIENTS / "java/pom.xml").read_text("utf-8")


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("go/connection.go", r"Time: (\d+) \* time.Second"),
        ("typescript/src/connection.ts", r"keepalive_time_ms\": (\d+)_000"),
        ("java/src/main/java/inferencegateway/client/Connection.java", r"keepAliveTime\((\d+), TimeUnit.SECONDS"),
    ],
)
def test_no_client_pings_more_often_than_it_may(file: str, found: str) -> None:
    """At least 20 s between pings: the gateway ends connections that ping more often than every 10 s."""
    seconds = re.search(found, (CLIENTS / file).read_text("utf-8"))
    assert seconds is not None and int(seconds[1]) >= 20


def test_a_language_without_its_tools_is_skipped_with_the_reason(tmp_path: Path) -> None:
    """Nothing is on the path: the stamps are still checked, and each language says what it lacks."""
    command = [sys.executable, str(GENERATE), "--check", "--at-hand"]
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^(\w+): skipped, because (\w+) is not installed$", done.stdout, re.MULTILINE) == [
        ("go", "go"),
        ("typescript", "npm"),
        ("java", "mvn"),
    ]


@pytest.mark.full  # the first run fetches plugins for three languages
def test_the_stubs_are_what_the_protos_say() -> None:
    """Written anew, every stub is as committed, for each language whose tools are here."""
    done = subprocess.run([sys.executable, str(GENERATE), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
