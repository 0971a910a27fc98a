"""Certificates for servers of the tests: good ones and each kind of bad one."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey
A_DAY_AGO, IN_A_MONTH = timedelta(days=-1), timedelta(days=30)
SIGNS = ("digital_signature", "key_cert_sign", "crl_sign")
ELSE = (
    "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "encipher_only", "decipher_only",
)  # fmt: skip


@dataclass(frozen=True)
class Authority:
    """A certificate authority of ours; its file is what a relay's URL names as `ca`."""

    folder: Path
    key: Key
    name: x509.Name
    file: Path

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        key, name = ec.generate_private_key(ec.SECP256R1()), _name("Test authority")
        made = _builder(name, name, key, A_DAY_AGO, IN_A_MONTH)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        usage = x509.KeyUsage(**dict.fromkeys(SIGNS, True), **dict.fromkeys(ELSE, False))
        made = made.add_extension(usage, critical=True)
        file = folder / "authority.pem"
        file.write_bytes(made.sign(key, SHA256()).public_bytes(Encoding.PEM))
        return cls(folder, key, name, file)

    def server(self, **leaf: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.leaf(**leaf))
        return context

    def leaf(
        self,
        hosts: tuple[str, ...] = ("localhost", "127.0.0.1"),
        starts_in: timedelta = A_DAY_AGO,
        ends_in: timedelta = IN_A_MONTH,
        *,
        is_self_signed: bool = False,
    ) -> Path:
        """Make a certificate for these hosts; return the file that holds it and its key."""
        key, name = ec.generate_private_key(ec.SECP256R1()), _name(hosts[0])
        issuer, signer = (name, key) if is_self_signed else (self.name, self.key)
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        made = _builder(name, issuer, key, starts_in, ends_in).add_extension(by, critical=False)
        leaf = made.add_extension(names, critical=False).sign(signer, SHA256())
        own = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file = self.folder / f"{leaf.serial_number:x}.pem"
        file.write_bytes(leaf.public_bytes(Encoding.PEM) + own)
        return file


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(host: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, starts_in: timedelta, ends_in: timedelta
) -> x509.CertificateBuilder:
    at, public, serial = datetime.now(UTC), key.public_key(), x509.random_serial_number()
    builder = x509.CertificateBuilder(issuer, subject, public, serial, at + starts_in, at + ends_in)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
