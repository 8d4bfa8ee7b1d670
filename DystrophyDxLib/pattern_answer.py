"""The second answer of a classification, by the pattern of fat in the muscles, and whether it contradicts the
network's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .models.pattern import PatientFat, few_muscles
from .models.pattern_package import PatternPackage
from .muscles.structures import MUSCLES
from .results import (
    INDETERMINATE,
    UNSUITABLE,
    CaseResult,
    ModelFacts,
    MuscleFat,
    NetworkLabel,
    PatternMuscle,
    PatternResult,
    ResultWarning,
    StudyResult,
    WarningCode,
)

LEAST_TOLD = 0.05
"""Share of a muscle below which it did not move the answer."""
_FACTS = set(ModelFacts.model_fields) - {"sha256"}
_DISAGREES = WarningCode.PATTERN_DISAGREES


class PatternAnswer(NamedTuple):
    """What a model of patterns says of a patient.

    Attributes:
        case: None where there is no answer.
        why: there is none.
        told_class: what `muscles` speak for or against.
        muscles: in view that moved it, the one that moved it most first.
        unseen: muscles that would have a say and are hardly or not in view.
    """

    case: CaseResult | None
    why: str = ""
    told_class: str | None = None
    muscles: tuple[PatternMuscle, ...] = ()
    unseen: tuple[str, ...] = ()


def answer(
    package: PatternPackage, muscles: tuple[MuscleFat, ...], *, by_grey: bool, why_not: str = ""
) -> PatternAnswer:
    """What the fat of muscles says.

    Args:
        by_grey: whether grey told the fat, and not Dixon images.
        why_not: why the fat could not be told, where that is known.
    """
    fat = PatientFat.of(muscles, by_grey=by_grey)
    seen, least = int(fat.in_view.sum()), package.recipe.pattern.least_muscles
    if seen < least:
        return PatternAnswer(None, why_not if not seen and why_not else few_muscles(seen, least))
    decision, model = package.card.decision, package.model
    draws = decision.probabilities(model.drawn_logits(fat), package.card.temperature)
    mean = draws.mean(axis=0)
    told = decision.told(mean[None])
    all_shares = decision.all_logits(model.shares(fat).T).T / package.card.temperature
    shares = all_shares[told] - np.delete(all_shares, told, axis=0).mean(axis=0)
    order = [n for n in np.argsort(-np.abs(shares)) if fat.in_view[n] and abs(shares[n]) >= LEAST_TOLD]
    has_say = model.coefficients.any(axis=0)
    return PatternAnswer(
        decision.case_of_draws(mean, draws, None),
        "",
        package.card.classes[told],
        tuple(
            PatternMuscle(
                muscle=MUSCLES[n],
                fat_fraction=round(float(fat.fractions[n]), 4),
                share=round(float(shares[n]), 2),
            )
            for n in order
        ),
        tuple(MUSCLES[n] for n in np.flatnonzero(has_say & ~fat.in_view)),
    )


def with_pattern(result: StudyResult, package: PatternPackage | None) -> StudyResult:
    """The same with the answer by the pattern of fat in its muscles, in place of an earlier one; where it contradicts
    the network's, the case has no label. Of muscles in doubt there is no answer.

    Args:
        package: the model; None for no such answer.
    """
    case = result.case
    if result.pattern is not None:
        case = case.model_copy(update=result.pattern.network.model_dump())
    warnings = tuple(warning for warning in result.warnings if warning.code is not _DISAGREES)
    if package is None or result.fat is None or not result.muscle_fat:
        return result.model_copy(update={"case": case, "warnings": warnings, "pattern": None})
    by_grey = result.fat.source != "Dixon"
    if result.fat.doubt:
        found = PatternAnswer(None, result.fat.doubt)
    else:
        found = answer(package, result.muscle_fat, by_grey=by_grey, why_not=result.fat.note)
    same = set(package.card.classes) == set(result.model.classes)
    agrees = None if found.case is None or not same else not contradict(found.case, case, result.model.classes)
    pattern = PatternResult(
        case=found.case,
        why=found.why,
        told_class=found.told_class,
        muscles=found.muscles,
        unseen=found.unseen,
        model=ModelFacts(**package.card.model_dump(include=_FACTS), sha256=package.sha256),
        network=NetworkLabel(label=case.label, reason=case.reason),
        agrees=agrees,
    )
    if agrees is False and found.case is not None:
        warnings = (*warnings, ResultWarning(code=_DISAGREES, message=_message(found.case, case)))
        said = (case.reason,) if case.label == INDETERMINATE else ()
        reason = " ".join((*said, UNSUITABLE[_DISAGREES]))
        case = case.model_copy(update={"label": INDETERMINATE, "reason": reason})
    return result.model_copy(update={"case": case, "warnings": warnings, "pattern": pattern})


def contradict(one: CaseResult, other: CaseResult, classes: tuple[str, ...]) -> bool:
    """Whether two answers that tell the same classes apart contradict each other; see `PatternResult`."""
    labels = {one.label, other.label}
    if labels == {INDETERMINATE}:
        return False
    sides = {_side(case, classes) for case in (one, other)}
    return None not in sides and len(sides) == 2


def _side(case: CaseResult, classes: tuple[str, ...]) -> str | None:
    """The label or, where there is none, the class on whose side of the threshold the whole interval lies."""
    if case.label != INDETERMINATE:
        return case.label
    if case.threshold is None:
        return None
    low, high = case.ci95
    return classes[1] if low >= case.threshold else classes[0] if high < case.threshold else None


def _message(pattern: CaseResult, network: CaseResult) -> str:
    told = []
    for name, case in (("The network", network), ("the pattern of fat in the muscles", pattern)):
        said = f"{case.label}, " if case.label != INDETERMINATE else ""
        told.append(f"{name} says {said}{case.probability:.2f} ({case.ci95[0]:.2f} to {case.ci95[1]:.2f})")
    return f"{', '.join(told)}. Look at both, and at the outlines of the muscles, before using either."
