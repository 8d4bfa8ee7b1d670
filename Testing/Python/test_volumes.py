"""Whole legs and whole maps as volumes: samples, networks, heat, and what is said of them."""

import dataclasses

import numpy as np
import pytest
import torch
from model_packages import RECIPE, make_package

from DystrophyDxLib.classify import Classifier, with_region_heat
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.explain.region_heat import rank_regions, read_atlas
from DystrophyDxLib.models.cam_network import build_network
from DystrophyDxLib.models.cells import CellGrid
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.scenes import new_scene
from DystrophyDxLib.mrml.segmentation import labels_from_segmentation, set_labels
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.phantom.brain_maps import atlas, make_maps
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.regions.volumes import find_volume, whole
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Side
from DystrophyDxLib.samples.kinds import region_of
from DystrophyDxLib.samples.slice_samples import BRIGHTEST, make_samples
from DystrophyDxLib.samples.volume_samples import (
    MEAN_LEVEL,
    STANDARD_DEVIATION,
    make_leg_volumes,
    make_map_volumes,
    standardised,
)
from DystrophyDxLib.series.channels import with_channels
from DystrophyDxLib.series.series import Geometry, Series

SLICES = 8
OF_LEGS = (
    RECIPE.replace("size = 224", f"size = 112\ndepth = {SLICES}")
    .replace('backbone = "resnet18"', 'backbone = "resnet10_3d"\npooled = ["stage4"]')
    .replace("batch = 8", "batch = 8\naugmentation = {zoom = [1.0, 1.1], rotation_degrees = 5, mirror = true}")
)
MAPS = """channels = [{name = "GM", scale = "fraction"}, {name = "MD", scale = "standard"}]
expects = "map"
region = {kind = "volume"}
"""
OF_MAPS = OF_LEGS.replace(f"size = 112\ndepth = {SLICES}", f"size = 64\ndepth = 32\n{MAPS}").replace(
    "size = 112", "size = 64"
)


@pytest.fixture(scope="module")
def thigh() -> Series:
    return make_phantom(3, "DMD", slices=SLICES, matrix=128, legs="both").series


@pytest.fixture(scope="module")
def brain() -> Series:
    maps = make_maps(1, "MSA-C", 1.0)
    geometry = Geometry((0, 0, 0), (4, 4, 4), np.eye(3))
    return with_channels(Series(maps.density, geometry), {"MD": Series(maps.diffusivity, geometry)})


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Classifier:
    """Of maps, with weights that nobody trained."""
    package = make_package(tmp_path_factory.mktemp("models") / "maps", recipe=OF_MAPS, seed=1)
    return Classifier(ModelPackage.read(package), "cpu")


def upside_down(series: Series) -> Series:
    """The same with its slices stored from the head to the feet."""
    last = (series.geometry.ijk_to_lps @ [0, 0, len(series.voxels) - 1, 1])[:3]
    direction = series.geometry.direction * [1, 1, -1]
    further = {name: voxels[::-1].copy() for name, voxels in series.further.items()}
    geometry = Geometry(tuple(last), series.geometry.spacing, direction)
    return dataclasses.replace(series, voxels=series.voxels[::-1].copy(), geometry=geometry, further=further)


def mirrored(series: Series) -> Series:
    """The same with its columns stored from the patient's left to the right."""
    first = (series.geometry.ijk_to_lps @ [series.voxels.shape[2] - 1, 0, 0, 1])[:3]
    direction = series.geometry.direction * [-1, 1, 1]
    further = {name: voxels[..., ::-1].copy() for name, voxels in series.further.items()}
    geometry = Geometry(tuple(first), series.geometry.spacing, direction)
    return dataclasses.replace(series, voxels=series.voxels[..., ::-1].copy(), geometry=geometry, further=further)


def slab(series: Series, start: int, stop: int) -> Series:
    further = {name: voxels[start:stop] for name, voxels in series.further.items()}
    return dataclasses.replace(series, voxels=series.voxels[start:stop], further=further)


def test_a_leg_is_one_window_over_all_slices_that_show_it(thigh):
    regions = find_legs(thigh)
    for window in whole(regions):
        own = [part for part in regions.windows if part.side is window.side]
        assert window.mask.sum() == sum(part.mask.sum() for part in own)
        assert window.slices == (own[0].slice, own[-1].slice + 1)
    assert len(whole(regions)) == 2


def test_slices_of_a_volume_have_the_greys_that_they_have_alone(thigh):
    recipe = Recipe.parse(OF_LEGS).sample
    window = whole(find_legs(thigh))[0]
    batch = make_leg_volumes(thigh, [window], recipe)
    assert batch.pixels.shape == (1, 1, SLICES, 112, 112)
    alone = make_samples(thigh, batch.legs[0].windows, 112).pixels
    torch.testing.assert_close(batch.pixels[0, 0], alone[:, 0])


def test_a_volume_does_not_depend_on_the_order_in_which_slices_are_stored(brain, thigh):
    for series, text in ((brain, OF_MAPS), (thigh, OF_LEGS)):
        region = region_of(Recipe.parse(text).sample)
        samples = [
            region.samples(stored, region.seen(region.find(stored))).pixels for stored in (series, upside_down(series))
        ]
        torch.testing.assert_close(*samples)


def test_maps_fill_their_depth_and_are_true_to_scale_in_the_plane(brain):
    recipe = Recipe.parse(OF_MAPS).sample
    [window] = whole(find_volume(brain))
    [placement] = make_map_volumes(brain, [window], recipe).placements
    assert placement.scale[1] == pytest.approx(placement.scale[2], rel=0.05)
    ends = placement.sample_coordinates(0)[[0, -1]]
    assert ends.mean() == pytest.approx((32 - 1) / 2)
    assert ends[0] > -0.5


def test_another_offset_and_scale_of_the_scanner_gives_the_same_standardised_map():
    rng = np.random.default_rng(0)
    volume, inside = rng.normal(8e-4, 1e-4, (9, 9, 9)).astype(np.float32), np.zeros((9, 9, 9), bool)
    inside[2:7, 2:7, 2:7] = True
    seen = standardised(volume, inside)
    np.testing.assert_allclose(standardised(volume * 1.3 + 2e-4, inside), seen, atol=1e-3)
    assert seen[inside].mean() == pytest.approx(MEAN_LEVEL, abs=0.02)
    assert seen[inside].std() == pytest.approx(STANDARD_DEVIATION, rel=0.05)
    assert seen.min() >= 0
    assert seen.max() <= BRIGHTEST
    assert not seen[~inside].any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda series: slab(series, 20, 21), "at least 4 slices"),
        (lambda series: dataclasses.replace(series, further={}), "needs MD beside GM"),
        (lambda series: dataclasses.replace(series, voxels=series.voxels * 100), "no fraction from 0 to 1"),
        (
            lambda series: dataclasses.replace(series, voxels=series.further["MD"], further={"MD": series.voxels}),
            "GM is no fraction from 0 to 1, .* check which map is which",
        ),
        (
            lambda series: dataclasses.replace(series, geometry=Geometry((0, 0, 0), (4, 4, 4), np.eye(3)[[2, 0, 1]])),
            "not axial",
        ),
    ],
)
def test_wrong_inputs_are_named(brain, classifier, change, words):
    with pytest.raises(InputError, match=words):
        classifier.classify(change(brain))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('region = {kind = "volume"}', "", "expected"),
        ("depth = 32", "slices = 3", "a volume has a depth"),
        ('scale = "standard"', 'scale = "median"', "have the scale fraction or standard"),
        ('["stage4"]', '["stage3", "stage4"]', "one stage"),
    ],
)
def test_a_recipe_of_volumes_that_cannot_work_is_refused(old, new, words):
    assert old in OF_MAPS
    with pytest.raises(InputError, match=words):
        Recipe.parse(OF_MAPS.replace(old, new))


def test_networks_of_slices_do_not_take_volumes():
    with pytest.raises(InputError, match="choose from resnet10_3d"):
        build_network(Recipe.parse(OF_MAPS.replace("resnet10_3d", "resnet18")))
    with pytest.raises(InputError, match="no published weights"):
        build_network(Recipe.parse(OF_MAPS.replace('weights = "none"', 'weights = "imagenet"')))


def test_cells_lie_where_the_arithmetic_of_convolutions_puts_them():
    """Dumoulin & Visin, arXiv:1603.07285: with padding (k - 1) / 2 the first cell is centred on the first voxel, and
    the strides multiply: 2 in the plane of the first layer, then 2 of pooling and of two stages."""
    cells = CellGrid.of(build_network(Recipe.parse(OF_MAPS)).finest())
    assert (cells.start, cells.along.start) == pytest.approx((0, 0), abs=1e-2)
    assert (cells.step, cells.along.step) == pytest.approx((16, 8), abs=1e-3)


def test_the_mean_of_a_map_is_the_evidence():
    network = build_network(Recipe.parse(OF_MAPS)).eval()
    with torch.inference_mode():
        output = network(torch.rand(2, 2, 32, 64, 64))
    assert output.maps.shape == (2, 1, 4, 4, 4)
    torch.testing.assert_close(output.maps.mean(dim=(2, 3, 4)) + network.head.bias, output.logits)


def test_heat_is_drawn_where_the_cell_looks_however_the_voxels_are_stored(brain, classifier):
    """The cell at voxel 8, 16, 48 of the sample: below, in front and on the patient's left, which is +x in LPS."""
    recipe = classifier.package.recipe.sample
    cells = np.zeros((4, 4, 4), np.float32)
    cells[1, 1, 3] = 1
    places = []
    for series in (brain, upside_down(brain), mirrored(brain)):
        found = classifier.classify(series)
        heat = found.drawing.draw(found.seen, [cells], [True], 1).voxels
        k, j, i = np.unravel_index(heat.argmax(), heat.shape)
        places.append((series.geometry.ijk_to_lps @ [i, j, k, 1])[:3])
    [window] = whole(find_volume(brain))
    [placement] = make_map_volumes(brain, [window], recipe).placements
    up, row, column = (
        start + (at - origin + 0.5) / scale - 0.5
        for start, at, origin, scale in zip(
            (window.slices[0], window.j[0], window.i[0]), (8, 16, 48), placement.origin, placement.scale, strict=True
        )
    )
    expected = (brain.geometry.ijk_to_lps @ [column, row, up, 1])[:3]
    assert expected[0] > np.mean(window.i) * 4
    assert np.abs(np.subtract(places, expected)).max() <= 1.01 * 4


def test_a_volume_is_one_image_whose_label_goes_by_the_threshold(brain, classifier):
    result = classifier.classify(brain).result
    [image] = result.images
    assert (image.side, image.anatomy, image.counted) == ("none", "not judged", True)
    shown = np.flatnonzero(brain.voxels.any(axis=(1, 2)))
    assert (image.slices, image.slice) == ((shown[0], shown[-1] + 1), (shown[0] + shown[-1] + 1) // 2)
    assert result.case.ci95 == (0, 1)
    assert result.case.label == result.model.classes[result.case.probability >= 0.5]
    assert "no interval" in result.case.reason


def test_both_legs_are_classified_as_volumes_and_judged_as_thighs(thigh, tmp_path):
    classifier = Classifier(ModelPackage.read(make_package(tmp_path / "legs", recipe=OF_LEGS)), "cpu")
    found = classifier.classify(thigh)
    assert [(image.side, image.anatomy) for image in found.result.images] == [("left", "thigh"), ("right", "thigh")]
    assert not {"NOT_THIGH", "NOT_T1_WEIGHTED"} & {warning.code.value for warning in found.result.warnings}
    assert found.heatmap.shape == thigh.voxels.shape
    assert not found.heatmap[found.regions.labels == 0].any()
    again = classifier.classify(thigh, found.regions, previous=found)
    assert [image.probability for image in again.result.images] == [image.probability for image in found.result.images]


def test_regions_are_ranked_by_their_mean_heat():
    heat, labels = np.zeros((2, 4, 4), np.float32), np.zeros((2, 4, 4), np.int64)
    labels[0], labels[1, :2] = 1, 2
    heat[0], heat[1, :2] = 0.25, 1.0
    pons, putamen = rank_regions(heat, labels, {1: "putamen", 2: "pons", 3: "out of view"}, np.ones((2, 4, 4), bool))
    assert (pons.region, pons.mean_heat, pons.voxels) == ("pons", 1.0, 8)
    assert (putamen.region, putamen.mean_heat) == ("putamen", 0.25)
    assert pons.share + putamen.share == pytest.approx(1)
    assert pons.share == pytest.approx(8 / 12)
    with pytest.raises(InputError, match="no region within"):
        rank_regions(heat, labels * 0, {1: "putamen"}, np.ones((2, 4, 4), bool))
    with pytest.raises(InputError, match="another grid"):
        rank_regions(heat, labels[:1], {1: "putamen"}, np.ones((2, 4, 4), bool))


def test_the_regions_of_an_atlas_are_in_the_result(brain, classifier):
    found = with_region_heat(classifier.classify(brain), *atlas())
    assert {region.region for region in found.result.regions} == set(atlas()[1].values())
    assert '"regions"' in found.result.to_json()
    assert sum(region.share for region in found.result.regions) == pytest.approx(1, abs=1e-6)


def test_an_atlas_elsewhere_or_without_labels_is_named(brain, tmp_path):
    import SimpleITK as sitk

    def written(voxels: np.ndarray, origin=(0.0, 0.0, 0.0)):
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing((4, 4, 4))
        image.SetOrigin(origin)
        sitk.WriteImage(image, str(tmp_path / "atlas.nii.gz"))
        return tmp_path / "atlas.nii.gz"

    labels, names = atlas()
    found, numbers = read_atlas(written(labels), None, brain)
    np.testing.assert_array_equal(found, labels)
    assert numbers == {value: f"label {value}" for value in names}
    with pytest.raises(InputError, match="mm away"):
        read_atlas(written(labels, (9.0, 0.0, 0.0)), None, brain)
    with pytest.raises(InputError, match="voxels"):
        read_atlas(written(labels[:-1]), None, brain)
    with pytest.raises(InputError, match="whole numbers"):
        read_atlas(written(labels / np.float32(3)), None, brain)
    (tmp_path / "names.csv").write_text("number,region\n1,pons\n")
    with pytest.raises(InputError, match="columns label and name"):
        read_atlas(written(labels), tmp_path / "names.csv", brain)


def test_maps_are_classified_and_corrected_in_a_scene(brain, classifier):
    """As the panel does: the second map is a channel, and what is erased of the region is classified again."""
    scene = new_scene()
    classification = SceneClassification(add_series(scene, brain, "GM"))
    with pytest.raises(InputError, match="MD"):
        classification.classify(classifier)
    further = dataclasses.replace(brain, voxels=brain.further["MD"], further={})
    classification.set_channel("MD", add_series(scene, further, "MD"))
    (image,) = classification.classify(classifier).images
    assert image.side == "none"
    assert image.slice == sum(image.slices) // 2
    assert classification.segmentation.GetSegmentation().GetNumberOfSegments() == 1

    classification.exclude(image.slices[0])
    assert classification.changed_slices == (image.slices[0],)
    (edited,) = classification.reclassify(classifier).images
    assert (edited.roi, edited.slices) == ("edited", (image.slices[0] + 1, image.slices[1]))
    assert edited.probability != image.probability
    classification.reset()
    (again,) = classification.reclassify(classifier).images
    assert (again.roi, again.probability) == ("auto", image.probability)


def test_whole_legs_are_classified_and_corrected_in_a_scene(thigh, tmp_path):
    classifier = Classifier(ModelPackage.read(make_package(tmp_path / "legs", recipe=OF_LEGS)), "cpu")
    scene = new_scene()
    classification = SceneClassification(add_series(scene, thigh, "Thighs"))
    first = classification.classify(classifier)
    assert [image.side for image in first.images] == ["left", "right"]
    labels = labels_from_segmentation(classification.segmentation, classification.volume)
    labels[:2][labels[:2] == LABEL_OF_SIDE[Side.LEFT]] = 0
    set_labels(classification.segmentation, classification.volume, labels)
    run = []
    result = classification.reclassify(classifier, lambda done, total: run.append(total))
    assert run == [1], "the right leg is not run again"
    left, right = result.images
    assert (left.roi, right.roi) == ("edited", "auto")
    assert left.slices == (2, SLICES)
    assert right == first.images[1]
