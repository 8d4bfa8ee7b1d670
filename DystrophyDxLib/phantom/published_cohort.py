"""The cohort of Yang, Zheng et al., BMC Neurology 2021;21:13, as a plan of synthetic patients.

Printed: 432 patients, 2536 images, 233/97/102 patients in training, validation and test, 148 patients with a
dystrophinopathy and 284 with another disease (abstract); 130 images of DMD, 98 of BMD and 420 of the others in the test
set (Table 3); the fifteen groups (Table 2).

Our allocation, as Table 2's counts of each disease are not at hand:
    - the 148 and 284 patients fall to the three sets in proportion to their size;
    - DMD and BMD share the dystrophinopathies of each set as they share the test images, 130 to 98;
    - the thirteen other groups share the other patients of each set as evenly as whole patients allow;
    - the images that are not of the test set fall to training and validation in proportion to their patients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..cohort.table import SPLITS, Split

PATIENTS = {"train": 233, "validation": 97, "test": 102}
DYSTROPHINOPATHIES = 148
IMAGES = 2536
TEST_IMAGES = {"DMD": 130, "BMD": 98, "other": 420}
OTHERS = (
    "LGMD2A", "LGMD2B", "LGMD2C", "LGMD2D", "LGMD2E", "LGMD2I", "Bethlem", "FSHMD", "CMD", "GNE", "MADD", "myositis",
    "neurogenic",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """Patients of one set, with the images that they have together and the number of each diagnosis."""

    split: Split
    diagnoses: dict[str, int]
    images: int


def cells() -> list[Cell]:
    """The parts of the cohort whose number of images is fixed; together 432 patients and 2536 images."""
    dystrophinopathies = dict(zip(SPLITS, shared(DYSTROPHINOPATHIES, list(PATIENTS.values())), strict=True))
    test_images = sum(TEST_IMAGES.values())
    images = shared(IMAGES - test_images, [PATIENTS["train"], PATIENTS["validation"]])
    result = []
    for n, split in enumerate(SPLITS):
        dmd, bmd = shared(dystrophinopathies[split], [TEST_IMAGES["DMD"], TEST_IMAGES["BMD"]])
        count = PATIENTS[split] - dystrophinopathies[split]
        # Each set starts with another group, so that no group gets all the patients left over.
        turn = n * len(OTHERS) // len(SPLITS)
        order = OTHERS[turn:] + OTHERS[:turn]
        others = dict(zip(order, shared(count, [1] * len(order)), strict=True))
        if split == "test":
            result += [
                Cell(split, {"DMD": dmd}, TEST_IMAGES["DMD"]),
                Cell(split, {"BMD": bmd}, TEST_IMAGES["BMD"]),
                Cell(split, others, TEST_IMAGES["other"]),
            ]
        else:
            result.append(Cell(split, {"DMD": dmd, "BMD": bmd, **others}, images[n]))
    return result


def shared(total: int, weights: list[int]) -> list[int]:
    """`total` in whole parts proportional to `weights`, by largest remainder; of equal ones the first get more."""
    exact = total * np.asarray(weights) / sum(weights)
    parts = np.floor(exact + 1e-9).astype(int)
    most = np.argsort(parts - exact, kind="stable")[: total - parts.sum()]
    parts[most] += 1
    return parts.tolist()
