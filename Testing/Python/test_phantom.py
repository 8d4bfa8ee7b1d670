"""A phantom is the same for the same seed, its contrasts show the same thighs, and its files read back as they are."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.phantom import CONTRASTS, DIAGNOSES, DYSTROPHINOPATHY, make_phantom, write_dicom
from DystrophyDxLib.series.reading import read_study


@pytest.fixture(scope="module")
def healthy():
    return [make_phantom(seed, "healthy", slices=2) for seed in range(24)]


@pytest.fixture(scope="module")
def all_contrasts():
    return [make_phantom(seed, "DMD", slices=1, matrix=192, contrasts=CONTRASTS) for seed in range(8)]


def centre(mask: np.ndarray, phantom) -> np.ndarray:
    """LPS position of the middle of a mask."""
    k, j, i = np.argwhere(mask).mean(axis=0)
    return (phantom.series.geometry.ijk_to_lps @ [i, j, k, 1])[:3]


def deep(mask: np.ndarray) -> np.ndarray:
    """The mask (z, y, x) without two pixels at its rim in the plane."""
    return sitk.GetArrayFromImage(sitk.BinaryErode(sitk.GetImageFromArray(mask.astype(np.uint8)), (2, 2, 0))) > 0


def test_same_seed_same_bytes():
    first, again, other = (make_phantom(seed, slices=2, matrix=128) for seed in (5, 5, 6))
    for name in ("muscles", "legs", "fat_fraction", "oedema"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert first.series.voxels.tobytes() == again.series.voxels.tobytes()
    assert (first.diagnosis, first.age_years, first.sex) == (again.diagnosis, again.age_years, again.sex)
    assert first.series.voxels.tobytes() != other.series.voxels.tobytes()


def test_other_contrasts_do_not_change_the_t1_weighted_images():
    plain = make_phantom(3, slices=2, matrix=128)
    for contrasts in (("T1", "STIR"), ("DIXON_FF", "T1"), CONTRASTS):
        other = make_phantom(3, slices=2, matrix=128, contrasts=contrasts)
        assert set(other.images) == set(contrasts)
        assert other.series.voxels.tobytes() == plain.series.voxels.tobytes()


def test_diagnosis_changes_neither_the_view_nor_the_protocol():
    """The same seed images another disease with the same scanner: nothing but the body can tell them apart."""
    one, other = (make_phantom(8, diagnosis, slices=2, matrix=128) for diagnosis in ("DMD", "myositis"))
    assert one.series.acquisition == other.series.acquisition
    assert one.thickness_mm == other.thickness_mm


@pytest.mark.parametrize(("slices", "matrix"), [(1, 128), (5, 200)])
def test_slices_and_matrix_are_as_asked_and_truth_lies_on_the_same_grid(slices, matrix):
    phantom = make_phantom(1, slices=slices, matrix=matrix)
    shape = (slices, matrix, matrix)
    assert phantom.series.voxels.shape == phantom.muscles.shape == phantom.legs.shape == shape
    assert phantom.fat_fraction.shape == phantom.oedema.shape == shape
    assert phantom.series.voxels.dtype == phantom.fat_fraction.dtype == phantom.oedema.dtype == np.float32
    assert np.isfinite(phantom.series.voxels).all()


def test_left_leg_is_on_the_patients_left(healthy):
    pairs = [phantom for phantom in healthy if set(np.unique(phantom.legs)) == {0, 1, 2}]
    assert len(pairs) > 12
    for phantom in pairs:
        assert centre(phantom.legs == 1, phantom)[0] > 0 > centre(phantom.legs == 2, phantom)[0]


def test_one_leg_in_view_is_named_in_the_header(healthy):
    single = [phantom for phantom in healthy if phantom.series.acquisition.laterality]
    assert single
    for phantom in single:
        assert set(np.unique(phantom.legs)) - {0} == {1 if phantom.series.acquisition.laterality == "left" else 2}


def test_contrast_is_that_of_t1_weighting_and_varies_as_between_scanners(healthy):
    """Muscle has 0.2 to 0.65 of the signal of fat; in real series of soft-tissue sarcoma it has 0.27 to 0.48."""
    ratios = []
    for phantom in healthy:
        image = phantom.series.voxels
        fat = np.percentile(image[(phantom.legs > 0) & (phantom.muscles == 0)], 75)
        ratios.append(np.median(image[phantom.muscles > 0]) / fat)
    assert 0.28 < np.median(ratios) < 0.48
    assert 0.15 < min(ratios) < 0.32
    assert 0.45 < max(ratios) < 0.75


def test_fat_brightens_muscle():
    """Muscle that is mostly fat is brighter than muscle that is mostly not, in every phantom that has both."""
    ratios = []
    for seed in range(16):
        phantom = make_phantom(seed, "LGMD2B", slices=1)
        inside = deep(phantom.muscles > 0)
        fat, lean = inside & (phantom.fat_fraction > 0.8), inside & (phantom.fat_fraction < 0.2)
        if min(fat.sum(), lean.sum()) > 200:
            image = phantom.series.voxels
            ratios.append(np.median(image[fat]) / np.median(image[lean]))
    assert len(ratios) > 4
    assert min(ratios) > 1.15
    assert np.median(ratios) > 1.5


def test_dixon_finds_the_fat_fraction(all_contrasts):
    """Away from edges, where partial volume and chemical shift mix tissues; proton density and T1 raise it a little."""
    errors = []
    for phantom in all_contrasts:
        inside = deep(phantom.muscles > 0)
        errors.append(np.mean(phantom.images["DIXON_FF"].voxels[inside] - phantom.fat_fraction[inside]))
    assert np.abs(errors).max() < 0.12
    assert abs(np.mean(errors)) < 0.08


def test_stir_shows_muscle_brighter_than_fat_and_oedema_brightest():
    seen = []
    for seed in range(6):
        phantom = make_phantom(seed, "myositis", slices=2, matrix=192, contrasts=("T1", "STIR"))
        image = phantom.images["STIR"].voxels
        lean = deep(phantom.muscles > 0) & (phantom.fat_fraction < 0.15)
        fat = deep((phantom.legs > 0) & (phantom.muscles == 0) & (phantom.series.voxels > 0))
        wet, dry = lean & (phantom.oedema > 0.4), lean & (phantom.oedema < 0.15)
        if min(wet.sum(), dry.sum()) > 50:
            seen.append(np.median(image[wet]) / np.median(image[dry]))
        assert np.median(image[lean]) > 1.5 * np.median(image[fat])
    assert seen
    assert np.median(seen) > 1.3


def test_headers_say_what_each_contrast_is(all_contrasts):
    for phantom in all_contrasts:
        weighted = {name: series.acquisition.t1_weighted for name, series in phantom.images.items()}
        assert weighted == {name: name == "T1" for name in CONTRASTS}
        assert phantom.images["STIR"].acquisition.fat_suppressed


@pytest.mark.parametrize("diagnosis", DIAGNOSES)
def test_every_diagnosis_can_be_asked_for(diagnosis):
    phantom = make_phantom(0, diagnosis, slices=1, matrix=96)
    assert phantom.diagnosis == diagnosis
    assert phantom.is_dystrophinopathy == (diagnosis in DYSTROPHINOPATHY)


@pytest.mark.parametrize(
    "arguments",
    [{"diagnosis": "flu"}, {"slices": 0}, {"matrix": 8}, {"contrasts": ("T1", "T2")}, {"contrasts": ("STIR",)}],
)
def test_bad_arguments_are_refused_in_one_line(arguments):
    with pytest.raises(InputError) as refusal:
        make_phantom(0, **arguments)
    assert "\n" not in str(refusal.value)


def test_dicom_series_has_the_phantoms_geometry_and_signal(tmp_path):
    phantom = make_phantom(4, slices=5, matrix=128)
    paths = write_dicom(phantom, tmp_path / "series")
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "series")))
    geometry = phantom.series.geometry
    np.testing.assert_allclose(image.GetOrigin(), geometry.origin, atol=1e-3)
    np.testing.assert_allclose(image.GetSpacing(), geometry.spacing, atol=1e-3)
    np.testing.assert_allclose(image.GetDirection(), geometry.direction.ravel(), atol=1e-6)
    read = sitk.GetArrayFromImage(image).astype(float)
    step = phantom.series.voxels.max() / 4095
    np.testing.assert_allclose(read * step, phantom.series.voxels, atol=0.51 * step)
    header = pydicom.dcmread(paths[0])
    assert (header.Manufacturer, str(header.PatientName)) == ("DystrophyDx phantom", "Phantom")
    assert header.RepetitionTime == phantom.series.acquisition.repetition_time_ms
    assert header.EchoTime == phantom.series.acquisition.echo_time_ms
    assert header.SliceThickness == phantom.thickness_mm <= header.SpacingBetweenSlices
    assert not header.StudyDate
    assert not header.PatientBirthDate


def test_of_a_study_with_all_contrasts_the_t1_weighted_series_is_read(tmp_path):
    phantom = make_phantom(5, slices=3, matrix=96, contrasts=CONTRASTS)
    files = [write_dicom(phantom, tmp_path / name, name)[0] for name in CONTRASTS]
    read = read_study(tmp_path)
    assert read.acquisition.t1_weighted
    step = phantom.series.voxels.max() / 4095
    np.testing.assert_allclose(read.voxels * step, phantom.series.voxels, atol=0.51 * step)
    headers = [pydicom.dcmread(path) for path in files]
    assert len({str(header.SeriesInstanceUID) for header in headers}) == len(CONTRASTS)
    assert len({(str(header.StudyInstanceUID), str(header.FrameOfReferenceUID)) for header in headers}) == 1
    assert [header.get("InversionTime") is not None for header in headers] == [name == "STIR" for name in CONTRASTS]
    fraction = read_study(tmp_path / "DIXON_FF")
    np.testing.assert_allclose(fraction.voxels, phantom.images["DIXON_FF"].voxels, atol=6e-4)


def test_dicom_series_is_the_same_each_time_and_never_mixed_with_other_files(tmp_path):
    phantom = make_phantom(4, slices=2, matrix=64)
    first, again = (write_dicom(phantom, tmp_path / name) for name in ("first", "again"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    with pytest.raises(InputError, match="files already"):
        write_dicom(phantom, tmp_path / "first")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_dicom(phantom, tmp_path / "file")


def test_phantom_needs_neither_network_code_nor_slicer():
    code = "import sys, DystrophyDxLib.phantom; print(sorted({'torch', 'slicer', 'monai'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_number_of_threads_changes_no_bit():
    from threadpoolctl import threadpool_limits

    def drawn(seed):
        return make_phantom(seed, matrix=96, slices=2, contrasts=("T1", "STIR", "DIXON_FF")).images

    for seed in range(3):
        several = drawn(seed)
        with threadpool_limits(1):
            alone = drawn(seed)
        for name, series in several.items():
            assert series.voxels.tobytes() == alone[name].voxels.tobytes()
