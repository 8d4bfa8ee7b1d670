"""Words of a DICOM header that may stand in results: defined terms alone. Whatever else somebody wrote there, such as a
name, stays behind."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from .series import CONTRAST_TYPES, Acquisition


def _terms(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MODALITIES = _terms("CR CT DX MG MR NM OT PT RF SC SEG US XA")
_SEQUENCES = _terms("SE IR GR EP RM")
_OPTIONS = _terms("PER RG CG PPG FC PFF PFP SP FS SFS FATSAT FAT_SAT SAT1 SAT2 MT DB TRF_GEMS EDR_GEMS")
"""PS3.3, C.8.3.1, and what vendors call the saturation of fat."""
_IMAGE_TYPES = CONTRAST_TYPES | _terms(
    "ORIGINAL DERIVED PRIMARY SECONDARY AXIAL LOCALIZER OTHER NONE MIXED M M_FFE M_SE M_IR MAGNITUDE NORM ND DIS2D "
    "DIS3D MFSPLIT FM COMPOSED REFORMATTED MPR MIP PROJECTION MOSAIC ADC TRACEW DIFFUSION FA PERFUSION T1 T2 T2_STAR "
    "PROTON_DENSITY STIR TIRM FLAIR VOLUME RESAMPLED SUBTRACTION ADDITION MEAN"
)
_BODY_PARTS = _terms(
    "ABDOMEN ABDOMENPELVIS ANKLE AORTA ARM AXILLA BACK BRAIN BREAST BUTTOCK CALF CHEST CHESTABDOMEN CHESTABDPELVIS "
    "CLAVICLE COCCYX CSPINE CTSPINE ELBOW EXTREMITY FACE FEMUR FIBULA FINGER FOOT FOREARM HAND HEAD HEADNECK HEART HIP "
    "HUMERUS JAW KNEE LEG LEGS LIVER LOWERLEG LOWERLIMB LOWEREXTREMITY LSPINE LSSPINE LUNG NECK NECKCHEST PATELLA "
    "PELVIS PELVISLOWEXTREMT PROSTATE RADIUS RIB SCAPULA SHOULDER SKULL SPINE SSPINE STERNUM THIGH THIGHS TIBIA "
    "TIBIAFIBULA TLSPINE TOE TSPINE ULNA UPPERARM UPPERLEG UPPERLIMB UPPEREXTREMITY WHOLEBODY WRIST"
)
"""PS3.16, annex L, the parts that an MRI of muscles may show, with blanks and underscores left out."""


def standard_facts(acquisition: Acquisition) -> dict[str, Any]:
    """The facts of an acquisition by name, without words that are no defined terms.

    >>> standard_facts(Acquisition(body_part="UPPER LEG", image_type=("ORIGINAL", "SMITH JOHN")))["image_type"]
    ('ORIGINAL',)
    """
    return dataclasses.asdict(acquisition) | {
        "modality": _one(acquisition.modality, _MODALITIES),
        "body_part": _one(acquisition.body_part, _BODY_PARTS),
        "scanning_sequence": _some(acquisition.scanning_sequence, _SEQUENCES),
        "scan_options": _some(tuple(_fat_saturation(word) for word in acquisition.scan_options), _OPTIONS),
        "image_type": _some(acquisition.image_type, _IMAGE_TYPES),
    }


def standard_uid(text: str | None) -> str | None:
    """A UID, None where a header has something else in its place (PS3.5, 9.1).

    >>> standard_uid("1.2.840"), standard_uid("Smith John")
    ('1.2.840', None)
    """
    return text if text and re.fullmatch(r"[0-9.]{1,64}", text) else None


def _one(word: str | None, terms: frozenset[str]) -> str | None:
    return word if word is not None and re.sub("[ _]", "", word) in terms else None


def _fat_saturation(option: str) -> str:
    """FATSAT for whatever a vendor puts around it, see `Acquisition.fat_suppressed`."""
    return "FATSAT" if "FATSAT" in option else option


def _some(words: tuple[str, ...], terms: frozenset[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word in terms)
