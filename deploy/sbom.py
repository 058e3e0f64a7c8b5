"""Prints the bill of materials of a server as CycloneDX 1.6, from the lock file alone, the same every time.

.venv/bin/python deploy/sbom.py > sbom.json
"""

import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ \\;]+)([^\\\n]*)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def components(lock: str) -> list[dict[str, Any]]:  # Any: JSON
    """One component per pinned package; its hashes are those of every file that the lock allows."""
    pins = list(PIN.finditer(lock))
    ends = [pin.start() for pin in pins[1:]] + [len(lock)]
    return [component(pin, lock[pin.end() : end]) for pin, end in zip(pins, ends, strict=True)]


def component(pin: re.Match[str], rest: str) -> dict[str, Any]:  # Any: JSON
    """A package of the lock file; a marker behind the version says on which machines it is installed."""
    name, version, marker = pin[1], pin[2], pin[3].strip(" ;")
    purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"
    files = [
        {"type": "distribution", "url": "https://pypi.org", "hashes": [{"alg": "SHA-256", "content": digest}]}
        for digest in HASH.findall(rest)
    ]
    described = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    properties = [{"name": "environment-marker", "value": marker}] if marker else []
    return {**described, "externalReferences": files, **({"properties": properties} if properties else {})}


def bill(lock: str, version: str) -> dict[str, Any]:  # Any: JSON
    """The whole document. Its serial number is made from its content, so it names that content."""
    own = f"pkg:pypi/inference-gateway@{version}"
    parts = components(lock)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, own + lock)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "inference-gateway",
                "version": version,
                "purl": own,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": parts,
        "dependencies": [{"ref": own, "dependsOn": [part["bom-ref"] for part in parts]}],
    }


def main() -> None:
    """Writes the document to standard output."""
    found = re.search(r'__version__ = "(.+)"', (ROOT / "gateway/__init__.py").read_text("utf-8"))
    version = found[1] if found else "0"
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    sys.stdout.write(json.dumps(bill(lock, version), indent=1) + "\n")


if __name__ == "__main__":
    main()
