"""Installs the gateways that people would pick instead, pinned, each into a folder of its own in `.cache/peers`.

Nothing of them enters the project's own environment. What cannot be had here says why, and the rest is measured.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.processes import REPOSITORY

CACHE = REPOSITORY / ".cache" / "peers"
INSTALL_S = 420.0
MATPLOTLIB = "matplotlib==3.11.2"


class CannotInstallError(Exception):
    """A peer that cannot be had on this machine, and why."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One peer: its name in tables, what is pinned, how it comes into a folder, and how its version is asked."""

    name: str
    pin: str
    install: Callable[[Path, str], None]
    version: Callable[[Path, str], str]


def installed(recipe: Recipe) -> tuple[Path, str]:
    """The folder of a peer and its version, installed now if it was not. Raises CannotInstallError."""
    folder = CACHE / recipe.name.lower()
    stamp = folder / ".installed"
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == recipe.pin):
        print(f"# installing {recipe.name} ({recipe.pin})", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        recipe.install(folder, recipe.pin)
        stamp.write_text(recipe.pin, encoding="utf-8")
    return folder, recipe.version(folder, recipe.pin)


def plotting_python() -> Path:
    """An interpreter that has matplotlib. Raises CannotInstallError."""
    folder, _ = installed(Recipe("plots", MATPLOTLIB, from_pypi, of_pin))
    return folder / "bin" / "python"


def from_pypi(folder: Path, pin: str) -> None:
    """A virtual environment of its own."""
    _run([sys.executable, "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, *pin.split()])


def from_npm(folder: Path, pin: str) -> None:
    """Its modules, without the scripts that packages run when they are installed.

    What follows the first word of the pin holds a module of its own down to a version.
    """
    (name, version), *held = [word.rsplit("@", 1) for word in pin.split()]
    package = {"private": True, "dependencies": {name: version}, "overrides": dict(held)}
    (folder / "package.json").write_text(json.dumps(package), encoding="utf-8")
    _run(["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts"])


def from_apt(folder: Path, pin: str) -> None:
    """The program that is there, or else the distribution's package, unpacked and not installed."""
    name, _, module = pin.partition(" ")
    there = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if there is not None:
        (folder / "usr" / "sbin").mkdir(parents=True)
        (folder / "usr" / "sbin" / name).symlink_to(there)
        return
    _run(["apt-get", "download", name, *module.split()], folder)
    for package in folder.glob("*.deb"):
        _run(["dpkg", "-x", str(package), str(folder)])


def from_go(folder: Path, pin: str) -> None:
    """Built from the module proxy."""
    _run(["go", "install", pin], environment={"GOBIN": str(folder / "bin"), "GOFLAGS": "-mod=mod"})


def of_pin(_folder: Path, pin: str) -> str:
    """The version that was asked for."""
    return re.split(r"==|@", pin.split(maxsplit=1)[0])[-1]


def of_nginx(folder: Path, _pin: str) -> str:
    """What the program says of itself."""
    said = subprocess.run([folder / "usr/sbin/nginx", "-v"], capture_output=True, text=True, check=True).stderr
    return said.strip().rpartition("/")[2]


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("nginx", "nginx nginx-common", from_apt, of_nginx),
        Recipe("smg", "smg==1.13.0", from_pypi, of_pin),
        # With later versions of that module its streams end in HTTP 500: they keep the upstream's frozen headers.
        Recipe("Portkey", "@portkey-ai/gateway@1.15.2 @hono/node-server@1.11.0", from_npm, of_pin),
        Recipe("LiteLLM", "litellm[proxy]==1.106.2 uvloop", from_pypi, of_pin),
        Recipe("Bifrost", "github.com/maximhq/bifrost/transports/bifrost-http@latest", from_go, of_pin),
    )
}


def _run(command: Sequence[str], folder: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
    """Raises CannotInstallError with the last thing it said."""
    try:
        subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALL_S,
            check=True,
        )
    except FileNotFoundError:
        raise CannotInstallError(f"{command[0]} is not installed here") from None
    except subprocess.TimeoutExpired:
        raise CannotInstallError(f"{command[0]} took longer than {INSTALL_S:.0f} s") from None
    except subprocess.CalledProcessError as error:
        lines = [line.strip() for line in str(error.stdout).splitlines() if line.strip()]
        # Where a machine gets its packages is nobody's business who reads the table.
        said = re.sub(r"(?:reading )?https?://\S+?:? ", "", " / ".join(lines[-2:]))
        raise CannotInstallError(said[:300] or f"{command[0]} failed") from None
