"""What looks like a secret is masked, and always whole: a part of a key is a hint too."""

import re
from urllib.parse import SplitResult, unquote_plus, urlsplit, urlunsplit

MASK = "[masked]"

_SECRET = re.compile(
    r"(?i:bearer\s+\S|basic\s+[a-z0-9+/]{8,}={0,2}|-----BEGIN [A-Z ]*PRIVATE KEY"
    # named: api_key=…, "password": "…", client_secret:…
    r"|(?:api[_-]?key|secret|passw(?:or)?d|pwd|access[_-]?token|auth[_-]?token|accountkey)"
    r"[\"']?\s*[=:]\s*[\"']?[^\s&\"']"
    r"|[?&]key=[^&\s]"
    r"|://[^/\s:@]+:[^/\s@]+@)"
    # known by how they begin: what the vendors of models, clouds, code and money hand out
    r"|\b(?:sk-[\w-]{8}|gw_\w{8}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?:AKIA|ASIA)[A-Z0-9]{12}|AIza[\w-]{20}|ya29\.[\w-]{8}"
    r"|gh[oprsu]_\w{16}|github_pat_\w{16}|glpat-[\w-]{16}|xox[abeoprs]-[\w-]{8}|xapp-[\w-]{8}"
    r"|[rsp]k_(?:live|test)_\w{8}|whsec_\w{8}|SG\.[\w-]{16}|hf_\w{16}|npm_\w{16}|pypi-[\w-]{16}|dop_v1_\w{16}"
    r"|shp(?:at|ca|pa|ss)_\w{16}|tvly-[\w-]{8}|BSA[\w-]{20}|gsk_\w{16}|r8_\w{16}|xai-[\w-]{16}|pplx-\w{16}|nvapi-[\w-]{16}"
    r"|AGE-SECRET-KEY-|hv[bs]\.[\w-]{16}|lin_api_\w{16}|ATATT[\w-]{16}|dapi[0-9a-f]{16}|EAA[A-Za-z0-9]{24})"
)
_PLAIN = ("AKIA", "ASIA", "AIza", "BSA", "EAA", "ATATT", "dapi")
"""How those secrets begin that consist of letters and digits alone."""

_SECRET_NAME = re.compile(
    r"(?i)key|token|secret|passw|pwd|signature|^sig$|auth|credential|session|^code$|^sid$|^jwt$|accessid"
)


def holds_secret(text: str) -> bool:
    """Whether a part of the text looks like a secret."""
    # Most values are one id or one word, and told by one look.
    return (not text.isalnum() or text.startswith(_PLAIN)) and _SECRET.search(text) is not None


def masked_url(url: str) -> str:
    """The address without its user and fragment, and with every part masked that is, or holds, a secret."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return MASK
    path = "/".join(_masked(segment) for segment in parts.path.split("/"))
    query = "&".join(_masked_pair(pair) for pair in parts.query.split("&"))
    found = urlunsplit(SplitResult(parts.scheme, host, path, query, ""))
    return MASK if holds_secret(found) else found


def _masked(text: str) -> str:
    return MASK if holds_secret(unquote_plus(text)) else text


def _masked_pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    if not equals:
        return _masked(pair)
    return f"{_masked(name)}={MASK if value and _SECRET_NAME.search(unquote_plus(name)) else _masked(value)}"
