"""Callers known by the client certificate that the TLS handshake verified: by its SPIFFE URI, or its subject."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gateway.auth import private_files, refusal
from gateway.domain.call import Caller, Credentials

SPIFFE = "spiffe://"
REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Presented:
    """What a certificate says. `identity` is its one SPIFFE URI, else its subject as RFC 4514 writes it.

    `expires_at` in seconds since the epoch; `fingerprint` is the hex SHA-256 of the certificate.
    """

    identity: str
    expires_at: float
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a certificate, as configured; `name` becomes the caller's client_id."""

    name: str
    tenant: str
    scopes: frozenset[str]


class CertificateAuthenticator:
    """The callers of the configuration, by identity. `now` is in seconds since the epoch."""

    def __init__(
        self,
        holders: Mapping[str, Holder],
        *,
        revoked: Callable[[Caller], bool] = lambda _caller: False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._holders = holders
        self._revoked = revoked
        self._now = now
        # A connection shows the same certificate on every call.
        self._read = lru_cache(REMEMBERED)(read_certificate)

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The caller behind a certificate; see `Authenticator`. Raises CallerError(REVOKED) for a revoked one.

        A connection may outlive its certificate: what has expired since the handshake is refused.
        """
        if credentials.certificate is None:
            raise refusal.invalid_token()
        try:
            shown = self._read(credentials.certificate)
        except ValueError as error:
            raise refusal.invalid_token() from error
        holder = self._holders.get(shown.identity)
        if holder is None or self._now() >= shown.expires_at:
            raise refusal.invalid_token()
        caller = Caller(
            tenant=holder.tenant,
            subject=shown.identity,
            client_id=holder.name,
            scopes=holder.scopes,
            expires_at=shown.expires_at,
            credential_id=shown.fingerprint,
        )
        if self._revoked(caller):
            raise refusal.revoked()
        return caller


def read_certificate(pem: bytes) -> Presented:
    """What a certificate says of its holder. Raises ValueError for what is none, or has no identity.

    SPIFFE X.509-SVID section 2: a SPIFFE certificate has exactly one URI; one with several names nobody.
    """
    certificate = x509.load_pem_x509_certificate(pem)
    uris = _uris(certificate)
    if any(uri.startswith(SPIFFE) for uri in uris) and len(uris) != 1:
        raise ValueError("a SPIFFE certificate has exactly one URI")
    spiffe = next((uri for uri in uris if uri.startswith(SPIFFE)), "")
    identity = spiffe or certificate.subject.rfc4514_string()
    if not identity or not identity.isprintable():
        raise ValueError("the certificate names nobody")
    return Presented(
        identity=identity,
        expires_at=certificate.not_valid_after_utc.timestamp(),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def read_file_identity(path: Path) -> str:
    """The identity in a certificate file. Raises OperatorError when it cannot be read."""
    try:
        return read_certificate(private_files.read(path)).identity
    except (ValueError, FileNotFoundError) as error:
        raise private_files.unusable(path, "no readable certificate", "check the path") from error


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)
