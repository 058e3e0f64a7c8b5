"""Programs that some tests drive and that are not always there: without one, its tests are skipped and say why."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
TOOLS = CACHE / "tools"
GO_ENVIRONMENT: Mapping[str, str] = {
    **os.environ,
    "GOBIN": str(TOOLS),
    "GOPATH": str(CACHE / "go"),
    "GOCACHE": str(CACHE / "go-build"),
    "GOFLAGS": "-modcacherw -buildvcs=false",
}
INSTALL_S = 300

PACKAGES = {
    "grpcurl": "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3",
    "ghz": "github.com/bojand/ghz/cmd/ghz@v0.121.0",
    "yq": "github.com/mikefarah/yq/v4@v4.44.6",
    "kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0",
    "kube-score": "github.com/zegl/kube-score/cmd/kube-score@v1.20.0",
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5@v5.6.0",
}


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Tests run beside each other, and what is made once must not be made by two of them."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def command(name: str, package: str = "", *, beside: str = "") -> str:
    """The path of a command that the machine must have; `package` brings it, and is installed where we are root.

    `beside` is a folder where the package puts it, beside those of PATH.
    """
    path = os.pathsep.join(filter(None, [os.environ.get("PATH", os.defpath), beside]))
    if (found := shutil.which(name, path=path)) is not None:
        return found
    if not package or os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip(f"{name} is not installed{f': apt-get install {package}' if package else ''}")
    with alone("apt-get"):
        if shutil.which(name, path=path) is None:
            _install(package)
    if (found := shutil.which(name, path=path)) is None:
        pytest.skip(f"{name} is not in the package {package}, or the package cannot be had here")
    return found


def _install(package: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
        subprocess.run(["apt-get", *words], env=environment, capture_output=True, timeout=INSTALL_S, check=False)


def go_tool(name: str) -> str:
    """The path of a tool of PACKAGES, compiled into .cache/tools when it is not there yet.

    One of the machine's own may be another program of that name, as `yq` often is, so it is not taken.
    """
    with alone("go"):
        if (TOOLS / name).is_file():
            return str(TOOLS / name)
        command("go")
        done = subprocess.run(
            ["go", "install", PACKAGES[name]], env=GO_ENVIRONMENT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"go install {PACKAGES[name]} failed, is there a network? {done.stderr.strip()[-300:]}")
        return str(TOOLS / name)


def go_module(path: str, version: str) -> Path:
    """The folder of a Go module's files, downloaded by the module proxy when it is not there yet."""
    folder = CACHE / "go" / "pkg" / "mod" / f"{path}@{version}"
    with alone("go"):
        if not folder.is_dir():
            command("go")
            done = subprocess.run(
                ["go", "mod", "download", f"{path}@{version}"],
                cwd=CACHE,
                env=GO_ENVIRONMENT,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                pytest.skip(
                    f"go mod download {path}@{version} failed, is there a network? {done.stderr.strip()[-300:]}"
                )
    return folder
