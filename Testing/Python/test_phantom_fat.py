"""The phantoms' fat is that of published patients, and what rests on less is said."""

from __future__ import annotations

import phantom_fat
import pytest

from DystrophyDxLib.phantom.disease import DIAGNOSES, PATTERNS


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(phantom_fat, "PERSONS", 800)
    phantom_fat.drawn.cache_clear()
    yield
    phantom_fat.drawn.cache_clear()


def test_phantoms_have_the_published_mean_and_spread():
    """De Wel et al. 2024, Table 2, and others: see `Tools/phantom_fat.py`."""
    for figure in phantom_fat.PUBLISHED:
        mean, spread = phantom_fat.of_phantoms(figure)
        assert mean == pytest.approx(figure.mean, abs=8), figure
        if figure.spread:
            assert spread == pytest.approx(figure.spread, abs=6), figure


def test_no_muscle_of_becker_dystrophy_is_spared_for_ever():
    late = phantom_fat.fat_of([person for person in phantom_fat.drawn("BMD") if person.fractions.mean() > 0.6])
    assert len(late) > 20
    assert late.mean(axis=0).min() > 15


def test_every_disease_says_what_it_rests_on_and_spreads_are_wider_where_that_is_less():
    known = {figure.diagnosis for figure in phantom_fat.PUBLISHED}
    assert set(phantom_fat.GRADES) | known == set(DIAGNOSES)
    estimated = [PATTERNS[name].scatter for name, basis in phantom_fat.GRADES.items() if name not in known]
    assert min(estimated) > max(PATTERNS[name].scatter for name in ("DMD", "BMD"))
