"""What a muscle map names: the muscles of a thigh, its femur and the fat under its skin."""

from __future__ import annotations

import re

MUSCLES = (
    "sartorius", "rectus femoris", "vastus lateralis", "vastus intermedius", "vastus medialis", "adductor magnus",
    "gracilis", "biceps femoris long head", "semitendinosus", "semimembranosus", "biceps femoris short head",
    "adductor longus", "gluteus maximus",
)  # fmt: skip
"""Label n + 1 of a muscle map is MUSCLES[n]."""
STRUCTURES = (*MUSCLES, "femur", "subcutaneous fat")
"""Label n + 1 of a muscle map is STRUCTURES[n]; 0 is anything else."""
FEMUR, SUBCUTANEOUS_FAT = len(MUSCLES) + 1, len(MUSCLES) + 2
"""Labels."""
LEFT_CODE, RIGHT_CODE = "SCT^7771000^Left", "SCT^24028007^Right"
LEG_CODES = "SCT^123037004^Anatomical Structure", "SCT^61685007^Lower limb"
"""Category and type of a leg."""
_TISSUE, _STRUCTURE = "SCT^85756007^Tissue", LEG_CODES[0]
_TYPES = {
    "sartorius": "SCT^181683006^Sartorius muscle",
    "rectus femoris": "SCT^181679006^Rectus femoris muscle",
    "vastus lateralis": "SCT^1403006^Vastus lateralis muscle",
    "vastus intermedius": "SCT^181682001^Vastus intermedius muscle",
    "vastus medialis": "SCT^3478008^Vastus medialis muscle",
    "adductor magnus": "SCT^181688002^Adductor magnus muscle",
    "gracilis": "SCT^2577006^Gracilis muscle",
    "biceps femoris long head": "FMA^45887^Long head of biceps femoris",
    "semitendinosus": "SCT^181685004^Semitendinosus muscle",
    "semimembranosus": "FMA^22438^Semimembranosus",
    "biceps femoris short head": "FMA^45890^Short head of biceps femoris",
    "adductor longus": "SCT^181686003^Adductor longus muscle",
    "gluteus maximus": "SCT^206007^Gluteus maximus muscle",
    "femur": "SCT^71341001^Femur",
    "subcutaneous fat": "SCT^67769002^Subcutaneous fatty tissue",
}
CODES = tuple((_TISSUE if name == "subcutaneous fat" else _STRUCTURE, _TYPES[name]) for name in STRUCTURES)
"""Category and type of each of `STRUCTURES`, as Slicer's terminologies and DICOM write them: SNOMED CT as Uberon's
bridge to it, HL7's body sites and TotalSegmentator have it, and the Foundational Model of Anatomy, which PS3.16 lists
beside it, where none of these has a code in SNOMED CT."""
_SIDE = re.compile(r"\b(left|right|l|r|muscle|of|the)\b")


def label_of(name: str) -> int | None:
    """The label of a structure by its name, in upper or lower case, with or without a side; None of another name.

    >>> label_of("Left vastus_lateralis muscle"), label_of("Femur (R)"), label_of("tumour")
    (3, 14, None)
    """
    words = _SIDE.sub(" ", re.sub(r"[^a-z]+", " ", name.casefold())).split()
    return {structure: label for label, structure in enumerate(STRUCTURES, 1)}.get(" ".join(words))
