"""From a cohort to a package that answers by the fat of each muscle; see `train` for what lies beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from .. import __version__
from ..archive.crew import OWN_PROCESS, Crew
from ..cohort.options import checked_place
from ..cohort.seen import seen_keys
from ..cohort.splits import own
from ..cohort.table import SPLITS, Cohort, Split
from ..errors import InputError
from ..files.resources import muscle_model
from ..models.decision import Decision
from ..models.map_package import MapPackage
from ..models.package_files import write_files
from ..models.pattern import PatientFat, PatternModel, log_odds, relative
from ..models.pattern_package import PatternCard, PatternRecipe, PatternTerms
from ..muscles.structures import MUSCLES
from ..reporting.progress import Advance, silent
from ..statistics.estimate import Estimate
from .calibration import Scores, as_metrics, figures, temperature
from .pattern_store import PatternStore
from .preparation import make_folder, put_package

_ROUNDS = 40
"""Of the fit of mean and covariance (expectation and maximisation)."""
_SHRINK = 0.05
"""Share of the covariance that is given up for the variances alone, so that few patients do not make it singular."""
_OF_IMAGES = "AUC, image"
"""Series are no images, so no figure of them is given."""


def train_pattern(
    recipe: PatternRecipe,
    cohort: Cohort,
    out: Path,
    *,
    seed: int,
    cache: Path,
    backbone_weights: Path | None = None,
    device: str = "cpu",
    crew: Crew = OWN_PROCESS,
    resume: bool = False,
    trained_on: str | None = None,
    advance: Advance = silent,
) -> Path:
    """Trains a model of patterns and writes its package. Equal input and seed give equal weights.

    The fat is that under a person's map where a row of the cohort has one, else under the map of a network; by Dixon
    images where a row has them, else by grey. It is kept in `cache`, so that another training takes a second.

    Args:
        cohort: with splits.
        backbone_weights: package of the model of muscle maps; None takes the one that ships with the extension.
        crew: measures the fat; it reaches cohort and cache by the same paths.
        resume: not used: what was measured is kept.
        out, seed, cache, device, trained_on, advance: as of `train.train`.

    Raises:
        InputError: as `train.train`; there is no model of muscle maps, or fat of too few series can be told.
    """
    cohort = own(cohort)
    folder = checked_place(out)
    maps = backbone_weights or muscle_model()
    if maps is None:
        raise InputError("There is no model of muscle maps; give the package of one with --backbone-weights.")
    package = MapPackage.read(maps)
    store = PatternStore.of(cohort, recipe, package, device, cache / "fat", crew, advance)
    make_folder(folder, store.warnings)
    advance("Fitting the pattern", 0, 1)
    series = _Series.of(store)
    model, strength = _fitted(recipe, series, seed)
    card = _card(recipe, series, model, strength, seed, trained_on, package.sha256, len(store.warnings))
    tensors = {name: torch.tensor(array, dtype=torch.float32) for name, array in model.arrays().items()}
    put_package(out, lambda package: write_files(package, recipe.toml(), card, tensors))
    return out


@dataclass(frozen=True)
class _Series:
    """The series of a cohort whose fat is known, N in all.

    Attributes:
        fat: of each.
        odds: (N, 13) log-odds of it, nan where a muscle is out of view.
        truth: (N,) index of the class.
        patient: (N,) str.
        split: (N,) str.
    """

    cohort: Cohort
    fat: tuple[PatientFat, ...]
    odds: np.ndarray
    truth: np.ndarray
    patient: np.ndarray
    split: np.ndarray

    @classmethod
    def of(cls, store: PatternStore) -> _Series:
        """Of a store."""
        fat = tuple(PatientFat.of(stored.muscles, by_grey=stored.by_grey) for stored in store.fat)
        cohort = store.cohort
        return cls(
            cohort,
            fat,
            np.array([log_odds(of_series.fractions) for of_series in fat]),
            cohort.labels,
            np.array([case.patient_id for case in cohort.cases]),
            np.array([case.split for case in cohort.cases]),
        )

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """(n,) 1 over the number of series of each one's patient among `rows` (n,)."""
        _, patient, counts = np.unique(self.patient[rows], return_inverse=True, return_counts=True)
        return 1 / counts[patient]

    @property
    def synthetic(self) -> bool:
        return all(case.synthetic for case in self.cohort.cases)

    def scores(self, split: Split, decision: Decision, model: PatternModel) -> DrawnScores:
        """What the model says of a split."""
        rows = np.flatnonzero(self.split == split)
        draws = np.stack([model.drawn_logits(self.fat[n]) for n in rows])
        none = np.empty((len(rows), 0))
        logits = model.logits(model.expected(self.odds[rows]))
        return DrawnScores(decision, self.truth[rows], self.patient[rows], rows, logits, none, none, draws)


@dataclass(frozen=True)
class DrawnScores(Scores):
    """Scores whose probabilities are means over draws, as those of the answers are.

    Attributes:
        draws: (N, draws, outputs) logits.
    """

    draws: np.ndarray

    def by_patient(self, temperature: float) -> tuple[np.ndarray, np.ndarray]:
        """See `Scores.by_patient`."""
        of_series = np.stack([self.decision.probabilities(draws, temperature).mean(axis=0) for draws in self.draws])
        _, first, patient = np.unique(self.patient, return_index=True, return_inverse=True)
        sums = np.stack([np.bincount(patient, of_class) for of_class in of_series.T], axis=1)
        return self.truth[first], sums / np.bincount(patient)[:, None]


def normal_of(odds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (13,) and covariance (13, 13) of patients' log-odds (N, 13), of which some are nan (Dempster, Laird and
    Rubin, J R Stat Soc B 1977;39:1).

    Raises:
        InputError: a muscle is in view in fewer than two patients.
    """
    missing = np.isnan(odds)
    few = [name for name, count in zip(MUSCLES, (~missing).sum(axis=0), strict=True) if count < 2]
    if few:
        raise InputError(f"Fewer than two series show the muscle {few[0]}; add series that show it.")
    mean, covariance = np.nanmean(odds, axis=0), np.diag(np.nanvar(odds, axis=0) + 1e-3)
    for _ in range(_ROUNDS):
        model = PatternModel(np.zeros((1, len(mean))), np.zeros(1), mean, covariance)
        filled, rest = model.expected(odds), np.zeros_like(covariance)
        for pattern, count in zip(*np.unique(missing, axis=0, return_counts=True), strict=True):
            rest[np.ix_(pattern, pattern)] += count * model.given(pattern)[1]
        mean = filled.mean(axis=0)
        covariance = (np.cov(filled.T, bias=True) * len(odds) + rest) / len(odds)
        covariance = (1 - _SHRINK) * covariance + _SHRINK * np.diag(np.diag(covariance)) + 1e-3 * np.eye(len(mean))
    return mean, covariance


def _fitted(recipe: PatternRecipe, series: _Series, seed: int) -> tuple[PatternModel, float]:
    """The model of the strength with the least cross-entropy of the validation series, and that strength."""
    train, validation = (np.flatnonzero(series.split == split) for split in ("train", "validation"))
    mean, covariance = normal_of(series.odds[train])
    filler = PatternModel(np.zeros((1, len(mean))), np.zeros(1), mean, covariance)
    seen, asked = (relative(filler.expected(series.odds[rows])) for rows in (train, validation))
    tried = []
    for strength in sorted(recipe.pattern.strengths):
        fit = fitted_terms(recipe.pattern, strength, seen, series.truth[train], series.weights(train), seed)
        model = PatternModel(*fit, mean, covariance)
        logits = recipe.decision.all_logits(asked @ model.coefficients.T + model.intercept)
        losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(logits)), series.truth[validation]]
        tried.append((float(losses.mean()), strength, model))
    _, strength, model = min(tried, key=lambda entry: entry[:2])
    stored = {name: array.astype(np.float32).astype(np.float64) for name, array in model.arrays().items()}
    return PatternModel.of(stored, len(model.intercept)), strength


def fitted_terms(
    terms: PatternTerms, strength: float, features: np.ndarray, truth: np.ndarray, weights: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (outputs, 13) and intercept (outputs,) of a logistic regression with an L1 penalty.

    A muscle whose coefficient contradicts `PatternTerms.signs` is left out and the rest fitted anew, until none does.

    Args:
        features: (N, 13) of `relative` log-odds.
        truth, weights: (N,) class and weight of each row.
    """
    from sklearn.linear_model import LogisticRegression

    signs = np.array([terms.signs.get(name, 0) for name in MUSCLES])
    kept = np.ones(len(MUSCLES), bool)
    penalty = {"penalty": "elasticnet"} if LogisticRegression().penalty == "l2" else {}  # before scikit-learn 1.8
    while True:
        fit = LogisticRegression(
            C=strength, l1_ratio=1, solver="saga", max_iter=4000, tol=1e-4, random_state=seed, **penalty
        )
        fit.fit(features[:, kept], truth, weights)
        coefficients = np.zeros((len(fit.coef_), len(MUSCLES)))
        coefficients[:, kept] = fit.coef_
        wrong = (coefficients * signs < 0).any(axis=0)
        if not wrong.any():
            return coefficients, fit.intercept_
        kept &= ~wrong


def _card(
    recipe: PatternRecipe,
    series: _Series,
    model: PatternModel,
    strength: float,
    seed: int,
    trained_on: str | None,
    muscles_by: str,
    without_fat: int,
) -> PatternCard:
    before = recipe.decision
    scores = {split: series.scores(split, before, model) for split in SPLITS if (series.split == split).any()}
    validation = scores["validation"]
    scale = temperature(before.all_logits(validation.logits), validation.truth)
    decision = _labelled(before.tuned(*validation.by_patient(scale), keep_threshold=True), recipe.pattern.least_sure)
    people = "synthetic phantoms" if series.synthetic else "patients"

    def patients(split: Split) -> int:
        return len(np.unique(series.patient[series.split == split]))

    def measured(split: Split) -> dict[str, Estimate]:
        return {
            name: figure for name, figure in figures(decision, scores[split], scale, seed).items() if name != _OF_IMAGES
        }

    metrics = as_metrics(
        {f"{name}, validation": figure for name, figure in measured("validation").items()},
        f"{patients('validation')} {people} by whom strength and temperature were chosen, so optimistic on average",
    )
    if "test" in scores:
        metrics = as_metrics(measured("test"), f"{patients('test')} {people} that training did not see") | metrics
    train = series.cohort.of_split("train").patients
    return PatternCard(
        name=f"{recipe.name}, logistic regression",
        version=__version__,
        classes=recipe.classes,
        demonstration=series.synthetic,
        trained_on=trained_on or f"the fat of the muscles of {patients('train')} {people}{_only(series)}",
        intended_use="Research only, not for diagnosis.",
        licence="Apache-2.0" if series.synthetic else "To be stated by the owner of the cohort.",
        training_cohort={
            "patients": patients("train"),
            "series": int((series.split == "train").sum()),
            "diagnoses": dict(sorted(Counter(case.disease for case in train).items())),
            "strength": strength,
            "seed": seed,
            "series_without_fat": without_fat,
        },
        metrics=metrics,
        threshold=decision.threshold,
        label_from=decision.label_from,
        temperature=scale,
        muscles_by=muscles_by,
        coefficients=_readable(recipe.classes, model.coefficients),
        seen=seen_keys(case for case in series.cohort.cases if case.split != "test"),
    )


def _labelled(decision: Decision, least: float) -> Decision:
    """The same with no class a label below a probability."""
    return replace(decision, label_from=tuple(None if own is None else max(own, least) for own in decision.label_from))


def _only(series: _Series) -> str:
    return " only, no patients" if series.synthetic else ""


def _readable(classes: Sequence[str], coefficients: np.ndarray) -> dict[str, dict[str, float]]:
    """The coefficients that are not 0, of the class that each output is the evidence for."""
    names: Mapping[int, str] = dict(enumerate(classes[1:] if len(coefficients) == 1 else classes))
    return {
        names[n]: {muscle: round(float(value), 3) for muscle, value in zip(MUSCLES, own_values, strict=True) if value}
        for n, own_values in enumerate(coefficients)
    }
