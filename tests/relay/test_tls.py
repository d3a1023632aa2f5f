"""TLS with a certificate of the relay's own."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from streamfilter.errors import UsageError
from streamfilter.relay.security.tls import server_context


def certificate(folder: Path, name: str, password: bytes | None = None) -> tuple[Path, Path]:
    """A certificate of ``localhost`` and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    )
    return paths


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> str | None:
    """The version that the two agree on, in memory. Raises SSLError where they do not."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(back, there, server_hostname="localhost"),
        server.wrap_bio(there, back, server_side=True),
    ]
    for _ in range(10):
        waiting = 0
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                waiting += 1
        if not waiting:
            return ends[0].version()
    raise AssertionError("the handshake does not end")


def test_a_browser_that_trusts_the_certificate_gets_tls_1_3(tmp_path: Path) -> None:
    made = certificate(tmp_path, "a")
    client = ssl.create_default_context(cafile=str(made[0]))
    assert shake_hands(server_context(*made), client) == "TLSv1.3"


def test_tls_1_2_is_taken(tmp_path: Path) -> None:
    made = certificate(tmp_path, "a")
    client = ssl.create_default_context(cafile=str(made[0]))
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert shake_hands(server_context(*made), client) == "TLSv1.2"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_1_1_is_not(tmp_path: Path) -> None:
    made = certificate(tmp_path, "a")
    client, lax = ssl.create_default_context(cafile=str(made[0])), server_context(*made)
    lax.minimum_version = client.minimum_version = ssl.TLSVersion.TLSv1
    client.maximum_version = ssl.TLSVersion.TLSv1_1
    for context in (client, lax):
        context.set_ciphers("ALL:@SECLEVEL=0")
    assert shake_hands(lax, client) == "TLSv1.1"  # the client could
    strict = server_context(*made)
    strict.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        shake_hands(strict, client)


def test_files_that_are_missing_wrong_or_locked_are_named(tmp_path: Path) -> None:
    first, second = certificate(tmp_path, "a"), certificate(tmp_path, "b")
    locked = certificate(tmp_path, "c", b"password")
    for pair in ((first[0], tmp_path / "none"), (first[0], second[1]), (first[1], first[1]), locked):
        with pytest.raises(UsageError, match="tls_cert"):
            server_context(*pair)
