"""Whether a map of the muscles that was given belongs to the images."""

from __future__ import annotations

import numpy as np

from ..results import ResultWarning, WarningCode
from .muscle_map import MuscleMap
from .structures import FEMUR, MUSCLES, SUBCUTANEOUS_FAT

LEAST_AGREEMENT = 0.6
"""Share of the voxels in which both maps name a muscle that they must name alike. Of two patients and eight phantoms
their own maps had 0.86 to 0.93 with the map that is found, those of another one at most 0.44."""

LEAST_HELD = 0.8
"""Share of what labels without the names of muscles hold that must lie where muscle is found or, of a label most of
which lies there, in the femur or the fat under the skin. Of two patients their own maps had 0.94 to 0.98, those of the
other one at most 0.73."""


def warnings_on_given(given: MuscleMap, found: MuscleMap | None) -> tuple[ResultWarning, ...]:
    """A warning where a given map hardly agrees with the one that is found in the images; none where none is found.

    Args:
        found: by a network, on the same grid.
    """
    if found is None or not _muscles(found).any():
        return ()
    both = _muscles(given) & _muscles(found)
    alike = both & (given.labels == found.labels) & (given.sides == found.sides)
    share = int(alike.sum()) / max(1, int(both.sum()))
    if share >= LEAST_AGREEMENT:
        return ()
    both_call = "Of the voxels that the given map and the one that is found both call muscle"
    return _unlike(f"{both_call}, {share:.0%} are of the same muscle")


def warnings_on_unnamed(given: np.ndarray, found: MuscleMap | None) -> tuple[ResultWarning, ...]:
    """The same of labels that name no muscles, so that only their places can be compared.

    Args:
        given: (z, y, x) labels on the grid of `found`; 0 is none.
    """
    if found is None or not _muscles(found).any():
        return ()
    muscles = _muscles(found)
    tissue = np.select([muscles, found.labels == FEMUR, found.labels == SUBCUTANEOUS_FAT], [1, 2, 3], 0)
    drawn = (given > 0) & muscles.any(axis=(1, 2), keepdims=True)
    counts = np.bincount(4 * given[drawn].astype(int) + tissue[drawn], minlength=4 * (int(given.max()) + 1))
    total = int(counts.sum())
    held = int(counts.reshape(-1, 4)[:, 1:].max(axis=1).sum()) / max(1, total)
    if held >= LEAST_HELD:
        return ()
    if not total:
        return _unlike("The given map shows nothing in the slices in which muscles are found")
    return _unlike(f"Of the given map {1 - held:.0%} lies where no muscle is found")


def _unlike(found: str) -> tuple[ResultWarning, ...]:
    return (ResultWarning(code=WarningCode.MUSCLES_UNLIKE, message=f"{found}; give the map of these images."),)


def _muscles(of_map: MuscleMap) -> np.ndarray:
    return (of_map.labels > 0) & (of_map.labels <= len(MUSCLES))
