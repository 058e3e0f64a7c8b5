"""Callers known by their certificate: the SPIFFE URI, or the subject, exactly as configured."""

import datetime as dt
import time
from pathlib import Path

import pytest

from gateway.auth.certificate import CertificateAuthenticator, Holder, read_certificate
from gateway.domain.call import Credentials
from gateway.domain.errors import CallerError, Reason
from tests.support.certificates import Authority

SPIFFE = "spiffe://example.org/ns/prod/sa/billing"
HOLDER = Holder("billing", "acme", frozenset({"model.read"}))


async def test_a_spiffe_certificate_is_its_uri(tmp_path: Path) -> None:
    """Tenant and scopes come from the configuration, the end of the identity from the certificate."""
    pair = Authority(tmp_path).issue("ignored", uris=(SPIFFE,))
    caller = await CertificateAuthenticator({SPIFFE: HOLDER}).authenticate(Credentials(None, pair.pem))
    assert (caller.tenant, caller.subject, caller.client_id) == ("acme", SPIFFE, "billing")
    assert caller.scopes == {"model.read"}
    assert 0 < caller.expires_at - time.time() <= 86_400
    assert caller.credential_id == read_certificate(pair.pem).fingerprint


async def test_a_certificate_without_a_uri_is_its_subject(tmp_path: Path) -> None:
    """As RFC 4514 writes it."""
    pair = Authority(tmp_path).issue("billing")
    caller = await CertificateAuthenticator({"CN=billing": HOLDER}).authenticate(Credentials(None, pair.pem))
    assert caller.subject == "CN=billing"


@pytest.mark.parametrize("uris", [(SPIFFE, "spiffe://example.org/other"), (SPIFFE, "https://example.org")])
async def test_a_spiffe_certificate_with_several_uris_names_nobody(tmp_path: Path, uris: tuple[str, ...]) -> None:
    """Neither by a URI nor by its subject."""
    pair = Authority(tmp_path).issue("billing", uris=uris)
    door = CertificateAuthenticator({SPIFFE: HOLDER, "CN=billing": HOLDER})
    with pytest.raises(CallerError, match=r"^invalid_token$"):
        await door.authenticate(Credentials(None, pair.pem))


async def test_a_spiffe_certificate_is_not_known_by_its_subject(tmp_path: Path) -> None:
    """The authority of a mesh lets workloads choose their subject."""
    pair = Authority(tmp_path).issue("billing", uris=("spiffe://example.org/ns/prod/sa/evil",))
    with pytest.raises(CallerError):
        await CertificateAuthenticator({"CN=billing": HOLDER}).authenticate(Credentials(None, pair.pem))


@pytest.mark.parametrize("pem", [None, b"", b"junk"])
async def test_no_certificate_is_no_caller(pem: bytes | None) -> None:
    """With the words of every refusal."""
    with pytest.raises(CallerError, match=r"^invalid_token$") as refused:
        await CertificateAuthenticator({SPIFFE: HOLDER}).authenticate(Credentials(None, pem))
    assert refused.value.reason is Reason.TOKEN_INVALID


async def test_a_connection_that_outlives_its_certificate_is_refused(tmp_path: Path) -> None:
    """The handshake was good; the next call is not."""
    pair = Authority(tmp_path).issue("billing", valid=dt.timedelta(minutes=1))
    now = [time.time()]
    door = CertificateAuthenticator({"CN=billing": HOLDER}, now=lambda: now[0])
    await door.authenticate(Credentials(None, pair.pem))
    now[0] += 61
    with pytest.raises(CallerError):
        await door.authenticate(Credentials(None, pair.pem))


async def test_a_revoked_holder_is_refused_as_revoked(tmp_path: Path) -> None:
    """Asked on every call."""
    pair = Authority(tmp_path).issue("billing")
    door = CertificateAuthenticator({"CN=billing": HOLDER}, revoked=lambda caller: caller.tenant == "acme")
    with pytest.raises(CallerError) as refused:
        await door.authenticate(Credentials(None, pair.pem))
    assert refused.value.reason is Reason.REVOKED
