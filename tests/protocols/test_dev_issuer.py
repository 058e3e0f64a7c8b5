"""The development issuer: real keys, strict tokens, one key however many processes start at once."""

import hashlib
import json
import stat
import subprocess
import sys
import threading
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.auth import base64url
from gateway.auth.dev_issuer import AUDIENCE, ISSUER, DevIssuer
from gateway.auth.jwt import JwtAuthenticator
from gateway.auth.policy import relaxations
from gateway.domain.call import Caller
from gateway.domain.errors import CallerError, OperatorError, Reason
from tests.support.identity import NOW, bearer

SCOPE = "model.read model.stream search"


def mint(issuer: DevIssuer, **changes: object) -> str:
    values = {"tenant": "acme", "scope": SCOPE, "subject": "user-1", "ttl_s": 3600, "now": NOW, **changes}
    return issuer.mint(**values)


async def verified(issuer: DevIssuer, text: str, now: float = NOW) -> Caller:
    return await JwtAuthenticator([issuer.trusted], now=lambda: now).authenticate(bearer(text))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_minted_token_passes_the_strict_profile(tmp_path: Path) -> None:
    """Nothing is relaxed for development: the token is what a real issuer would send."""
    issuer = DevIssuer(tmp_path)
    caller = await verified(issuer, mint(issuer))
    assert relaxations(issuer.trusted.policy) == ()
    assert (caller.tenant, caller.subject, caller.client_id) == ("acme", "user-1", "gateway-token")
    assert caller.scopes == set(SCOPE.split())
    assert caller.expires_at == NOW + 3600


def test_a_minted_token_has_every_claim_and_a_name_of_its_own(tmp_path: Path) -> None:
    """RFC 9068 section 2.2, with `typ` at+jwt; two tokens never share a jti."""
    issuer = DevIssuer(tmp_path)
    one, two = mint(issuer), mint(issuer)
    payload = jwt.decode(one, options={"verify_signature": False})
    assert payload.keys() == {"iss", "aud", "sub", "client_id", "jti", "tenant", "scope", "iat", "exp"}
    assert (payload["iss"], payload["aud"]) == (ISSUER, AUDIENCE)
    assert jwt.get_unverified_header(one).keys() == {"alg", "kid", "typ"}
    assert jwt.get_unverified_header(one)["typ"] == "at+jwt"
    assert payload["jti"] != jwt.decode(two, options={"verify_signature": False})["jti"]


def test_the_key_is_for_its_owner_only(tmp_path: Path) -> None:
    """Directory 0700, files 0600, whatever the umask."""
    DevIssuer(tmp_path / "data")
    directory = tmp_path / "data" / "issuer"
    assert mode(directory) == 0o700
    assert {path.name: mode(path) for path in directory.iterdir()} == {
        ".lock": 0o600,
        "signing-000001.pem": 0o600,
    }


def test_the_key_set_is_public_and_named_by_thumbprint(tmp_path: Path) -> None:
    """No private member; the kid is the digest of the required members (RFC 7638 section 3)."""
    (entry,) = DevIssuer(tmp_path).jwks()["keys"]
    assert entry.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    required = {name: entry[name] for name in ("crv", "kty", "x", "y")}
    canonical = json.dumps(required, sort_keys=True, separators=(",", ":")).encode()
    assert entry["kid"] == base64url.encode(hashlib.sha256(canonical).digest())


async def test_a_second_start_uses_the_same_key(tmp_path: Path) -> None:
    """Tokens survive a restart."""
    text = mint(DevIssuer(tmp_path))
    assert await verified(DevIssuer(tmp_path), text)


async def test_issuers_of_different_directories_do_not_trust_each_other(tmp_path: Path) -> None:
    """The key is the trust, not the name of the issuer."""
    with pytest.raises(CallerError):
        await verified(DevIssuer(tmp_path / "a"), mint(DevIssuer(tmp_path / "b")))


async def test_issuer_and_audience_may_be_chosen(tmp_path: Path) -> None:
    """Another name is another issuer, with the same key."""
    named = DevIssuer(tmp_path, issuer="https://other.test", audience="https://me.test")
    assert await verified(named, mint(named))
    with pytest.raises(CallerError):
        await verified(DevIssuer(tmp_path), mint(named))


def test_threads_that_start_together_end_with_one_key(tmp_path: Path) -> None:
    """Eight at once: one file, one kid."""
    together = threading.Barrier(8)
    found: list[str] = []

    def start() -> None:
        together.wait()
        found.append(json.dumps(DevIssuer(tmp_path).jwks()))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(list((tmp_path / "issuer").glob("*.pem"))) == 1


def test_processes_that_start_together_end_with_one_key(tmp_path: Path) -> None:
    """`gateway serve --dev` and `gateway token` in the same moment agree."""
    program = (
        "import json, pathlib, sys; from gateway.auth.dev_issuer import DevIssuer; "
        "print(json.dumps(DevIssuer(pathlib.Path(sys.argv[1])).jwks()))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    root = Path(__file__).parents[2]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) for _ in range(2)]
    one, two = (process.communicate()[0] for process in both)
    assert one == two
    assert json.loads(one)["keys"]


async def test_after_a_rotation_old_and_new_tokens_are_good(tmp_path: Path) -> None:
    """The new key signs, the old one still verifies, here and after a restart."""
    issuer = DevIssuer(tmp_path)
    old = mint(issuer)
    trusted = JwtAuthenticator([issuer.trusted], now=lambda: NOW)
    await trusted.authenticate(bearer(old))
    issuer.rotate()
    new = mint(issuer)
    assert jwt.get_unverified_header(old)["kid"] != jwt.get_unverified_header(new)["kid"]
    for text in (old, new):
        assert await trusted.authenticate(bearer(text))
        assert await verified(DevIssuer(tmp_path), text)
    assert len(issuer.jwks()["keys"]) == 2


async def test_a_rotation_that_another_process_made_is_kept(tmp_path: Path) -> None:
    """Rotating reads what is there first."""
    here, there = DevIssuer(tmp_path), DevIssuer(tmp_path)
    there.rotate()
    here.rotate()
    assert len(here.jwks()["keys"]) == 3
    assert await verified(here, mint(there))


def test_no_more_keys_are_kept_than_a_key_set_may_hold(tmp_path: Path) -> None:
    """After 25 rotations the newest 20 keys are left, in the set and on disk."""
    issuer = DevIssuer(tmp_path)
    for _ in range(25):
        issuer.rotate()
    assert len(issuer.jwks()["keys"]) == 20
    assert DevIssuer(tmp_path).jwks() == issuer.jwks()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tenant": ""}, "tenant"),
        ({"tenant": "Acme"}, "tenant"),
        ({"tenant": "a:b"}, "tenant"),
        ({"scope": "a\nb"}, "scope"),
        ({"scope": 'a"b'}, "scope"),
        ({"subject": ""}, "subject"),
        ({"subject": "a\x00"}, "subject"),
        ({"subject": "s" * 256}, "subject"),
        ({"client_id": ""}, "client_id"),
        ({"ttl_s": 0}, "ttl"),
        ({"ttl_s": -1}, "ttl"),
        ({"ttl_s": 86_401}, "ttl"),
    ],
)
def test_what_no_gateway_would_accept_is_not_minted(
    changes: dict[str, object], field: str, tmp_path: Path
) -> None:
    """The field is named, and what to write instead."""
    with pytest.raises(CallerError) as refused:
        mint(DevIssuer(tmp_path), **changes)
    assert refused.value.reason is Reason.INVALID_REQUEST
    assert [violation.field for violation in refused.value.fields] == [field]


async def test_the_longest_and_the_shortest_life_are_accepted(tmp_path: Path) -> None:
    """A second and a day."""
    issuer = DevIssuer(tmp_path)
    for ttl_s in (1, 86_400):
        assert (await verified(issuer, mint(issuer, ttl_s=ttl_s))).expires_at == NOW + ttl_s


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem_of(rsa.generate_private_key(65537, 2048)),
        pem_of(ec.generate_private_key(ec.SECP384R1())),
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        ),
    ],
)
def test_a_broken_key_file_is_named_and_left_as_it_is(content: bytes, tmp_path: Path) -> None:
    """Empty, junk, another kind of key, encrypted: the operator decides, nothing is overwritten."""
    DevIssuer(tmp_path)
    path = tmp_path / "issuer" / "signing-000001.pem"
    path.write_bytes(content)
    with pytest.raises(OperatorError, match=r"signing-000001\.pem.*delete it"):
        DevIssuer(tmp_path)
    assert path.read_bytes() == content


def test_a_key_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A directory where the file should be stands for everything the system refuses to read."""
    (tmp_path / "issuer" / "signing-000001.pem").mkdir(parents=True)
    with pytest.raises(OperatorError, match=r"signing-000001\.pem.*cannot be read"):
        DevIssuer(tmp_path)


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file stands where the directory should be."""
    (tmp_path / "data").write_text("")
    with pytest.raises(OperatorError, match=r"data/issuer.*cannot be written.*another data directory"):
        DevIssuer(tmp_path / "data")


def test_existing_keys_need_no_write(tmp_path: Path) -> None:
    """A data directory mounted read-only is enough once the key is there."""
    expected = DevIssuer(tmp_path).jwks()
    (tmp_path / "issuer" / ".lock").unlink()
    assert DevIssuer(tmp_path).jwks() == expected
    assert not (tmp_path / "issuer" / ".lock").exists()
