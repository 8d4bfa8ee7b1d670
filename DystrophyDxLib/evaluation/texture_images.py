"""Fat-fraction images of the legs of a cohort, as the texture methods that are no trained network see them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import InputError
from ..models.recipe import SampleRecipe
from ..samples.quality import muscle_compartment
from ..samples.slice_samples import BRIGHTEST, GRID
from ..training.sample_store import SampleStore

_CHUNK = 64
"""Images that are read at once."""


@dataclass(frozen=True)
class TextureImages:
    """N images of legs with what is known of them.

    Attributes:
        stacked: (N, slices, S, S) uint8 fat fraction of the stacked slices, see `sample_store.stored`.
        muscle: (N, S, S) bool, the leg of the middle slice without its subcutaneous fat.
        labels: (N,) index of each image's class.
        patients: (N,) str.
    """

    stacked: np.ndarray
    muscle: np.ndarray
    labels: np.ndarray
    patients: np.ndarray

    @classmethod
    def of(cls, store: SampleStore, sample: SampleRecipe) -> TextureImages:
        """The fat fraction in the samples of a cohort.

        Raises:
            InputError: the recipe has no channel that is a fraction.
        """
        channel = next((n for n, channel in enumerate(sample.channels) if channel.scale == "fraction"), None)
        if channel is None:
            raise InputError(
                "The recipe has no fat fraction, a channel with scale 'fraction'; take one such as cai2019."
            )
        planes = slice(channel * sample.slices, (channel + 1) * sample.slices)
        fractions, muscle = [], []
        for first in range(0, len(store.pixels), _CHUNK):
            pixels = store.pixels[first : first + _CHUNK]
            fractions.append(pixels[:, planes])
            muscle += [_muscle(image[sample.slices // 2 :: sample.slices]) for image in pixels]
        patients = np.array([case.patient_id for case in store.cohort.cases])[store.case]
        return cls(np.concatenate(fractions), np.array(muscle), store.cohort.labels[store.case], patients)

    @cached_property
    def fractions(self) -> np.ndarray:
        """(N, S, S) float32 fat fraction of the middle slice, 0 to 1."""
        own = self.stacked[:, self.stacked.shape[1] // 2]
        return np.minimum(own * np.float32(BRIGHTEST / 255), 1)

    def __len__(self) -> int:
        return len(self.labels)


def _muscle(channels: np.ndarray) -> np.ndarray:
    """(S, S) bool, the muscle compartment of one leg, from (C, S, S) uint8 of one slice, the signal of fat first."""
    fat, leg = channels[0] * np.float32(BRIGHTEST / 255), channels.any(axis=0)
    cell = fat.shape[0] // GRID
    cells = (GRID, cell, GRID, cell)
    compartment = muscle_compartment(fat.reshape(cells).mean(axis=(1, 3)), leg.reshape(cells).mean(axis=(1, 3)) > 0.5)
    return np.kron(compartment, np.ones((cell, cell), bool)) & leg
