"""`dystrophydx texture`: texture methods side by side in a cross-validation, and what the networks among them look at.

Cai et al., "Texture analysis for muscular dystrophy classification in MRI with improved class activation mapping",
Pattern Recognition 2019;86:368: accuracy of networks and other methods (Table 1) and by size of the maps (Table 2),
single neurons beside the mean fat fraction (Figure 3), patches under the heat (Figure 6) and muscle texture scores
(Table 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from ..archive.crew import OwnProcesses
from ..classify import Classifier
from ..cohort.options import chosen_classifier
from ..cohort.splits import FOLDS, k_folds, read_folds
from ..cohort.table import Case, Cohort
from ..errors import InputError
from ..explain.texture_score import texture_scores
from ..files.spreadsheet import column_name
from ..models.published_weights import weights_file
from ..muscles.structures import MUSCLES
from ..reporting.harness import FIGURES, table_sha256
from ..reporting.progress import WRITING, Advance
from ..reporting.reports import TEXTURE as REPORT
from ..training.sample_store import SampleStore
from . import localisation
from .phantom_truth import has_truth, read_muscles, read_truth, segmentation_files
from .predictions import classify_case
from .summaries import TextureSummary
from .texture_comparison import Network, TextureComparison
from .texture_images import TextureImages
from .texture_methods import held_out_answers, texture_methods
from .texture_networks import FoldModels, Responses
from .texture_report import sections


def texture(
    cohort: Path,
    out: Path,
    *,
    recipe: str,
    models: Sequence[Path],
    folds: int,
    muscles: str | None,
    weights: Path | None,
    cache: Path | None,
    device: str,
    processes: int,
    seed: int,
    overwrite: bool,
    advance: Advance,
) -> TextureSummary:
    """Compares texture methods by cross-validation and writes the files of `REPORT` into `out`.

    Args:
        recipe: a shipped recipe's name or a .toml file; one of its channels is the fat fraction.
        models: folders with a package a fold, as `dystrophydx train --split-by kfold:K` writes them, all of the same
            folds.
        folds: of patients, where no models are given.
        muscles: column of the cohort with the path of each series' muscle segmentation; None takes the truth of
            phantoms, where it is there.
        weights: folder with torchvision's weights of VGG16 and ResNet18, see `published_weights.weights_file`.
        cache: for samples; None takes a folder beside `out` of its name and "-cache".
        processes: that make samples.
        seed: of the folds, where no models are given, and of all that is drawn.
        overwrite: whether an earlier analysis in `out` is replaced.

    Raises:
        InputError: cohort, recipe, models or `out` cannot be used, or the models were trained in different folds.
    """
    before = REPORT.check(out, overwrite=overwrite)
    chosen = chosen_classifier(recipe)
    cases = Cohort.read(cohort, chosen)
    fold_of = _folds(cases, models, folds, seed)
    networks = [FoldModels.read(folder, max(fold_of.values()), chosen) for folder in models]
    if len({model.name for model in networks}) < len(networks):
        raise InputError("Two folders with models have the same name; rename one of them.")
    labelled = _muscle_files(cases, cohort.parent, muscles)
    store = SampleStore.of(
        cases, cases.recipe.sample, cache or out.with_name(f"{out.name}-cache"), OwnProcesses(processes), advance
    )
    images = TextureImages.of(store, cases.recipe.sample)
    fold = np.array([fold_of[patient] for patient in images.patients])
    said, failures = _other_methods(images, fold, weights, seed, advance)
    looked_at = tuple(_looked_at(model, store, fold, labelled, device, advance) for model in networks)
    said |= {network.name: network.responses.said for network in looked_at}
    found = TextureComparison(store, images, fold, said, looked_at, failures, seed)
    advance(WRITING, 0, 0)
    summary = found.summary(table_sha256(cohort))
    REPORT.write(
        out,
        summary,
        f"{len(said)} texture methods compared",
        lambda folder: sections(found, summary, folder / FIGURES),
        {"predictions.csv": found.predictions(), **_joined("heat", looked_at), **_joined("muscles", looked_at)},
        overwrite=overwrite,
        before=before,
    )
    return summary


def _joined(what: Literal["heat", "muscles"], networks: Sequence[Network]) -> dict[str, pd.DataFrame]:
    """The rows of all networks, with the network's name, by the name of their file; empty where there are none."""
    rows = [getattr(network, what).assign(network=network.name) for network in networks]
    rows = [table for table in rows if not table.empty]
    return {f"{what}.csv": pd.concat(rows)} if rows else {}


def _folds(cohort: Cohort, models: Sequence[Path], count: int, seed: int) -> dict[str, int]:
    """The fold in which each patient is tested: that of the models, or drawn."""
    if not models:
        cohorts = k_folds(cohort, count, seed)
        return {case.patient_id: n for n, part in enumerate(cohorts, 1) for case in part.of_split("test").patients}
    first, *others = (read_folds(folder / FOLDS, cohort) for folder in models)
    if any(other != first for other in others):
        raise InputError("The models were trained in different folds; train all with the same --split-by and --seed.")
    return first


def _muscle_files(cohort: Cohort, folder: Path, column: str | None) -> dict[int, Path]:
    """Path of the muscle segmentation of each row of the table that has one.

    Raises:
        InputError: there is no such column, or see `segmentation_files`.
    """
    if column is None:
        return {}
    if any(column_name(column) not in case.extra for case in cohort.cases):
        raise InputError(f"The cohort table has no column {column}; give the one with the muscle segmentations.")
    return segmentation_files(cohort, folder, column_name(column))


def _other_methods(
    images: TextureImages, fold: np.ndarray, weights: Path | None, seed: int, advance: Advance
) -> tuple[dict[str, np.ndarray], tuple[tuple[str, str], ...]]:
    """What each method that is no trained network says of the images, and why others could not be tried."""
    said, failures = {}, []
    numbers = np.unique(fold)
    for method in texture_methods(lambda backbone: weights_file(weights, backbone), seed):
        answers = np.empty_like(images.labels)
        try:
            for number, answer in zip(numbers, held_out_answers(method, images, fold, seed), strict=True):
                advance(method.name, int(number), len(numbers))
                answers[fold == number] = answer
        except InputError as error:
            failures.append((method.name, str(error)))
        else:
            said[method.name] = answers
    return said, tuple(failures)


def _looked_at(
    models: FoldModels,
    store: SampleStore,
    fold: np.ndarray,
    labelled: dict[int, Path],
    device: str,
    advance: Advance,
) -> Network:
    """What the model of each fold says of the images of that fold and, where their muscles are known, where its heat
    lies."""
    answers, rows = [], []
    heat: list[pd.DataFrame] = []
    muscles: list[pd.DataFrame] = []
    for number, package in enumerate(models.packages, 1):
        classifier = Classifier(package, device)
        rows.append(np.flatnonzero(fold == number))
        answers.append(Responses.of(classifier, store.pixels, rows[-1]))
        for n in np.unique(store.case[rows[-1]]):
            case = store.cohort.cases[n]
            advance(f"{models.name}, fold {number}", len(heat), len(store.cohort.cases))
            try:
                of_heat, of_muscles = _explained(classifier, case, labelled.get(case.row))
            except InputError as error:
                raise InputError(f"Row {case.row} of the cohort: {error}") from None
            heat.append(of_heat.assign(patient_id=case.patient_id, row=case.row, truth=case.label))
            muscles.append(of_muscles.assign(patient_id=case.patient_id, truth=case.label))
    answered = Responses.joined(answers, np.argsort(np.concatenate(rows)))
    return Network(models, answered, pd.concat(heat), pd.concat(muscles))


def _explained(classifier: Classifier, case: Case, labelled: Path | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of `Network.heat` and `Network.muscles` of one series, none where its muscles are not known."""
    if labelled is None and not has_truth(case):
        return pd.DataFrame(), pd.DataFrame()
    found, heat = classify_case(classifier, case), pd.DataFrame()
    if has_truth(case):
        truth = read_truth(case, found.series)
        heat = localisation.localise_series(found.series, found.classification, truth)
        images = [image for image in found.classification.result.images if image.counted]
        decision = classifier.package.card.decision
        said = decision.said(np.array([decision.of_image(image) for image in images]))
        heat = heat.assign(
            disease=classifier.package.card.classes[case.known_label],
            right=np.equal(said, case.known_label).astype(float),
        )
        drawn, names = truth.muscles, dict(enumerate(MUSCLES, 1))
    if labelled is not None:
        drawn, names = read_muscles(labelled, found.series)
    legs = found.classification.regions.labels > 0
    scores = texture_scores(found.classification.relative_heatmap, drawn, names, legs)
    return heat, pd.DataFrame([{"muscle": score.muscle, "score": score.score} for score in scores])
