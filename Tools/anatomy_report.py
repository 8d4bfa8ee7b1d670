"""How the phantom's muscles lie beside those of real thighs.

Run as `python Tools/anatomy_report.py LABEL_MAPS OUT.csv`. Each phantom leg is cut at the levels of a
real one, so that both lose the same at the ends of the field of view.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from measure_anatomy import ANGLE, LABELLED, MEASURES, LabelledLeg, labelled_legs, mean_and_spread

from DystrophyDxLib.phantom.anatomy import LEFT, MUSCLES, draw, leg_stack
from DystrophyDxLib.phantom.body import Body

_PIXEL_MM, _MATRIX = 1.0, 256


def phantom_leg(body: Body, side: int, levels: np.ndarray, rng: np.random.Generator) -> LabelledLeg:
    """A drawn leg as an annotator labels it: the muscles of the label maps and no other."""
    corner = np.full(2, -_PIXEL_MM * _MATRIX / 2)
    planes = [draw([leg, None], corner, _PIXEL_MM, _MATRIX)[0] for leg in leg_stack(body, side, levels, rng)]
    codes = np.stack(planes)
    labels = np.where((codes > LEFT) & (codes <= LEFT + LABELLED), codes - LEFT, 0).astype(np.uint8)
    return LabelledLeg(labels, np.tile(-corner / _PIXEL_MM, (len(levels), 1)), (_PIXEL_MM, _PIXEL_MM))


def phantom_measures(levels: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """(len(levels), len(MEASURES), LABELLED) of healthy adults' legs, left and right in turn, cut at `levels`."""
    measures = []
    for number, at in enumerate(levels):
        body = Body.drawn(rng, np.ones((2, len(MUSCLES))), rng.uniform(18, 75), str(rng.choice(["F", "M"])))
        measures.append(phantom_leg(body, number % 2, at, rng).measures(at))
    return np.stack(measures)


def compared(real: tuple[np.ndarray, np.ndarray], phantom: tuple[np.ndarray, np.ndarray]) -> pd.DataFrame:
    """One row a measure and muscle: mean and SD of both, and the difference of the means in real SDs.

    `real` and `phantom` are mean and SD over legs, each (len(MEASURES), LABELLED).
    """
    difference = phantom[0] - real[0]
    difference[ANGLE] = (difference[ANGLE] + 180) % 360 - 180
    columns = {
        "real_mean": real[0], "real_sd": real[1], "phantom_mean": phantom[0], "phantom_sd": phantom[1],
        "difference_in_sd": difference / real[1],
    }  # fmt: skip
    index = pd.MultiIndex.from_product([MEASURES, MUSCLES[:LABELLED]], names=["measure", "muscle"])
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()}, index).reset_index()


def report(legs: list[LabelledLeg], levels: list[np.ndarray], seed: int = 0) -> pd.DataFrame:
    """`compared` for `labelled_legs` and twice as many drawn ones."""
    real = mean_and_spread(np.stack([leg.measures(at) for leg, at in zip(legs, levels, strict=True)]))
    return compared(real, mean_and_spread(phantom_measures(2 * levels, np.random.default_rng(seed)))).round(4)


if __name__ == "__main__":
    report(*labelled_legs(Path(sys.argv[1]))).to_csv(sys.argv[2], index=False)
