"""Child processes of a measurement: started on their cores, awaited until they listen, always ended."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

REPOSITORY = Path(__file__).resolve().parents[2]
START_S = 60.0
STOP_S = 20.0


class Child:
    """One process. `expect` waits for a line of its output; leaving the `with` block ends the process."""

    def __init__(
        self,
        command: Sequence[str],
        cores: set[int],
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path = REPOSITORY,
    ) -> None:
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=folder,
                env={**os.environ, **(environment or {})},
            )
        self.pid = self._process.pid
        # Its threads, which come later, inherit this.
        os.sched_setaffinity(self.pid, cores)

    @classmethod
    def module(cls, name: str, *arguments: str, cores: set[int], log: Path) -> Self:
        """A file of this folder as a process."""
        return cls([sys.executable, "-m", f"tests.bench.{name}", *arguments], cores, log)

    def expect(self, pattern: str, within_s: float = START_S) -> re.Match[str]:
        """The first line that matches. Raises RuntimeError with the log when the process ends or says nothing."""
        output = self._process.stdout
        assert output is not None
        alarm = threading.Timer(within_s, self._process.kill)
        alarm.start()
        try:
            for line in output:
                found = re.search(pattern, line)
                if found is not None:
                    return found
        finally:
            alarm.cancel()
        log = self._log.read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"{self._process.args} ended without {pattern!r}:\n{log[-2000:]}")

    def expect_log(self, pattern: str, within_s: float = START_S) -> re.Match[str]:
        """The first match in what it logs. Raises RuntimeError with the log when the process ends without it."""
        give_up = time.monotonic() + within_s
        while True:
            log = self._log.read_text(encoding="utf-8", errors="replace")
            found = re.search(pattern, log)
            if found is not None:
                return found
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"{self._process.args} did not log {pattern!r}:\n{log[-2000:]}")
            time.sleep(0.02)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """Ends it without a word to anybody."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
