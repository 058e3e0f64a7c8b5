"""The server's certificate and its clients' authority, from files, read again when they change."""

import logging
import ssl
from pathlib import Path

import grpc

from gateway.domain.errors import OperatorError, Reason
from gateway.sections import Grpc

Stamp = tuple[tuple[int, int, int], ...]

_log = logging.getLogger(__name__)


class ServerCertificate:
    """Looks at the files at every handshake; what cannot be used is logged once, and the last good set stays.

    gRPC asks in threads of its own, so what it is given is made whole before it is put in place.
    """

    def __init__(self, settings: Grpc) -> None:
        """Raises OperatorError when there is nothing good to begin with."""
        self._certificate = Path(settings.certificate)
        self._private_key = Path(settings.private_key)
        self._client_ca = Path(settings.client_ca) if settings.client_ca else None
        self._stamp = self._stat()
        try:
            self._first = self._read()
        except (OSError, ValueError) as error:
            raise OperatorError(
                Reason.INTERNAL, f"{_said(error)}; check the [grpc] certificate settings"
            ) from error

    def credentials(self) -> grpc.ServerCredentials:
        """What a port is opened with. With an authority, every client must show a certificate of it."""
        return grpc.dynamic_ssl_server_credentials(
            self._first,
            self.changed,  # type: ignore[arg-type]  # None means no change, which the stubs do not know
            require_client_authentication=self._client_ca is not None,
        )

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """The new set if the files have changed and are good, else None: the one in use stays."""
        stamp = self._stat()
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            fresh = self._read()
        except (OSError, ValueError) as error:
            _log.warning("the last good certificate stays in use: %s", _said(error))
            return None
        _log.info("a new certificate is in use: %s", self._certificate)
        return fresh

    def _stat(self) -> Stamp:
        paths = [self._certificate, self._private_key, *([self._client_ca] if self._client_ca else [])]
        try:
            found = [path.stat() for path in paths]
        except OSError:
            return ()
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in found)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        pair = (self._private_key.read_bytes(), self._certificate.read_bytes())
        authority = self._client_ca.read_bytes() if self._client_ca is not None else None
        # gRPC takes anything and fails at each handshake; OpenSSL says now what is wrong, a foreign key included.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate, self._private_key, password=_no_password)
        if self._client_ca is not None:
            context.load_verify_locations(self._client_ca)
        return grpc.ssl_server_certificate_configuration([pair], authority)


def _no_password() -> str:
    raise ValueError("the private key has a password; store it without one, readable by the gateway alone")


def _said(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"the certificate, its key or the authority is not usable ({error.reason or error})"
    if isinstance(error, OSError):
        return f"cannot read {error.filename} ({error.strerror})"
    return str(error)
