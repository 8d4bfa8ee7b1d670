"""The audit of heat: how much of it lies outside the organ, and what is right for the wrong reason."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from DystrophyDxLib.classify import Classification, ImageScore
from DystrophyDxLib.cohort.table import Case
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.evaluation.heat_audit import WRONG, WRONG_REASON, audited, check_organs, section
from DystrophyDxLib.evaluation.phantom_truth import read_muscles
from DystrophyDxLib.explain.heat import HeatDrawing
from DystrophyDxLib.models.cells import CellGrid
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.samples.kinds import region_of
from DystrophyDxLib.series.image_files import as_image
from DystrophyDxLib.series.series import Geometry, Series

SAMPLE = Recipe.named("germain2021_single").sample
CLASSES = ("normal", "HCM", "DCM")


def one_case(path: Path, **facts) -> Case:
    """A row of a cohort."""
    return Case(**({"patient_id": "A", "path": path, "diagnosis": "HCM", "label": 1, "row": 2} | facts))


@pytest.fixture
def found(tmp_path):
    """Three slices of a heart in the left half of the image: heat in it, heat beside it, and heat in it of an image
    that says another class."""
    geometry = Geometry((0, 0, 0), (1.5, 1.5, 8), np.eye(3))
    series = Series(np.ones((3, 160, 160), np.float32), geometry)
    regions = region_of(SAMPLE).find(series)
    cells = np.zeros((3, 3, 10, 10), np.float32)
    cells[0, 1, :, :3] = cells[1, 1, :, 7:] = cells[2, 0, :, :3] = 1
    probabilities = np.array([[0.2, 0.7, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]])
    drawing = HeatDrawing(CellGrid(7.5, 16), SAMPLE, 1.0, geometry, series.voxels.shape)
    images = tuple(
        SimpleNamespace(slice=k, side="none", counted=True, probability=row[1], probabilities=tuple(row))
        for k, row in enumerate(probabilities)
    )
    result = SimpleNamespace(
        images=images,
        model=SimpleNamespace(classes=CLASSES),
        case=SimpleNamespace(threshold=None, differential=("ranked",)),
    )
    scores = tuple(
        ImageScore(np.log(row), maps, 0.0, None, None) for row, maps in zip(probabilities, cells, strict=True)
    )
    heat = drawing.draw(regions.windows, list(cells[:, 1]), [True] * 3, 1)
    write_heart(tmp_path, geometry)
    case = one_case(tmp_path / "cine.nii.gz", extra={"organ": "heart.nii.gz"})
    classification = Classification(result, regions, regions.windows, scores, heat, drawing)
    return SimpleNamespace(case=case, series=series, classification=classification)


def write_heart(folder: Path, geometry: Geometry, slices: slice = slice(None)) -> None:
    """Labels of a heart in the left half of some slices."""
    heart = np.zeros((3, 160, 160), np.uint8)
    heart[slices, :, :80] = 1
    sitk.WriteImage(as_image(heart, geometry), str(folder / "heart.nii.gz"))


@pytest.fixture
def audit(found, tmp_path):
    return audited(found, tmp_path)


def test_heat_beside_the_organ_is_right_for_the_wrong_reason_and_another_class_is_wrong(audit):
    assert audit["finding"].tolist() == ["", WRONG_REASON, WRONG]
    assert audit["said"].tolist() == ["HCM", "HCM", "normal"]
    assert audit["heat_outside"].round(2).tolist() == [0, 1, 0]
    assert audit["area_outside"].tolist() == [0.5] * 3


def test_the_report_lists_what_needs_a_look(audit):
    told = section(audit)
    assert told.paragraphs[0].startswith("1 of 3 images are misclassified. Of 2 that are right")
    assert "Median share of heat outside the organ: 0.00 of misclassified images, 0.50 of others" in told.paragraphs[1]
    assert told.tables[0].frame["Slice"].tolist() == ["1", "2"]


def test_an_image_that_shows_none_of_the_organ_is_told_and_not_judged(found, tmp_path):
    write_heart(tmp_path, found.series.geometry, slice(0, 1))
    audit = audited(found, tmp_path)
    assert audit["heat_outside"].isna().tolist() == [False, True, True]
    assert audit["area_outside"].tolist() == [0.5, 1, 1]
    assert audit["finding"].tolist() == ["", "", WRONG]
    assert "Of 1 that are right" in section(audit).paragraphs[0]
    assert "2 images show none of the organ" in section(audit).paragraphs[-1]


def test_evidence_for_the_first_of_two_classes_keeps_its_shape_where_it_is_strong(found, tmp_path):
    """Nine tenths of what speaks against the second class lie in the heart, all of it far beyond the reference."""
    cells = np.full((1, 10, 10), -10.0, np.float32)
    cells[:, :, :5] = -90
    classification = found.classification
    image = SimpleNamespace(slice=0, side="none", counted=True, probability=0.1, probabilities=())
    result = SimpleNamespace(
        images=(image,),
        model=SimpleNamespace(classes=("normal", "HCM")),
        case=SimpleNamespace(threshold=0.5, differential=()),
    )
    windows = classification.seen[:1]
    heat = classification.drawing.draw(windows, [cells[0]], [True], 1)
    scores = (ImageScore(np.array([-3.0]), cells, 0.0, None, None),)
    found.classification = Classification(result, classification.regions, windows, scores, heat, classification.drawing)
    found.case = dataclasses.replace(found.case, label=0)
    audit = audited(found, tmp_path)
    assert audit["said"].tolist() == ["normal"]
    assert audit["heat_outside"].item() == pytest.approx(0.1, abs=0.03)
    assert audit["finding"].tolist() == [""]


@pytest.mark.parametrize("name", ["heart.nii.gz", "heart.nii", "heart.nrrd"])
def test_an_organ_of_a_file_that_is_cut_off_is_refused(found, tmp_path, name):
    """SimpleITK would read the end of it as no organ at all."""
    rng = np.random.default_rng(1)
    path = tmp_path / name
    sitk.WriteImage(as_image(rng.integers(0, 2, (3, 160, 160)).astype(np.uint8), found.series.geometry), str(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be read"):
        read_muscles(path, found.series)


def test_segmentations_of_the_organ_that_cannot_be_used_are_told_with_their_rows_beforehand(found, tmp_path):
    sitk.WriteImage(sitk.Image([4, 4, 2, 2], sitk.sitkUInt8), str(tmp_path / "cine.nii.gz"))
    (tmp_path / "text.nii.gz").write_text("no image")
    organs = ("heart.nii.gz", "absent.nii.gz", "text.nii.gz", "cine.nii.gz", "")
    cases = tuple(one_case(found.case.path, row=n, extra={"organ": name}) for n, name in enumerate(organs, 2))
    check_organs(SimpleNamespace(cases=cases[::4]), tmp_path)
    with pytest.raises(InputError, match=r"column organ .* not exist \(row 3\);.* be read.*\(row 4\);.*\(row 5\)"):
        check_organs(SimpleNamespace(cases=cases), tmp_path)


def test_labels_that_are_no_whole_numbers_are_told_with_their_row(found, tmp_path):
    heart = np.full((3, 160, 160), 0.5, np.float32)
    sitk.WriteImage(as_image(heart, found.series.geometry), str(tmp_path / "heart.nii.gz"))
    with pytest.raises(InputError, match="Row 2 of the cohort: The labels"):
        audited(found, tmp_path)
