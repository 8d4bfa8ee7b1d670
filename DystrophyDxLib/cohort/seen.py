"""Which patients of a cohort a model has seen: what it says of them is better than what it will say of others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..models.map_package import MapCard
from ..models.package import AnswerCard
from ..results import WarningCode
from ..series.file_digests import digest_of_files, series_digest
from ..series.series import Series
from .table import SPLITS, Case, Cohort

_DIGITS = 16


def seen_keys(cases: Iterable[Case]) -> tuple[str, ...]:
    """What `ModelCard.seen` holds of the series that a model was fitted to, sorted.

    The begin of each one's digest (of several channels that of the first), and the keys of phantoms' persons, whose
    images differ from cohort to cohort.

    Raises:
        OSError, InputError: as `series_digest`.
    """
    return tuple(sorted({key for case in cases for key in (key_of(case.path), case.person) if key}))


def key_of(*files: Path) -> str:
    """What `ModelCard.seen` holds of the series in a file or folder, or in the files of a folder.

    Raises:
        OSError, InputError: as `series_digest`.
    """
    return (series_digest(files[0]) if len(files) == 1 else digest_of_files(files))[:_DIGITS]


def told_if_seen(series: Series, files: Sequence[Path], card: AnswerCard) -> Series:
    """The series, with a warning where this model was trained on it, as copies of its files tell.

    Args:
        files: that it was read from; none where they are not known.

    Raises:
        OSError, InputError: as `series_digest`.
    """
    others = tuple(warning for warning in series.warnings if warning.code is not WarningCode.SEEN_IN_TRAINING)
    series = replace(series, warnings=others)
    if not card.seen or not files or key_of(*files) not in card.seen:
        return series
    return series.warned(
        WarningCode.SEEN_IN_TRAINING,
        "The model was trained on this series, or its threshold was chosen by it: its answer is better than it would "
        "be for a new patient.",
    )


def seen_patients(cohort: Cohort, card: AnswerCard | MapCard) -> frozenset[str]:
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


def evaluated_cases(
    cohort: Cohort, split: str | None, cards: Sequence[AnswerCard | MapCard]
) -> tuple[Cohort, str | None]:
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
        return case.person in seen or key_of(case.path) in seen
    except (OSError, InputError):
        return False  # the series is told when it is to be classified
