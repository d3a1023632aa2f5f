"""TLS with the relay's own certificate; behind a proxy there is none."""

from __future__ import annotations

import ssl
from pathlib import Path

from streamfilter.errors import UsageError


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server's context, TLS 1.2 at least, of a PEM certificate (with its chain) and its key.

    Raises UsageError where a file cannot be read or the two do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        # An encrypted key would ask at the terminal: with an empty password it fails instead.
        context.load_cert_chain(certificate, key, password=b"")
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise UsageError(
            f"tls_cert {certificate} and tls_key {key} cannot be used "
            f"({getattr(error, 'strerror', None) or error}): give a certificate and its key, PEM, without a "
            "password"
        ) from error
    return context
