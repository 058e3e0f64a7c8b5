"""The tables of the configuration file: what each setting is called, its default, and what may be wrong."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway import schema
from gateway.schema import read_table, setting


@dataclass(frozen=True, slots=True)
class Grpc:
    """The gRPC port. Sizes in bytes, times in seconds; the limits are those of one worker.

    `bridges` are client certificates (SPIFFE URI, or subject) of HTTP bridges: what they say of a caller's address
    is believed, for the audit alone.
    """

    address: str = setting("127.0.0.1:50051", check=schema.address)
    max_message_bytes: int = setting(4 * 1024 * 1024, check=schema.positive)
    reflection: bool = setting(True)
    streams_per_connection: int = setting(256, check=schema.positive)
    connections: int = setting(2000, check=schema.positive)
    calls: int = setting(2500, check=schema.positive)
    certificate: str = setting("")
    private_key: str = setting("")
    client_ca: str = setting("")
    bridges: tuple[str, ...] = setting(())
    tls13_only: bool = setting(False)
    drain_wait_s: float = setting(0.0, check=schema.not_negative)
    drain_grace_s: float = setting(120.0, check=schema.positive)


@dataclass(frozen=True, slots=True)
class Metrics:
    """The Prometheus endpoint; an empty address switches it off."""

    address: str = setting("127.0.0.1:9464", check=lambda value: schema.address(value) if value else None)


@dataclass(frozen=True, slots=True)
class Http:
    """The HTTP bridge; an empty address switches it off.

    `public_url` is how callers reach it. `cors_origins` may call it from web pages ("*" = all, none = CORS off).
    `source_lines` appends readable sources to every answer. `user_key` keys the digests of callers' user names.
    The `moderation_` settings are the rule list of the Dify extension. The `gateway_` settings (PEM files, and the
    name in the gateway's certificate) are needed where the gRPC port speaks TLS and its own files do not suffice.
    """

    address: str = setting("127.0.0.1:8080", check=lambda value: schema.address(value) if value else None)
    public_url: str = setting("", env="GATEWAY_PUBLIC_URL", check=schema.url)
    cors_origins: tuple[str, ...] = setting(())
    source_lines: bool = setting(False)
    user_key: str = setting("", secret=True)
    moderation_blocked: tuple[str, ...] = setting(())
    moderation_masked: tuple[str, ...] = setting(())
    moderation_reply: str = setting("This text is not allowed here.")
    gateway_ca: str = setting("")
    gateway_name: str = setting("")
    gateway_certificate: str = setting("")
    gateway_private_key: str = setting("")


@dataclass(frozen=True, slots=True)
class Jwt:
    """The one issuer whose tokens are accepted besides `--dev`."""

    issuer: str = setting("")
    audience: str = setting("")
    algorithms: tuple[str, ...] = setting(("RS256", "ES256"))
    tenant_claim: str = setting("tenant")


@dataclass(frozen=True, slots=True)
class Jwks:
    """Where that issuer publishes its keys; without it, they are found by OIDC discovery."""

    url: str = setting("", check=schema.url)
    allow_plaintext: bool = setting(False)


@dataclass(frozen=True, slots=True)
class Issuer:
    """The gateway's own token issuer, for small installs; `--dev` has it always.

    `url` is the `iss` of its tokens and, for discovery, where the HTTP port is reached from outside. `token_ttl_s`
    in seconds, at most a day.
    """

    enabled: bool = setting(False)
    url: str = setting("", check=schema.url)
    audience: str = setting("")
    token_ttl_s: int = setting(3600, check=schema.within(1, 86_400))


@dataclass(frozen=True, slots=True)
class Database:
    """The PostgreSQL that keeps the receipts of all replicas; without a URL they lie in the data directory."""

    url: str = setting("", secret=True, check=schema.database_url)


@dataclass(frozen=True, slots=True)
class Redis:
    """What workers and replicas share; without a URL everything stays in this process.

    `cluster` says that the URL is a node of a Redis Cluster.
    """

    url: str = setting("", secret=True, check=schema.redis_url)
    cluster: bool = setting(False)


@dataclass(frozen=True, slots=True)
class DeepSeek:
    """The upstream. Without a key the gateway answers with its embedded model.

    `tokenizer_file` is DeepSeek's own `tokenizer.json`; without it prompts are estimated before they are sent.
    """

    api_key: str = setting("", env="DEEPSEEK_API_KEY", secret=True, check=schema.header_text)
    base_url: str = setting("https://api.deepseek.com", env="DEEPSEEK_BASE_URL", check=schema.base_url)
    tokenizer_file: str = setting("")
    allow_plaintext: bool = setting(False)


@dataclass(frozen=True, slots=True)
class Routing:
    """Where turns go, and what happens when an upstream fails. Times in seconds, sizes in tokens.

    `first` puts local or cloud models first where the caller names no model; `local_complexity` is from 0 to 1.
    `circuit_failures` 0 asks an upstream that keeps failing for ever; the longest time a circuit stays open is ten
    times `circuit_open_s`. `attempts` are all calls of one turn; retries spend `retry_budget`, down to its half.
    """

    default_model: str = setting("")
    first: str = setting("listed", check=schema.one_of("listed", "local", "cloud", "auto"))
    local_prompt_tokens: int = setting(2_000, check=schema.not_negative)
    local_complexity: float = setting(0.4, check=schema.within(0, 1))
    peak_local: bool = setting(False)
    dearer_standby: bool = setting(False)
    attempts: int = setting(3, check=schema.within(1, 3))
    backoff_s: float = setting(0.1, check=schema.positive)
    retry_budget: float = setting(100.0, check=schema.positive)
    circuit_failures: int = setting(5, check=schema.not_negative)
    circuit_open_s: float = setting(30.0, check=schema.positive)
    probe_s: float = setting(1.0, check=schema.positive)


@dataclass(frozen=True, slots=True)
class Search:
    """Which search providers there are, in order of preference, and a search's slice of a turn (seconds).

    `cache_s` is how long what was found on the web is found again; a question about something new, a fifth of it.
    `decide_model` says whether and how to search for tenants with `search_by_model` (empty = the default model).
    """

    providers: tuple[str, ...] = setting(("embedded",))
    timeout_s: float = setting(4.0, check=schema.positive)
    cache_s: float = setting(300.0, check=schema.within(1, 3_600))
    decide_model: str = setting("")


@dataclass(frozen=True, slots=True)
class SearchEndpoint:
    """`[search.NAME]`: a provider's key, address (empty = the vendor's own), time for one call, engine."""

    key: str = setting("", secret=True, check=schema.header_text)
    url: str = setting("", check=schema.url)
    timeout_s: float = setting(4.0, check=schema.positive)
    engine: str = setting("")
    allow_plaintext: bool = setting(False)


@dataclass(frozen=True, slots=True)
class Pages:
    """Which pages may be fetched: ports, and networks beside the built-in table of those that are never reached.

    `deny_networks` are a cluster's own ranges; `allow_networks` open exactly what they name, say an internal wiki.
    `via` is who reads a page for a search, the next where one cannot: the gateway itself, or DeepSeek Fetch.
    """

    via: tuple[str, ...] = setting(("direct",), check=schema.some_of("direct", "deepseek"))

    ports: tuple[str, ...] = setting(("80", "443"), check=schema.ports)
    deny_networks: tuple[str, ...] = setting((), check=schema.networks)
    allow_networks: tuple[str, ...] = setting((), check=schema.networks)


@dataclass(frozen=True, slots=True)
class Timers:
    """Seconds. What each waits for is said in the documentation of timers; tests run them at 1/100."""

    connect_s: float = setting(3.0, check=schema.positive)
    first_output_s: float = setting(30.0, check=schema.positive)
    first_output_thinking_s: float = setting(120.0, check=schema.positive)
    silence_s: float = setting(30.0, check=schema.positive)
    client_stall_s: float = setting(30.0, check=schema.positive)
    total_s: float = setting(900.0, check=schema.positive)
    heartbeat_s: float = setting(15.0, check=schema.positive)
    end_margin_s: float = setting(0.2, check=schema.positive)
    credential_notice_s: float = setting(60.0, check=schema.positive)


@dataclass(frozen=True, slots=True)
class Billing:
    """What an interrupted stream costs, and a price book of the operator's own (a TOML file).

    `cached_answer_percent` is what an answer costs that came from the cache, or from an identical question in
    flight, in percent of what the model's costs.
    """

    broken_stream: str = setting("charge_delivered", check=schema.one_of("charge_delivered", "free"))
    price_book: str = setting("")
    cached_answer_percent: int = setting(0, check=schema.within(0, 100))


@dataclass(frozen=True, slots=True)
class Cache:
    """What was answered and may be answered again; times in seconds, sizes in MiB.

    `answers` and `join` switch on the answer cache and the joining of identical questions in flight. Redis (where
    `redis.url` is set) and disk (`disk_mib` 0 = none) are used only with a seal key. An answer is kept for
    `stale_s` beyond its lifetime, for times when no model can be reached; with a lifetime of 0 for these alone.
    """

    answers: bool = setting(True)
    join: bool = setting(True)
    memory_mib: int = setting(64, check=schema.within(1, 65_536))
    redis: bool = setting(True)
    disk_mib: int = setting(256, check=schema.within(0, 1_048_576))
    lifetime_s: float = setting(3_600.0, check=schema.within(0, 86_400))
    sourced_lifetime_s: float = setting(300.0, check=schema.within(0, 86_400))
    stale_s: float = setting(86_400.0, check=schema.within(0, 604_800))
    reasoning_s: float = setting(86_400.0, check=schema.within(1, 604_800))


@dataclass(frozen=True, slots=True)
class Seal:
    """The secret under which everything is sealed that leaves the process: 32 bytes as 64 hexadecimal digits.

    `old_keys` are those of before, the newest first: what they sealed stays readable.
    """

    key: str = setting("", secret=True, check=schema.seal_key)
    old_keys: tuple[str, ...] = setting((), secret=True, check=schema.seal_keys)


@dataclass(frozen=True, slots=True)
class Audit:
    """Where the audit's records wait while the data directory cannot be written: a folder on another disk.

    Without one nothing waits, and every turn is refused meanwhile. It takes `spool_records` at most.
    """

    spool_dir: str = setting("")
    spool_records: int = setting(10_000, check=schema.within(4, 10_000))


@dataclass(frozen=True, slots=True)
class Log:
    """Logs go to standard error: one JSON object a line, or aligned text for a terminal."""

    level: str = setting("info", check=schema.one_of("debug", "info", "warning", "error"))
    format: str = setting("json", check=schema.one_of("json", "console"))


@dataclass(frozen=True, slots=True)
class Data:
    """Where keys, receipts and the index live. Receipts are kept for `receipts_days` days; 0 = for ever."""

    dir: str = setting(".gateway")
    receipts_days: int = setting(0, check=schema.not_negative)


def read_endpoints(
    table: object, environment: Mapping[str, str], faults: list[str]
) -> tuple[dict[str, object], dict[str, SearchEndpoint]]:
    """The `[search]` table without its tables of providers, and these, by name; a provider in use may have none.

    The variables of a provider are GATEWAY_SEARCH_<NAME>_KEY, _URL and so on; they count for the providers in use.
    """
    whole = table if isinstance(table, dict) else {}
    tables = {name: value for name, value in whole.items() if isinstance(value, dict)}
    rest = {name: value for name, value in whole.items() if name not in tables}
    used = read_table(Search, rest, environment, "search", []).providers
    endpoints = {
        name: read_table(SearchEndpoint, tables.get(name, {}), environment, f"search.{name}", faults)
        for name in dict.fromkeys((*used, *tables))
    }
    for name, endpoint in endpoints.items():
        if schema.is_plaintext(endpoint.url) and not endpoint.allow_plaintext:
            faults.append(
                f"search.{name}.url: {endpoint.url} is plain HTTP to another machine; use https, or set "
                f"allow_plaintext = true in [search.{name}]"
            )
    return rest, endpoints
