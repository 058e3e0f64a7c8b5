"""A real PostgreSQL on a free port, its files in a directory of its own, gone when the test is.

with postgres_server() as server:
    open_ledger(..., url=server.database())     # a database of the test's own
    server.kill()                               # kill -9 of all of it; start() brings it back
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tests.support import tools
from tests.support.redis_server import free_port

START_S = 60.0
UNPRIVILEGED = "nobody"
FAST = ("-c", "shared_buffers=16MB", "-c", "max_connections=40", "-c", "unix_socket_directories=")


class PostgresServer:
    """One server; a database for each test is a copy of an empty one."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process_id(self) -> int:
        """Of the postmaster."""
        assert self._process is not None
        return self._process.pid

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql://gateway:no-secret@127.0.0.1:{self._port}/{name}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"t{secrets.token_hex(6)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy".encode())
        return self.url(name)

    def make(self) -> None:
        """Makes the files of the server."""
        password = self._folder / "password"
        password.write_text("no-secret\n")
        self._own(password)
        files = ["--pgdata", str(self._folder / "files"), "--username", "gateway", "--pwfile", str(password)]
        command = [
            str(self._programs / "initdb"),
            *files,
            "--auth",
            "scram-sha-256",
            "--no-sync",
            "--encoding",
            "UTF8",
        ]
        done = subprocess.run(
            [*command, "--locale", "C"], capture_output=True, text=True, check=False, cwd="/", **self._identity()
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Starts it, on the port it had before, and waits until it answers."""
        options = ("-p", str(self._port), "-c", "listen_addresses=127.0.0.1", *FAST)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._folder / "files"), *options],
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **self._identity(),
            )
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            with suppress(psycopg.OperationalError), psycopg.connect(self.url("postgres"), connect_timeout=2):
                return
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL did not start: {(self._folder / 'log').read_text()[-2000:]}")

    def kill(self) -> None:
        """Ends it as a power cut does: every process of it at once."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGSTOP)
            children = _children(self._process.pid)
            for process_id in (self._process.pid, *children):
                with suppress(ProcessLookupError):
                    os.kill(process_id, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def pause(self, *, on: bool) -> None:
        """Every process of it stands still, as on a machine that hangs; or goes on."""
        for process_id in (self.process_id, *_children(self.process_id)):
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGSTOP if on else signal.SIGCONT)

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            os.chown(path, user.pw_uid, user.pw_gid)

    def _identity(self) -> dict[str, object]:
        """PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return {}
        user = pwd.getpwnam(UNPRIVILEGED)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server that runs. Skips the test where PostgreSQL is not installed and cannot be."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    server = PostgresServer(programs, folder)
    server._own(folder)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """The folder of initdb and postgres; Debian keeps them away from the PATH."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    if not places:
        found = shutil.which("initdb")
        if found is None:
            tools.command("psql", "postgresql")
            places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
        else:
            places = [Path(found)]
    return places[0].parent


def _children(process_id: int) -> list[int]:
    found = Path(f"/proc/{process_id}/task/{process_id}/children")
    return [int(word) for word in found.read_text().split()] if found.exists() else []
