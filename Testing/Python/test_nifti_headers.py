"""NIfTI headers that say a thing twice, not at all or in another form: read as meant, or told."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from dicom_files import thigh_like
from nifti_headers import nifti, nifti_2, sform
from series_cases import ORIENTATIONS, refusal

from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.regions.windows import Side
from DystrophyDxLib.results import WarningCode
from DystrophyDxLib.series.reading import read_study

SPACING = (1.5, 1.2, 6.0)
MIRRORED = (0.0, 0.0, 0.0)  # quaternion of the axes right, anterior, superior
SCALED = np.diag(SPACING)


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
def test_packed_or_not_is_seen_in_the_content_and_not_by_the_name(tmp_path, suffix):
    stored = nifti(tmp_path / "plain.nii", thigh_like(3)).read_bytes()
    path = tmp_path / f"image.{suffix}"
    path.write_bytes(gzip.compress(stored) if suffix == "nii" else stored)
    series = read_study(path)
    np.testing.assert_array_equal(series.voxels, thigh_like(3))
    assert series.notes == ()


@pytest.mark.parametrize("order", ["<", ">"])
def test_nifti_2_is_read(tmp_path, order):
    columns = ORIENTATIONS["oblique"] * SPACING
    series = read_study(nifti_2(tmp_path / "image.nii", thigh_like(3), columns, order))
    np.testing.assert_array_equal(series.voxels, thigh_like(3))
    np.testing.assert_allclose(series.geometry.ijk_to_lps[:3, :3], columns, atol=1e-6)
    assert series.orientation_known


@pytest.mark.parametrize("start", [0.0, 348.0, 368.0, 1e9, float("nan"), -352.0])
def test_voxels_are_read_from_where_they_lie_whatever_the_header_says(tmp_path, start):
    series = read_study(nifti(tmp_path / "image.nii", thigh_like(3), start=(start,)))
    np.testing.assert_array_equal(series.voxels, thigh_like(3))
    assert "wrong place" in series.notes[0]


def test_voxels_after_an_extension_are_read_from_behind_it(tmp_path):
    path = nifti(tmp_path / "image.nii", thigh_like(3))
    stored = path.read_bytes()
    extension = b"\1\0\0\0" + (32).to_bytes(4, "little") + bytes(28)
    path.write_bytes(stored[:348] + extension + stored[352:])
    series = read_study(path)
    np.testing.assert_array_equal(series.voxels, thigh_like(3))
    assert "wrong place" in series.notes[0]


def test_more_slices_than_the_header_says_are_no_shorter_series(tmp_path):
    path = nifti(tmp_path / "image.nii", thigh_like(4), dim=(3, *thigh_like(3).shape[::-1], 1, 1, 1, 1))
    assert "more slices than its header says" in refusal(path)


def test_a_spacing_of_0_is_taken_from_the_sform(tmp_path):
    path = nifti(
        tmp_path / "image.nii", thigh_like(3), pixdim=(1, 1.5, 1.2, 0, 1, 1, 1, 1), codes=(0, 1), sform=sform(SCALED)
    )
    series = read_study(path)
    np.testing.assert_allclose(series.geometry.spacing, SPACING, rtol=1e-6)
    assert "was taken from its sform" in series.notes[0]


@pytest.mark.parametrize("spacing", [3e38, 1e-4, float("inf"), float("nan")])
def test_a_spacing_that_no_image_has_is_refused(tmp_path, spacing):
    path = nifti(
        tmp_path / "image.nii",
        thigh_like(3),
        pixdim=(1, spacing, 1.2, 6, 1, 1, 1, 1),
        codes=(0, 1),
        sform=sform(SCALED),
    )
    refusal(path)


@pytest.mark.parametrize(("columns", "note"), [(np.eye(3), "no voxel sizes"), (SCALED * 1.5, "two voxel sizes")])
def test_of_two_spacings_the_likely_one_is_taken_and_told(tmp_path, columns, note):
    series = read_study(nifti(tmp_path / "image.nii", thigh_like(3), codes=(0, 1), sform=sform(columns)))
    expected = SPACING if note == "no voxel sizes" else np.multiply(SPACING, 1.5)
    np.testing.assert_allclose(series.geometry.spacing, expected, rtol=1e-6)
    assert note in series.notes[0]


def test_an_orientation_rounded_to_two_decimals_is_made_exact(tmp_path):
    rounded = np.round(ORIENTATIONS["oblique"], 2)
    path = nifti(tmp_path / "image.nii", thigh_like(3), codes=(0, 1), sform=sform(rounded * SPACING))
    series = read_study(path)
    np.testing.assert_allclose(series.geometry.direction, ORIENTATIONS["oblique"], atol=0.01)
    np.testing.assert_allclose(series.geometry.direction.T @ series.geometry.direction, np.eye(3), atol=1e-12)
    assert "rounded" in series.notes[0]


def test_a_sheared_sform_gives_way_to_the_qform_and_is_refused_without_one(tmp_path):
    sheared = SCALED + 0.05 * np.array([[0, 0, 6.0], [0, 0, 0], [0, 0, 0]])
    path = nifti(tmp_path / "image.nii", thigh_like(3), codes=(1, 1), sform=sform(sheared))
    np.testing.assert_allclose(read_study(path).geometry.direction, np.eye(3), atol=1e-6)
    path = nifti(tmp_path / "image.nii", thigh_like(3), codes=(0, 1), sform=sform(sheared))
    assert "not perpendicular" in refusal(path)


@pytest.mark.parametrize("pixdim", [(1, 1.5, 1.2, 6, 1, 1, 1, 1), (-1, 1.5, 1.2, 6, 1, 1, 1, 1)])
def test_sides_on_which_sform_and_qform_do_not_agree_are_unknown(tmp_path, pixdim):
    path = nifti(
        tmp_path / "image.nii",
        thigh_like(3),
        codes=(1, 1),
        sform=sform(SCALED),
        quaternion=MIRRORED,
        pixdim=pixdim,
    )
    series = read_study(path)
    assert [warning.code for warning in series.warnings] == [WarningCode.SIDE_CONTRADICTED]
    assert not series.orientation_known


def test_sides_on_which_sform_and_qform_agree_are_known(tmp_path):
    path = nifti(tmp_path / "image.nii", thigh_like(3), codes=(1, 2), sform=sform(ORIENTATIONS["oblique"] * SPACING))
    series = read_study(path)
    assert series.orientation_known
    assert series.warnings == ()


def test_legs_of_contradicting_orientations_have_no_side(tmp_path):
    from leg_pairs import make_leg_pair

    voxels = make_leg_pair(3, -40).series.voxels
    path = nifti(tmp_path / "image.nii", voxels, codes=(1, 1), sform=sform(SCALED), quaternion=MIRRORED)
    assert {window.side for window in find_legs(read_study(path)).windows} == {Side.UNKNOWN}


def test_a_header_of_damaged_numbers_is_refused(tmp_path):
    for fields in ({"dim": (0, *[1] * 7)}, {"dim": (3, -1, 24, 3, 1, 1, 1, 1)}, {"type": (3,)}, {"type": (128,)}):
        refusal(nifti(tmp_path / "image.nii", thigh_like(3), **fields))
    assert "too many for memory" in refusal(
        nifti(tmp_path / "image.nii", thigh_like(3), dim=(3, *[32767] * 3, *[1] * 4))
    )
