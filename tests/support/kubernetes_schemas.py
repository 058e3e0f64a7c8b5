"""JSON Schemas for kubeconform, made of what Kubernetes and its operators publish in their own Go modules.

Strict: a field that the API does not know is a fault, as `kubectl apply --validate=strict` has it.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support import tools

KUBERNETES = ("k8s.io/kubernetes", "v1.34.0")
CRDS = (
    ("github.com/prometheus-operator/prometheus-operator", "v0.85.0", "example/prometheus-operator-crd/*.yaml"),
    ("github.com/cert-manager/cert-manager", "v1.21.2", "deploy/crds/cert-manager.io_certificates.yaml"),
    ("sigs.k8s.io/gateway-api", "v1.4.0", "config/crd/standard/*_grpcroutes.yaml"),
)
TEMPLATE = "{{ .ResourceKind }}_{{ .Group }}_{{ .ResourceAPIVersion }}.json"
INT_OR_STRING = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
PREFIX = "#/definitions/"
Schema = dict[str, Any]  # Any: JSON


def location() -> str:
    """The schema location to give kubeconform; written to .cache/schemas once."""
    folder = tools.CACHE / "schemas" / KUBERNETES[1]
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write_kubernetes(folder)
        for path, version, pattern in CRDS:
            _write_crds(folder, tools.go_module(path, version), pattern)
        (folder / "complete").touch()
    return f"{folder}/{TEMPLATE}"


def _write_kubernetes(folder: Path) -> None:
    swagger = tools.go_module(*KUBERNETES) / "api" / "openapi-spec" / "swagger.json"
    definitions = {
        name: strict(schema) for name, schema in json.loads(swagger.read_text("utf-8"))["definitions"].items()
    }
    for name, schema in definitions.items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            needed = _reached(name, definitions)
            whole = {"$ref": PREFIX + name, "definitions": {part: definitions[part] for part in sorted(needed)}}
            _write(folder, kind["kind"], kind["group"], kind["version"], whole)


def _write_crds(folder: Path, module: Path, pattern: str) -> None:
    for file in sorted(module.glob(pattern)):
        command = [tools.go_tool("yq"), "-o=json", "-I0", ".spec", str(file)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for line in said.splitlines():
            spec = json.loads(line)
            for version in (spec or {}).get("versions", []):
                schema = strict(version["schema"]["openAPIV3Schema"])
                schema["properties"] |= {"apiVersion": {"type": "string"}, "metadata": {"type": "object"}}
                _write(folder, spec["names"]["kind"], spec["group"], version["name"], schema)


def _write(folder: Path, kind: str, group: str, version: str, schema: Schema) -> None:
    # kubeconform takes the group from the apiVersion, which for the core API is the version alone.
    (folder / f"{kind.lower()}_{group or version}_{version}.json").write_text(json.dumps(schema), encoding="utf-8")


def strict(schema: Any) -> Any:  # Any: JSON
    """The same schema, refusing what it does not name; numbers that may be text are either."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return dict(INT_OR_STRING)
    result = {name: strict(part) for name, part in schema.items()}
    named = isinstance(schema.get("properties"), dict)
    if named and "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        result["additionalProperties"] = False
    return result


def _reached(name: str, definitions: dict[str, Schema]) -> set[str]:
    """A definition and all that it refers to."""
    found, left = set(), [name]
    while left:
        current = left.pop()
        if current not in found:
            found.add(current)
            left += _references(definitions[current])
    return found


def _references(schema: Any) -> list[str]:  # Any: JSON
    if isinstance(schema, list):
        return [ref for part in schema for ref in _references(part)]
    if not isinstance(schema, dict):
        return []
    own = schema.get("$ref")
    inner = [ref for part in schema.values() for ref in _references(part)]
    return [own.removeprefix(PREFIX), *inner] if isinstance(own, str) else inner
