"""Are misclassified patients altered less? Each patient's maps voxel by voxel against a reference group, as z-scores.

Maps are compared on the grid and in the greys in which the network sees them, on which registered maps of all patients
lie over each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu

from ..cohort.table import Case
from ..errors import InputError
from ..models.recipe import SampleRecipe
from ..reporting.progress import Advance
from ..samples.kinds import region_of
from ..series.reading import read_input

ALTERED = 1.96
"""|z| from which a voxel is altered: as 1 in 20 of the reference group's are where values are normal."""
LEAST_REFERENCE = 6
"""Series of a reference group; of fewer the standard deviation is little known (our choice)."""
LEAST_GROUP = 2
"""Patients whose alterations are compared with others' (our choice)."""
_LEAST_DEVIATION = 1e-4
"""Standard deviation of a voxel, in greys, below which it is background."""


@dataclass(frozen=True)
class Reference:
    """The maps of a reference group.

    Attributes:
        mean, deviation: (channels, depth, size, size) float32; the deviation is 0 in background.
        series: how many they are of.
    """

    mean: np.ndarray
    deviation: np.ndarray
    series: int

    @classmethod
    def of(cls, cases: Sequence[Case], sample: SampleRecipe, advance: Advance) -> Reference:
        """The reference of all cases that can be read.

        Raises:
            InputError: fewer than `LEAST_REFERENCE` can.
        """
        maps = [volume for _, volume in _volumes(cases, sample, "Reading the reference group", advance)]
        if len(maps) < LEAST_REFERENCE:
            raise InputError(f"The reference group has {len(maps)} series and needs at least {LEAST_REFERENCE}.")
        deviation = np.std(maps, axis=0, ddof=1)
        return cls(np.mean(maps, axis=0), np.where(deviation > _LEAST_DEVIATION, deviation, 0), len(maps))

    def z_scores(self, volume: np.ndarray) -> np.ndarray:
        """(channels, depth, size, size) of a patient's maps; 0 in background."""
        inside = self.deviation > 0
        return np.divide(volume - self.mean, self.deviation, out=np.zeros_like(volume), where=inside)


def alterations(cases: Sequence[Case], reference: Reference, sample: SampleRecipe, advance: Advance) -> pd.DataFrame:
    """How much of the maps of each case is altered, a row a case and channel.

    Returns:
        `row`, `patient_id`, `channel`, `altered` (share of the voxels with |z| of `ALTERED` and more) and `mean_z`
        (mean |z| of these, nan where there are none).
    """
    rows = []
    for case, volume in _volumes(cases, sample, "Comparing with the reference group", advance):
        strength = np.abs(reference.z_scores(volume))
        for channel, scores, inside in zip(sample.channels, strength, reference.deviation > 0, strict=True):
            altered = scores[inside] >= ALTERED
            mean = float(scores[inside][altered].mean()) if altered.any() else np.nan
            rows.append((case.row, case.patient_id, channel.name, float(altered.mean()), mean))
    return pd.DataFrame(rows, columns=["row", "patient_id", "channel", "altered", "mean_z"])


def compared(table: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Misclassified patients of each class against those called rightly, a row a class and channel.

    Args:
        table: of `alterations`, with `truth` (index of the class) and `right`.

    Returns:
        `class`, `channel`, `right` and `wrong` (patients), medians of both figures in both groups (`altered_right`,
        `altered_wrong`, `mean_z_right`, `mean_z_wrong`), and `altered_p` and `mean_z_p`, two-sided, of the Mann–Whitney
        test; nan where a group has fewer than `LEAST_GROUP` patients.
    """
    rows = []
    for (truth, channel), group in table.groupby(["truth", "channel"], sort=False):
        right, wrong = group[group["right"]], group[~group["right"]]
        row = {"class": classes[truth], "channel": channel, "right": len(right), "wrong": len(wrong)}
        for figure in ("altered", "mean_z"):
            pair = [part[figure].dropna().to_numpy() for part in (right, wrong)]
            told = min(map(len, pair)) >= LEAST_GROUP
            for name, values in zip(("right", "wrong"), pair, strict=True):
                row[f"{figure}_{name}"] = float(np.median(values)) if len(values) else np.nan
            row[f"{figure}_p"] = float(mannwhitneyu(*pair).pvalue) if told else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def in_words(found: pd.DataFrame) -> Iterator[str]:
    """What the comparison found, a sentence a row."""
    for row in found.to_dict("records"):
        who = f"{row['channel']}, {row['class']}: {row['wrong']} of {row['right'] + row['wrong']} misclassified"
        if np.isnan(row["altered_p"]):
            yield f"{who}, too few on one side to be compared."
            continue
        parts = [
            _difference("altered voxels", row["altered_wrong"], row["altered_right"], row["altered_p"], ".1%"),
            _difference("mean |z| of these", row["mean_z_wrong"], row["mean_z_right"], row["mean_z_p"], ".2f"),
        ]
        yield f"{who}, with {'; '.join(parts)}."


def _difference(what: str, wrong: float, right: float, p: float, form: str) -> str:
    medians = f"median {wrong:{form}} against {right:{form}}"
    if np.isnan(p):
        return f"no difference that can be tested in {what} ({medians})"
    if p >= 0.05:
        return f"no clear difference in {what} ({medians}, p = {p:.2f})"
    return f"{'less' if wrong < right else 'more'} {what} ({medians}, p = {p:.2g})"


def _volumes(
    cases: Sequence[Case], sample: SampleRecipe, what: str, advance: Advance
) -> Iterator[tuple[Case, np.ndarray]]:
    """(channels, depth, size, size) of each case that can be read; those that cannot are listed by the evaluation."""
    region = region_of(sample)
    for number, case in enumerate(cases):
        advance(what, number, len(cases))
        try:
            series = read_input(case.path, case.further, sample)
            windows = region.seen(region.find(series))
        except InputError:
            continue
        yield case, region.samples(series, windows).pixels[0].numpy()
