"""After a correction only what changed is run again, and the answer is that of a whole run."""

import dataclasses

import numpy as np
import pytest
from map_packages import ByPlace, make_map_package
from model_packages import make_package

import DystrophyDxLib.classify as classify
from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.errors import Cancelled
from DystrophyDxLib.models.map_package import MapPackage
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.muscles.mapper import MuscleMapper
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.regions.drawn_legs import corrected_legs
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Side


@pytest.fixture(scope="module")
def series():
    return make_phantom(1, "DMD", slices=5, matrix=192).series


@pytest.fixture(scope="module")
def regions(series):
    return find_legs(series)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return Classifier(ModelPackage.read(make_package(tmp_path_factory.mktemp("models") / "package", bias=0.3)), "cpu")


class DarkByPlace(ByPlace):
    """`ByPlace` without what is bright."""

    def forward(self, samples):
        labels = super().forward(samples)
        labels[:, 0] += 99 * (samples[:, 0] > 0.6)
        return labels


def cut(labels):
    """The left leg of slice 2 loses its outer half."""
    labels = labels.copy()
    rows, columns = np.nonzero(labels[2] == LABEL_OF_SIDE[Side.LEFT])
    labels[2][rows[columns > columns.mean()], columns[columns > columns.mean()]] = 0
    return labels


def without_slice(labels):
    labels = labels.copy()
    labels[3] = 0
    return labels


def without_right_leg(labels):
    return np.where(labels == LABEL_OF_SIDE[Side.RIGHT], 0, labels).astype(np.uint8)


def run_windows(classifier, *args, **options):
    """The classification, and how many windows went through the network."""
    seen = []
    found = classifier.classify(*args, **options, progress=lambda done, total: seen.append((done, total)))
    return found, seen[-1][1] if seen else 0


def assert_same_answer(found, whole):
    assert all(
        one.model_copy(update={"probability": 0}) == other.model_copy(update={"probability": 0})
        and one.probability == pytest.approx(other.probability, abs=1e-5)
        for one, other in zip(found.result.images, whole.result.images, strict=True)
    )
    assert found.result.case.probability == pytest.approx(whole.result.case.probability, abs=1e-5)
    assert found.result.case.label == whole.result.case.label
    assert found.result.warnings == whole.result.warnings
    assert found.result.skipped == whole.result.skipped
    np.testing.assert_allclose(found.heat.voxels, whole.heat.voxels, atol=1e-5)


@pytest.mark.parametrize(("correct", "run"), [(cut, 1), (without_slice, 0), (without_right_leg, 0)])
def test_only_corrected_windows_are_run_and_the_answer_is_that_of_a_whole_run(
    classifier, series, regions, correct, run
):
    corrected = corrected_legs(regions, correct(regions.labels))
    before = classifier.classify(series, regions)
    found, windows = run_windows(classifier, series, corrected, previous=before)
    assert windows == run
    assert_same_answer(found, classifier.classify(series, corrected))


@pytest.mark.parametrize("correct", [cut, without_slice])
def test_map_and_fat_of_the_muscles_after_a_correction_are_those_of_a_whole_run(
    classifier, series, regions, correct, tmp_path
):
    mapper = MuscleMapper(MapPackage.read(make_map_package(tmp_path / "map")), "cpu")
    mapper.network = DarkByPlace(dark=0.2)
    mapping = Classifier(classifier.package, "cpu", mapper)
    corrected = corrected_legs(regions, correct(regions.labels))
    before = mapping.classify(series, regions)
    found = mapping.classify(series, corrected, previous=before)
    whole = mapping.classify(series, corrected)
    np.testing.assert_array_equal(found.muscles.labels, whole.muscles.labels)
    assert found.result.muscles == whole.result.muscles != before.result.muscles
    assert found.result.fat == whole.result.fat
    assert {row.side for row in found.result.muscle_fat if row.fat_fraction is not None} == {"left", "right"}


def test_undoing_a_correction_leads_back_to_the_first_answer(classifier, series, regions):
    first = classifier.classify(series, regions)
    heatmap = first.heat.voxels.copy()
    corrected = corrected_legs(regions, cut(regions.labels))
    second = classifier.classify(series, corrected, previous=first)
    third, windows = run_windows(classifier, series, regions, previous=second)
    assert windows == 1
    assert third.result.case.probability == pytest.approx(first.result.case.probability, abs=1e-5)
    np.testing.assert_allclose(third.heat.voxels, heatmap, atol=1e-5)


def test_the_heatmap_is_the_same_memory_after_a_correction(classifier, series, regions):
    first = classifier.classify(series, regions)
    found = classifier.classify(series, corrected_legs(regions, cut(regions.labels)), previous=first)
    assert found.heat.voxels is first.heat.voxels


def test_another_models_answer_is_not_taken_over(classifier, series, regions, tmp_path):
    other = Classifier(ModelPackage.read(make_package(tmp_path / "other", seed=5)), "cpu")
    before = other.classify(series, regions)
    found, windows = run_windows(classifier, series, regions, previous=before)
    assert windows == len(regions.windows)
    assert_same_answer(found, classifier.classify(series, regions))
    assert found.heat.voxels is not before.heat.voxels


def test_cancelling_ends_within_a_batch_and_leaves_nothing_behind(classifier, series, regions, monkeypatch):
    monkeypatch.setattr(classify, "BATCH", 2)
    before = classifier.classify(series, regions)
    heatmap = before.heat.voxels.copy()
    turned = dataclasses.replace(
        regions, windows=tuple(dataclasses.replace(window, mask=~window.mask) for window in regions.windows)
    )
    seen = []

    def stop(done, total):
        seen.append(done)
        raise Cancelled

    with pytest.raises(Cancelled):
        classifier.classify(series, turned, previous=before, progress=stop)
    assert seen == [2]
    np.testing.assert_array_equal(before.heat.voxels, heatmap)


def test_a_corrected_leg_is_edited_and_all_others_stay_automatic(regions):
    corrected = corrected_legs(regions, cut(regions.labels))
    edited = [(window.slice, window.side) for window in corrected.windows if window.source == "edited"]
    assert edited == [(2, Side.LEFT)]
    assert len(corrected.windows) == len(regions.windows)


def test_uncorrected_regions_are_the_automatic_ones(regions):
    same = corrected_legs(regions, regions.labels.copy())
    assert same.windows == regions.windows
    assert same.skipped == regions.skipped


def test_what_the_reader_left_out_is_listed(regions):
    skipped = corrected_legs(regions, without_slice(regions.labels)).skipped
    assert [(item.slice, item.side, item.reason) for item in skipped] == [(3, None, "left out by the reader")]
    skipped = corrected_legs(regions, without_right_leg(regions.labels)).skipped
    assert [(item.slice, item.side) for item in skipped] == [(k, Side.RIGHT) for k in range(5)]


def test_evidence_against_disease_is_negative_and_the_heatmap_is_what_speaks_for_it(classifier, series):
    found = classifier.classify(series)
    assert -1 <= found.heat.voxels.min() < 0
    assert found.heat.voxels.max() <= 1
    np.testing.assert_array_equal(found.heatmap, np.where(found.heat.voxels > 0, found.heat.voxels, 0))


@pytest.mark.parametrize("correct", [cut, without_slice, lambda labels: labels])
def test_where_fat_is_measured_after_a_correction_is_where_a_whole_run_measures_it(
    classifier, series, regions, correct, tmp_path
):
    mapper = MuscleMapper(MapPackage.read(make_map_package(tmp_path / "map")), "cpu")
    mapper.network = DarkByPlace(dark=0.2)
    mapping = Classifier(classifier.package, "cpu", mapper)
    before = mapping.classify(series, regions)
    corrected = corrected_legs(regions, correct(regions.labels))
    found = mapping.classify(series, corrected, previous=before)
    whole = mapping.classify(series, corrected)
    (voxels, fat), (all_voxels, all_fat) = found.measured, whole.measured
    np.testing.assert_array_equal(voxels.index, all_voxels.index)
    np.testing.assert_array_equal(voxels.group, all_voxels.group)
    np.testing.assert_array_equal(fat.index, all_fat.index)
    assert len(fat.index)
