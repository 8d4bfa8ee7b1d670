"""How heat is painted over an MRI, in slice views and on pages alike."""

from __future__ import annotations

import numpy as np

THRESHOLD = 0.2
"""Heat from which on it is painted."""
OPACITY = 0.5
STOPS = ((0.0, (0, 0, 1)), (0.25, (0, 1, 1)), (0.5, (0, 1, 0)), (0.75, (1, 1, 0)), (1.0, (1, 0, 0)))
"""Red, green and blue, 0 to 1, at some values of heat; straight lines between them."""


def painted(greys: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A slice under its heat.

    >>> painted(np.full((1, 2), 100, np.uint8), np.array([[0.1, 1.0]])).tolist()
    [[[100, 100, 100], [178, 50, 50]]]

    Args:
        greys: (j, i) uint8.
        heat: (j, i), 0 to 1.

    Returns:
        (j, i, 3) uint8 RGB.
    """
    places, colours = np.array([place for place, _ in STOPS]), np.array([colour for _, colour in STOPS])
    hue = np.stack([np.interp(heat, places, channel) for channel in 255 * colours.T], axis=-1)
    grey = greys[..., None].astype(float)
    mixed = np.where(heat[..., None] >= THRESHOLD, OPACITY * hue + (1 - OPACITY) * grey, grey)
    return np.rint(np.broadcast_to(mixed, (*greys.shape, 3))).astype(np.uint8)
