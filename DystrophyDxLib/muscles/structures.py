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
_SIDE = re.compile(r"\b(left|right|l|r|muscle|of|the)\b")


def label_of(name: str) -> int | None:
    """The label of a structure by its name, in upper or lower case, with or without a side; None of another name.

    >>> label_of("Left vastus_lateralis muscle"), label_of("Femur (R)"), label_of("tumour")
    (3, 14, None)
    """
    words = _SIDE.sub(" ", re.sub(r"[^a-z]+", " ", name.casefold())).split()
    return {structure: label for label, structure in enumerate(STRUCTURES, 1)}.get(" ".join(words))
