"""The receiving end of a node: C-STORE of MR images, and C-ECHO."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import re
import socket
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
    RLELossless,
)
from pynetdicom import AE, _config, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from ...errors import InputError
from ...series.dicom_header import Attributes, Damaged, quiet_pydicom, read_header
from ...series.standard_terms import standard_uid
from .files import NodeFiles, NoRoom

KINDS = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
"""What a node takes; all else is refused when a sender proposes it."""
SYNTAXES = (
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian,
    JPEGLosslessSV1, JPEGLossless, JPEG2000Lossless, JPEG2000, JPEGLSLossless, JPEGLSNearLossless, RLELossless,
    JPEGBaseline8Bit, JPEGExtended12Bit,
)  # fmt: skip
"""Transfer syntaxes that the library decodes."""
STORED, NO_ROOM, MISMATCH, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000
"""Statuses of C-STORE (PS3.4, B.2.3)."""
ASSOCIATIONS = 8
"""At a time; more senders are asked to come again."""
_PDU_BYTES = 1 << 17
_TIMEOUT_S = 60.0
_NOT_RECOGNISED = 1, 1, 3
"""Rejected for good, by the user of the service, as its AE title is not recognised (PS3.8, 9.3.4)."""
_UIDS = ("StudyInstanceUID", "SOPInstanceUID")
_TAKEN = "Port {port} of {host} cannot be used; another program may use it. Give another --port, or end that program."


@dataclass(frozen=True)
class Caller:
    """Who may send.

    Attributes:
        title: AE title.
        network: addresses; None for any.
    """

    title: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None

    @classmethod
    def of(cls, text: str) -> Caller:
        """
        Args:
            text: TITLE, TITLE@address or TITLE@network, such as MR1@10.1.0.0/16.

        Raises:
            InputError: it is none of these.
        """
        title, at, network = text.partition("@")
        try:
            check_title(title)
            return cls(title, ipaddress.ip_network(network, strict=False) if at else None)
        except (InputError, ValueError):
            raise InputError(
                f"--from cannot be {text!r}; give an AE title, or TITLE@address with the address in figures, such as "
                "MR1@10.1.2.3 or MR1@10.1.0.0/16."
            ) from None

    def is_it(self, title: str, address: str) -> bool:
        """Whether somebody who calls is this one."""
        own = ipaddress.ip_address(address)
        mapped = own.ipv4_mapped if isinstance(own, ipaddress.IPv6Address) else None
        return title.strip() == self.title and (self.network is None or (mapped or own) in self.network)


def check_title(title: str) -> None:
    """
    Raises:
        InputError: it is no AE title (PS3.5, 6.2).
    """
    if not re.fullmatch(r"[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?", title):
        raise InputError("An AE title has 1 to 16 characters of ASCII without a backslash; give another --title.")


def check_port(host: str, port: int) -> None:
    """
    Raises:
        InputError: a receiver could not listen there at present.
    """
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as pynetdicom does
            tried.bind((host, port))
    except OSError:
        raise InputError(_TAKEN.format(port=port, host=host)) from None


class Receiver:
    """Takes images into the files of a node.

    Args:
        files: where they go.
        title: AE title by which senders call the node; others are answered, too.
        callers: who may send; anybody where there is none.
    """

    def __init__(self, files: NodeFiles, title: str, callers: Sequence[Caller]) -> None:
        self._files, self._callers = files, tuple(callers)
        self._ae = AE(title)
        self._ae.maximum_associations, self._ae.maximum_pdu_size = ASSOCIATIONS, _PDU_BYTES
        self._ae.acse_timeout = self._ae.dimse_timeout = self._ae.network_timeout = _TIMEOUT_S
        self._ae.add_supported_context(Verification)
        for kind in KINDS:
            self._ae.add_supported_context(kind, list(SYNTAXES))
        self._restore = contextlib.ExitStack()
        self.full = False
        """Whether images were refused for want of room since somebody last looked."""

    def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Takes calls from now on, in threads of their own.

        An image comes in as a file, never as a whole in memory: pynetdicom makes it where Python makes temporary files.

        Args:
            port: 0 for any that is free.

        Returns:
            The port.

        Raises:
            InputError: the address cannot be used.
        """
        self._restore.callback(setattr, tempfile, "tempdir", tempfile.tempdir)
        self._restore.callback(socket.setdefaulttimeout, socket.getdefaulttimeout())
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)  # its log quotes UIDs and headers
        _config.STORE_RECV_CHUNKED_DATASET = True
        tempfile.tempdir = str(self._files.incoming)
        socket.setdefaulttimeout(_TIMEOUT_S)  # for who connects and says nothing while TLS begins
        handlers: list = [(evt.EVT_REQUESTED, self._requested), (evt.EVT_C_STORE, self._store)]
        try:
            server = self._ae.start_server((host, port), block=False, evt_handlers=handlers, ssl_context=tls)
        except (OSError, ValueError):
            raise InputError(_TAKEN.format(port=port, host=host)) from None
        assert server is not None, "it does not block"
        self._restore.callback(self._files.listens, False)
        self._files.listens(True)
        return int(server.server_address[1])

    def stop(self) -> None:
        """Ends all associations; who sends just now is told that by the connection."""
        self._ae.shutdown()
        self._restore.close()

    def check_room(self) -> None:
        """Ends all associations where what they bring is more than there is room for."""
        if self._files.overflows:
            self.full = True
            for association in self._ae.active_associations:
                association.abort()

    def _requested(self, event: evt.Event) -> None:
        caller = event.assoc.requestor
        title = str(caller.primitive.calling_ae_title) if caller.primitive is not None else ""
        if self._callers and not any(known.is_it(title, caller.address) for known in self._callers):
            event.assoc.acse.send_reject(*_NOT_RECOGNISED)
            event.assoc.kill()

    def _store(self, event: evt.Event) -> int:
        try:
            with quiet_pydicom(), event.dataset_path.open("rb") as stream:
                own = Attributes(read_header(stream, [*_UIDS, "SOPClassUID"]).dataset)
        except (OSError, Damaged):
            return NOT_UNDERSTOOD
        study, image = (standard_uid(own.text(keyword)) for keyword in _UIDS)
        if not study or not image:
            return NOT_UNDERSTOOD
        request = cast(C_STORE, event.request)
        if (image, own.text("SOPClassUID")) != (request.AffectedSOPInstanceUID, request.AffectedSOPClassUID):
            return MISMATCH
        try:
            self._files.take(event.dataset_path, study, image)
        except NoRoom:
            self.full = True
            return NO_ROOM
        return STORED
