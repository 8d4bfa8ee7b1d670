"""Tables that compare arms, and readers with the model: reader by reader, and beyond these readers and cases."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...reporting.tables import Table
from ...statistics.estimate import Estimate
from ...statistics.merit import ARMS_COMPARED, FIGURES_OF_MERIT, RANDOM, FigureOfMerit, Random
from ...statistics.mrmc import (
    COVARIANCES,
    LEAST_CASES,
    ArmsComparison,
    Components,
    Covariance,
    Difference,
    compare_arms,
    compare_with_standalone,
    mean_of_readers,
)
from ...statistics.paired import compare_decisions
from ...statistics.roc import compare_auc
from ...statistics.sample_size import LEVEL, POWER, cases_needed
from ...statistics.unpaired import equal_errors
from ..endpoint import PrimaryEndpoint
from ..reads import AIDED, UNAIDED
from .first_answers import FirstAnswers
from .performance_tables import MODEL

_DIFFERENCE = 0.05
"""To plan for, beside the one that was found."""
_PLANNED_READERS = (3, 5, 8, 12, 20)
_NOT_CORRECTED = "Secondary and exploratory: the p values are not corrected for the number of comparisons."
_ENDPOINT = "The p values of secondary results are not corrected for the number of comparisons."


def paired_arms_table(answers: FirstAnswers) -> Table:
    """Aided against unaided, of each reader of both; `answers` are of both arms."""
    rows = [
        {
            "Reader": reader,
            **_compared(
                answers.truth,
                (UNAIDED, answers.decisions[0, r], answers.confidences[0, r]),
                (AIDED, answers.decisions[1, r], answers.confidences[1, r]),
            ),
        }
        for r, reader in enumerate(answers.readers)
        if answers.answered(0, r) and answers.answered(1, r)
    ]
    return Table(
        "arms_by_reader",
        "Aided against unaided, reader by reader, with 95 % intervals",
        pd.DataFrame(rows),
        "Cases: with both decisions. McNemar: which is right more often, exact for few. AUC: of cases with both "
        f"confidences, with DeLong's intervals. {_NOT_CORRECTED}",
    )


def paired_model_table(answers: FirstAnswers) -> Table:
    """Each reader against the model."""
    rows = []
    for (t, arm), (r, reader) in itertools.product(enumerate(answers.arms), enumerate(answers.readers)):
        if not answers.answered(t, r):
            continue
        decisions = answers.decisions[t, r]
        both = ~np.isnan(decisions) & ~np.isnan(answers.label)
        wrong = [int(np.sum(who[both] != answers.truth[both])) for who in (decisions, answers.label)]
        cases = int(both.sum())
        rows.append(
            {
                "Arm": arm,
                "Reader": reader,
                **_compared(
                    answers.truth,
                    ("model", answers.label, answers.probability),
                    ("reader", decisions, answers.confidences[t, r]),
                ),
                "Errors, reader": wrong[0],
                "Errors, model": wrong[1],
                "p, chi-square": equal_errors(wrong, [cases, cases]) if cases else np.nan,
            }
        )
    return Table(
        "model_by_reader",
        "Readers against the model, reader by reader, with 95 % intervals",
        pd.DataFrame(rows),
        "Cases: decided by both. McNemar: who is right more often, exact for few. AUC: of cases that both rated, "
        "with DeLong's intervals. Chi-square, as in Germain et al. 2021, takes no account of the "
        f"cases being the same. {_NOT_CORRECTED}",
    )


def _compared(
    truth: np.ndarray, first: tuple[str, np.ndarray, np.ndarray], second: tuple[str, np.ndarray, np.ndarray]
) -> dict[str, object]:
    """Decisions and scores of two on the cases that both answered."""
    (one, decided, rated), (other, others_decided, others_rated) = first, second
    both = ~np.isnan(decided) & ~np.isnan(others_decided)
    test = compare_decisions(truth[both], decided[both], others_decided[both])
    both_rated = ~np.isnan(rated) & ~np.isnan(others_rated)
    areas = compare_auc(truth[both_rated], rated[both_rated], others_rated[both_rated])
    return {
        "Cases": int(both.sum()),
        f"Only {one} right": test.only_first,
        f"Only {other} right": test.only_second,
        "p, McNemar": test.p if both.any() else np.nan,
        f"AUC, {one}": areas.first,
        f"AUC, {other}": areas.second,
        f"AUC, {other} minus {one}": areas.difference,
        "p, DeLong": areas.p,
    }


@dataclass(frozen=True)
class ArmsAnalysis:
    """Aided minus unaided beyond these readers and cases, for one figure of merit.

    Attributes:
        readers: how many it rests on.
        tests: one for each of `mrmc.RANDOM`.
    """

    figure: FigureOfMerit
    covariance: Covariance
    readers: int
    components: Components
    tests: tuple[ArmsComparison, ...]

    @property
    def difference(self) -> float:
        return self.tests[0].differences[0].difference.value

    @property
    def title(self) -> str:
        return f"{self.figure}, {self.covariance}"


def analyse_arms(answers: FirstAnswers) -> tuple[ArmsAnalysis, ...]:
    """Every figure of merit, the AUC with both kinds of covariance; without those that lack two readers of both
    arms."""
    if answers.arms != (UNAIDED, AIDED):
        return ()
    found = []
    kinds = [(figure, covariance) for figure in FIGURES_OF_MERIT for covariance in _covariances(figure)]
    for figure, covariance in kinds:
        studied = answers.performance(answers.ratings(figure)[::-1], (AIDED, UNAIDED), figure, covariance)
        if studied is not None:
            tests = tuple(compare_arms(studied, random) for random in RANDOM)
            found.append(ArmsAnalysis(figure, covariance, len(studied.readers), studied.components, tests))
    return tuple(found)


def _covariances(figure: FigureOfMerit) -> tuple[Covariance, ...]:
    """DeLong's is of the AUC; of a proportion it would be the jackknife's once more."""
    return COVARIANCES if figure == "AUC" else COVARIANCES[:1]


def arms_table(analyses: Sequence[ArmsAnalysis], primary: PrimaryEndpoint | None) -> Table:
    """Aided minus unaided, beyond these readers and cases; the primary endpoint first."""
    rows = []
    for found in analyses:
        for test in found.tests:
            aided, unaided = test.means
            rows.append(
                {
                    **_place(
                        primary, ARMS_COMPARED, found.figure, test.random, first=found.covariance == COVARIANCES[0]
                    ),
                    "Covariances": found.covariance,
                    "Readers": found.readers,
                    "Cases": found.components.cases,
                    "Value, unaided": unaided,
                    "Value, aided": aided,
                    "Difference, aided minus unaided": test.differences[0].difference,
                    "F": test.f,
                    "df2": test.df2,
                    "p": test.p,
                }
            )
    return Table(
        "mrmc_arms",
        "Aided minus unaided: means over readers, with 95 % intervals",
        _primary_first(rows),
        "Obuchowski and Rockette's analysis with Hillis' degrees of freedom (df1 = 1). AUC of confidences, the others "
        f"of decisions. Readers: with at least {LEAST_CASES} answered cases of each class of the figure in both arms; "
        f"missing answers are taken account of case by case. {_ENDPOINT}"
        + _why_smaller({found.title: (found.tests[0].p, found.tests[1].p) for found in analyses}, "between the arms"),
    )


@dataclass(frozen=True)
class ModelAnalysis:
    """Readers of an arm minus the model beyond these readers and cases, for one figure of merit.

    Attributes:
        model: its figure on the cases that both answered.
        means: of the readers, and `tests`: one for each of `mrmc.RANDOM`.
    """

    arm: str
    figure: FigureOfMerit
    readers: int
    cases: int
    model: float
    means: tuple[Estimate, ...]
    tests: tuple[Difference, ...]


def analyse_model(answers: FirstAnswers) -> tuple[ModelAnalysis, ...]:
    """Every arm and figure of merit; without those that lack two readers, and without a model none."""
    found = []
    for (t, arm), figure in itertools.product(enumerate(answers.arms), FIGURES_OF_MERIT):
        both = np.stack(np.broadcast_arrays(answers.ratings(figure)[t], answers.model_ratings(figure)))
        both[:, np.isnan(both).any(axis=0)] = np.nan
        studied = answers.performance(both, (arm, MODEL), figure, COVARIANCES[0])
        if studied is not None:
            means = tuple(mean_of_readers(studied, 0, random) for random in RANDOM)
            tests = tuple(compare_with_standalone(studied, random) for random in RANDOM)
            model = float(studied.values[1].mean())
            found.append(ModelAnalysis(arm, figure, len(studied.readers), studied.cases, model, means, tests))
    return tuple(found)


def model_table(analyses: Sequence[ModelAnalysis], primary: PrimaryEndpoint | None) -> Table:
    """Mean of the readers minus the model, beyond these readers and cases; the primary endpoint first."""
    rows = [
        {
            **_place(primary, f"{found.arm} minus model", found.figure, random),
            "Arm": found.arm,
            "Readers": found.readers,
            "Cases": found.cases,
            "Value, readers": mean,
            "Value, model": found.model,
            "Difference, readers minus model": test.difference,
            "p": test.p,
        }
        for found in analyses
        for random, mean, test in zip(RANDOM, found.means, found.tests, strict=True)
    ]
    small = {f"{found.figure}, {found.arm}": (found.tests[0].p, found.tests[1].p) for found in analyses}
    return Table(
        "mrmc_model",
        "Readers minus model: means over readers, with 95 % intervals; the model's own stand under Performance",
        _primary_first(rows),
        "Hillis' analysis of one arm, of the differences of each reader from the model (Chakraborty 2017), on the "
        f"cases that both answered; jackknife. {_ENDPOINT}" + _why_smaller(small, "from the model"),
    )


def _place(
    primary: PrimaryEndpoint | None, compares: str, figure: FigureOfMerit, random: Random, *, first: bool = True
) -> dict[str, str]:
    """What a row is of, and whether it is the primary endpoint.

    Args:
        first: whether its covariances are those that the endpoint is told with.
    """
    chosen = primary is not None and (primary.compares, primary.figure, primary.holds_for) == (compares, figure, random)
    kind = "exploratory" if primary is None else "primary" if chosen and first else "secondary"
    return {"Figure": figure, "Holds for other": random, "Endpoint": kind}


def _primary_first(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(sorted(rows, key=lambda row: row["Endpoint"] != "primary"))


def _why_smaller(p_values: Mapping[str, tuple[float, float]], between: str) -> str:
    """What explains a p for other readers and cases that is smaller than that for other cases, where there is one.

    Args:
        p_values: both of them, by what they are of.
    """
    found = "; ".join(name for name, (both, cases) in p_values.items() if both < cases)
    if not found:
        return ""
    return (
        f" p is smaller for other readers and cases than for other cases alone ({found}): the readers' differences "
        f"{between} happen to be more alike than the sampling of the cases alone would leave them, so that the readers "
        "take away error instead of adding some. That is chance of few readers; the larger p is the safer one."
    )


def components_table(analyses: Sequence[ArmsAnalysis]) -> Table:
    """Variance components, for planning."""
    rows = []
    for analysis in analyses:
        found = analysis.components
        components = {
            "Reader": found.reader,
            "Arm by reader": found.arm_by_reader,
            "Error": found.error,
            "Cov1": found.cov1,
            "Cov2": found.cov2,
            "Cov3": found.cov3,
        }
        shown = {f"{name} × 10⁴": 1e4 * value for name, value in components.items()}
        rows.append(
            {"Figure": analysis.figure, "Covariances": analysis.covariance, "Cases": found.cases, **shown}
        )  # fmt: skip
    return Table(
        "mrmc_components",
        "Variance components and covariances, times 10 000",
        pd.DataFrame(rows),
        "Estimates, which can be below 0. Error and covariances are those of the sampling of the cases.",
    )


def sample_size_table(analyses: Sequence[ArmsAnalysis]) -> Table:
    """Cases that a next study of both arms needs."""
    rows = []
    for found in analyses:
        if found.covariance == COVARIANCES[0] and not np.isnan(found.tests[0].p):
            for difference in sorted({_DIFFERENCE, abs(found.difference)} - {0.0}):
                needed = {
                    f"{readers} readers": cases_needed(found.components, difference, readers=readers, random=RANDOM[0])
                    for readers in _PLANNED_READERS
                }
                shown = {name: cases or np.nan for name, cases in needed.items()}
                rows.append({"Figure": found.figure, "Difference, either way": difference, **shown})
    return Table(
        "sample_size",
        f"Cases for a next study of both arms, with a power of {100 * POWER:.0f} % at the level {LEVEL}",
        pd.DataFrame(rows, dtype=object),
        "For other readers and cases, from the variances of this study (Hillis, Obuchowski and Berbaum 2011) and at "
        f"its share of positive cases; for the difference that was found and for {_DIFFERENCE}. –: no number of "
        "cases is enough. A plan from few readers or cases is itself uncertain.",
    )
