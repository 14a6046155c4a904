"""Certificates for one machine: a CA with a server certificate for localhost, and certificates for app credentials."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

_LIFE = timedelta(days=365)


def server_files(directory: Path) -> tuple[Path, Path]:
    """The CA's PEM for clients and the PEM with key and chain for the server, made where missing or nearly expired.

    The CA's key is thrown away at once, so nothing else can ever be signed with it.
    """
    ca_file, server_file = directory / "ca.pem", directory / "server.pem"
    if not (ca_file.exists() and server_file.exists() and _is_fresh(ca_file)):
        directory.mkdir(parents=True, exist_ok=True)
        _make(ca_file, server_file)
    return ca_file, server_file


def app_credential() -> tuple[str, str]:
    """A self-signed certificate as an operator would make for an app registration.

    Returns the PEM with private key and certificate, and the PEM of the certificate alone.
    """
    key = rsa.generate_private_key(65537, 2048)
    certificate = _builder("marketplace-leads", "marketplace-leads", key.public_key()).sign(key, hashes.SHA256())
    public = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return _private(key) + public, public


def _is_fresh(file: Path) -> bool:
    until = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    return until > datetime.now(UTC) + timedelta(days=2)


def _make(ca_file: Path, server_file: Path) -> None:
    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = "Stand-ins, this machine only"
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    server = (
        _builder("localhost", ca_name, server_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))],
            ),
            critical=False,
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    server_file.write_text(_private(server_key) + server.public_bytes(serialization.Encoding.PEM).decode())
    server_file.chmod(0o600)
    ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))


def _builder(subject: str, issuer: str, key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFE)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _private(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
