"""A series: the facts of its acquisition, no identity, and real data."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
import warnings

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import IDENTITY, series_datasets, thigh_like, write_series
from series_cases import assert_same_volume, read_by_gdcm

from DystrophyDxLib.series.reading import read_study
from DystrophyDxLib.series.series import Acquisition, Geometry, Series


def _said(series: Series) -> str:
    return " ".join((series.selection, *series.notes, repr(series.acquisition)))


def test_acquisition_facts_come_from_the_header(tmp_path):
    write_series(
        tmp_path,
        series_datasets(
            thigh_like(2), InversionTime=0, ScanOptions=["PFP", "FS"], BodyPartExamined="LEG", Laterality="R"
        ),
    )
    facts = read_study(tmp_path).acquisition
    assert facts == Acquisition(
        modality="MR", field_strength_t=1.5, repetition_time_ms=550.0, echo_time_ms=12.0, scanning_sequence=("SE",),
        scan_options=("PFP", "FS"), image_type=("ORIGINAL", "PRIMARY", "M"), body_part="LEG", laterality="right",
    )  # fmt: skip


def test_laterality_is_kept_only_where_all_slices_agree(tmp_path):
    datasets = series_datasets(thigh_like(3), Laterality="L")
    datasets[1].Laterality = "R"
    write_series(tmp_path, datasets)
    assert read_study(tmp_path).acquisition.laterality is None


def test_nothing_that_identifies_the_patient_leaves_the_reader(tmp_path, caplog, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        datasets = series_datasets(thigh_like(3), ScanOptions=f"for {IDENTITY[0]}")
        for dataset in datasets:
            dataset.add_new("RepetitionTime", "LO", f"{IDENTITY[0]} 12")  # not the number it should be
            dataset.StudyDate = f"{IDENTITY[1]} wrote here"
        write_series(tmp_path, datasets)
    caplog.clear()
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        series = read_study(tmp_path)
    output = capfd.readouterr()
    everything = _said(series) + caplog.text + output.out + output.err + " ".join(str(w.message) for w in caught)
    assert not any(word in everything for word in IDENTITY)
    assert series.acquisition.repetition_time_ms is None


@pytest.mark.parametrize(
    ("facts", "t1_weighted"),
    [
        ({"repetition_time_ms": 550.0, "echo_time_ms": 12.0, "scanning_sequence": ("SE",)}, True),
        ({"repetition_time_ms": 4000.0, "echo_time_ms": 12.0, "scanning_sequence": ("SE",)}, False),
        ({"repetition_time_ms": 550.0, "echo_time_ms": 80.0, "scanning_sequence": ("SE",)}, False),
        ({"repetition_time_ms": 550.0, "echo_time_ms": 12.0, "scan_options": ("FS",)}, False),
        ({"inversion_time_ms": 160.0, "scanning_sequence": ("SE", "IR")}, False),
        ({"echo_time_ms": 90.0}, False),
        ({"repetition_time_ms": 550.0}, None),
        ({}, None),
        ({"image_type": ("ORIGINAL", "PRIMARY", "M", "OPP_PHASE")}, False),
        ({"image_type": ("DERIVED", "PRIMARY", "WATER")}, False),
    ],
)
def test_t1_weighting_by_the_header(facts, t1_weighted):
    assert Acquisition(**facts).t1_weighted is t1_weighted


# In and opposed phase echo times of fat and water, ms, as commonly tabulated.
@pytest.mark.parametrize(
    ("field_t", "echo_ms", "opposed"),
    [(1.5, 2.3, True), (1.5, 4.6, False), (1.5, 6.9, True), (3.0, 1.15, True), (3.0, 2.3, False), (3.0, 3.45, True)],
)
def test_a_gradient_echo_in_opposed_phase_is_not_t1_weighted(field_t, echo_ms, opposed):
    facts = Acquisition(
        field_strength_t=field_t, repetition_time_ms=150.0, echo_time_ms=echo_ms, scanning_sequence=("GR",)
    )
    assert facts.opposed_phase is opposed
    assert facts.t1_weighted is not opposed


# --- the library and real data ---------------------------------------------------------------------------------------


def test_importing_the_module_loads_no_heavy_library():
    code = "import sys, DystrophyDxLib.series.image_files; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "slicer", "SimpleITK", "pydicom"} & set(loaded)


@pytest.mark.parametrize("name", ["009", "013", "014", "022", "045", "050"])
def test_real_dicom_series_agree_with_gdcm(shared, name):
    folder = shared(f"t1_thigh_dicom/STS_{name}")
    series = read_study(folder)
    assert_same_volume(series, read_by_gdcm(folder))
    assert series.notes == ()
    assert "axial" in series.selection


@pytest.mark.parametrize("name", ["thighs", "lower_legs"])
def test_real_nifti_files_are_read(shared, name):
    path = shared(f"bilateral_dixon/{name}.nii.gz")
    series = read_study(path)
    assert series.voxels.shape == (31, 320, 320)
    with gzip.open(path) as file:
        raw = np.frombuffer(file.read()[352:], "<f4").reshape(31, 320, 320)
    np.testing.assert_array_equal(series.voxels, raw)
    assert series.geometry.spacing == pytest.approx((1.5, 1.5, 6.0))


@pytest.mark.parametrize(
    ("direction", "known", "first"),
    [
        (np.eye(3), True, "inferior"),
        (np.diag([1.0, 1.0, -1.0]), True, "superior"),
        (np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]]), True, None),  # sagittal
        (np.eye(3), False, None),
    ],
)
def test_the_end_at_which_slices_begin_is_told_by_their_direction(direction, known, first):
    geometry = Geometry((0.0, 0.0, 0.0), (1.5, 1.5, 6.0), direction)
    assert Series(np.zeros((4, 16, 16)), geometry, orientation_known=known).first_slice == first


def test_a_study_without_a_label_is_called_by_nothing_that_its_file_is_called(tmp_path):
    for name, shift in (("Miller_Anna.nii", 0), ("again.nii", 0), ("other.nii", 1)):
        sitk.WriteImage(sitk.GetImageFromArray(thigh_like(4) + shift), tmp_path / name)
    one, again, other = (
        read_study(tmp_path / name).neutral_label for name in ("Miller_Anna.nii", "again.nii", "other.nii")
    )
    assert one.startswith("Image file ")
    assert one == again != other
