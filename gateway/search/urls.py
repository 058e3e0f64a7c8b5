"""Compares addresses: the canonical form of one, and whether it lies in a domain; pure."""

from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_TRACKING = frozenset(
    {"fbclid", "gclid", "dclid", "gbraid", "wbraid", "msclkid", "yclid", "igshid", "mc_cid", "mc_eid", "_hsenc"}
) | frozenset(
    {"_hsmi", "spm", "scm", "ref_src", "ref_url", "_ga", "_gl", "vero_id", "wickedid", "twclid", "ttclid"}
)
_TRACKING_PREFIXES = ("utm_", "pk_", "mtm_", "hsa_", "stm_")


def canonical_url(url: str) -> str:
    """One spelling per page: case of scheme and host, default port, fragment, tracking parameters, last slash.

    http and https count as the same page, and `www.` as the bare host. For comparing only, never for fetching.
    The address of a document or file keeps its fragment, which names the part of it.
    """
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS:
        return url
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    query = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if not _is_tracking(k)]
    path = quote(unquote(parts.path), safe="/%:=&~+!$,;@()*-._").rstrip("/")
    host = host_of(url).removeprefix("www.")
    return f"//{host}{port}{path}" + (f"?{urlencode(sorted(query))}" if query else "")


def is_web(url: str) -> bool:
    """Whether an address is one of a web page."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in _DEFAULT_PORTS and bool(parts.netloc)


def host_of(url: str) -> str:
    """The host of an address in lower case without its last dot; empty for an address that has none."""
    return (urlsplit(url).hostname or "").rstrip(".")


def in_domains(url: str, domains: Iterable[str]) -> bool:
    """Whether the host is one of the domains or below one; `*.` before a domain and a scheme change nothing."""
    host = host_of(url)
    return any(host == name or host.endswith(f".{name}") for name in map(_domain, domains) if name)


def _domain(written: str) -> str:
    host = urlsplit(written if "//" in written else f"//{written}").hostname or ""
    return host.removeprefix("*.").strip(".")


def _is_tracking(name: str) -> bool:
    return name.lower() in _TRACKING or name.lower().startswith(_TRACKING_PREFIXES)
