"""Spreads connections over the workers that listen on one port, where the kernel can be told how (Linux).

The parent holds a copy of every listening socket. It never accepts from them: the kernel sends it a signal for
each connection that comes, one signal per worker, and it aims the next one. (To wait for a socket to become
readable is not enough: the worker has often accepted before the parent looks.) A copy also keeps a dead worker's
socket in its group until the parent lets it go, so that the parent always knows the order of the group. Where
something of this is not to be had, the kernel's own hash spreads the connections.
"""

import asyncio
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from gateway.workers.steering import aimed, program, removed

ATTACH_REUSEPORT_CBPF = 51  # asm-generic/socket.h
RUSH_S = 0.0005


@dataclass(slots=True)
class _Group:
    """The sockets of one address. `order` are the seats as the kernel has them."""

    sockets: dict[int, socket.socket] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)


class Balance:
    """`counts` are the connections of each seat, as far as they are known. Seats are numbered from 1."""

    def __init__(self) -> None:
        self._works = sys.platform == "linux"
        self._groups: dict[object, _Group] = {}
        self._last_came = 0.0
        self.counts: dict[int, int] = {}

    def join(self, seat: int, sockets: Sequence[socket.socket]) -> None:
        """The worker of this seat listens on these, which are the parent's copies from now on."""
        self.counts[seat] = 0
        for copy in sockets:
            if not (self._works and self._hears_of(copy, seat)):
                copy.close()
                continue
            group = self._groups.setdefault(copy.getsockname(), _Group())
            group.sockets[seat] = copy
            group.order.append(seat)
        self._aim()

    def leave(self, seat: int) -> None:
        """The worker of this seat listens no more."""
        self.counts.pop(seat, None)
        for group in self._groups.values():
            copy = group.sockets.pop(seat, None)
            if copy is not None:
                with copy:
                    fcntl.fcntl(copy, fcntl.F_SETFL, fcntl.fcntl(copy, fcntl.F_GETFL) & ~os.O_ASYNC)
                group.order = removed(group.order, seat)
        self._aim()

    def counted(self, seat: int, connections: int) -> None:
        """What the worker itself has counted."""
        if seat in self.counts and self.counts[seat] != connections:
            self.counts[seat] = connections
            self._aim()

    def close(self) -> None:
        """Lets go of every socket, so that a worker that closes its own takes no more connections."""
        for seat in list(self.counts):
            self.leave(seat)
        self._works = False

    def _hears_of(self, copy: socket.socket, seat: int) -> bool:
        """Asks for a signal, this seat's own, whenever a connection has come: they queue, so none is missed."""
        number = signal.SIGRTMIN + seat
        if number > signal.SIGRTMAX:
            self._works = False
            return False
        # What the kernel sends instead when too many signals wait.
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        asyncio.get_running_loop().add_signal_handler(number, partial(self._came, seat))
        try:
            fcntl.fcntl(copy, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(copy, fcntl.F_SETSIG, number)
            fcntl.fcntl(copy, fcntl.F_SETFL, fcntl.fcntl(copy, fcntl.F_GETFL) | os.O_ASYNC)
        except OSError:
            self._works = False
        return self._works

    def _came(self, seat: int) -> None:
        if seat not in self.counts:
            return
        self.counts[seat] += 1
        now = time.monotonic()
        rush, self._last_came = now - self._last_came < RUSH_S, now
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
