"""Spreads connections over the workers that listen on one port, where the kernel can be told how (Linux).

The parent holds a copy of every listening socket. It never accepts from them: it is woken when a connection comes,
counts, and aims the next one. A copy also keeps a dead worker's socket in its group until the parent lets it go,
so that the parent always knows the order of the group. Where something of this is not to be had, the kernel's own
hash spreads the connections.
"""

import asyncio
import ctypes
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.workers.steering import aimed, program, removed

ATTACH_REUSEPORT_CBPF = 51  # asm-generic/socket.h
RUSH_S = 0.001


@dataclass(slots=True)
class _Group:
    """The sockets of one address. `order` are the seats as the kernel has them."""

    sockets: dict[int, socket.socket] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)


class Balance:
    """`counts` are the connections of each seat, as far as they are known."""

    def __init__(self) -> None:
        self._works = sys.platform == "linux" and hasattr(select, "epoll")
        self._groups: dict[object, _Group] = {}
        self._seats: dict[int, int] = {}
        self._epoll: select.epoll | None = None
        self._last_wake = 0.0
        self.counts: dict[int, int] = {}

    def join(self, seat: int, sockets: Sequence[socket.socket]) -> None:
        """The worker of this seat listens on these, which are the parent's copies from now on."""
        self.counts[seat] = 0
        for copy in sockets:
            if not self._works:
                copy.close()
                continue
            group = self._groups.setdefault(copy.getsockname(), _Group())
            group.sockets[seat] = copy
            group.order.append(seat)
            self._watch(copy, seat)
        self._aim()

    def leave(self, seat: int) -> None:
        """The worker of this seat listens no more."""
        self.counts.pop(seat, None)
        for group in self._groups.values():
            copy = group.sockets.pop(seat, None)
            if copy is not None:
                self._seats.pop(copy.fileno(), None)
                # Closing takes it out of the epoll too, because no other copy is left.
                copy.close()
                group.order = removed(group.order, seat)
        self._aim()

    def counted(self, seat: int, connections: int) -> None:
        """What the worker itself has counted."""
        if seat in self.counts and self.counts[seat] != connections:
            self.counts[seat] = connections
            self._aim()

    def close(self) -> None:
        """Lets go of every socket, so that a worker that closes its own takes no more connections."""
        if self._epoll is not None:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None
        for seat in list(self.counts):
            self.leave(seat)
        self._works = False

    def _watch(self, copy: socket.socket, seat: int) -> None:
        if self._epoll is None:
            self._epoll = select.epoll()
            asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._came)
        self._seats[copy.fileno()] = seat
        # By its edge: it is the worker who accepts, and until then the socket stays readable.
        self._epoll.register(copy, select.EPOLLIN | select.EPOLLET)

    def _came(self) -> None:
        if self._epoll is None:
            return
        for descriptor, _ in self._epoll.poll(0):
            seat = self._seats.get(descriptor)
            if seat is not None:
                self.counts[seat] += 1
        now = time.monotonic()
        rush, self._last_wake = now - self._last_wake < RUSH_S, now
        self._aim(in_a_rush=rush)

    def _aim(self, *, in_a_rush: bool = False) -> None:
        for group in self._groups.values():
            if len(group.order) < 2 or not self._works:
                continue
            places = aimed([self.counts[seat] for seat in group.order], in_a_rush=in_a_rush)
            try:
                _attach(group.sockets[group.order[0]], program(places))
            except OSError:
                self._works = False


def _attach(copy: socket.socket, code: bytes) -> None:
    """Gives the whole group of this socket another program (struct sock_fprog: length and address)."""
    text = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HP", len(code) // 8, ctypes.addressof(text))
    copy.setsockopt(socket.SOL_SOCKET, ATTACH_REUSEPORT_CBPF, header)
