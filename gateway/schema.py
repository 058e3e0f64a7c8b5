"""Reads one TOML table into one frozen dataclass, by its types; collects every fault instead of the first."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field, fields
from difflib import get_close_matches
from ipaddress import ip_network
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints
from urllib.parse import urlsplit

T = TypeVar("T")
Check = Callable[[Any], str | None]  # Any: a check sees whichever type its field has

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}


def setting(default: Any, *, env: str = "", secret: bool = False, check: Check | None = None) -> Any:
    """A field of a settings table.

    `env` is its variable where that is not GATEWAY_<SECTION>_<KEY>; a secret may be given as `<NAME>_FILE`
    and never appears in a repr; `check` returns what is wrong with a value, or None.
    """
    return field(default=default, repr=not secret, metadata={"env": env, "secret": secret, "check": check})


def address(value: str) -> str | None:
    """A `host:port` to listen on or connect to; port 0 asks for a free one."""
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        return f"{value!r} is not host:port, for example 127.0.0.1:50051"
    return None


def url(value: str) -> str | None:
    """An absolute http or https URL, or none."""
    return None if not value or _is_url(value) else f"{value!r} is not an http(s) URL"


def base_url(value: str) -> str | None:
    """The address of an API: a URL without a user, a query or a fragment."""
    if not _is_url(value):
        return f"{value!r} is not an http(s) URL, for example https://api.deepseek.com"
    parts = urlsplit(value)
    if parts.username is not None or parts.query or parts.fragment:
        return "it must hold neither a user name, nor a query, nor a fragment; the key has a setting of its own"
    return None


def header_text(value: str) -> str | None:
    """What an HTTP header may carry; it is a secret, so that it is not repeated."""
    if value.isascii() and value.isprintable() and " " not in value:
        return None
    return "it holds characters that no HTTP header may carry; is there a line break or a space in it?"


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an IPv6 address in them, or no port that there is
        return False


def database_url(value: str) -> str | None:
    """The URL of a PostgreSQL; it may hold a password, so that it is not repeated."""
    if value and value.partition("://")[0] not in ("postgresql", "postgres"):
        return "it is not a PostgreSQL URL, for example postgresql://gateway:password@db.example:5432/gateway"
    return None


def redis_url(value: str) -> str | None:
    """The URL of a Redis; it may hold a password, so that it is not repeated."""
    if value and value.partition("://")[0] not in ("redis", "rediss", "unix"):
        return "it is not a Redis URL, for example redis://127.0.0.1:6379/0 or rediss://:password@host:6380/0"
    return None


def seal_key(value: str) -> str | None:
    """32 bytes as hexadecimal digits, or none; a secret, so that it is not repeated."""
    return None if not value else seal_keys((value,))


def seal_keys(values: tuple[str, ...]) -> str | None:
    """The same, for several."""
    if all(len(value) == 64 and set(value.lower()) <= set("0123456789abcdef") for value in values):
        return None
    return "a seal key is 32 bytes as 64 hexadecimal digits; `openssl rand -hex 32` makes one"


def is_plaintext(address: str) -> bool:
    """Whether a URL sends what it carries unencrypted to another machine."""
    return _is_url(address) and urlsplit(address).scheme == "http" and urlsplit(address).hostname not in LOOPBACK


def ports(values: tuple[str, ...]) -> str | None:
    """TCP ports."""
    wrong = [value for value in values if not (value.isdecimal() and 0 < int(value) < 65_536)]
    return f"{wrong[0]!r} is no port" if wrong else None


def networks(values: tuple[str, ...]) -> str | None:
    """IP networks in CIDR notation."""
    for value in values:
        try:
            ip_network(value)
        except ValueError:
            return f"{value!r} is no network like 10.0.0.0/8 or fd00::/8"
    return None


def positive(value: float) -> str | None:
    """A number above zero."""
    return None if value > 0 else f"{value} must be above 0"


def not_negative(value: float) -> str | None:
    """A number that is zero or more."""
    return None if value >= 0 else f"{value} must not be negative"


def within(least: float, most: float) -> Check:
    """A number from `least` to `most`, both included."""

    def check(value: float) -> str | None:
        return None if least <= value <= most else f"{value} must be from {least} to {most}"

    return check


def one_of(*words: str) -> Check:
    """One of these words."""

    def check(value: str) -> str | None:
        return None if value in words else f"{value!r} is none of {', '.join(words)}"

    return check


def some_of(*words: str) -> Check:
    """One or more of these words, each once."""

    def check(values: tuple[str, ...]) -> str | None:
        wrong = [value for value in values if value not in words]
        if wrong:
            return f"{wrong[0]!r} is none of {', '.join(words)}"
        return None if values and len(set(values)) == len(values) else f"name one of {', '.join(words)}, each once"

    return check


def numbered(values: tuple[str, ...]) -> str | None:
    """Words with numbers: NAME=N."""
    for value in values:
        name, _, number = value.rpartition("=")
        if not name or not number.isdecimal():
            return f"{value!r} is not NAME=N, for example deepseek-flash=2500"
    return None


def read_table(
    shape: type[T], table: object, environment: Mapping[str, str], section: str, faults: list[str]
) -> T:
    """`shape` filled from the environment, then the table, then its defaults; faults are appended, not raised."""
    if not isinstance(table, dict):
        faults.append(f"[{section}] must be a table")
        table = {}
    known = {f.name: f for f in fields(shape)}  # type: ignore[arg-type]  # every shape is a dataclass
    faults += unknown_names(section, table, known)
    hints = get_type_hints(shape)
    values: dict[str, object] = {}
    for name, spec in known.items():
        label = f"{section}.{name}" if section else name
        raw = _from_environment(spec, label, environment, faults)
        if raw is None and name in table:
            raw = table[name]
        if raw is not None:
            value = _convert(raw, hints[name], label, faults)
            wrong = spec.metadata.get("check")
            fault = wrong(value) if wrong and value is not MISSING else None
            if fault:
                faults.append(f"{label}: {fault}")
            elif value is not MISSING:
                values[name] = value
    return shape(**values)


def unknown_names(section: str, table: Mapping[str, object], known: Mapping[str, object]) -> list[str]:
    """One fault for each name that nothing reads, with the nearest known one."""
    faults = []
    for name in table.keys() - known.keys():
        near = get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(known))}"
        faults.append(f"{section + '.' if section else ''}{name}: unknown setting{hint}")
    return sorted(faults)


def environment_name(spec: "Field[Any]", label: str) -> str:
    """The variable that overrides a setting."""
    return spec.metadata.get("env") or "GATEWAY_" + label.upper().replace(".", "_").replace("-", "_")


def _from_environment(
    spec: "Field[Any]", label: str, environment: Mapping[str, str], faults: list[str]
) -> str | None:
    variable = environment_name(spec, label)
    if variable in environment:
        return environment[variable]
    if spec.metadata.get("secret") and variable + "_FILE" in environment:
        path = Path(environment[variable + "_FILE"])
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            faults.append(f"{variable}_FILE: cannot read {path}")
    return None


def _convert(raw: object, hint: object, label: str, faults: list[str]) -> object:
    try:
        return _converters[cast("type", hint)](raw)
    except (ValueError, TypeError) as error:
        faults.append(f"{label}: {error}")
        return MISSING


def _to_bool(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.lower() in TRUE | FALSE:
        return raw.lower() in TRUE
    raise ValueError(f"{raw!r} is neither true nor false")


def _to_int(raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        raise ValueError(f"{raw!r} is not a whole number")
    try:
        return int(raw)
    except ValueError:
        raise ValueError(f"{raw!r} is not a whole number") from None


def _to_float(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ValueError(f"{raw!r} is not a number")
    try:
        number = float(raw)
    except ValueError:
        raise ValueError(f"{raw!r} is not a number") from None
    if not isfinite(number):
        raise ValueError(f"{raw!r} is not a finite number")
    return number


def _to_str(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError(f"{raw!r} is not text")
    return raw


def _to_words(raw: object) -> tuple[str, ...]:
    if isinstance(raw, str):
        return tuple(word.strip() for word in raw.split(",") if word.strip())
    if isinstance(raw, list) and all(isinstance(word, str) for word in raw):
        return tuple(raw)
    raise ValueError(f"{raw!r} is not a list of words")


_converters: dict[object, Callable[[object], object]] = {
    bool: _to_bool,
    int: _to_int,
    float: _to_float,
    str: _to_str,
    tuple[str, ...]: _to_words,
}
