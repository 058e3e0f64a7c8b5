"""Where a call comes from: the other end of its connection, or what a bridge says that is known to be one (pure).

A forwarded address is for the audit alone; nothing is decided by it.
"""

import hmac
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import unquote

ADDRESS = "x-gateway-caller-address"
BRIDGE = "x-gateway-bridge"


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Whose word is taken: the bridge's in this process, by `secret`, and that of known client certificates.

    `identity_of` reads a certificate (PEM) and raises ValueError for one that names nobody.
    """

    secret: str = field(default="", repr=False)
    bridges: Collection[str] = ()
    identity_of: Callable[[bytes], str] = lambda _certificate: ""


def caller_address(
    peer: str, said: str, shown: str, certificate: Callable[[], bytes | None], of: Forwarding
) -> str:
    """The caller's IP address, or "" where there is none.

    `peer` is gRPC's name for the other end; `said` and `shown` are the values of the two headers, "" for none;
    `certificate` gives the one that the handshake verified.
    """
    if said and _is_bridge(shown, certificate, of):
        forwarded = _ip(said)
        if forwarded:
            return forwarded
    return _of_peer(peer)


def _is_bridge(shown: str, certificate: Callable[[], bytes | None], of: Forwarding) -> bool:
    if of.secret and hmac.compare_digest(shown.encode(), of.secret.encode()):
        return True
    pem = certificate() if of.bridges else None
    if pem is None:
        return False
    try:
        return of.identity_of(pem) in of.bridges
    except ValueError:
        return False


@lru_cache(maxsize=4096)
def _of_peer(peer: str) -> str:
    """`ipv4:192.0.2.7:5123`, `ipv6:%5B2001:db8::1%5D:5123`; a socket in the file system has no address."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return ""
    return _ip(unquote(rest).rpartition(":")[0].strip("[]"))


def _ip(text: str) -> str:
    """The address in its one form; one that IPv6 carries for IPv4 is that one."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)
