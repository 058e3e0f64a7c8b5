"""The sockets of this process, found by their descriptors: gRPC does not hand out those it opened."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_DESCRIPTORS = Path("/proc/self/fd")
_SOCKET = "socket:"


def reserve(address: str) -> tuple[socket.socket, int]:
    """A socket that keeps `host:port` for this user's own processes and does not listen; and its port.

    Raises OSError when another program listens there, or the address is none of this machine.
    """
    host, _, port = address.rpartition(":")
    family, kind, protocol, _, place = socket.getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
    )[0]
    if int(port):
        # Sharing a port is asked for by us alone: with it, another gateway of this user would go unnoticed.
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen(1)
    kept = socket.socket(family, kind, protocol)
    try:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(place)
    except OSError:
        kept.close()
        raise
    return kept, int(kept.getsockname()[1])


def listening(port: int) -> list[socket.socket]:
    """A copy of every socket of this process that listens on this TCP port; none where there is no /proc."""
    found: dict[int, socket.socket] = {}
    for copy in _copies():
        inode = os.fstat(copy.fileno()).st_ino
        # A copy that was just made may carry a number that was listed for something else.
        if inode not in found and _is_ours(copy, port, listens=True):
            found[inode] = copy
        else:
            copy.close()
    return list(found.values())


class Connections:
    """Counts the connections that this process has accepted on one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._known: dict[str, bool] = {}

    def count(self) -> int:
        """How many are open now. A socket is looked into once: its inode tells it from others afterwards."""
        known: dict[str, bool] = {}
        for name in _names():
            with suppress(OSError):
                inode = str((_DESCRIPTORS / name).readlink())
                if inode.startswith(_SOCKET):
                    found = self._known.get(inode)
                    known[inode] = self._look(int(name)) if found is None else found
        self._known = known
        return sum(known.values())

    def _look(self, descriptor: int) -> bool:
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            return _is_ours(copy, self._port, listens=False)


def resident_bytes(pid: int) -> int:
    """The resident memory of a process, 0 where it cannot be told."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _names() -> list[str]:
    try:
        return os.listdir(_DESCRIPTORS)  # noqa: PTH208 - names, and thousands of them
    except OSError:
        return []


def _copies() -> Iterator[socket.socket]:
    """Copies of sockets alone: to close the copy of a file would drop the locks that this process has on it."""
    for name in _names():
        with suppress(OSError):
            if str((_DESCRIPTORS / name).readlink()).startswith(_SOCKET):
                yield socket.socket(fileno=os.dup(int(name)))


def _is_ours(copy: socket.socket, port: int, *, listens: bool) -> bool:
    try:
        return (
            copy.family in (socket.AF_INET, socket.AF_INET6)
            and copy.type is socket.SOCK_STREAM
            and copy.getsockname()[1] == port
            and bool(copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)) is listens
        )
    except OSError:
        return False
