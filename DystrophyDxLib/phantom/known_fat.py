"""What can be said by who knows the true fat of every muscle, to hold a classifier against."""

from __future__ import annotations

import numpy as np

from ..muscles.structures import MUSCLES
from .anatomy import SEMITENDINOSUS

_SPARED = [MUSCLES.index(name) for name in ("sartorius", "gracilis", "adductor longus")]
_REPLACED = [
    MUSCLES.index(name)
    for name in ("adductor magnus", "biceps femoris long head", "vastus lateralis", "vastus intermedius")
]
# A leaflet of the trefoil has no more fat, each of its surroundings has so much more than any leaflet, and their mean
# so much more than the fruit. With these limits phantoms show the sign as often as Zheng et al.'s patients.
_LEAFLET, _CONTRAST, _FRUIT = 0.4, 0.1, 0.05


def trefoil_sign(fractions: np.ndarray) -> bool:
    """Whether sartorius, gracilis and adductor longus are spared among muscles replaced by fat, and the semitendinosus
    less than they.

    The sign of Zheng et al. 2015, "The trefoil with single fruit sign in muscle magnetic resonance imaging is highly
    specific for dystrophinopathies" (sensitivity 0.416, specificity 0.992), as limits of the fat fraction.

    Args:
        fractions: (13,) fat fraction of each of `MUSCLES`, mean of both legs; where one is NaN, there is no sign.
    """
    leaflet, replaced = np.max(fractions[_SPARED]), fractions[_REPLACED]
    return bool(
        leaflet <= _LEAFLET
        and np.min(replaced) >= leaflet + _CONTRAST
        and fractions[SEMITENDINOSUS] <= np.mean(replaced) - _FRUIT
    )
