"""What `kubectl apply -k` would send: folders of deploy/k8s rendered to plain objects."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support import tools

K8S = tools.ROOT / "deploy" / "k8s"
Object = dict[str, Any]  # Any: JSON


def text(folder: Path) -> str:
    """The objects of a folder as YAML; kubectl's own kustomize, or kustomize where there is no kubectl."""
    kubectl = shutil.which("kubectl")
    command = [kubectl, "kustomize"] if kubectl else [tools.go_tool("kustomize"), "build"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr, done.stderr
    return done.stdout


def objects(yaml: str) -> list[Object]:
    """The documents of a YAML text."""
    done = subprocess.run(
        [tools.go_tool("yq"), "-o=json", "-I0", "."], input=yaml, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.strip() not in ("", "null")]


def with_components(scratch: Path, components: Sequence[str]) -> Path:
    """A folder of the base and these components alone."""
    lines = [f"- {os.path.relpath(K8S / 'components' / name, scratch)}" for name in components]
    scratch.joinpath("kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: tried\n"
        f"resources:\n- {os.path.relpath(K8S / 'base', scratch)}\n" + "\n".join(["components:", *lines]) + "\n",
        encoding="utf-8",
    )
    return scratch


def named(found: Sequence[Object], kind: str, name: str = "gateway") -> Object:
    """The one object of that kind and name."""
    (only,) = (o for o in found if o["kind"] == kind and o["metadata"]["name"] == name)
    return only


def containers(found: Sequence[Object]) -> Iterator[tuple[Object, Object]]:
    """Every pod specification with each of its containers."""
    for one in found:
        pod = one.get("spec", {}).get("template", {}).get("spec", {})
        for container in pod.get("containers", []):
            yield pod, container
