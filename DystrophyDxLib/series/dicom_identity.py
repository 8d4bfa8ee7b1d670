"""Whether what was drawn is of the same patient as the images: identities are compared here, and go nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from .dicom_header import Attributes, Damaged, looks_like_dicom, quiet_pydicom, read_header

_FRAMES = "ReferencedFrameOfReferenceSequence"
_KEYWORDS = ["PatientID", "FrameOfReferenceUID", "SeriesInstanceUID", _FRAMES]


class _Whose(NamedTuple):
    """Of a DICOM file; empty where it does not say."""

    patient: str
    frame: str
    series: str


def check_same_patient(drawn: Path, images: Path, series_uid: str | None) -> None:
    """Refuses a DICOM object that says that it is of another patient, or of another frame of reference, than images.

    Args:
        drawn: segmentation or structure set; of other files nothing is known.
        images: file, or folder of any nesting.
        series_uid: of the images in it.

    Raises:
        InputError: patient or frame of reference differ.
    """
    own = _whose(drawn)
    if own is None or not (own.patient or own.frame) or not series_uid:
        return
    files = sorted(path for path in images.rglob("*") if path.is_file()) if images.is_dir() else [images]
    theirs = next((found for found in map(_whose, files) if found and found.series == series_uid), None)
    if theirs is None:
        return
    for what, one, other in (
        ("patient", own.patient, theirs.patient),
        ("frame of reference", own.frame, theirs.frame),
    ):
        if one and other and one != other:
            raise InputError(
                f"Its {what} is another than that of the images; give what was drawn on this series, or save it as "
                ".seg.nrrd in Slicer if it surely lies on it."
            )


def _whose(path: Path) -> _Whose | None:
    try:
        with quiet_pydicom(), path.open("rb") as stream:
            if not looks_like_dicom(stream.read(132)):
                return None
            ds = read_header(stream, _KEYWORDS).dataset
            groups = ds.get(_FRAMES) or [ds]
            frame = Attributes(groups[0]).text("FrameOfReferenceUID") if len(groups) == 1 else ""
            own = Attributes(ds)
            return _Whose(
                own.text("PatientID"), frame or own.text("FrameOfReferenceUID"), own.text("SeriesInstanceUID")
            )
    except (OSError, Damaged):
        return None
