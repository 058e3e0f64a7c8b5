"""Issuers and certificates in the configuration: read whole, every fault said, every relaxation a warning."""

from pathlib import Path

import pytest

from gateway import identity, settings

STRICT = """
[issuers.corporate]
issuer = "https://idp.example.com"
audience = ["https://gateway.example.com"]
"""


A = '[issuers.a]\nissuer = "https://a"\naudience = "g"\n'


def loaded(tmp_path: Path, text: str, **environment: str) -> settings.Settings:
    """The settings of a file with this text."""
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return settings.load(str(path), environment)


def faults(tmp_path: Path, text: str, **environment: str) -> tuple[str, ...]:
    """What is said against a file with this text."""
    with pytest.raises(settings.ConfigurationError) as refused:
        loaded(tmp_path, text, **environment)
    return refused.value.faults


def test_a_strict_issuer_needs_three_lines_and_has_no_warning(tmp_path: Path) -> None:
    """The issuer and the audience are enough; keys are found by discovery."""
    found = loaded(tmp_path, STRICT)
    (issuer,) = found.issuers
    assert (issuer.policy.issuer, issuer.policy.audiences) == (
        "https://idp.example.com",
        ("https://gateway.example.com",),
    )
    assert issuer.signed
    assert identity.warnings(found) == []


def test_issuers_stand_side_by_side_with_the_one_of_the_environment(tmp_path: Path) -> None:
    """Each keeps its own audience, algorithms and claim names."""
    found = loaded(
        tmp_path,
        STRICT + '[issuers.partner]\nissuer = "p"\naudience = "gw"\nalgorithms = ["EdDSA"]\n'
        'tenant_claim = "org"\njwks_file = "keys.json"\n',
        GATEWAY_JWT_ISSUER="https://first.example.com",
        GATEWAY_JWT_AUDIENCE="gw",
        GATEWAY_JWKS_URL="https://first.example.com/keys",
    )
    assert [(one.name, one.policy.tenant_claim, one.jwks_url, one.jwks_file) for one in found.issuers] == [
        ("jwt", "tenant", "https://first.example.com/keys", ""),
        ("corporate", "tenant", "", ""),
        ("partner", "org", "", "keys.json"),
    ]
    assert found.issuers[2].policy.algorithms == frozenset({"EdDSA"})


def test_every_relaxation_is_a_warning(tmp_path: Path) -> None:
    """Nothing that is given up goes unsaid."""
    found = loaded(
        tmp_path,
        """
        [issuers.lax]
        issuer = "http://idp.example.com"
        audience = ["a", "b"]
        allow_plaintext = true
        discovery = true
        types = ["at+jwt", "JWT", ""]
        ignored_header_members = ["x5t"]
        default_algorithm = "RS256"
        audience_list = true
        tenant_claim = "tid"
        scope_claim = "scp"
        scope_list = true
        client_id_claim = "azp"
        jti_claim = "uti"
        optional_claims = ["jti"]
        fixed_tenant = "acme"
        actor_clients = ["bff"]
        introspection_url = "http://idp.example.com/introspect"
        introspection_client_id = "gw"
        introspection_client_secret = "s"
        introspection_audience_optional = true
        """,
    )
    said = "\n".join(identity.warnings(found))
    for word in (
        "typ (none), JWT", "x5t", "without alg", "several audiences", "other audiences", "scp", "as a list",
        "without jti", "tenant acme", "bff", "plain HTTP", "names no audience",
    ):  # fmt: skip
        assert word in said, word


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[issuers.a]\nissuer = "https://a"\n', "issuers.a: no audience"),
        ('[issuers.a]\nissuer = "https://a"\naudience = "g"\nalgorithms = ["HS256"]\n', "not HS256"),
        ('[issuers.a]\nissuer = "a"\naudience = "g"\n', "the issuer must be a URL"),
        ('[issuers.a]\nissuer = "http://far.example"\naudience = "g"\n', "plain HTTP to another machine"),
        ('[issuers.a]\nissuer = "https://a"\naudience = "g"\nisuer = "x"\n', "did you mean issuer?"),
        (
            '[issuers.a]\nissuer = "https://a"\naudience = "g"\njwks_url = "https://a/k"\njwks_file = "k"\n',
            "keys come from one place",
        ),
        (
            '[issuers.a]\nissuer = "https://a"\naudience = "g"\nintrospection_url = "https://a/i"\n',
            "needs introspection_client_id",
        ),
        (
            A + A.replace("issuers.a", "issuers.b"),
            "issuers.b: the issuer https://a is that of a already",
        ),
        ("[issuers]\na = 1\n", "[issuers.a] must be a table"),
        ("issuers = 1\n", "[issuers] must hold tables"),
        ('[issuers."A b"]\nissuer = "https://a"\naudience = "g"\n', "a name is lower-case"),
        ('[certificates.a]\nidentity = "spiffe://x/a"\ntenant = "T!"\nscopes = ["search"]\n', "is no tenant name"),
        ('[certificates.a]\nidentity = "spiffe://x/a"\ntenant = "t"\nscopes = ["search"]\n', "grpc.client_ca"),
        ('[issuer]\nenabled = true\n', "issuer.url: missing"),
        ("[grpc]\ntls13_only = true\n", "grpc.tls13_only: needs"),
    ],
)  # fmt: skip
def test_each_fault_is_said(tmp_path: Path, text: str, said: str) -> None:
    """A bad table stops the start and says what to do."""
    assert any(said in fault for fault in faults(tmp_path, text)), faults(tmp_path, text)


def test_faults_of_several_issuers_are_said_together(tmp_path: Path) -> None:
    """One start shows them all."""
    text = '[issuers.a]\nissuer = "https://a"\n[issuers.b]\naudience = "g"\nissuer = ""\n'
    said = faults(tmp_path, text)
    assert {fault.split(":")[0] for fault in said} == {"issuers.a", "issuers.b"}


def test_the_secret_of_introspection_comes_from_a_file_and_stays_out_of_sight(tmp_path: Path) -> None:
    """`_FILE` works for it like for every secret, and no repr shows it."""
    secret = tmp_path / "secret"
    secret.write_text("hush-hush\n")
    found = loaded(
        tmp_path,
        STRICT + 'introspection_url = "https://idp.example.com/introspect"\nintrospection_client_id = "gw"\n',
        GATEWAY_ISSUERS_CORPORATE_INTROSPECTION_CLIENT_SECRET_FILE=str(secret),
    )
    introspection = found.issuers[0].introspection
    assert introspection is not None
    assert introspection.client_secret == "hush-hush"
    assert not found.issuers[0].signed
    assert "hush-hush" not in repr(found)
