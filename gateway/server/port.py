"""Whether an address can be listened on, and if not, why: gRPC itself says neither which nor why."""

import errno
import socket

REASONS = {
    errno.EADDRINUSE: "another program listens there, perhaps another gateway",
    errno.EADDRNOTAVAIL: "it is not an address of this machine",
    errno.EACCES: "ports below 1024 need a privilege",
}


def obstacle(address: str) -> str:
    """Why `host:port` cannot be listened on, empty when it can; the port is free again at once."""
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except socket.gaierror as error:
        return f"the host is not known ({error.strerror})"
    family, kind, protocol, _, place = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(place)
            probe.listen(1)
        except OSError as error:
            return REASONS.get(error.errno or 0, error.strerror or str(error))
    return ""
