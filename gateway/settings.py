"""Everything an operator may set: one TOML file and the environment, read once into frozen values.

Every fault is listed at once. `[section] key` is also GATEWAY_<SECTION>_<KEY>, which wins.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gateway import schema
from gateway.domain.tenant import Tenants
from gateway.schema import read_table, setting
from gateway.sections import Billing, Data, DeepSeek, Grpc, Jwks, Jwt, Log, Metrics, Search, Timers
from gateway.tenancy import read_tenants

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class ConfigurationError(Exception):
    """The configuration cannot be used; `faults` says everything that is wrong with it."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration."""

    grpc: Grpc = field(default_factory=Grpc)
    metrics: Metrics = field(default_factory=Metrics)
    jwt: Jwt = field(default_factory=Jwt)
    jwks: Jwks = field(default_factory=Jwks)
    deepseek: DeepSeek = field(default_factory=DeepSeek)
    search: Search = field(default_factory=Search)
    timers: Timers = field(default_factory=Timers)
    billing: Billing = field(default_factory=Billing)
    log: Log = field(default_factory=Log)
    data: Data = field(default_factory=Data)
    tenants: Tenants = field(default_factory=Tenants)
    workers: int = 1

    @property
    def data_dir(self) -> Path:
        """The data directory as a path."""
        return Path(self.data.dir)


SECTIONS: dict[str, type] = {
    "grpc": Grpc,
    "metrics": Metrics,
    "jwt": Jwt,
    "jwks": Jwks,
    "deepseek": DeepSeek,
    "search": Search,
    "timers": Timers,
    "billing": Billing,
    "log": Log,
    "data": Data,
}


def load(path: str | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Raises ConfigurationError with every fault."""
    environment = os.environ if environment is None else environment
    faults: list[str] = []
    document = _read_file(path or environment.get("GATEWAY_CONFIG"), faults)
    settings = _assemble(document, environment, faults)
    faults += _check_whole(settings)
    if faults:
        raise ConfigurationError(faults)
    return settings


def data_dir(explicit: str | None) -> Path:
    """The data directory for a command that needs nothing else of the configuration."""
    return Path(explicit or os.environ.get("GATEWAY_DATA_DIR") or Data().dir)


def _read_file(path: str | None, faults: list[str]) -> dict[str, object]:
    if path is None:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        faults.append(
            f"{path}: cannot be read ({error.strerror}); check the path given by --config or GATEWAY_CONFIG"
        )
    except UnicodeDecodeError:
        faults.append(f"{path}: not UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        faults.append(f"{path}: not valid TOML: {error}")
    return {}


def _assemble(document: dict[str, object], environment: Mapping[str, str], faults: list[str]) -> Settings:
    known = {*SECTIONS, "workers", "tenants", "tenant_defaults", "known_tenants_only"}
    faults += schema.unknown_names("", document, dict.fromkeys(known))
    values: dict[str, object] = {
        name: read_table(shape, document.get(name, {}), environment, name, faults)
        for name, shape in SECTIONS.items()
    }
    top = read_table(_Top, {k: document[k] for k in ("workers",) if k in document}, environment, "", faults)
    tenants = read_tenants(document, faults)
    return Settings(**values, tenants=tenants, workers=top.workers)  # type: ignore[arg-type]  # built from the fields' own types


@dataclass(frozen=True, slots=True)
class _Top:
    workers: int = setting(1, check=schema.positive)


def _check_whole(settings: Settings) -> list[str]:
    faults = []
    if settings.workers > 1:
        faults.append("workers: this version serves with one worker; run several gateways beside each other")
    if bool(settings.grpc.certificate) != bool(settings.grpc.private_key):
        faults.append("grpc.certificate and grpc.private_key: give both or neither")
    if settings.grpc.client_ca and not settings.grpc.certificate:
        faults.append("grpc.client_ca: needs grpc.certificate and grpc.private_key")
    if settings.jwt.issuer and not settings.jwt.audience:
        faults.append("jwt.audience: missing; tokens of jwt.issuer must name this gateway as their audience")
    if settings.jwks.url and not settings.jwt.issuer:
        faults.append("jwt.issuer: missing; jwks.url needs the issuer whose keys it holds")
    if not settings.data.dir:
        faults.append("data.dir: must not be empty")
    plaintext = (
        ("deepseek", settings.deepseek.base_url, settings.deepseek.allow_plaintext),
        ("jwks", settings.jwks.url, settings.jwks.allow_plaintext),
    )
    faults += [
        f"{name}: {address} is plain HTTP to another machine; use https, or set allow_plaintext = true in [{name}]"
        for name, address, allowed in plaintext
        if is_plaintext(address) and not allowed
    ]
    return faults


def is_plaintext(address: str) -> bool:
    """Whether a URL sends what it carries unencrypted to another machine."""
    parts = urlsplit(address)
    return parts.scheme == "http" and parts.hostname not in LOOPBACK
