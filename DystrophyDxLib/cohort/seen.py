"""Which patients of a cohort a model has seen: what it says of them is better than what it will say of others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..errors import InputError
from ..models.package import ModelCard
from ..series.file_digests import series_digest
from .table import SPLITS, Case, Cohort

_DIGITS = 16


def digests(cases: Iterable[Case]) -> tuple[str, ...]:
    """What `ModelCard.seen` holds of the series that a model was fitted to: the begin of each one's digest, sorted. Of
    several channels the first stands for all.

    Raises:
        OSError, InputError: as `series_digest`.
    """
    return tuple(sorted(series_digest(case.path)[:_DIGITS] for case in cases))


def seen_patients(cohort: Cohort, card: ModelCard) -> frozenset[str]:
    """The patients of whom a series is among those that the model was fitted to or whose threshold was chosen by them;
    none where the card does not tell."""
    seen = frozenset(card.seen)
    return frozenset(case.patient_id for case in cohort.cases if seen and _is_among(case, seen))


def seen_notice(seen: int, patients: int) -> str:
    """What must stand beside figures of patients that a model has seen."""
    return (
        f"Too good: {seen} of these {patients} patients {'was' if seen == 1 else 'were'} used in training or to choose "
        "the threshold. Such figures say nothing of new patients."
    )


def evaluated_cases(cohort: Cohort, split: str | None, cards: Sequence[ModelCard]) -> tuple[Cohort, str | None]:
    """The cases to evaluate, and the split that they are; None for patients of any split.

    Args:
        split: None takes the test split. Where the cohort has none, or models were trained in other splits and so have
            seen some of it, these are the patients that no model has seen, if there are any.

    Raises:
        InputError: there is no such split, or it is empty.
    """
    if split is not None and split not in SPLITS:
        raise InputError(f"There is no split {split!r}; choose one of {', '.join(SPLITS)}.")
    if split and not cohort.has_splits:
        raise InputError("The cohort table has no splits; leave --split out to evaluate whom the model has not seen.")
    chosen = cohort.of_split(split or "test") if cohort.has_splits else cohort
    if not chosen.cases:
        raise InputError(f"The cohort has no case in the split {split or 'test'!r}; choose another with --split.")
    if split is None:
        seen = frozenset[str]().union(*(seen_patients(cohort, card) for card in cards))
        unseen = tuple(case for case in cohort.cases if case.patient_id not in seen)
        if unseen and not seen.isdisjoint(case.patient_id for case in chosen.cases):
            return replace(cohort, cases=unseen), None
    return chosen, split or ("test" if cohort.has_splits else None)


def _is_among(case: Case, seen: frozenset[str]) -> bool:
    try:
        return digests([case])[0] in seen
    except (OSError, InputError):
        return False  # the series is told when it is to be classified
