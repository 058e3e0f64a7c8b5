"""`gateway key`, `client` and `revoke`: secrets are shown once, lists never show them, faults say what to do."""

import stat
from pathlib import Path

import pytest

from gateway.auth.api_key import ApiKeyAuthenticator, ApiKeyFile
from gateway.auth.clients import ClientFile, KnownClients
from gateway.auth.dev_issuer import DevIssuer
from gateway.auth.revocations import RevocationFile
from gateway.cli import main
from tests.support.identity import bearer


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of every command here, by its variable."""
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command that must succeed prints."""
    assert main(words) == 0, capsys.readouterr().err
    return capsys.readouterr().out


async def test_a_key_is_shown_once_and_works(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The key alone is on standard output, the list and the file hold its prefix and a digest."""
    key = said(capsys, "key", "create", "--tenant", "acme", "--scope", "search", "--expires", "90d").strip()
    caller = await ApiKeyAuthenticator(ApiKeyFile(place)).authenticate(bearer(key))
    assert (caller.tenant, caller.scopes) == ("acme", {"search"})
    listing = said(capsys, "key", "list")
    assert caller.credential_id in listing
    assert key not in listing
    for path in (place / "keys").iterdir():
        assert key.encode() not in path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_revoked_key_is_listed_as_revoked_and_ends_what_runs(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key's record and the revocations both say it."""
    prefix = said(capsys, "key", "create", "--tenant", "acme")[:11]
    assert said(capsys, "key", "revoke", prefix) == f"revoked {prefix}\n"
    assert [one.value for one in RevocationFile(place).records()] == [prefix]
    assert ApiKeyFile(place).records()[0].revoked_at > 0


def test_a_client_is_shown_its_secret_once(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The secret opens the token endpoint until the client is revoked."""
    secret = said(capsys, "client", "create", "billing", "--tenant", "acme").strip()
    assert KnownClients(ClientFile(place)).find("billing", secret) is not None
    assert KnownClients(ClientFile(place)).find("billing", secret + "x") is None
    assert secret not in said(capsys, "client", "list")
    assert secret.encode() not in (place / "clients" / "clients.json").read_bytes()
    said(capsys, "client", "revoke", "billing")
    assert KnownClients(ClientFile(place)).find("billing", secret) is None
    assert [(one.kind, one.value, one.tenant) for one in RevocationFile(place).records()] == [
        ("client", "billing", "acme")
    ]


async def test_a_rotated_key_signs_and_the_older_one_stays_good(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A running gateway follows: no token is lost, unless the older keys are discarded."""
    now = [0.0]
    issuer = DevIssuer(place, clock=lambda: now[0])
    before = issuer.mint("acme", "search", "me", 600, 1e9)
    said(capsys, "client", "rotate-key")
    now[0] += 2
    assert len(issuer.jwks()["keys"]) == 2  # type: ignore[arg-type]
    after = issuer.mint("acme", "search", "me", 600, 1e9)
    assert after.split(".")[0] != before.split(".")[0]
    said(capsys, "client", "rotate-key", "--discard-old")
    now[0] += 2
    assert len(issuer.jwks()["keys"]) == 1  # type: ignore[arg-type]


def test_what_is_revoked_is_listed_and_can_be_lifted(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A token's jti is forgotten after a day, a subject stays until it is lifted."""
    said(capsys, "revoke", "--jti", "t-1")
    said(capsys, "revoke", "--subject", "alice", "--of-tenant", "acme", "--for", "1h")
    said(capsys, "revoke", "--tenant", "globex")
    jti, subject, tenant = RevocationFile(place).records()
    assert (jti.until - jti.revoked_at, subject.until - subject.revoked_at, tenant.until) == (86_430, 3600, 0)
    listing = said(capsys, "revoke", "--list")
    assert all(word in listing for word in ("t-1", "alice", "acme", "globex", "never"))
    said(capsys, "revoke", "--tenant", "globex", "--lift")
    assert len(RevocationFile(place).records()) == 2


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["key", "create", "--tenant", "A!"], "lower-case"),
        (["key", "create", "--tenant", "a", "--scope", ""], "words separated by spaces"),
        (["key", "revoke", "gw_nothere1"], "gateway key list"),
        (["key", "create", "--tenant", "a", "--expires", "soon"], "90s, 15m, 12h or 30d"),
        (["key"], "required"),
        (["client", "create", "a b", "--tenant", "a"], "letters, digits"),
        (["client", "revoke", "nobody"], "gateway client list"),
        (["revoke"], "required"),
        (["revoke", "--subject", ""], "is empty"),
        (["revoke", "--subject", "x", "--lift"], "gateway revoke --list"),
        (["revoke", "--key", "gw_nothere1"], "gateway key list"),
        (["revoke", "--key", "abc"], "by its prefix"),
    ],
)
def test_a_fault_is_said_with_what_to_do(words: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, nothing on standard output."""
    assert main(words) == 2
    printed = capsys.readouterr()
    assert hint in printed.err
    assert printed.out == ""


def test_a_name_is_not_given_to_a_second_client(capsys: pytest.CaptureFixture[str]) -> None:
    """Not even after the first one was revoked: its old tokens must not look like those of another."""
    said(capsys, "client", "create", "billing", "--tenant", "acme")
    said(capsys, "client", "revoke", "billing")
    assert main(["client", "create", "billing", "--tenant", "globex"]) == 2
    assert "choose another name" in capsys.readouterr().err
