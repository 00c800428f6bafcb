# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and certificates of one embedded cluster, signed by an authority of its own."""

from __future__ import annotations

import base64
import datetime
import ipaddress
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_FOR = datetime.timedelta(days=30)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


class Authority:
    """A certificate authority that keeps its files in `directory` (NAME.crt and NAME.key)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "interchain-security testbed")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + VALID_FOR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)
        (directory / "ca.crt").write_bytes(self.certificate)

    def issue(self, file: str, common_name: str, *, organization: str = "", hosts: tuple[str, ...] = ()) -> None:
        """Write `file`.crt and `file`.key; with `hosts` (names, addresses) it can serve as well."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if organization:
            names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(names))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + VALID_FOR)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
            ).add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        else:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        (self.directory / f"{file}.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        _write_secret(self.directory / f"{file}.key", _pem(key))

    def signing_key(self, file: str) -> None:
        """Write the key pair that signs service account tokens: `file`.key and `file`.pub."""
        key = ec.generate_private_key(ec.SECP256R1())
        _write_secret(self.directory / f"{file}.key", _pem(key))
        (self.directory / f"{file}.pub").write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )

    def kubeconfig(self, path: Path, server: str, file: str) -> None:
        """Write a kubeconfig for the client certificate `file`, all of it inside the one file."""

        def data(name: str) -> str:
            return base64.b64encode((self.directory / name).read_bytes()).decode()

        name = "interchain-testbed"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": data("ca.crt")}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": file}}],
            "users": [
                {
                    "name": file,
                    "user": {"client-certificate-data": data(f"{file}.crt"), "client-key-data": data(f"{file}.key")},
                }
            ],
        }
        _write_secret(path, yaml.safe_dump(content).encode())


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
