"""Encryption of DICOM connections (PS3.15, B: TLS 1.2 or later, certificates on both sides where asked for)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError


@dataclass(frozen=True)
class Certificates:
    """What a node shows, and whom it believes.

    Attributes:
        own: its certificate (PEM); None for none.
        key: private key of it (PEM), where it is not in the same file.
        authorities: certificates (PEM) that vouch for others; None for those of this computer.

    Raises:
        InputError: a key without a certificate.
    """

    own: Path | None = None
    key: Path | None = None
    authorities: Path | None = None

    def __post_init__(self) -> None:
        if self.key is not None and self.own is None:
            raise InputError("--key belongs to a certificate; give it with --certificate.")

    def for_senders(self) -> ssl.SSLContext | None:
        """For those who call the node; None without a certificate. With authorities, a caller needs one, too.

        Raises:
            InputError: a file is no certificate or key.
        """
        if self.own is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._load(context)
        if self.authorities is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def for_destination(self) -> ssl.SSLContext:
        """For the one that the node calls, whose certificate and name are checked.

        Raises:
            InputError: as `for_senders`.
        """
        context = ssl.create_default_context()
        if self.authorities is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._load(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            if self.authorities is not None:
                context.load_verify_locations(self.authorities)
            if self.own is not None:
                context.load_cert_chain(self.own, self.key, password="")  # a prompt would wait for ever
        except (OSError, ValueError):
            raise InputError(
                "--certificate, --key and --authorities are PEM files, and the key fits the certificate and has no "
                "password; check them."
            ) from None
