"""The persons of synthetic cohorts: different in different cohorts, so that a model is never tested on its training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Literal

_DIGITS = 16


def person_keys(
    organ: Literal["thigh", "heart", "brain"], seed: int, diagnoses: Sequence[str], purpose: str = ""
) -> list[str]:
    """A key for each person of a cohort, from which the person is drawn.

    Two cohorts share a person only where all arguments are equal: the size of a cohort is that of `diagnoses`.

    Args:
        seed: of the cohort.
        diagnoses: of the persons, in order.
        purpose: any word, to make other persons with the same seed.

    >>> person_keys("thigh", 1, ["DMD"]) == person_keys("thigh", 1, ["DMD"])
    True
    >>> set(person_keys("thigh", 1, ["DMD"] * 60)) & set(person_keys("thigh", 1, ["DMD"] * 61))
    set()
    """
    cohort = hashlib.sha256(json.dumps([organ, seed, purpose, list(diagnoses)]).encode())
    keys = []
    for number in range(len(diagnoses)):
        person = cohort.copy()
        person.update(f" {number}".encode())
        keys.append(person.hexdigest()[:_DIGITS])
    return keys


def seed_of(key: str) -> int:
    """The seed of all random numbers of a person."""
    return int(key, 16)
