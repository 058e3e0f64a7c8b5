"""`gateway check-config`: every fault at once, or what would be served, with warnings and trials."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from gateway.auth.api_key import ApiKeyFile
from gateway.cli import main
from gateway.settings import odd_variables
from tests.support.identity import published
from tests.support.jwks_server import jwks_server
from tests.support.upstream import Exchange, Reply, ScriptedUpstream

ISSUER = '[jwt]\nissuer = "https://id.example.com"\naudience = "gateway"\n'


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of this machine's; a data directory and free ports of the test's own."""
    for name in os.environ:
        if name.startswith(("GATEWAY_", "DEEPSEEK_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path / "data"))
    for name in ("GRPC", "HTTP", "METRICS"):
        monkeypatch.setenv(f"GATEWAY_{name}_ADDRESS", "127.0.0.1:0")


def written(folder: Path, text: str) -> str:
    """The path of a configuration file with this text."""
    path = folder / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    code = main(["check-config", *words])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


def test_a_good_configuration_says_what_would_be_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses, callers, models, search and tenants, and that it is good; nothing is written anywhere."""
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-secret-of-nobody")
    path = written(tmp_path, f"{ISSUER}[tenants.acme]\n[tenants.gone]\nsuspended = true\n")
    code, out, err = checked(capsys, "--config", path)
    assert (code, err) == (0, "")
    for line in (
        f"configuration: {path}",
        "gRPC: 127.0.0.1:0 (plain text)",
        "callers: tokens of https://id.example.com for gateway",
        "models: deepseek-flash, deepseek-v4-pro, embedded (the first is the default)",
        "search: embedded",
        "tenants: acme, gone (suspended); every other with the defaults",
        "the configuration is good",
    ):
        assert line in out.splitlines()
    assert "warning" not in out
    assert "sk-secret" not in out
    assert not (tmp_path / "data").exists()


def test_every_fault_is_listed_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown names with the nearest known one, bad values with what would be good; exit code 2."""
    faults = {
        "surch": "unknown setting; did you mean search?",
        "grpc.addres": "unknown setting; did you mean address?",
        "grpc.max_message_bytes": "'big' is not a whole number",
        "log.level": "'loud' is none of debug, info, warning, error",
        "jwt.audience": "missing",
        "deepseek.base_url": "'http://[' is not an http(s) URL",
        "tenants.acme.limits.usd_per_day": "nan is not a number that is zero (no limit) or more",
        "tenants.acme.max_output_tokens": "-1 is not a whole number that is zero (no limit) or more",
        "tenants.acme.models": "'x' is not a list of texts, like [\"*\"]",
    }
    path = written(
        tmp_path,
        """
        [surch]
        [grpc]
        addres = "127.0.0.1:1"
        max_message_bytes = "big"
        [log]
        level = "loud"
        [jwt]
        issuer = "https://id.example.com"
        [deepseek]
        base_url = "http://["
        [tenants.acme]
        models = "x"
        max_output_tokens = -1
        [tenants.acme.limits]
        usd_per_day = nan
        """,
    )
    code, out, err = checked(capsys, "--config", path)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    for name, fault in faults.items():
        assert any(line.startswith(f"gateway check-config: {name}: {fault}") for line in lines), (name, err)
    assert len(lines) == len(faults)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[grpc\n", "not valid TOML"),
        ('[search]\nproviders = ["nobody"]\n', "search.providers: there is no provider 'nobody'; there are"),
        ('[search]\nproviders = ["fuse"]\n', "there is no provider 'fuse'"),
        ('[search]\nproviders = ["brave"]\n', "needs a key: set GATEWAY_SEARCH_BRAVE_KEY"),
        ('[billing]\nprice_book = "/nonexistent"\n', "billing.price_book: prices: cannot read /nonexistent"),
        ('[grpc]\ncertificate = "/no.pem"\nprivate_key = "/no.key"\n', "cannot read /no.key"),
        ('[issuers.x]\nissuer = "https://a"\naudience = "b"\njwks_file = "/no.json"\n', "/no.json: not there"),
    ],
)
def test_what_a_text_cannot_tell_is_found_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, fault: str
) -> None:
    """Files that are not there, providers that do not exist or lack their key."""
    code, _, err = checked(capsys, "--config", written(tmp_path, text))
    assert code == 2
    assert fault in err


def test_two_ports_of_one_address_are_a_fault(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one could never be opened."""
    monkeypatch.setenv("GATEWAY_GRPC_ADDRESS", "127.0.0.1:8080")
    monkeypatch.setenv("GATEWAY_HTTP_ADDRESS", "127.0.0.1:8080")
    code, _, err = checked(capsys)
    assert (code, "grpc.address and http.address: both are 127.0.0.1:8080" in err) == (2, True)


def test_a_data_directory_that_is_a_file_is_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Named, with what to name instead."""
    (tmp_path / "data").write_text("x", encoding="utf-8")
    code, _, err = checked(capsys)
    assert (code, "is a file; name a folder" in err) == (2, True)


def test_what_is_allowed_and_odd_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain HTTP, relaxed rules, an open port without TLS, a tenant without models, a slip of the pen."""
    monkeypatch.setenv("GATEWAY_GRPC_ADDRESS", "0.0.0.0:0")
    monkeypatch.setenv("GATEWAY_GRPC_ADRESS", "127.0.0.1:1")
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-x")
    path = written(
        tmp_path,
        """
        [deepseek]
        base_url = "http://models.example"
        allow_plaintext = true
        [issuers.corp]
        issuer = "https://id.example.com"
        audience = "gateway"
        jwks_url = "https://id.example.com/jwks"
        audience_list = true
        [tenants.none]
        models = ["gpt-*"]
        """,
    )
    code, out, _ = checked(capsys, "--config", path)
    warnings = [line for line in out.splitlines() if line.startswith("warning: ")]
    assert code == 0
    for words in (
        "deepseek.base_url: http://models.example is plain HTTP",
        "issuer https://id.example.com: accepts tokens that are meant for other audiences",
        "grpc.address: 0.0.0.0:0 is reached from other machines without TLS",
        "tenants.none.models: allows none of the models",
        "GATEWAY_GRPC_ADRESS: nothing reads this variable; did you mean GATEWAY_GRPC_ADDRESS?",
    ):
        assert any(words in line for line in warnings), (words, warnings)
    assert len(warnings) == 5


def test_without_any_caller_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No issuer and no key: a warning here, until there is a key."""
    code, out, _ = checked(capsys)
    assert (code, "warning: nobody could call this gateway" in out) == (0, True)
    ApiKeyFile(tmp_path / "data").create("acme", "model.read", 0.0)
    code, out, _ = checked(capsys)
    assert "callers: 1 API key" in out.splitlines()
    assert "warning" not in out


def test_serve_without_any_caller_does_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    """It would refuse everybody: exit code 2, and the three ways out."""
    assert main(["serve"]) == 2
    err = capsys.readouterr().err
    for words in ("jwt.issuer", "gateway key create", "serve --dev"):
        assert words in err


def test_kubernetes_own_variables_are_no_slips() -> None:
    """A Service named gateway gives every pod GATEWAY_PORT and GATEWAY_SERVICE_HOST."""
    assert (
        odd_variables({"GATEWAY_PORT": "tcp://1", "GATEWAY_SERVICE_HOST": "x", "GATEWAY_SERVICE_PORT": "1"}) == []
    )
    assert odd_variables({"GATEWAY_SEARCH_BRAVE_KEY": "k", "GATEWAY_JWT_ISSUER": "i"}) == []


async def test_online_tries_the_key_the_issuer_and_the_ports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is ok or FAILED by name; the key is shown to nobody but the upstream."""

    def models(exchange: Exchange) -> Reply:
        good = exchange.headers["authorization"] == "Bearer sk-good-key"
        return Reply.json(200, {"data": []}) if good else Reply.json(401, {"error": {}})

    async with ScriptedUpstream(models) as upstream, jwks_server() as keys:
        place = upstream.url
        keys.publish("/jwks", published())
        monkeypatch.setenv("DEEPSEEK_BASE_URL", upstream.url)
        monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-good-key")
        issuer = f'[jwt]\nissuer = "{keys.url}"\naudience = "gateway"\n[jwks]\nurl = "{keys.url}/jwks"\n'
        path = written(tmp_path, issuer)
        assert await asyncio.to_thread(main, ["check-config", "--online", "--config", path]) == 0
        good = capsys.readouterr().out.splitlines()
        monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-other-key")
        keys.publish("/jwks", b"no keys", 200)
        with socket.create_server(("127.0.0.1", 0)) as busy:
            monkeypatch.setenv("GATEWAY_GRPC_ADDRESS", f"127.0.0.1:{busy.getsockname()[1]}")
            assert await asyncio.to_thread(main, ["check-config", "--online", "--config", path]) == 1
        bad = capsys.readouterr()
    assert f"ok: deepseek: {place}/models takes the key" in good
    assert any(line.startswith(f"ok: issuer {keys.url}: 2 usable keys") for line in good)
    assert "ok: grpc.address: 127.0.0.1:0 is free" in good
    failed = [line for line in bad.out.splitlines() if line.startswith("FAILED: ")]
    assert [line.split(":")[1].strip().split(" ")[0] for line in failed] == ["grpc.address", "deepseek", "issuer"]
    assert "another program listens there" in failed[0]
    assert "answered 401: the key is not valid" in failed[1]
    assert "sk-other-key" not in bad.out + bad.err
    assert upstream.exchanges[0].path == "/models"


async def test_online_says_what_does_not_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed port of an upstream, of an issuer, of a search provider and of Redis: each with its name."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("DEEPSEEK_BASE_URL", f"http://{closed}")
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-key")
    monkeypatch.setenv("GATEWAY_REDIS_URL", f"redis://:secret-word@{closed}/0")
    text = f'[jwt]\nissuer = "http://{closed}"\naudience = "g"\n[search]\nproviders = ["searxng"]\n'
    path = written(tmp_path, f'{text}[search.searxng]\nurl = "http://{closed}"\n')
    assert await asyncio.to_thread(main, ["check-config", "--online", "--config", path]) == 1
    said = capsys.readouterr()
    failed = [line.removeprefix("FAILED: ") for line in said.out.splitlines() if line.startswith("FAILED: ")]
    assert [line.split(":")[0].split(" ")[0] for line in failed] == [
        "redis.url",
        "deepseek",
        "issuer",
        "search.searxng",
    ]
    assert "secret-word" not in said.out + said.err
    assert "not everything in it answers" in said.err
