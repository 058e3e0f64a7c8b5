"""The configuration: one file, the environment over it, secrets from files, and every fault at once."""

from pathlib import Path

import pytest

from gateway.domain.turn import SearchMode
from gateway.settings import ConfigurationError, Settings, load

ISSUER = {"GATEWAY_JWT_ISSUER": "https://id.example.com/", "GATEWAY_JWT_AUDIENCE": "gateway"}


def faults_of(path: Path | None = None, **environment: str) -> tuple[str, ...]:
    """What is wrong with this configuration."""
    with pytest.raises(ConfigurationError) as caught:
        load(str(path) if path else None, environment)
    return caught.value.faults


def written(directory: Path, text: str) -> Path:
    path = directory / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_set_is_the_shipped_default() -> None:
    """No file, no variable: the values of the manual."""
    settings = load(None, {})
    assert settings.grpc.address == "127.0.0.1:50051"
    assert settings.data.dir == ".gateway"
    limits = settings.tenants.defaults.limits
    assert (limits.requests_per_minute, limits.tokens_per_minute, limits.concurrent_streams) == (600, 200_000, 50)
    assert (limits.usd_per_day, limits.usd_per_month) == (10.0, 100.0)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """`[section] key` is GATEWAY_<SECTION>_<KEY>."""
    path = written(tmp_path, '[grpc]\naddress = "127.0.0.1:1"\nreflection = false\n')
    settings = load(str(path), {"GATEWAY_GRPC_ADDRESS": "127.0.0.1:2"})
    assert (settings.grpc.address, settings.grpc.reflection) == ("127.0.0.1:2", False)


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    """GATEWAY_CONFIG, where no --config is given."""
    path = written(tmp_path, '[log]\nlevel = "debug"\n')
    assert load(None, {"GATEWAY_CONFIG": str(path)}).log.level == "debug"


def test_a_secret_may_come_from_a_file_and_never_shows(tmp_path: Path) -> None:
    """DEEPSEEK_API_KEY_FILE; a repr in a log or a traceback must not hold the key."""
    secret = tmp_path / "key"
    secret.write_text("sk-very-secret\n", encoding="utf-8")
    settings = load(None, {"DEEPSEEK_API_KEY_FILE": str(secret)})
    assert settings.deepseek.api_key == "sk-very-secret"
    assert "sk-very-secret" not in repr(settings)


def test_a_secret_file_that_is_missing_is_a_fault(tmp_path: Path) -> None:
    """A gateway that starts without the key it was given a place for would answer with another model."""
    assert any("DEEPSEEK_API_KEY_FILE" in fault for fault in faults_of(DEEPSEEK_API_KEY_FILE=str(tmp_path / "no")))


def test_every_fault_is_listed_at_once(tmp_path: Path) -> None:
    """An operator repairs a configuration once, not ten times."""
    path = written(
        tmp_path,
        '[grpc]\nadress = "x:1"\nmax_message_bytes = -1\n[timers]\nsilence_s = "soon"\n[nonsense]\na = 1\n'
        "[tenants.Acme]\nmodels = 5\n[tenants.b.limits]\nusd_per_day = -1\n",
    )
    found = "\n".join(faults_of(path, GATEWAY_METRICS_ADDRESS="nowhere"))
    for part in (
        "grpc.adress: unknown setting; did you mean address?",
        "grpc.max_message_bytes",
        "timers.silence_s",
        "nonsense: unknown setting",
        "tenants.Acme: a tenant is named",
        "tenants.Acme.models",
        "tenants.b.limits.usd_per_day",
        "metrics.address",
    ):
        assert part in found


@pytest.mark.parametrize(
    ("environment", "part"),
    [
        ({"GATEWAY_GRPC_ADDRESS": "127.0.0.1"}, "host:port"),
        ({"GATEWAY_GRPC_ADDRESS": "127.0.0.1:99999"}, "host:port"),
        ({"GATEWAY_TIMERS_TOTAL_S": "nan"}, "finite"),
        ({"GATEWAY_TIMERS_TOTAL_S": "0"}, "above 0"),
        ({"GATEWAY_GRPC_REFLECTION": "maybe"}, "neither true nor false"),
        ({"GATEWAY_BILLING_BROKEN_STREAM": "half"}, "none of"),
        ({"DEEPSEEK_BASE_URL": "ftp://x"}, "http(s)"),
        ({"DEEPSEEK_BASE_URL": "http://models.example.com"}, "plain HTTP"),
        ({"GATEWAY_JWT_ISSUER": "https://id.example.com/"}, "jwt.audience"),
        ({"GATEWAY_JWKS_URL": "https://id.example.com/keys"}, "jwt.issuer"),
        ({**ISSUER, "GATEWAY_JWKS_URL": "http://id.example.com/keys"}, "plain HTTP"),
        ({"GATEWAY_GRPC_CERTIFICATE": "a.pem"}, "both or neither"),
        ({"GATEWAY_DATA_DIR": ""}, "data.dir"),
        ({"GATEWAY_WORKERS": "0"}, "from 1 to 256"),
    ],
)
def test_a_value_that_cannot_work_is_refused_and_named(environment: dict[str, str], part: str) -> None:
    """Before anything listens."""
    assert any(part in fault for fault in faults_of(**environment))


def test_plain_http_is_fine_on_this_machine_and_elsewhere_only_when_said_so(tmp_path: Path) -> None:
    """Loopback carries no secret over a wire."""
    assert load(None, {"DEEPSEEK_BASE_URL": "http://127.0.0.1:8000/v1"}).deepseek.base_url.startswith("http:")
    path = written(tmp_path, '[deepseek]\nbase_url = "http://models.internal"\nallow_plaintext = true\n')
    assert load(str(path), {}).deepseek.allow_plaintext


@pytest.mark.parametrize("text", ["[grpc", "a = ", "[grpc]\naddress = 5\n", "grpc = 5\n"])
def test_a_broken_file_says_where(tmp_path: Path, text: str) -> None:
    """Not a traceback."""
    assert faults_of(written(tmp_path, text))


def test_a_file_that_is_not_there_or_no_text_is_a_fault(tmp_path: Path) -> None:
    """With the path in it."""
    assert "nowhere.toml" in faults_of(tmp_path / "nowhere.toml")[0]
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in faults_of(tmp_path / "bytes.toml")[0]


class TestTenants:
    """What a tenant may do: the defaults, and each tenant over them."""

    def tenants(self, tmp_path: Path, text: str) -> Settings:
        return load(str(written(tmp_path, text)), {})

    def test_a_named_tenant_stands_on_the_defaults(self, tmp_path: Path) -> None:
        """Only what it names is different."""
        settings = self.tenants(
            tmp_path,
            '[tenant_defaults]\nmodels = ["embedded"]\n[tenant_defaults.limits]\nrequests_per_minute = 5\n'
            '[tenants.acme]\nsearch_mode = "never"\n[tenants.acme.limits]\nusd_per_day = 2\n',
        )
        acme = settings.tenants.get("acme")
        assert acme is not None
        assert (acme.name, acme.models, acme.search_mode) == ("acme", ("embedded",), SearchMode.NEVER)
        assert (acme.limits.requests_per_minute, acme.limits.usd_per_day) == (5, 2.0)

    def test_an_unnamed_tenant_gets_the_defaults_under_its_own_name(self) -> None:
        """Unless only known ones are served."""
        other = load(None, {}).tenants.get("other")
        assert other is not None
        assert other.name == "other"

    @pytest.mark.parametrize(
        "text", ["known_tenants_only = true\n", "[tenant_defaults]\nknown_tenants_only = true\n"]
    )
    def test_known_tenants_only_refuses_the_rest(self, tmp_path: Path, text: str) -> None:
        """In either place where an operator would write it."""
        settings = self.tenants(tmp_path, text + "[tenants.acme]\n")
        assert settings.tenants.get("other") is None
        assert settings.tenants.get("acme") is not None

    def test_patterns_allow_models_and_an_empty_list_allows_none(self, tmp_path: Path) -> None:
        """Default deny begins where a list is given."""
        settings = self.tenants(
            tmp_path, '[tenants.a]\nmodels = ["deepseek-*"]\n[tenants.b]\nmodels = []\nsearch_providers = []\n'
        )
        a, b = settings.tenants.get("a"), settings.tenants.get("b")
        assert a is not None
        assert b is not None
        assert a.may_use_model("deepseek-flash")
        assert not a.may_use_model("embedded")
        assert not b.may_use_model("embedded")
        assert not b.may_search_with("embedded")
