"""A mass in a thigh, which the network divides among muscles.

On T1-weighted images many masses are as dark as muscle. But muscles have fat between them, and none is as thick as the
largest masses: a large round piece of tissue without any fat in it is no muscle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..regions.windows import Side
from ..results import ResultWarning, WarningCode
from ..series.words import listed
from .muscle_map import LegMap
from .structures import MUSCLES

OF_FAT = 0.2
"""Signal from which a pixel holds fat, from that of the darker muscle (0) to that of fat (1)."""
LEAST_MM, LEAST_SHARE = 25.0, 0.3
"""Radius of a disk without fat from which it is more than muscle: in mm (masses of 5 cm and more are those that are
staged as large), and relative to the radius of the leg. Of 264 phantoms and three series of real thighs without a mass
none has so large a one in three slices; of six thighs with a sarcoma five have."""
LEAST_SLICES = 3
_LEAST_PIXELS = 100
_LEGS = {Side.UNKNOWN: "a leg"}


def undivided_mm(image: np.ndarray, inside: np.ndarray, labels: np.ndarray, pixel_mm: float) -> float:
    """Radius of the largest disk within what is called muscle that holds no fat; 0 where there is hardly any muscle.

    Args:
        image: (size, size) float32 sample, in which fat is 1.
        inside: the same shape, bool: the leg.
        labels: uint8 of `STRUCTURES`.
        pixel_mm: edge of a pixel.
    """
    muscle = inside & (labels > 0) & (labels <= len(MUSCLES))
    signals = image[muscle]
    if len(signals) < _LEAST_PIXELS:
        return 0.0
    rank = len(signals) // 5
    dark = float(np.partition(signals, rank)[rank])
    free = muscle & (image < dark + OF_FAT * (1 - dark))
    rows, columns = (size // 2 for size in free.shape)
    fours = free[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).all(axis=(1, 3))  # faster, and hardly less
    return float(ndimage.distance_transform_edt(np.pad(fours, 1)).max()) * 2 * pixel_mm


def warnings_on_masses(legs: Sequence[LegMap], spacing: tuple[float, float, float]) -> tuple[ResultWarning, ...]:
    """A warning for each leg in several slices of which tissue as dark as muscle is more than muscle.

    Args:
        legs: of slices that show a thigh.
        spacing: mm along i, j, k.
    """
    found: dict[Side, list[LegMap]] = {}
    for leg in legs:
        radius = np.sqrt(np.count_nonzero(leg.window.mask) * spacing[0] * spacing[1] / np.pi)
        if leg.mapped and leg.undivided_mm >= max(LEAST_MM, LEAST_SHARE * radius):
            found.setdefault(leg.window.side, []).append(leg)
    return tuple(
        ResultWarning(
            code=WarningCode.MASS_POSSIBLE,
            message=f"In {listed([leg.window.slice for leg in own])} of {_LEGS.get(side, f'the {side.value} leg')} a "
            f"round piece of up to {max(leg.undivided_mm for leg in own) / 5:.0f} cm is as dark as muscle and holds no "
            "fat, as there is between muscles.",
        )
        for side, own in found.items()
        if len(own) >= LEAST_SLICES
    )
