"""Self-made authorities and server certificates, good and bad."""

import datetime
import ipaddress
import secrets
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate authority that lives as long as the tests."""

    def __init__(self, folder: Path, name: str = "Test Authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key, NOW - DAY, NOW + DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.file = str(folder / f"{name.replace(' ', '-')}.pem")
        certificate = builder.sign(self._key, hashes.SHA256())
        Path(self.file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(
        self,
        *,
        ip: str | None = "127.0.0.1",
        dns: str = "localhost",
        until: datetime.datetime = NOW + DAY,
        alternative: bool = True,
    ) -> ssl.SSLContext:
        """A server's context with a certificate for these names; `dns` is its common name too, or only that."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(dns)]
        names += [x509.IPAddress(ipaddress.ip_address(ip))] if ip else []
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, dns)])
        builder = self._builder(subject, key, until - 2 * DAY, until)
        if alternative:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        chain = self._folder / f"{secrets.token_hex(8)}.pem"
        chain.write_bytes(
            builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(chain))
        return context

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        since: datetime.datetime,
        until: datetime.datetime,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(until)
        )
