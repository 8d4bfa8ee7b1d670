"""Real patients lie among the phantoms of their disease: no phantom was fitted to them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.distance import cdist
from scipy.special import ndtri

from DystrophyDxLib.phantom.disease import DIAGNOSES, Infiltration
from DystrophyDxLib.phantom.thigh import muscle_shares

# The maps name the first eleven of `MUSCLES`, in the same order.
NAMED = 11
PHANTOMS = 400


def probit(fractions: np.ndarray) -> np.ndarray:
    return ndtri(np.clip(fractions, 0.01, 0.99))


@cache
def phantoms(diagnosis: str) -> np.ndarray:
    """(PHANTOMS, NAMED) probit of the mean fat of both legs."""
    rng = np.random.default_rng(0)
    persons = [Infiltration.drawn(rng, diagnosis, muscle_shares()) for _ in range(PHANTOMS)]
    return probit(np.array([person.fractions.mean(axis=0)[:NAMED] for person in persons]))


@pytest.fixture
def patient(shared: Callable[[str], Path]) -> Callable[[str], np.ndarray]:
    """Gives the (NAMED,) probit of a patient's fat under the maps of the muscles."""

    def measured(name: str) -> np.ndarray:
        fat, water, maps = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(shared(f"dystrophy_dixon/{name}_{kind}.nii.gz"))))
            for kind in ("fat", "water", "muscles")
        )
        fraction = fat / np.maximum(fat.astype(float) + water, 1e-6)
        return probit(np.array([fraction[maps == label].mean() for label in range(1, NAMED + 1)]))

    return measured


def rank_among(patient: np.ndarray, persons: np.ndarray) -> float:
    """Share of the persons whose nearest neighbour is no further than the patient's: 0.5 is as usual as any, 0 an
    outsider."""
    apart = cdist(persons, persons)
    np.fill_diagonal(apart, np.inf)
    return float(np.mean(apart.min(axis=1) >= cdist([patient], persons).min()))


def test_a_phantom_of_another_disease_is_further_away():
    """The measure tells: most persons with GNE myopathy, whose vastus lateralis is spared, are outsiders in DMD."""
    late = [person for person in phantoms("GNE") if person.mean() > -0.5]
    assert np.mean([rank_among(person, phantoms("DMD")) < 0.05 for person in late]) > 0.7
    assert np.mean([rank_among(person, phantoms("GNE")[: PHANTOMS // 2]) < 0.05 for person in late]) < 0.2


def test_the_patient_with_dysferlinopathy_lies_among_its_phantoms(patient):
    fat, persons = patient("lgmdr2"), phantoms("LGMD2B")
    ranks = np.mean(persons < fat, axis=0)
    assert np.all((ranks > 0.02) & (ranks < 0.98)), ranks.round(2)
    assert rank_among(fat, persons) > 0.05


def test_the_patient_with_an_unnamed_dystrophy_lies_among_the_phantoms_of_some(patient):
    fat = patient("dystrophy_unnamed")
    assert max(rank_among(fat, phantoms(name)) for name in DIAGNOSES if name != "healthy") > 0.05
