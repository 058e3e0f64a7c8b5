"""Everything an operator may set: one TOML file and the environment, read once into frozen values.

Every fault is listed at once. `[section] key` is also GATEWAY_<SECTION>_<KEY>, which wins.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path

from gateway import schema
from gateway.domain.tenant import Tenants
from gateway.load_sections import Overload, Slots
from gateway.schema import read_table, setting
from gateway.sections import (
    Audit,
    Billing,
    Cache,
    Data,
    Database,
    DeepSeek,
    Grpc,
    Http,
    Issuer,
    Jwks,
    Jwt,
    Log,
    Metrics,
    Pages,
    Redis,
    Routing,
    Seal,
    Search,
    SearchEndpoint,
    Timers,
    read_endpoints,
)
from gateway.tenancy import read_tenants
from gateway.trust import CertificateCaller, TrustedIssuer, read_certificates, read_issuers
from gateway.upstream_sections import EMBEDDED, Serving, read_serving

CIPHER_SUITES = "GRPC_SSL_CIPHER_SUITES"
NO_TLS12_SUITE = "ECDHE-PSK-CHACHA20-POLY1305"

OTHER_VARIABLES = {
    *("GATEWAY_CONFIG", "GATEWAY_WORKERS", "GATEWAY_GRPC_TARGET", "GATEWAY_TOKEN", "GATEWAY_TOKEN_FILE"),
    *("GATEWAY_CLIENT_ID", "GATEWAY_CLIENT_SECRET", "GATEWAY_CLIENT_SECRET_FILE", "GATEWAY_TOKEN_URL"),
    *("GATEWAY_SCOPES", "GATEWAY_INSECURE", "GATEWAY_GRPC_CA_FILE"),
}


class ConfigurationError(Exception):
    """The configuration cannot be used; `faults` says everything that is wrong with it."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration. `path` is the file it came from, empty where there is none."""

    grpc: Grpc = field(default_factory=Grpc)
    metrics: Metrics = field(default_factory=Metrics)
    http: Http = field(default_factory=Http)
    jwt: Jwt = field(default_factory=Jwt)
    jwks: Jwks = field(default_factory=Jwks)
    issuer: Issuer = field(default_factory=Issuer)
    database: Database = field(default_factory=Database)
    redis: Redis = field(default_factory=Redis)
    deepseek: DeepSeek = field(default_factory=DeepSeek)
    routing: Routing = field(default_factory=Routing)
    serving: Serving = field(default_factory=Serving)
    search: Search = field(default_factory=Search)
    pages: Pages = field(default_factory=Pages)
    search_endpoints: Mapping[str, SearchEndpoint] = field(default_factory=dict)
    timers: Timers = field(default_factory=Timers)
    billing: Billing = field(default_factory=Billing)
    cache: Cache = field(default_factory=Cache)
    seal: Seal = field(default_factory=Seal)
    audit: Audit = field(default_factory=Audit)
    slots: Slots = field(default_factory=Slots)
    overload: Overload = field(default_factory=Overload)
    log: Log = field(default_factory=Log)
    data: Data = field(default_factory=Data)
    tenants: Tenants = field(default_factory=Tenants)
    issuers: tuple[TrustedIssuer, ...] = ()
    certificates: tuple[CertificateCaller, ...] = ()
    workers: int = 1
    path: str = ""

    @property
    def data_dir(self) -> Path:
        """The data directory as a path."""
        return Path(self.data.dir)


SECTIONS: dict[str, type] = {
    "grpc": Grpc,
    "metrics": Metrics,
    "http": Http,
    "jwt": Jwt,
    "jwks": Jwks,
    "issuer": Issuer,
    "database": Database,
    "redis": Redis,
    "deepseek": DeepSeek,
    "routing": Routing,
    "search": Search,
    "pages": Pages,
    "timers": Timers,
    "billing": Billing,
    "cache": Cache,
    "seal": Seal,
    "audit": Audit,
    "slots": Slots,
    "overload": Overload,
    "log": Log,
    "data": Data,
}


def load(path: str | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Raises ConfigurationError with every fault."""
    environment = os.environ if environment is None else environment
    faults: list[str] = []
    path = path or environment.get("GATEWAY_CONFIG")
    document = _read_file(path, faults)
    settings = replace(_assemble(document, environment, faults), path=path or "")
    faults += _check_whole(settings)
    if faults:
        raise ConfigurationError(faults)
    return settings


def tls13_environment(settings: Settings) -> dict[str, str] | None:
    """The environment for a process that serves TLS 1.3 alone, or None where this one does or need not.

    gRPC has no option for it, and reads the variable once, when it is loaded: a suite that no server has leaves
    nothing of TLS 1.2 (https://github.com/grpc/grpc/issues/37305).
    """
    if not settings.grpc.tls13_only or os.environ.get(CIPHER_SUITES) == NO_TLS12_SUITE:
        return None
    return {**os.environ, CIPHER_SUITES: NO_TLS12_SUITE}


def parse_tenants(content: bytes) -> Tenants:
    """The tenants in the content of a configuration file. Raises ValueError with every fault."""
    faults: list[str] = []
    tenants = read_tenants(tomllib.loads(content.decode("utf-8")), faults)
    if faults:
        raise ValueError("; ".join(faults))
    return tenants


def data_dir(explicit: str | None) -> Path:
    """The data directory for a command that needs nothing else of the configuration."""
    return Path(explicit or os.environ.get("GATEWAY_DATA_DIR") or Data().dir)


def place_of_receipts(data_dir: str | None = None, path: str | None = None) -> tuple[Path, str]:
    """The data directory and the URL of the database, empty where a directory is given or holds the receipts.

    Raises ConfigurationError.
    """
    faults: list[str] = []
    document = _read_file(path or os.environ.get("GATEWAY_CONFIG"), faults)
    database = read_table(Database, document.get("database", {}), os.environ, "database", faults)
    data = read_table(Data, document.get("data", {}), os.environ, "data", faults)
    if faults:
        raise ConfigurationError(faults)
    return (Path(data_dir), "") if data_dir else (Path(data.dir), database.url)


def _read_file(path: str | None, faults: list[str]) -> dict[str, object]:
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        faults.append(
            f"{path}: cannot be read ({error.strerror}); check the path given by --config or GATEWAY_CONFIG"
        )
    except UnicodeDecodeError:
        faults.append(f"{path}: not UTF-8 text; save it in that encoding")
    except tomllib.TOMLDecodeError as error:
        faults.append(f"{path}: not valid TOML: {error}")
    return {}


def _assemble(document: dict[str, object], environment: Mapping[str, str], faults: list[str]) -> Settings:
    known = {*SECTIONS, "workers", "issuers", "certificates", "tenants", "tenant_defaults", "known_tenants_only"}
    known |= {"upstreams", "models", "limits"}
    faults += schema.unknown_names("", document, dict.fromkeys(known))
    search, endpoints = read_endpoints(document.get("search", {}), environment, faults)
    document = {**document, "search": search} if isinstance(document.get("search", {}), dict) else document
    values: dict[str, object] = {
        name: read_table(shape, document.get(name, {}), environment, name, faults)
        for name, shape in SECTIONS.items()
    }
    top = read_table(_Top, {k: document[k] for k in ("workers",) if k in document}, environment, "", faults)
    loaded = Settings(**values, workers=top.workers)  # type: ignore[arg-type]  # built from the fields' own types
    return replace(
        loaded,
        search_endpoints=endpoints,
        serving=read_serving(document, environment, loaded.deepseek, faults),
        tenants=read_tenants(document, faults),
        issuers=read_issuers(document, environment, loaded.jwt, loaded.jwks, faults),
        certificates=read_certificates(document, environment, faults),
    )


@dataclass(frozen=True, slots=True)
class _Top:
    workers: int = setting(1, check=schema.within(1, 256))


def _check_whole(settings: Settings) -> list[str]:
    """What only shows when one setting is held against another."""
    return [text for is_wrong, text in (*_check_ports(settings), *_check_places(settings)) if is_wrong]


def _check_ports(settings: Settings) -> tuple[tuple[object, str], ...]:
    grpc, both, http = settings.grpc, "grpc.certificate and grpc.private_key", settings.http
    return (
        (bool(grpc.certificate) != bool(grpc.private_key), f"{both}: give both or neither"),
        (grpc.client_ca and not grpc.certificate, f"grpc.client_ca: needs {both}"),
        (grpc.tls13_only and not grpc.certificate, f"grpc.tls13_only: needs {both}"),
        (grpc.bridges and not grpc.client_ca, "grpc.bridges: needs grpc.client_ca, which checks certificates"),
        (
            bool(http.gateway_certificate) != bool(http.gateway_private_key),
            "http.gateway_certificate and http.gateway_private_key: give both or neither",
        ),
        (
            grpc.client_ca and http.address and not http.gateway_certificate,
            "http.gateway_certificate: missing; grpc.client_ca demands a certificate of every client, and the "
            'HTTP bridge is one (http.address = "" switches it off)',
        ),
        (
            settings.certificates and not grpc.client_ca,
            "certificates: callers show certificates only where grpc.client_ca asks for them; set it",
        ),
    )


def _check_places(settings: Settings) -> tuple[tuple[object, str], ...]:
    jwt, issuer, deepseek = settings.jwt, settings.issuer, settings.deepseek
    return (
        (
            jwt.issuer and not jwt.audience,
            "jwt.audience: missing; tokens of jwt.issuer must name this gateway as their audience",
        ),
        (
            settings.jwks.url and not jwt.issuer,
            "jwt.issuer: missing; jwks.url needs the issuer whose keys it holds",
        ),
        (
            issuer.enabled and not issuer.url,
            "issuer.url: missing; give the https URL under which the HTTP port is reached",
        ),
        (
            issuer.enabled and not issuer.audience,
            "issuer.audience: missing; give the name of this gateway in its tokens, like its gRPC URL",
        ),
        (
            issuer.enabled and not settings.http.address,
            "http.address: missing; the issuer answers on the HTTP port",
        ),
        (not settings.data.dir, "data.dir: must not be empty"),
        (settings.seal.old_keys and not settings.seal.key, "seal.key: missing; seal.old_keys are those before it"),
        (
            settings.routing.default_model not in ("", EMBEDDED, *settings.serving.models),
            f"routing.default_model: there is no model {settings.routing.default_model!r}; there are "
            f"{', '.join((*settings.serving.models, EMBEDDED))}",
        ),
        (
            schema.is_plaintext(deepseek.base_url) and not deepseek.allow_plaintext,
            f"deepseek: {deepseek.base_url} is plain HTTP to another machine; use https, or set "
            "allow_plaintext = true in [deepseek]",
        ),
    )


def odd_variables(environment: Mapping[str, str] | None = None) -> list[str]:
    """Variables that look like a setting and are none: a slip of the pen."""
    environment = os.environ if environment is None else environment
    known = {
        schema.environment_name(spec, f"{section}.{spec.name}")
        for section, shape in SECTIONS.items()
        for spec in fields(shape)
    }
    known |= {f"{name}_FILE" for name in known} | OTHER_VARIABLES
    ours = (name for name in sorted(environment.keys() - known) if name.startswith(("GATEWAY_", "DEEPSEEK_")))
    near = {name: get_close_matches(name, known, 1, cutoff=0.9) for name in ours}
    return [f"{name}: nothing reads this variable; did you mean {like[0]}?" for name, like in near.items() if like]
