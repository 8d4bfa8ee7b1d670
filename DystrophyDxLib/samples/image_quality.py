"""`ImageQuality`: what one window shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageQuality:
    """What one window shows.

    Attributes:
        femur: one round bone with a thick cortex, deep in the leg: the shaft of the femur.
        fat_to_muscle: signal of marrow (of the subcutaneous layer where there is no shaft) relative to the darkest
            tenth of the soft tissue, which is muscle unless hardly any is left.
        fat_to_brightest: the same relative to the brightest tenth, which is fat in a T1-weighted image.
    """

    femur: bool
    fat_to_muscle: float
    fat_to_brightest: float

    def or_by(self, other: ImageQuality) -> ImageQuality:
        """What the image shows where two ways of looking at it each may miss something."""
        return ImageQuality(
            self.femur or other.femur,
            max(self.fat_to_muscle, other.fat_to_muscle),
            max(self.fat_to_brightest, other.fat_to_brightest),
        )
