"""Certificates for servers of the tests: good ones and each kind of bad one."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Authority:
    """A certificate authority of ours; its file is what a relay's URL names as `ca`."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name
    file: Path

    @classmethod
    def make(cls, folder: Path, *, has_usage: bool = True) -> "Authority":
        key, name = ec.generate_private_key(ec.SECP256R1()), _name("Test authority")
        certificate = _builder(name, name, key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        if has_usage:
            certificate = certificate.add_extension(usage, critical=True)
        signed = certificate.sign(key, SHA256())
        file = folder / "authority.pem"
        file.write_bytes(signed.public_bytes(Encoding.PEM))
        return cls(folder, key, name, file)

    def server(
        self,
        *,
        hosts: tuple[str, ...] = ("localhost", "127.0.0.1"),
        starts_in: timedelta = timedelta(days=-1),
        ends_in: timedelta = timedelta(days=30),
        is_self_signed: bool = False,
    ) -> ssl.SSLContext:
        """Return a server's context with a leaf for these hosts, valid between these times."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.leaf(hosts, starts_in, ends_in, is_self_signed=is_self_signed))
        return context

    def leaf(
        self,
        hosts: tuple[str, ...] = ("localhost", "127.0.0.1"),
        starts_in: timedelta = timedelta(days=-1),
        ends_in: timedelta = timedelta(days=30),
        *,
        is_self_signed: bool = False,
    ) -> Path:
        """Make a certificate for these hosts; return the file that holds it and its key."""
        key, name = ec.generate_private_key(ec.SECP256R1()), _name(hosts[0])
        issuer, signer = (name, key) if is_self_signed else (self.name, self.key)
        leaf = (
            _builder(name, issuer, key, starts_in, ends_in)
            .add_extension(
                x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
            .sign(signer, SHA256())
        )
        file = self.folder / f"{leaf.serial_number:x}.pem"
        file.write_bytes(
            leaf.public_bytes(Encoding.PEM)
            + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return file


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(host: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    starts_in: timedelta = timedelta(days=-1),
    ends_in: timedelta = timedelta(days=30),
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + starts_in)
        .not_valid_after(now + ends_in)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
