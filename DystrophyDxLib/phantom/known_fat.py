"""What can be said by who knows the true fat of every muscle, to hold a classifier against."""

from __future__ import annotations

import numpy as np

from ..muscles.structures import MUSCLES

_SPARED = [MUSCLES.index(name) for name in ("sartorius", "gracilis", "adductor longus")]
_REPLACED = [
    MUSCLES.index(name)
    for name in ("adductor magnus", "biceps femoris long head", "vastus lateralis", "vastus intermedius")
]
# A leaflet of the trefoil has no more fat, and its surroundings have so much more than any leaflet (our estimate).
_LEAFLET, _CONTRAST = 0.35, 0.2


def trefoil_sign(fractions: np.ndarray) -> bool:
    """Whether sartorius, gracilis and adductor longus are spared among muscles replaced by fat.

    The sign of Zheng et al. 2015, "The trefoil with single fruit sign in muscle magnetic resonance imaging is highly
    specific for dystrophinopathies" (sensitivity 0.416, specificity 0.992), as limits of the fat fraction.

    Args:
        fractions: (13,) fat fraction of each of `MUSCLES`, mean of both legs.
    """
    leaflet = max(fractions[_SPARED])
    return bool(leaflet <= _LEAFLET and min(fractions[_REPLACED]) >= leaflet + _CONTRAST)
