"""How a worker finds the sockets that gRPC opened in its process, and what it leaves alone meanwhile."""

import fcntl
import socket
import subprocess
import sys
from pathlib import Path

from gateway.workers.sockets import Connections, listening

TRY_LOCK = (
    "import fcntl, sys\n"
    "try:\n    fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    "except OSError:\n    print('locked')\n"
)


def test_listening_sockets_are_found_once_each_and_connections_are_counted() -> None:
    """By the port alone; a connection that this process made itself is none that it accepted."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)):
        port = server.getsockname()[1]
        copies = listening(port)
        assert [copy.getsockname() for copy in copies] == [server.getsockname()]
        for copy in copies:
            copy.close()
        connections = Connections(port)
        assert connections.count() == 0
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            assert connections.count() == 1
        assert connections.count() == 0


def test_looking_for_sockets_drops_no_lock_on_a_file(tmp_path: Path) -> None:
    """To close any descriptor of a file drops this process's locks on it, and with them the books' safety."""
    path = tmp_path / "books"
    with path.open("w") as books:
        fcntl.lockf(books, fcntl.LOCK_EX)
        assert listening(1) == []
        Connections(1).count()
        ended = subprocess.run(
            [sys.executable, "-c", TRY_LOCK, str(path)], capture_output=True, text=True, check=True
        )
    assert ended.stdout == "locked\n"
