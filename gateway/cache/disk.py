"""The third level: one file for each value, named by its digest; it outlives the process.

A value is written beside its place and then moved into it, so a torn write is never seen, and one that a power cut
tore has a seal that does not fit. A disk that is full or broken is left alone for half a minute, and everybody
goes on without it. The disk is touched on threads of this level's own, never on the event loop's.
"""

import asyncio
import errno
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from gateway.cache import MAX_VALUE_BYTES, Key, Miss
from gateway.cache.disk_index import DiskIndex
from gateway.sealing.envelope import OVERHEAD

EXPIRY_BYTES = 8
MOST_BYTES = EXPIRY_BYTES + MAX_VALUE_BYTES + OVERHEAD + 64
MOST_WAITING = 64
REST_S = 30.0
THREADS = 2

_log = logging.getLogger(__name__)
T = TypeVar("T")


class DiskLevel:
    """Keeps the promise of `Level` in a directory of its own, of at most `max_bytes`.

    `shared` says that other processes write there as well: then it looks for what it did not write itself. `now`
    is in seconds since the epoch, `ticks` of a clock that does not go back.
    """

    name = "disk"

    def __init__(
        self,
        directory: Path,
        max_bytes: int,
        *,
        shared: bool = False,
        now: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
        write: Callable[[int, bytes], int] = os.write,
    ) -> None:
        self._directory = directory
        self._shared = shared
        self._index = DiskIndex(max_bytes)
        self._now = now
        self._ticks = ticks
        self._write = write
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="cache-disk")
        self._waiting = 0
        self._rests_until = 0.0
        self._ready: asyncio.Future[None] | None = None

    @property
    def held(self) -> int:
        """What is held, in bytes."""
        return self._index.held

    async def start(self) -> None:
        """Looks at what lies there from before."""
        with suppress(Miss):
            await self._run(self._look)

    async def get(self, key: Key) -> bytes:
        """The value."""
        name = _name(key)
        if name not in self._index and not self._shared:
            # What is not there costs no thread.
            raise Miss("absent")
        return await self._run(lambda: self._read(name))

    async def put(self, key: Key, value: bytes, ttl_s: float) -> None:
        """Keeps it."""
        if self._ticks() < self._rests_until:
            raise Miss("disk_rests")
        expiry = int((self._now() + ttl_s) * 1000).to_bytes(EXPIRY_BYTES, "big")
        await self._run(lambda: self._keep(_name(key), expiry + value))

    async def aclose(self) -> None:
        """Lets what is being written be written."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise Miss("busy")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            self._note(error)
            raise Miss("disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "disk_broken") from error
        finally:
            self._waiting -= 1

    def _note(self, error: OSError) -> None:
        if self._ticks() >= self._rests_until:
            _log.warning(
                "the cache cannot use %s (%s): it goes on without it, and tries again in %d s",
                self._directory,
                error.strerror,
                REST_S,
            )
        self._rests_until = self._ticks() + REST_S

    # --- on the threads ---------------------------------------------------------------------------------

    def _look(self) -> None:
        """Takes stock: oldest first, what has expired or was never finished goes."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = []
        for path in self._directory.glob("??/*"):
            with suppress(FileNotFoundError):
                if path.name.startswith("."):
                    path.unlink()
                else:
                    found.append((path.stat().st_mtime_ns, path.stat().st_size, path.name))
        for _, size, name in sorted(found):
            self._unlink(self._index.add(name, size))

    def _read(self, name: str) -> bytes:
        try:
            with self._path(name).open("rb") as file:
                value = file.read(MOST_BYTES + 1)
        except FileNotFoundError:
            self._index.drop(name)
            raise Miss("absent") from None
        if not EXPIRY_BYTES < len(value) <= MOST_BYTES:
            self._remove(name)
            raise Miss("torn" if len(value) <= EXPIRY_BYTES else "too_large")
        if int.from_bytes(value[:EXPIRY_BYTES], "big") <= self._now() * 1000:
            self._remove(name)
            raise Miss("expired")
        self._index.touch(name)
        return value[EXPIRY_BYTES:]

    def _keep(self, name: str, value: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(f".{name}-{os.getpid()}")
        try:
            self._write_whole(new, value)
            new.replace(path)
        except OSError:
            with suppress(OSError):
                new.unlink()
            raise
        self._unlink(self._index.add(name, len(value)))

    def _write_whole(self, path: Path, value: bytes) -> None:
        # No fsync: what a power cut takes from a cache is a miss.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            left = memoryview(value)
            while left:
                left = left[self._write(descriptor, left) :]  # type: ignore[arg-type]  # os.write takes any buffer
        finally:
            os.close(descriptor)

    def _remove(self, name: str) -> None:
        self._index.drop(name)
        self._unlink([name])

    def _unlink(self, names: list[str]) -> None:
        for name in names:
            with suppress(FileNotFoundError):
                self._path(name).unlink()

    def _path(self, name: str) -> Path:
        return self._directory / name[:2] / name


def _name(key: Key) -> str:
    """The digest says it all: it was made under a key of the tenant's, for this kind."""
    return key.digest
