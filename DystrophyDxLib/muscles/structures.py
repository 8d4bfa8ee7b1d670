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
_TISSUE, _STRUCTURE = "SCT^85756007^Tissue", "SCT^123037004^Anatomical Structure"
_LOWER_LIMB = "SCT^102292000^Muscle of lower limb"
_OWN_CODES = {
    "vastus lateralis": "SCT^1403006^Vastus lateralis muscle",
    "vastus medialis": "SCT^3478008^Vastus medialis muscle",
    "gracilis": "SCT^2577006^Gracilis muscle",
    "gluteus maximus": "SCT^206007^Gluteus maximus muscle",
    "femur": "SCT^71341001^Femur",
}
CODES = tuple(
    (_TISSUE, "SCT^248300009^Body fat")
    if name == "subcutaneous fat"
    else (_STRUCTURE, _OWN_CODES.get(name, _LOWER_LIMB))
    for name in STRUCTURES
)
"""Category and type of each of `STRUCTURES` in SNOMED CT; muscles without a code of their own are a muscle of the lower
limb, whose name says which."""
_SIDE = re.compile(r"\b(left|right|l|r|muscle|of|the)\b")


def label_of(name: str) -> int | None:
    """The label of a structure by its name, in upper or lower case, with or without a side; None of another name.

    >>> label_of("Left vastus_lateralis muscle"), label_of("Femur (R)"), label_of("tumour")
    (3, 14, None)
    """
    words = _SIDE.sub(" ", re.sub(r"[^a-z]+", " ", name.casefold())).split()
    return {structure: label for label, structure in enumerate(STRUCTURES, 1)}.get(" ".join(words))
