"""The header of an image file of any format, which its content tells and not its name."""

from __future__ import annotations

import zlib
from pathlib import Path

from ...errors import InputError
from .metaimage import is_metaimage, metaimage_header
from .nifti import HEADER_BYTES, is_nifti, nifti_header
from .nrrd import nrrd_header
from .stored import DamagedFile, ImageHeader, Inflated, fill_up_to, open_regular


def read_header(path: Path) -> ImageHeader:
    """What the header of a NIfTI, NRRD or MetaImage file says.

    Raises:
        InputError: it is damaged, none of these, or of an image that cannot be read.
        OSError: it cannot be opened.
    """
    with open_regular(path) as file:
        start = file.read(1 << 12)
        packed = start[:2] == b"\x1f\x8b"
        if packed:
            file.seek(0)
            start = _unpacked(Inflated(file))
    if is_nifti(start):
        return nifti_header(path, start[:HEADER_BYTES], packed=packed)
    if start.startswith(b"NRRD") and not packed:
        return nrrd_header(path)
    if is_metaimage(start) and not packed:
        return metaimage_header(path)
    if start[128:132] == b"DICM":
        raise InputError("The file is DICOM by its content; give it a name that does not end as an image file's.")
    raise DamagedFile("it is cut off, damaged or no NIfTI, NRRD or MetaImage file")


def _unpacked(stream: Inflated) -> bytes:
    """The first bytes of a packed file, as far as they can be unpacked."""
    start = bytearray(HEADER_BYTES)
    try:
        return bytes(start[: fill_up_to(stream, memoryview(start))])
    except (EOFError, zlib.error):
        return b""
