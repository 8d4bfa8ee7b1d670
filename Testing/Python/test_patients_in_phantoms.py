"""Real patients lie inside the phantoms of their disease, though nothing was fitted to them."""

from __future__ import annotations

import numpy as np
import patients_in_phantoms
import pytest
from patients_in_phantoms import Inside, Real, phantom_odds, real_patients

from DystrophyDxLib.muscles.structures import MUSCLES
from DystrophyDxLib.phantom.disease import Infiltration
from DystrophyDxLib.phantom.thigh import muscle_shares

LEAST = 0.001
"""Share of the phantoms that must have less fat in a muscle, and more, and that must lie farther from every other one
than a patient from the nearest: who has fewer lies outside all of them."""


def is_inside(patient: Real, diagnosis: str) -> bool:
    found = Inside.of(patient.fractions, diagnosis)
    return bool(np.nanmin(found.ranks) >= LEAST and np.nanmax(found.ranks) <= 1 - LEAST and found.rank <= 1 - LEAST)


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(patients_in_phantoms, "PERSONS", 400)
    phantom_odds.cache_clear()
    yield
    phantom_odds.cache_clear()


def test_who_is_no_patient_of_the_disease_lies_outside(few):
    rng, shares = np.random.default_rng(9), muscle_shares()
    drawn = [Infiltration.drawn(rng, "DMD", shares).fractions.mean(axis=0) for _ in range(40)]
    sick = [fractions for fractions in drawn if fractions.mean() > 0.3]
    assert len(sick) >= 10
    assert np.mean([is_inside(Real("", "DMD", fractions), "DMD") for fractions in sick]) >= 0.75
    assert not any(is_inside(Real("", None, fractions), "healthy") for fractions in sick)
    upside_down = [np.sort(fractions)[::-1][np.argsort(np.argsort(fractions))] for fractions in sick]
    assert np.mean([is_inside(Real("", None, fractions), "DMD") for fractions in upside_down]) <= 0.25
    unseen = np.where(np.arange(len(MUSCLES)) < 8, sick[0], np.nan)
    assert np.isnan(Inside.of(unseen, "DMD").ranks[8:]).all()


def test_real_patients_lie_inside_the_phantoms_of_their_disease(shared):
    patients = real_patients(shared("dystrophy_dixon").parent)
    assert {patient.diagnosis for patient in patients} == {"LGMD2B", "BMD", "healthy", None}
    for patient in patients:
        if patient.diagnosis is not None:
            assert (~np.isnan(patient.fractions)).sum() >= 9, patient
            assert is_inside(patient, patient.diagnosis), (patient, Inside.of(patient.fractions, patient.diagnosis))
