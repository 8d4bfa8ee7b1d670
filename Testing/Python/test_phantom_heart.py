"""Synthetic hearts: what their cines show is what was asked for."""

import csv

import numpy as np
import pytest
import SimpleITK as sitk

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.phantom.heart import LEFT_CAVITY, MUSCLE, PLANES, Heart, make_heart
from DystrophyDxLib.phantom.heart_cohort import write_hearts


def volumes(heart: Heart, contraction: float) -> dict[int, float]:
    """Millilitres of the parts of a heart, counted on a grid of 2 mm."""
    axis = np.arange(-99, 141, 2.0)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    counts = np.bincount(heart.labels(points, contraction), minlength=4)
    return {label: count * 0.008 for label, count in enumerate(counts)}


@pytest.mark.parametrize("disease", ["normal", "HCM", "DCM"])
def test_the_cavity_gives_up_its_ejection_fraction_while_the_wall_thickens(disease):
    heart = Heart.drawn(disease, np.random.default_rng(5))
    full, empty = (volumes(heart, contraction)[LEFT_CAVITY] for contraction in (0, 1))
    assert 1 - empty / full == pytest.approx(heart.ejection, abs=0.02)
    assert full == pytest.approx(2 / 3 * np.pi * heart.radius_mm**2 * heart.length_mm / 1000, rel=0.02)
    (_, _, relaxed), (_, _, contracted) = heart.at(0), heart.at(1)
    assert relaxed == pytest.approx(heart.wall_mm)
    assert contracted > relaxed


def test_diseases_are_what_defines_them():
    drawn = {
        name: [Heart.drawn(name, np.random.default_rng(n)) for n in range(50)] for name in ("normal", "HCM", "DCM")
    }
    assert min(heart.wall_mm for heart in drawn["HCM"]) >= 15
    assert max(heart.wall_mm for name in ("normal", "DCM") for heart in drawn[name]) < 15
    assert max(heart.ejection for heart in drawn["DCM"]) < 0.45
    assert min(heart.radius_mm for heart in drawn["DCM"]) > max(heart.radius_mm for heart in drawn["normal"])


def test_equal_seeds_give_equal_cines_and_other_numbers_other_hearts():
    first, again, other = (make_heart("normal", seed=2 + n, matrix=64, frames=3) for n in (0, 0, 1))
    assert np.array_equal(first.voxels, again.voxels)
    assert first.heart != other.heart


@pytest.mark.parametrize("plane", PLANES)
def test_every_plane_cuts_the_left_ventricle(plane):
    phantom = make_heart("normal", seed=1, plane=plane, matrix=64, frames=2)
    assert len(phantom.labels) == (3 if plane == "short axis" else 1)
    for label in (LEFT_CAVITY, MUSCLE):
        assert (phantom.labels == label).any(axis=(1, 2)).all()


def test_a_cohort_has_a_cine_and_the_hearts_labels_of_each_patient(tmp_path):
    table = write_hearts(4, tmp_path / "hearts", seed=3, matrix=64, frames=4)
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["diagnosis"] for row in rows] == ["normal", "HCM", "DCM", "normal"]
    assert {row["synthetic"] for row in rows} == {"yes"}
    cine, organ = (sitk.ReadImage(str(table.parent / rows[1][name])) for name in ("path", "organ"))
    assert cine.GetSize() == (64, 64, 3, 4)
    assert organ.GetSize() == (64, 64, 3)
    assert set(np.unique(sitk.GetArrayFromImage(organ))) == {0, 1, 2, 3}
    with pytest.raises(InputError, match="add --overwrite"):
        write_hearts(1, table.parent, seed=3)
    with pytest.raises(InputError, match="heart with 'DMD'; choose from normal, HCM, DCM"):
        write_hearts(1, tmp_path / "other", seed=3, diagnoses=["DMD"])
