"""Does the heat lie in the organ? Of every image, with those that are wrong, or right for the wrong reason, by name.

Germain et al., Diagnostics 2021;11:1554, section 3.6, looked at Grad-CAM by eye and found that most errors came with
heat outside the heart; here the share outside is measured, wherever the organ is known.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu

from ..classify import HEAT_OUTSIDE
from ..cohort.table import Case, Cohort
from ..errors import InputError
from ..files.spreadsheet import existing
from ..models.decision import decision_of
from ..models.package import AnswerCard
from ..reporting.pages import Section
from ..reporting.tables import Table
from .phantom_truth import has_truth, read_muscles, read_truth, segmentation_files
from .predictions import ClassifiedSeries, counted, said

ORGAN = "organ"
"""Column of the cohort with a segmentation of what the answer should rest on, relative to the table's folder."""
WRONG, WRONG_REASON = "misclassified", "right for the wrong reason"
LISTED = 60
"""Images that the report lists; the file has all."""


def check_organs(cohort: Cohort, folder: Path) -> None:
    """Looks at the column `ORGAN` before anything is classified.

    Raises:
        InputError: files that are not there or are no segmentation, with their rows.
    """
    segmentation_files(cohort, folder, ORGAN)


def audited(found: ClassifiedSeries, folder: Path) -> pd.DataFrame:
    """How much of the heat lies outside the organ, for the class that each image says.

    The organ is what the cohort's column `ORGAN` names, or a phantom's true muscles; where neither is there, the
    muscles as `quality.share_outside_muscle` sees them, in the slices in which it looks.

    Args:
        folder: of the cohort table.

    Returns:
        One row a counted image:

        - `row`, `patient_id`, `disease`, `slice`, `side`
        - `truth` and `said`, names of classes
        - `heat_outside`: share of the heat, of the evidence for what the image says, that lies outside the organ; nan
          without heat, and where the organ is not known or not in the window
        - `area_outside`: share of the window, which is what heat without knowledge would have there; nan where the
          organ is only seen, not known
        - `finding`: `WRONG`, `WRONG_REASON` (right, though more of the heat lies outside than heat without knowledge
          would have there, or, where the organ is only seen, than `HEAT_OUTSIDE`), or empty
    """
    case, classification = found.case, found.classification
    result = classification.result
    classes = result.model.classes
    decision = decision_of(result)
    said = decision.said(np.array([decision.of_image(image) for image in result.images]))
    organ = _organ(found, folder)
    heat = {int(label): _evidence(found, int(label)) for label in np.unique(said)} if organ is not None else {}
    rows = []
    for image, window, score, label in zip(
        result.images, classification.seen, classification.scores, said.tolist(), strict=True
    ):
        if not image.counted:
            continue
        outside, area, limit = score.outside, np.nan, HEAT_OUTSIDE
        if organ is not None:
            inside = organ[window.box][window.mask]
            of_image = heat[label][window.box][window.mask]
            area = limit = float(np.mean(~inside))
            outside = float(of_image[~inside].sum() / of_image.sum()) if inside.any() and of_image.any() else np.nan
        outside = np.nan if outside is None else outside
        reason = WRONG_REASON if outside > limit else ""
        rows.append(
            {
                "row": case.row,
                "patient_id": case.patient_id,
                "disease": case.disease,
                "slice": image.slice,
                "side": image.side,
                "truth": classes[case.known_label],
                "said": classes[label],
                "heat_outside": outside,
                "area_outside": area,
                "finding": reason if label == case.label else WRONG,
            }
        )
    return pd.DataFrame(rows)


def unjudged(images: pd.DataFrame, card: AnswerCard) -> pd.DataFrame:
    """The rows of `audited` of images whose heat is not known, as of answers from the dataset of an archive.

    Args:
        images: see `predictions.Predictions`.
    """
    rows = counted(images)
    classes = np.array(card.classes)
    label = said(rows, card)
    told = rows[["row", "patient_id", "disease", "slice", "side"]].assign(
        truth=classes[rows["truth"].to_numpy(int)], said=classes[label], heat_outside=np.nan, area_outside=np.nan
    )
    return told.assign(finding=np.where(label == rows["truth"], "", WRONG))


def section(audit: pd.DataFrame) -> Section:
    """The audit for a report: what it finds, and the images that need a look."""
    title = "Is it right for the right reason?"
    wrong, reason = (audit["finding"] == kind for kind in (WRONG, WRONG_REASON))
    known = audit["heat_outside"].notna()
    paragraphs = [
        f"{int(wrong.sum())} of {len(audit)} images are misclassified. Of {int((known & ~wrong).sum())} that are right "
        f"and whose heat could be held against the organ, {int(reason.sum())} are so for the wrong reason: more of the "
        "heat lies outside the organ than heat without knowledge would have there."
    ]
    if absent := int((audit["area_outside"] == 1).sum()):
        paragraphs.append(f"{absent} images show none of the organ, so their heat is not judged; see audit.csv.")
    groups = [audit.loc[known & part, "heat_outside"] for part in (wrong, ~wrong)]
    if all(len(group) for group in groups):
        p = mannwhitneyu(*groups).pvalue
        paragraphs.append(
            f"Median share of heat outside the organ: {groups[0].median():.2f} of misclassified images, "
            f"{groups[1].median():.2f} of others (Mann-Whitney p = {p:.2g}, images taken as independent)."
        )
    listed = audit[audit["finding"] != ""].sort_values("heat_outside", ascending=False, kind="stable")
    shown = listed.astype({"slice": str})[[*_TITLES]].rename(columns=_TITLES).head(LISTED)
    note = f"The {len(shown)} of {len(listed)} images with most heat outside; audit.csv has all. –: not known."
    tables = (
        (Table("audit", "Images that are wrong, or right for the wrong reason", shown, note),) if len(shown) else ()
    )
    return Section(title, tuple(paragraphs), (), tables)


_TITLES = {
    "patient_id": "Patient", "slice": "Slice", "side": "Side", "disease": "Disease", "said": "Says",
    "finding": "Finding", "heat_outside": "Heat outside", "area_outside": "Area outside",
}  # fmt: skip


def _organ(found: ClassifiedSeries, folder: Path) -> np.ndarray | None:
    """(z, y, x) bool; None where the organ is not known.

    Raises:
        InputError: the file cannot be read, with the row.
    """
    case: Case = found.case
    if path := case.extra.get(ORGAN):
        try:
            return read_muscles(existing(folder, path) or folder / path, found.series)[0] > 0
        except InputError as error:
            raise InputError(f"Row {case.row} of the cohort: {error}") from None
    return read_truth(case, found.series).muscles > 0 if has_truth(case) else None


def _evidence(found: ClassifiedSeries, label: int) -> np.ndarray:
    """(z, y, x) evidence for a class, at least 0."""
    return np.maximum(found.classification.heat_of(label).voxels, 0)
