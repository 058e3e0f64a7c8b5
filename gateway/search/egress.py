"""Pure: which addresses the gateway may fetch: a page of the public web, and nothing inside any network.

Two tests: `target` reads a URL before anything is looked up, `admits` judges every address a name resolves to. The
table of networks is our own, for what `ipaddress` calls private or global changes between versions of Python. It
follows the IANA special-purpose registries for IPv4 and IPv6; of IPv6 only global unicast is let through, so that
no address with an IPv4 one inside (mapped, translated, 6to4, Teredo) passes.
"""

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

MAX_URL_CHARS = 2_000
PORTS = frozenset({80, 443})
_NETWORKS = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15
    198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
    2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20
"""
DENIED: tuple[Network, ...] = tuple(map(ip_network, _NETWORKS.split()))
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_INTERNAL = (
    *(".internal", ".local", ".localdomain", ".localhost", ".svc", ".cluster.local", ".home.arpa", ".onion"),
)
_URL = re.compile(r"(https?)://([^/?#]*)([/?][^#]*)?(?:#.*)?", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?")
_QUAD = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_LAST_LABEL = re.compile(r"[a-z]{2,63}|xn--[a-z0-9-]{2,59}")
_UNSAFE = re.compile("[\x00-\x20\x7f\\\\]")


class DeniedUrlError(Exception):
    """A URL that is not fetched, whatever it leads to; the message says why and what would do."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL as it will be requested: ASCII, host in lower case without a last dot, no fragment.

    `address` is the host where it is an IP literal, else empty: then the host has to be resolved.
    """

    url: str
    scheme: str
    host: str
    port: int
    address: str = ""


@dataclass(frozen=True, slots=True)
class Egress:
    """The policy. `denied` come on top of the table (a cluster's ranges), `permitted` are excepted from both."""

    ports: frozenset[int] = PORTS
    denied: tuple[Network, ...] = ()
    permitted: tuple[Network, ...] = ()

    def target(self, url: str) -> Target:
        """The target of a URL. Raises DeniedUrlError."""
        if len(url) > MAX_URL_CHARS:
            raise DeniedUrlError(f"is longer than {MAX_URL_CHARS} characters")
        if _UNSAFE.search(url):
            raise DeniedUrlError("holds white space, a control character or a backslash; percent-encode it")
        whole = _URL.fullmatch(url)
        if whole is None:
            raise DeniedUrlError("is no http or https URL with a host")
        scheme, authority, rest = whole[1].lower(), whole[2], whole[3] or "/"
        host, literal, port = self._authority(authority, 443 if scheme == "https" else 80)
        shown = f"[{host}]" if ":" in host else host
        default = port == (443 if scheme == "https" else 80)
        path = rest if rest.startswith("/") else f"/{rest}"
        encoded = "".join(letter if letter.isascii() else _percent(letter) for letter in path)
        address = f"{scheme}://{shown}{'' if default else f':{port}'}{encoded}"
        return Target(address, scheme, host, port, host if literal else "")

    def admits(self, address: str) -> bool:
        """Whether a connection to this IP address may be made."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        if any(parsed in network for network in self.permitted):
            return True
        if isinstance(parsed, IPv6Address) and (parsed.scope_id or parsed not in _GLOBAL_UNICAST):
            return False
        return not any(parsed in network for network in (*DENIED, *self.denied))

    def _authority(self, authority: str, default_port: int) -> tuple[str, bool, int]:
        if "@" in authority or "%" in authority:
            raise DeniedUrlError("holds a user name or a percent sign before its path")
        parts = _AUTHORITY.fullmatch(authority)
        if parts is None:
            raise DeniedUrlError("has no host that can be read")
        port = int(parts[3]) if parts[3] else default_port
        if port not in self.ports:
            raise DeniedUrlError(f"uses port {port}; only {', '.join(map(str, sorted(self.ports)))} are fetched")
        host, literal = _literal(parts[1], parts[2])
        if literal and not self.admits(host):
            raise DeniedUrlError("leads into a network that is not public")
        return host, literal, port


def _literal(bracketed: str | None, plain: str | None) -> tuple[str, bool]:
    """The host, and whether it is an IP address."""
    if plain is None:
        try:
            return str(IPv6Address(bracketed or "")), True
        except ValueError:
            raise DeniedUrlError("has no valid IPv6 address in its brackets") from None
    if _QUAD.fullmatch(plain):
        try:
            return str(IPv4Address(plain)), True
        except ValueError:
            raise DeniedUrlError("has no valid IPv4 address as its host") from None
    return _name(plain), False


def _name(host: str) -> str:
    """A host name in ASCII. What could be read as another host by another parser is refused, not repaired."""
    strange = any(not letter.isascii() and unicodedata.category(letter)[0] not in "LMN" for letter in host)
    if strange or unicodedata.normalize("NFKC", host) != host:
        raise DeniedUrlError("has a host with characters that stand for others; write it plainly")
    try:
        name = host.lower().encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        raise DeniedUrlError("has a host that is no valid name") from None
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise DeniedUrlError("has a host that is no valid name")
    if len(labels) < 2 or not _LAST_LABEL.fullmatch(labels[-1]):
        raise DeniedUrlError("has a host that is no public name: it needs a dot and a last part of letters")
    if f".{name}".endswith(_INTERNAL):
        raise DeniedUrlError("has a host inside a private network")
    return name


def _percent(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "replace"))
