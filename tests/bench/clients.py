"""Load clients as the bench sees them: processes with a job, on the cores that are not measured."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.machine import cores
from tests.bench.processes import Child
from tests.bench.script import Script
from tests.bench.targets import Target

JOB_S = 600.0


@dataclass(frozen=True, slots=True)
class Client:
    """One load client at work."""

    child: Child

    def wait_open(self) -> None:
        """Returns when every stream has its first event."""
        self.child.expect(r"^open$", JOB_S)

    def result(self) -> dict[str, Any]:  # Any: JSON
        """Waits for the end. Raises RuntimeError when a call failed or an answer was not what was sent."""
        found: dict[str, Any] = json.loads(self.child.expect(r"^\{.*", JOB_S)[0])
        if found["failures"]:
            raise RuntimeError(f"not a measurement: {found['failures']}")
        return found


@contextmanager
def client(target: Target, folder: Path, act: str, script: Script, **more: float) -> Iterator[Client]:
    """A client that does one job with one target."""
    place = {name: getattr(target, name) for name in ("speaks", "address", "credential", "path", "model")}
    text = json.dumps({"act": act, **place, "headers": dict(target.headers), "script": asdict(script), **more})
    with Child.module("load", text, cores=cores()[1], log=folder / "load.log") as child:
        yield Client(child)


def done(target: Target, folder: Path, act: str, script: Script, **more: float) -> dict[str, Any]:  # Any: JSON
    """Does one job to its end."""
    with client(target, folder, act, script, **more) as at_work:
        return at_work.result()
