"""A certificate authority for tests, and certificates of it in files."""

import datetime as dt
import os
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files and as PEM."""

    certificate: Path
    private_key: Path

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.read_bytes()

    @property
    def key_pem(self) -> bytes:
        """The private key."""
        return self.private_key.read_bytes()


class Authority:
    """Signs certificates; its own is in `ca.pem` of `folder`."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.file = folder / f"{name.replace(' ', '-').lower()}.pem"
        self.file.write_bytes(self._sign(self._name, self._key, [], dt.timedelta(days=2), authority=True))

    @property
    def pem(self) -> bytes:
        """Its own certificate."""
        return self.file.read_bytes()

    def issue(
        self, name: str, *, uris: tuple[str, ...] = (), host: str = "", valid: dt.timedelta = DAY, file: str = ""
    ) -> Pair:
        """A certificate for CN=`name`, in `<file>.pem` and `<file>.key`, replaced as a whole."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
        if host:
            names += [x509.DNSName(host), x509.IPAddress(ip_address("127.0.0.1"))]
        pair = Pair(self._folder / f"{file or name}.pem", self._folder / f"{file or name}.key")
        _replace(pair.private_key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        _replace(pair.certificate, self._sign(_name(name), key, names, valid))
        return pair

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: list[x509.GeneralName],
        valid: dt.timedelta,
        *,
        authority: bool = False,
    ) -> bytes:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + valid)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    os.replace(fresh, path)  # noqa: PTH105 - the atomic one, as an operator's tool does it
