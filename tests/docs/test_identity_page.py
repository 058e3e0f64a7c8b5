"""The page about identity: every block is a configuration that loads, and takes the tokens it is written for."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from gateway import identity, settings
from gateway.auth.claims import read_caller, read_header
from gateway.cli import main, offered
from gateway.settings import Settings
from gateway.trust import IssuerTable

PAGE = Path(__file__).resolve().parents[2] / "docs" / "identity.md"
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
NOW = 1_800_000_000
GATEWAY = "https://gateway.example.com"


def named(block: str) -> str:
    """The first table of a block, to tell them apart."""
    return block.partition("]")[0].strip("[ ")


def loaded(block: str, tmp_path: Path) -> Settings:
    """The settings of a block of the page."""
    path = tmp_path / "gateway.toml"
    path.write_text(block, encoding="utf-8")
    return settings.load(str(path), {})


@pytest.mark.parametrize("block", BLOCKS, ids=named)
def test_every_block_is_a_configuration_that_is_accepted(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It loads without a fault, and `gateway check-config` takes it."""
    found = loaded(block, tmp_path)
    assert set(tomllib.loads(block).get("issuers", {})) == {one.name for one in found.issuers}
    if "check-config" in offered() and not found.grpc.certificate:
        monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path))
        assert main(["check-config", "--config", str(tmp_path / "gateway.toml")]) == 0, capsys.readouterr().err


COMMON = {"iat": NOW, "exp": NOW + 3600, "nbf": NOW}
# What each provider documents of its access tokens: header, claims, and the warnings its block has.
TOKENS = {
    "corporate": (
        {"typ": "at+jwt"},
        {"aud": GATEWAY, "sub": "u", "client_id": "c", "jti": "j", "tenant": "acme", "scope": "search"},
        0,
    ),
    "keycloak": (
        {"typ": "at+jwt"},
        {
            "aud": GATEWAY, "sub": "f:1:alice", "azp": "web", "jti": "onrtac:1", "tenant": "acme", "sid": "s",
            "scope": "openid search", "acr": "1", "realm_access": {"roles": ["x"]}, "allowed-origins": [],
        },
        1,
    ),
    "auth0": (
        {"typ": "at+jwt"},
        {
            "aud": GATEWAY, "sub": "abc@clients", "client_id": "abc", "jti": "j", "scope": "search",
            "https://gateway.example.com/tenant": "acme",
        },
        1,
    ),
    "entra": (
        {"typ": "JWT"},
        {
            "aud": "66666666-7777-8888-9999-000000000000", "sub": "oid", "azp": "app", "uti": "u", "azpacr": "1",
            "roles": ["search"], "oid": "oid", "tid": "t", "ver": "2.0", "rh": "0.A", "aio": "A",
        },
        5,
    ),
    "cluster": (
        {},
        {
            "aud": [GATEWAY], "sub": "system:serviceaccount:apps:billing",
            "kubernetes.io": {"namespace": "apps", "serviceaccount": {"name": "billing", "uid": "1"}},
        },
        5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_as_the_provider_makes_it_is_taken(name: str, tmp_path: Path) -> None:
    """The caller is of the tenant acme and may search; every relaxation of the block is a warning."""
    block = next(block for block in BLOCKS if f"[issuers.{name}]" in block)
    found = loaded(block, tmp_path)
    header, claims, warnings = TOKENS[name]
    policy = found.issuers[0].policy
    key = read_header({"alg": "RS256", "kid": "k1", **header}, policy)
    payload = {"iss": policy.issuer, **COMMON, **claims}
    caller = read_caller(payload, policy, key.key_id, NOW)
    assert caller.tenant == "acme"
    assert "search" in caller.scopes
    assert len(identity.warnings(found)) == warnings


def test_every_issuer_of_the_page_has_a_token_here() -> None:
    """A block that is added is tried with a token as well."""
    issuers = {name for block in BLOCKS for name in tomllib.loads(block).get("issuers", {})}
    assert issuers == TOKENS.keys() | {"partner"}


def test_every_key_of_an_issuer_is_on_the_page() -> None:
    """What can be configured is explained."""
    page = PAGE.read_text(encoding="utf-8")
    keys = [field.name for field in fields(IssuerTable)]
    assert [key for key in keys if f"`{key}`" not in page and f"{key} =" not in page] == []
