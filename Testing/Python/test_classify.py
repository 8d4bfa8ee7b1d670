"""From a series to the case: probability, interval, label, warnings, reproducibility."""

import dataclasses
import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from leg_pairs import make_leg_pair
from model_packages import CARD_OF_FOUR, FOUR_CLASSES, TWO_CHANNELS, make_package

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.files.resources import embedded_model
from DystrophyDxLib.models.decision import decision_of
from DystrophyDxLib.models.inference import LARGEST_SHIFT
from DystrophyDxLib.models.package import Metric, ModelPackage
from DystrophyDxLib.muscles.muscle_map import MuscleMap
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.reporting.case_report import summary
from DystrophyDxLib.results import ResultWarning, StudyResult, WarningCode
from DystrophyDxLib.samples.image_quality import ImageQuality
from DystrophyDxLib.samples.quality import CONTRAST_BY_GREY
from DystrophyDxLib.samples.slice_samples import make_samples
from DystrophyDxLib.series.channels import with_channels
from DystrophyDxLib.series.series import Acquisition, Geometry, Series


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(2, "DMD")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return ModelPackage.read(make_package(tmp_path_factory.mktemp("models") / "package"))


@pytest.fixture(scope="module")
def classifier(package):
    return Classifier(package, "cpu")


def with_card(classifier: Classifier, monkeypatch, **changes) -> Classifier:
    card = classifier.package.card.model_copy(update=changes)
    monkeypatch.setattr(classifier, "package", dataclasses.replace(classifier.package, card=card))
    return classifier


def codes(result: StudyResult) -> set[WarningCode]:
    return {warning.code for warning in result.warnings}


def test_every_window_is_an_image_and_the_case_is_their_mean(classifier, phantom):
    found = classifier.classify(phantom.series)
    result = found.result
    assert len(result.images) == len(found.regions.windows) == 8
    counted = [image.probability for image in result.images if image.counted]
    assert result.case.probability == pytest.approx(np.mean(counted))
    low, high = result.case.ci95
    assert low <= result.case.probability <= high
    for image, window in zip(result.images, found.regions.windows, strict=True):
        assert image.window_ijk == (window.i, window.j)
        assert (image.slice, image.side, image.roi) == (window.slice, window.side.value, "auto")


def test_the_same_input_and_package_give_the_same_result(package, phantom):
    first, second = (Classifier(package, "cpu").classify(phantom.series) for _ in range(2))
    assert first.result.case == second.result.case
    assert first.result.images == second.result.images
    np.testing.assert_array_equal(first.heatmap, second.heatmap)


def test_the_json_is_the_contract_and_reads_back(classifier, phantom):
    result = classifier.classify(phantom.series, timing_s={"read": 0.5}).result
    text = result.to_json()
    assert StudyResult.model_validate_json(text) == result
    assert '"schema": "dystrophydx.result/1"' in text
    assert set(result.timing_s) == {"read", "roi", "network"}


def test_a_scanners_scale_does_not_change_the_answer(classifier, phantom):
    scaled = dataclasses.replace(phantom.series, voxels=phantom.series.voxels * 37.5)
    plain, other = (classifier.classify(series).result for series in (phantom.series, scaled))
    for image, same in zip(plain.images, other.images, strict=True):
        assert image.probability == pytest.approx(same.probability, abs=0.01)


def test_samples_do_not_follow_shading_or_a_bright_vessel():
    flat, shaded = (make_leg_pair(9, -20, shading=shading, noise=0.005).series for shading in (1.0, 3.0))
    bright = dataclasses.replace(flat, voxels=flat.voxels.copy())
    from DystrophyDxLib.regions.legs import find_legs

    regions = find_legs(flat)
    row, column = (int(np.mean(axis)) for axis in regions.windows[0].mask.nonzero())
    j, i = regions.windows[0].j[0] + row + 25, regions.windows[0].i[0] + column
    bright.voxels[0, j - 3 : j + 3, i - 3 : i + 3] = 8 * flat.voxels.max()
    reference = make_samples(flat, regions.windows, 224)
    inside = reference.inside
    for series in (shaded, bright):
        grid = make_samples(series, regions.windows, 224).grid
        difference = (grid - reference.grid)[inside].abs()
        assert difference.median() < 0.06
        assert difference.quantile(0.9) < 0.2


def test_lower_precision_moves_no_probability_by_a_hundredth(phantom):
    classifier = Classifier(ModelPackage.read(embedded_model()), "cpu")
    size = classifier.package.recipe.sample.size
    batch = make_samples(phantom.series, classifier.classify(phantom.series).regions.windows, size)
    fast, exact = (
        classifier._probabilities(classifier.network.forward(network, batch.pixels).logits.numpy())
        for network in (classifier.network.used, classifier.network.exact)
    )
    assert np.abs(fast - exact).max() < LARGEST_SHIFT


def test_folding_batch_normalisation_changes_nothing(package):
    from DystrophyDxLib.models.cam_network import build_network

    network = build_network(package.recipe).eval()
    tensors = {name: value for name, value in package.tensors().items() if not name.startswith("features.")}
    network.load_state_dict(tensors)
    samples = torch.rand(2, 1, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        plain, folded = network(samples), Classifier(package, "cpu").network.exact(samples)
    torch.testing.assert_close(folded.logits, plain.logits, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(folded.maps, plain.maps, atol=1e-3, rtol=1e-2)


def test_one_slice_gives_no_certainty(classifier, phantom):
    single = dataclasses.replace(phantom.series, voxels=phantom.series.voxels[:1])
    case = classifier.classify(single).result.case
    assert case.ci95 == (0.0, 1.0)
    assert case.label == "indeterminate"


def test_the_label_follows_interval_and_threshold(classifier, phantom, monkeypatch):
    low, high = classifier.classify(phantom.series).result.case.ci95
    for threshold, label in (
        (low / 2, "dystrophinopathy"),
        ((low + high) / 2, "indeterminate"),
        ((1 + high) / 2, "other"),
    ):
        case = with_card(classifier, monkeypatch, threshold=threshold).classify(phantom.series).result.case
        assert case.label == label


@pytest.mark.parametrize(("repetition_time", "label"), [(600.0, "dystrophinopathy"), (4000.0, "indeterminate")])
def test_an_unsuitable_input_is_indeterminate_with_its_figures(
    classifier, phantom, monkeypatch, repetition_time, label
):
    acquisition = Acquisition(modality="MR", repetition_time_ms=repetition_time, echo_time_ms=12.0)
    series = dataclasses.replace(phantom.series, acquisition=acquisition)
    result = with_card(classifier, monkeypatch, threshold=0.01).classify(series).result
    assert result.case.label == label
    assert result.case.probability > 0
    assert len(result.images) == 8


def test_images_unlike_the_training_cohort_are_named(classifier, phantom, monkeypatch):
    assert WarningCode.OUT_OF_DISTRIBUTION not in codes(classifier.classify(phantom.series).result)
    result = with_card(classifier, monkeypatch, largest_distance=1e-3).classify(phantom.series).result
    assert WarningCode.OUT_OF_DISTRIBUTION in codes(result)
    assert result.case.label == "indeterminate"


@pytest.mark.parametrize(
    ("code", "sides", "has_label"),
    [
        (WarningCode.SIDE_CONTRADICTED, {"unknown"}, False),
        (WarningCode.SIDE_UNKNOWN, {"unknown"}, True),
        (WarningCode.SLICES_MISSING, {"left", "right"}, True),
    ],
)
def test_what_was_found_while_reading_stands_beside_the_answer(
    classifier, phantom, monkeypatch, code, sides, has_label
):
    series = phantom.series.warned(code, "What the reader of the files found.")
    result = with_card(classifier, monkeypatch, threshold=0.01).classify(series).result
    assert (code, "What the reader of the files found.") in {(w.code, w.message) for w in result.warnings}
    assert result.input.warnings == series.warnings
    assert {image.side for image in result.images} == sides
    assert (result.case.label == "dystrophinopathy") is has_label
    assert f"{code.value}: What the reader of the files found. " in summary(result)
    assert StudyResult.model_validate_json(result.to_json()) == result


class Warner:
    """Maps no muscle, and finds something that is told by a warning."""

    def __init__(self, code):
        self.code = code

    def of_samples(self, series, batch):
        return []

    def legs(self, series, windows, *_):
        return [SimpleNamespace(quality=ImageQuality(femur=True, fat_to_muscle=0, fat_to_brightest=0)) for _ in windows]

    def map(self, series, *_):
        nothing = np.zeros(series.voxels.shape, np.uint8)
        return MuscleMap(nothing, nothing, warnings=(ResultWarning(code=self.code, message="Look."),))


@pytest.mark.parametrize(
    ("code", "why"), [("SIDE_MIRRORED", "left and right are exchanged"), ("MASS_POSSIBLE", "There may be a mass")]
)
def test_a_case_whose_sides_may_be_wrong_or_with_a_mass_has_no_label(classifier, phantom, monkeypatch, code, why):
    told = with_card(classifier, monkeypatch, threshold=0.01)
    assert told.classify(phantom.series).result.case.label == "dystrophinopathy"
    monkeypatch.setattr(classifier, "mapper", Warner(code))
    result = told.classify(phantom.series).result
    assert (result.case.label, WarningCode(code) in codes(result)) == ("indeterminate", True)
    assert why in result.case.reason


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (Acquisition(), True),
        (Acquisition(repetition_time_ms=550.0), True),
        (Acquisition(repetition_time_ms=550.0, echo_time_ms=12.0), False),
        (Acquisition(repetition_time_ms=4000.0, echo_time_ms=80.0), False),
    ],
    ids=["none", "half of it", "T1-weighted", "T2-weighted"],
)
def test_that_no_header_tells_the_contrast_is_said_with_the_answer(classifier, phantom, header, told):
    result = classifier.classify(dataclasses.replace(phantom.series, acquisition=header)).result
    assert (CONTRAST_BY_GREY in summary(result)) is told
    assert ("contrast_note" in json.loads(result.to_json())["input"]) is told
    assert StudyResult.model_validate_json(result.to_json()) == result


def test_a_demonstration_model_says_so_always(classifier, phantom, monkeypatch):
    assert WarningCode.DEMONSTRATION_MODEL in codes(classifier.classify(phantom.series).result)
    trained = with_card(classifier, monkeypatch, demonstration=False)
    assert WarningCode.DEMONSTRATION_MODEL not in codes(trained.classify(phantom.series).result)


@pytest.mark.parametrize(("low", "label"), [(0.5, "indeterminate"), (0.51, "dystrophinopathy")])
def test_a_model_not_shown_to_tell_the_classes_apart_gives_no_label(classifier, phantom, monkeypatch, low, label):
    """A model measured on few patients is told apart from chance only where the interval says so."""
    measured = {"AUC, case, validation": Metric(value=0.9, ci95=(low, 1.0), measured_on="six patients")}
    found = with_card(classifier, monkeypatch, threshold=0.01, metrics=measured).classify(phantom.series)
    result, shown = found.result, label != "indeterminate"
    assert result.case.label == label
    assert (WarningCode.MODEL_NOT_SHOWN_TO_TELL in codes(result)) is not shown
    most = 1 if shown else 0.25  # no red map without a model that can tell
    assert np.abs(found.heat.voxels).max() == np.abs(found.heat_of(0).voxels).max() == most
    assert result.case.probability > 0


@pytest.mark.parametrize(
    ("unseen", "validation", "named"), [((0.6, 1.0), (0.3, 1.0), False), ((0.4, 0.9), (0.7, 1.0), True)]
)
def test_patients_that_training_did_not_see_outweigh_those_of_validation(
    classifier, phantom, monkeypatch, unseen, validation, named
):
    measured = {
        "AUC, case": Metric(value=0.8, ci95=unseen, measured_on="patients that training did not see"),
        "AUC, case, validation": Metric(value=0.8, ci95=validation, measured_on="six patients"),
    }
    result = with_card(classifier, monkeypatch, threshold=0.01, metrics=measured).classify(phantom.series).result
    assert (WarningCode.MODEL_NOT_SHOWN_TO_TELL in codes(result)) is named


def test_a_ranking_model_not_shown_to_tell_gives_no_label_however_much_the_first_leads(tmp_path, phantom):
    package = make_package(
        tmp_path / "four",
        recipe=FOUR_CLASSES,
        **CARD_OF_FOUR,
        metrics={"AUC, case": Metric(value=0.6, ci95=(0.4, 0.8), measured_on="six patients")},
    )
    alike = dataclasses.replace(phantom.series, voxels=phantom.series.voxels[[1, 1, 1]])
    found = Classifier(ModelPackage.read(package), "cpu").classify(alike)
    case = found.result.case
    assert max(found.heat_of(label).voxels.max() for label in range(4)) == pytest.approx(0.25)
    assert case.label == "indeterminate"
    assert case.reason == "The model is not shown to tell the classes apart."
    assert len(case.differential) == 4


@pytest.mark.parametrize(("share", "warned"), [(0.9, True), (0.1, False)])
def test_evidence_outside_the_muscles_is_named(classifier, phantom, monkeypatch, share, warned):
    monkeypatch.setattr("DystrophyDxLib.samples.legs.share_outside_muscle", lambda *_: share)
    result = with_card(classifier, monkeypatch, threshold=0.01).classify(phantom.series).result
    assert (WarningCode.HEATMAP_OUTSIDE_MUSCLE in codes(result)) is warned


def test_an_image_without_a_leg_is_refused(classifier):
    noise = np.abs(np.random.default_rng(0).normal(0, 5, (3, 64, 64))).astype(np.float32)
    with pytest.raises(InputError, match="No leg was found"):
        classifier.classify(Series(noise, Geometry((0, 0, 0), (2, 2, 5), np.eye(3))))


@pytest.fixture(scope="module")
def ranking(tmp_path_factory):
    """A classifier of four classes."""
    folder = tmp_path_factory.mktemp("models") / "package"
    return Classifier(ModelPackage.read(make_package(folder, recipe=FOUR_CLASSES, **CARD_OF_FOUR)), "cpu")


def test_the_case_of_many_classes_is_the_mean_of_the_images_as_ranked(ranking, phantom):
    result = ranking.classify(phantom.series).result
    mean = np.mean([image.probabilities for image in result.images if image.counted], axis=0)
    ranked = {of_class.name: of_class.probability for of_class in result.case.differential}
    assert ranked == pytest.approx(dict(zip(result.model.classes, mean, strict=True)))
    assert list(ranked.values()) == sorted(ranked.values(), reverse=True)
    assert sum(ranked.values()) == pytest.approx(1)
    assert decision_of(result).told_class(result.case) == result.case.differential[0].name
    assert (result.case.probability, result.case.ci95) == (max(ranked.values()), result.case.differential[0].ci95)
    assert all(low <= of_class.probability <= high for of_class in result.case.differential for low, high in
               [of_class.ci95])  # fmt: skip
    label = result.model.classes.index(result.case.differential[0].name)
    assert [image.probability for image in result.images] == [image.probabilities[label] for image in result.images]


def test_the_probabilities_of_many_classes_are_the_softmax_of_the_logits_over_temperature(
    ranking, phantom, monkeypatch
):
    found = with_card(ranking, monkeypatch, temperature=2.5).classify(phantom.series)
    logits = torch.tensor(np.stack([score.logits for score in found.scores])).double()
    expected = torch.softmax(logits / 2.5, dim=1).numpy()
    np.testing.assert_allclose([image.probabilities for image in found.result.images], expected, atol=1e-12)


def test_the_json_of_many_classes_reads_back_and_that_of_two_says_nothing_of_ranks(ranking, classifier, phantom):
    result = ranking.classify(phantom.series).result
    assert StudyResult.model_validate_json(result.to_json()) == result
    assert "threshold" not in json.loads(result.to_json())["case"]
    of_two = json.loads(classifier.classify(phantom.series).result.to_json())
    assert list(of_two["case"]) == ["probability", "ci95", "label", "threshold", "reason"]
    assert "probabilities" not in of_two["images"][0]


def test_each_class_has_its_heatmap_from_the_one_forward_pass(ranking, phantom, monkeypatch):
    found = ranking.classify(phantom.series)
    monkeypatch.setattr(ranking, "network", None)  # nothing is run again
    heats = [found.heat_of(label) for label in range(4)]
    assert heats[found.heat.label] is found.heat
    assert found.result.model.classes[found.heat.label] == decision_of(found.result).told_class(found.result.case)
    assert not any(np.array_equal(a.voxels, b.voxels) for a, b in itertools.combinations(heats, 2))
    for heat in heats:
        assert (heat.voxels[found.regions.labels == 0] == 0).all()
        for score, peak in zip(found.scores, heat.peaks, strict=True):
            assert score.cells[heat.label].min() <= peak <= score.cells[heat.label].max() + 1e-6
        if max(heat.peaks) > 0:
            assert heat.voxels.max() == pytest.approx(1)
        else:
            assert heat.voxels.max() == 0, "nothing in the legs speaks for this class"
    assert any(heat.voxels.max() > 0 for heat in heats)


@pytest.mark.parametrize(("share", "warned"), [(0.9, True), (0.1, False)])
def test_evidence_for_the_first_of_many_classes_outside_the_muscles_is_named(
    ranking, phantom, monkeypatch, share, warned
):
    monkeypatch.setattr("DystrophyDxLib.samples.legs.share_outside_muscle", lambda *_: share)
    assert (WarningCode.HEATMAP_OUTSIDE_MUSCLE in codes(ranking.classify(phantom.series).result)) is warned


def test_a_second_channel_counts_and_its_absence_is_named_before_anything_runs(tmp_path):
    classifier = Classifier(ModelPackage.read(make_package(tmp_path / "package", recipe=TWO_CHANNELS)), "cpu")
    phantom = make_phantom(1, "DMD", slices=2, contrasts=("T1", "STIR"))
    both = with_channels(phantom.series, {"STIR": phantom.images["STIR"]})
    result = classifier.classify(both).result
    darker = dataclasses.replace(both, further={"STIR": np.sqrt(both.further["STIR"])})
    assert classifier.classify(darker).result.case.probability != result.case.probability
    with pytest.raises(InputError, match="needs STIR beside T1"):
        classifier.classify(phantom.series)


def test_progress_counts_to_the_end(classifier, phantom):
    seen = []
    classifier.classify(phantom.series, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (8, 8)


def test_an_unknown_or_absent_device_is_refused(package):
    with pytest.raises(InputError, match="choose one of auto"):
        Classifier(package, "tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no usable cuda"):
            Classifier(package, "cuda")
