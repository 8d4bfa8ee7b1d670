"""Which patients of a cohort a model has seen: what it says of them is better than what it will say of others."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import InputError
from ..models.package import ModelCard
from ..series.file_digests import series_digest
from .table import Case, Cohort

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


def _is_among(case: Case, seen: frozenset[str]) -> bool:
    try:
        return digests([case])[0] in seen
    except (OSError, InputError):
        return False  # the series is told when it is to be classified
