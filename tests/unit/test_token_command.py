"""`gateway token`: prints a token and nothing else, or says what is wrong and exits with 2."""

import argparse
import time
from pathlib import Path

import jwt
import pytest

from gateway.auth.dev_issuer import DevIssuer
from gateway.auth.jwt import JwtAuthenticator
from gateway.commands import token as command
from tests.support.identity import bearer


def run(directory: Path, *options: str) -> int:
    parser = argparse.ArgumentParser(prog="gateway token")
    command.configure(parser)
    return command.run(parser.parse_args(["--data-dir", str(directory), *options]))


async def test_the_printed_token_is_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on standard output, accepted by a gateway over the same directory."""
    assert run(tmp_path, "--tenant", "acme", "--scope", "search", "--subject", "me") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.count("\n") == 1
    caller = await JwtAuthenticator([DevIssuer(tmp_path).trusted]).authenticate(bearer(printed.out.strip()))
    assert (caller.tenant, caller.subject, caller.scopes) == ("acme", "me", {"search"})


async def test_without_options_it_is_a_developers_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tenant `dev`, every scope but `admin`, an hour."""
    assert run(tmp_path) == 0
    text = capsys.readouterr().out.strip()
    caller = await JwtAuthenticator([DevIssuer(tmp_path).trusted]).authenticate(bearer(text))
    assert (caller.tenant, caller.scopes) == ("dev", {"model.read", "model.stream", "search"})
    assert 3500 < caller.expires_at - time.time() <= 3600


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h", 3600), ("24h", 86_400), ("60", 60)]
)
def test_durations_are_read(text: str, seconds: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Seconds, minutes, hours."""
    assert run(tmp_path, "--ttl", text) == 0
    payload = jwt.decode(capsys.readouterr().out.strip(), options={"verify_signature": False})
    assert payload["exp"] - payload["iat"] == seconds


@pytest.mark.parametrize("text", ["", "h", "1d", "1.5h", "-1h", "1h30m", "1 h", "forever", "٣h", "9999999999"])
def test_no_duration_exits_with_two(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says how durations are written."""
    with pytest.raises(SystemExit) as left:
        run(tmp_path, f"--ttl={text}")
    assert left.value.code == 2
    assert "15m" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--ttl", "25h"], "24h"),
        (["--ttl", "0s"], "second"),
        (["--tenant", "A:B"], "tenant"),
        (["--scope", 'a"b'], "scope"),
        (["--subject", ""], "subject"),
    ],
)
def test_a_bad_value_exits_with_two_and_one_clear_line(
    options: list[str], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing on standard output that could be taken for a token."""
    assert run(tmp_path, *options) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert word in printed.err
    assert printed.err.count("\n") == 1


def test_a_directory_that_cannot_be_used_exits_with_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names it."""
    (tmp_path / "data").write_text("")
    assert run(tmp_path / "data") == 2
    assert str(tmp_path / "data") in capsys.readouterr().err


def test_the_directory_of_the_environment_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --data-dir it is GATEWAY_DATA_DIR, where the server keeps its key as well."""
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path))
    parser = argparse.ArgumentParser()
    command.configure(parser)
    assert command.run(parser.parse_args([])) == 0
    assert capsys.readouterr().out
    assert list((tmp_path / "issuer").glob("*.pem"))
