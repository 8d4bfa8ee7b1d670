"""How much of a leg lies outside the image, where the image border cuts it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq

from ..regions.windows import AnyWindow
from ..series.series import Series

HALF = 0.5
"""Share that is told where more is cut off than is shown, of which the part that is shown tells no more."""


def share_lost(window: AnyWindow, series: Series) -> float:
    """Share of a leg's cross-section that the image border cuts off, 0 to `HALF`, of a window of slices the largest.

    The leg is taken for a circle, of which each border cuts off the part beyond a chord: the length over which the leg
    meets it.

    Args:
        window: of a leg, in LPS rows and columns.
    """
    chords, areas = cut_and_shown(window, series)
    if not chords.any():
        return 0.0
    return max(lost_of_circle(float(area), own) for area, own in zip(areas, chords.T.tolist(), strict=True) if area)


def cut_and_shown(window: AnyWindow, series: Series) -> tuple[np.ndarray, np.ndarray]:
    """The lengths in mm over which a leg meets each image border that its window reaches, (borders, slices), and the
    area in mm² of the leg that is shown, (slices,).

    Args:
        window: of a leg, in LPS rows and columns.
    """
    column_mm, row_mm, _ = series.geometry.spacing
    (_, rows, columns), mask = series.voxels.shape, window.mask.reshape(-1, *window.mask.shape[-2:])
    edges = (
        (window.j[0] == 0, mask[:, 0], column_mm),
        (window.j[1] == rows, mask[:, -1], column_mm),
        (window.i[0] == 0, mask[:, :, 0], row_mm),
        (window.i[1] == columns, mask[:, :, -1], row_mm),
    )
    lengths = [np.count_nonzero(edge, axis=1) * step_mm for at_border, edge, step_mm in edges if at_border]
    areas = np.count_nonzero(mask, axis=(1, 2)) * column_mm * row_mm
    return np.reshape(lengths, (-1, len(mask))), areas


def lost_of_circle(area: float, chords: Sequence[float]) -> float:
    """Share of a circle that chords cut off, 0 to `HALF`, from the area of the rest.

    >>> round(lost_of_circle(np.pi * 50**2, [0.0]), 3)
    0.0
    >>> round(lost_of_circle(np.pi * 50**2 / 2, [100.0]), 3)
    0.5
    """
    least = max(chords) / 2
    if not least:
        return 0.0

    def rest(radius: float) -> float:
        angles = 2 * np.arcsin(np.minimum(np.array(chords) / (2 * radius), 1.0))
        return float(np.pi * radius**2 - (radius**2 / 2 * (angles - np.sin(angles))).sum())

    if rest(least) >= area:
        return HALF
    radius = brentq(lambda r: rest(r) - area, least, np.sqrt(area) + sum(chords))
    return min(HALF, 1 - area / (np.pi * radius**2))


def lost_in_words(shares: Sequence[float]) -> str:
    """How much of legs is cut off, from the shares of those that are.

    >>> lost_in_words([0.02, 0.02]), lost_in_words([0.002])
    ('about 2 % of the leg is cut off', 'less than 1 % of the leg is cut off')
    >>> lost_in_words([0.5, 0.1, 0.07])
    'about 10 % of the leg is cut off in the median and half or more at most'
    """
    median, most = float(np.median(shares)), max(shares)
    if most < 0.01:
        return "less than 1 % of the leg is cut off"
    if median >= HALF:
        return "half of the leg or more is cut off"
    told, largest = (f"{max(share, 0.01):.0%}".replace("%", " %") for share in (median, most))
    if told == largest:
        return f"about {told} of the leg is cut off"
    return f"about {told} of the leg is cut off in the median and {'half or more' if most >= HALF else largest} at most"
