"""Where a gRPC target leads: pure. Plain text is the default on loopback only."""

import re
from ipaddress import ip_address

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:/@\[\]]+))(?::[0-9]{1,5})?")


def is_loopback(target: str) -> bool:
    """Whether every address of the target is this machine: `localhost`, 127.0.0.0/8, ::1 or a unix socket.

    A name is loopback only when it is exactly `localhost` and no other resolver is named in front of it.
    """
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    for scheme in ("ipv4:", "ipv6:"):
        if target.startswith(scheme):
            return all(_is_local_address(part) for part in target.removeprefix(scheme).split(","))
    prefix = "dns:///" if target.startswith("dns:///") else "dns:"
    return _is_local_address(target.removeprefix(prefix))


def is_loopback_host(host: str) -> bool:
    """Whether a bare host name or address, without a port, is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_local_address(address: str) -> bool:
    found = _ADDRESS.fullmatch(address)
    return found is not None and is_loopback_host(found["v6"] or found["host"])
