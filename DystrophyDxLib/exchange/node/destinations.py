"""Where a node sends objects: another node by C-STORE, or a DICOMweb service by STOW."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import pydicom
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from ...errors import InputError
from ...series.dicom_header import quiet_pydicom
from ..pacs import NotTaken, Pacs
from .records import ObjectState

_TIMEOUT_S = 60.0
_ENDED = "It ended the connection."
_PEER = re.compile(r"(?P<title>[^@\\]{1,16})@(?P<host>\[[0-9A-Fa-f:]+\]|[^@:\s]+):(?P<port>\d{1,5})")


class Outcome(NamedTuple):
    """What became of an object: it is there, is not taken now ("waiting"), or never ("refused")."""

    path: Path
    state: ObjectState
    reason: str = ""


class Unreachable(Exception):
    """The destination takes nothing at present; the message says why."""


class Destination(Protocol):
    """Takes objects."""

    def send(self, paths: Sequence[Path]) -> Iterator[Outcome]:
        """Sends one object after the other.

        Raises:
            Unreachable: before the first or between two.
        """


@dataclass(frozen=True)
class Peer:
    """A DICOM node that stores objects.

    Attributes:
        own: AE title by which this program names itself.
        tls: checks the other's certificate; None for no encryption.
    """

    title: str
    host: str
    port: int
    own: str
    tls: ssl.SSLContext | None = None

    def send(self, paths: Sequence[Path]) -> Iterator[Outcome]:
        """See `Destination`."""
        kinds = {path: _kind(path) for path in paths}
        ae = AE(self.own)
        ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = _TIMEOUT_S
        ae.add_requested_context(Verification)  # accepted, too, where none of the others is
        for kind in sorted(set(kinds.values())):
            ae.add_requested_context(kind, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        tls_args = (self.tls, self.host) if self.tls else None
        association = ae.associate(self.host, self.port, ae_title=self.title, tls_args=tls_args)
        if not association.is_established:
            raise Unreachable("It refuses this node." if association.is_rejected else "It cannot be reached.")
        try:
            taken = {context.abstract_syntax for context in association.accepted_contexts}
            for path, kind in kinds.items():
                if kind not in taken:
                    yield Outcome(path, "refused", f"The destination takes no {UID(kind).name}.")
                    continue
                if not association.is_established:
                    raise Unreachable(_ENDED)
                with quiet_pydicom():
                    status = association.send_c_store(pydicom.dcmread(path)).get("Status")
                yield Outcome(path, "waiting", _ENDED) if status is None else Outcome(path, *_said(status))
        finally:
            if association.is_established:
                association.release()


@dataclass(frozen=True)
class Web:
    """A DICOMweb service."""

    pacs: Pacs

    def send(self, paths: Sequence[Path]) -> Iterator[Outcome]:
        """See `Destination`."""
        for path in paths:
            try:
                self.pacs.store([path])
            except NotTaken:
                yield Outcome(path, "refused", "The destination does not take it.")
            except InputError as error:
                raise Unreachable(str(error)) from None
            else:
                yield Outcome(path, "sent")


def destination_of(text: str, own: str, tls: ssl.SSLContext | None = None) -> Destination:
    """The destination that a user names as `TITLE@host:port` or by the address of its DICOMweb service.

    Raises:
        InputError: it is neither.
    """
    if text.partition("://")[1]:
        return Web(Pacs(text))
    found = _PEER.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 1 << 16:
        raise InputError(
            f"--send-to cannot be {text!r}; give TITLE@host:port of a DICOM node, or the address of a DICOMweb service "
            "(https://…)."
        )
    return Peer(found["title"], found["host"].strip("[]"), int(found["port"]), own, tls)


def _kind(path: Path) -> str:
    with quiet_pydicom():
        return str(pydicom.dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True).SOPClassUID)


def _said(status: int) -> tuple[ObjectState, str]:
    """What a status of C-STORE means (PS3.4, B.2.3, and PS3.7, C.5.7)."""
    if status == 0 or status & 0xF000 == 0xB000 or status == 0x0001:
        return "sent", ""
    told = f"The destination answers with status 0x{status:04X}."
    for_good = status & 0xFF00 == 0xA900 or status & 0xF000 == 0xC000 or status in (0x0117, 0x0122)
    return ("refused" if for_good else "waiting"), told
