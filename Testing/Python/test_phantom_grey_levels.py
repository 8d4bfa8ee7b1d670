"""Real T1-weighted series lie within the range of the phantoms."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from grey_levels import grey_levels

from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.series.reading import read_study

# Measured with `grey_levels` on six series of Vallières et al. 2015 (TCIA Soft-tissue-Sarcoma): muscle over fat, marrow
# over muscle, noise over muscle, edge in mm.
REAL = {
    "STS_009": (0.291, 2.581, 0.005, 2.824),
    "STS_013": (0.479, 2.252, 0.014, 2.674),
    "STS_014": (0.355, 2.752, 0.017, 2.455),
    "STS_022": (0.336, 2.691, 0.003, 3.149),
    "STS_045": (0.273, 3.396, 0.020, 2.487),
    "STS_050": (0.313, 2.419, 0.042, 2.098),
}


def test_real_grey_levels_lie_within_those_of_phantoms():
    measured = [grey_levels(make_phantom(seed, slices=1, matrix=224).series) for seed in range(50)]
    table = np.array([astuple(levels) for levels in measured if levels])
    assert len(table) > 30
    least, most = np.nanmin(table, axis=0), np.nanmax(table, axis=0)
    real = np.array(list(REAL.values()))
    assert (real >= least).all()
    assert (real <= most).all()


@pytest.mark.parametrize("name", ["STS_045", "STS_050"])
def test_figures_of_the_real_series_are_those_measured(shared, name):
    levels = grey_levels(read_study(shared(f"t1_thigh_dicom/{name}")))
    assert astuple(levels) == pytest.approx(REAL[name], rel=0.02)


def test_a_series_without_a_thigh_has_no_grey_levels():
    phantom = make_phantom(0, slices=1, matrix=96)
    phantom.series.voxels[:] = np.random.default_rng(0).random(phantom.series.voxels.shape)
    assert grey_levels(phantom.series) is None
