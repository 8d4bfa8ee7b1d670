"""Tables that compare arms, and readers with the model: reader by reader, and beyond these readers and cases."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...reporting.tables import Table
from ...statistics.mrmc import (
    COVARIANCES,
    FIGURES_OF_MERIT,
    LEAST_CASES,
    RANDOM,
    ArmsComparison,
    Components,
    Covariance,
    FigureOfMerit,
    compare_arms,
    compare_with_standalone,
)
from ...statistics.paired import compare_decisions
from ...statistics.roc import compare_auc
from ...statistics.sample_size import LEVEL, POWER, cases_needed
from ...statistics.unpaired import equal_errors
from ..reads import AIDED, UNAIDED
from .first_answers import FirstAnswers

_DIFFERENCE = 0.05
"""To plan for, beside the one that was found."""
_PLANNED_READERS = (3, 5, 8, 12, 20)
_NOT_CORRECTED = "The p values are not corrected for the number of comparisons."


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
        "Aided against unaided, reader by reader",
        pd.DataFrame(rows),
        "Cases: with both decisions. McNemar: which is right more often, exact for few. AUC: of cases with both "
        f"confidences, aided less unaided, DeLong. {_NOT_CORRECTED}",
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
        "Readers against the model, reader by reader",
        pd.DataFrame(rows),
        "Cases: decided by both. McNemar: who is right more often, exact for few. AUC: of cases that both rated, "
        "reader less model, DeLong. Chi-square, as in Germain et al. 2021, takes no account of the "
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
        f"AUC, {one}": areas.first.value,
        f"AUC, {other}": areas.second.value,
        "AUC, difference": areas.difference,
        "p, DeLong": areas.p,
    }


@dataclass(frozen=True)
class ArmsAnalysis:
    """Aided less unaided beyond these readers and cases, for one figure of merit.

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


def arms_table(analyses: Sequence[ArmsAnalysis]) -> Table:
    """Aided less unaided, beyond these readers and cases."""
    rows = []
    for found in analyses:
        for test in found.tests:
            aided, unaided = test.means
            rows.append(
                {
                    "Figure": found.figure,
                    "Holds for other": test.random,
                    "Covariances": found.covariance,
                    "Readers": found.readers,
                    "Cases": found.components.cases,
                    "Value, unaided": unaided,
                    "Value, aided": aided,
                    "Value, difference": test.differences[0].difference,
                    "F": test.f,
                    "df2": test.df2,
                    "p": test.p,
                }
            )
    return Table(
        "mrmc_arms",
        "Aided less unaided: means over readers, with 95 % intervals",
        pd.DataFrame(rows),
        "Obuchowski and Rockette's analysis with Hillis' degrees of freedom (df1 = 1). AUC of confidences, the others "
        f"of decisions. Readers: with at least {LEAST_CASES} answered cases of each class of the figure in both arms; "
        f"missing answers are taken account of case by case. {_NOT_CORRECTED}",
    )


def model_table(answers: FirstAnswers) -> Table:
    """Mean of the readers less the model, beyond these readers and cases, where that can be told."""
    rows = []
    for (t, arm), figure in itertools.product(enumerate(answers.arms), FIGURES_OF_MERIT):
        both = np.stack(np.broadcast_arrays(answers.ratings(figure)[t], answers.model_ratings(figure)))
        both[:, np.isnan(both).any(axis=0)] = np.nan
        studied = answers.performance(both, (arm, "model"), figure, COVARIANCES[0])
        if studied is None:
            continue
        readers, model = studied.values.mean(axis=1)
        for random in RANDOM:
            test = compare_with_standalone(studied, random)
            rows.append(
                {
                    "Arm": arm,
                    "Figure": figure,
                    "Holds for other": random,
                    "Readers": len(studied.readers),
                    "Cases": studied.cases,
                    "Value, readers": float(readers),
                    "Value, model": float(model),
                    "Value, difference": test.difference,
                    "p": test.p,
                }
            )
    return Table(
        "mrmc_model",
        "Readers less model: means over readers, with 95 % intervals",
        pd.DataFrame(rows),
        "Hillis' analysis of one arm, of the differences of each reader from the model (Chakraborty 2017), on the "
        f"cases that both answered; jackknife. {_NOT_CORRECTED}",
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
                rows.append({"Figure": found.figure, "Value, difference": difference, **shown})
    return Table(
        "sample_size",
        f"Cases for a next study of both arms, with a power of {100 * POWER:.0f} % at the level {LEVEL}",
        pd.DataFrame(rows, dtype=object),
        "For other readers and cases, from the variances of this study (Hillis, Obuchowski and Berbaum 2011) and at "
        f"its share of positive cases; for the difference that was found and for {_DIFFERENCE}. –: no number of "
        "cases is enough. A plan from few readers or cases is itself uncertain.",
    )
