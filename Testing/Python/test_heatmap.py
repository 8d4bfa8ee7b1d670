"""Heatmaps lie on the voxels that the network looked at."""

import dataclasses

import numpy as np
import pytest
import torch
from model_packages import IMAGE_BACKBONES, RECIPE, make_package
from scipy import ndimage
from torch import nn

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.models import inference
from DystrophyDxLib.models.cam_network import CamNetwork, build_network
from DystrophyDxLib.models.cells import Averaging, CellGrid
from DystrophyDxLib.models.package import Metric, ModelPackage
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.regions.drawn_legs import legs_from_labels
from DystrophyDxLib.samples.slice_samples import make_samples
from DystrophyDxLib.series.series import Geometry, Series

CELL = 32
SHAPE = (3, 150, 190)


def bright_spot_network(recipe: Recipe) -> CamNetwork:
    """A ResNet18 that only averages, behind a layer that lets nothing but very bright signal through."""
    network = build_network(recipe)
    for module in network.trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    only_bright = nn.BatchNorm2d(1)
    only_bright.bias.data.fill_(-1.2)
    nn.init.constant_(network.head.weight, 1 / network.head.in_features)
    return CamNetwork(nn.Sequential(only_bright, nn.ReLU(), network.trunk), network.head)


@pytest.fixture(scope="module")
def spot_classifier(tmp_path_factory) -> Classifier:
    package = ModelPackage.read(make_package(tmp_path_factory.mktemp("models") / "package"))
    network = bright_spot_network(package.recipe)
    state = dict(network.state_dict()) | {"features.mean": torch.zeros(512), "features.precision": torch.eye(512)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "build_network", lambda recipe: network)
        patch.setattr(ModelPackage, "tensors", lambda self: dict(state))
        return Classifier(package, "cpu")


def legs_with_spot(geometry: Geometry, spot: tuple[int, int, int]) -> tuple[Series, np.ndarray]:
    """Two elliptic legs, grey, with one bright spot at voxel (k, j, i)."""
    k, j, i = np.indices(SHAPE)
    labels = np.zeros(SHAPE, np.uint8)
    labels[np.hypot((i - 48) / 40, (j - 75) / 55) < 1] = 1
    labels[np.hypot((i - 141) / 42, (j - 70) / 50) < 1] = 2
    voxels = np.where(labels > 0, 300.0, 0.0)
    voxels[(k == spot[0]) & (np.hypot(i - spot[2], j - spot[1]) < 5)] = 900
    return Series(voxels.astype(np.float32), geometry), labels


ROTATION = np.array([[np.cos(0.35), -np.sin(0.35), 0], [np.sin(0.35), np.cos(0.35), 0], [0, 0, 1]])
ORIENTATIONS = {
    "head first": np.eye(3),
    "columns to the right": np.diag([-1.0, 1, 1]),
    "rows to anterior": np.diag([1.0, -1, -1]),
    "transposed": np.eye(3)[:, [1, 0, 2]],
    "oblique": ROTATION,
}


@pytest.mark.parametrize("direction", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
@pytest.mark.parametrize("spot", [(1, 45, 40), (2, 100, 60), (0, 75, 20), (1, 60, 165), (2, 95, 120)])
def test_a_planted_signal_is_found_within_one_cell(spot_classifier, direction, spot):
    series, labels = legs_with_spot(Geometry((-70, -90, 30), (1.1, 0.9, 5.0), direction), spot)
    found = spot_classifier.classify(series, legs_from_labels(labels))
    k, j, i = np.unravel_index(found.heatmap.argmax(), SHAPE)
    assert k == spot[0]
    window = next(w for w in found.regions.windows if w.slice == k and w.i[0] <= i < w.i[1])
    assert window.i[0] <= spot[2] < window.i[1]
    extent = max((window.i[1] - window.i[0]) * 1.1, (window.j[1] - window.j[0]) * 0.9)
    cell_mm = CELL * extent / 224
    assert abs(i - spot[2]) * 1.1 <= cell_mm
    assert abs(j - spot[1]) * 0.9 <= cell_mm


def test_heat_is_centred_on_the_signal_to_a_fraction_of_a_cell(spot_classifier):
    """Over many places the heat's centre of mass has no shift, which half a cell would show as."""
    offsets = []
    for j in range(50, 101, 13):
        for i in range(30, 69, 13):
            series, labels = legs_with_spot(Geometry((0, 0, 0), (1, 1, 5), np.eye(3)), (1, j, i))
            heat = spot_classifier.classify(series, legs_from_labels(labels)).heatmap[1]
            heat = np.where(labels[1] == 1, heat, 0)
            peak = np.argwhere(heat > 0.9 * heat.max()).mean(axis=0)
            offsets.append(peak - (j, i))
    cell = CELL * 110 / 224
    assert np.abs(np.mean(offsets, axis=0)).max() < 0.15 * cell


def test_heat_is_zero_outside_the_legs_and_at_most_one_in_them(spot_classifier):
    series, labels = legs_with_spot(Geometry((0, 0, 0), (1, 1, 5), np.eye(3)), (1, 75, 40))
    heatmap = spot_classifier.classify(series, legs_from_labels(labels)).heatmap
    assert heatmap.dtype == np.float32
    assert heatmap.shape == SHAPE
    assert (heatmap[labels == 0] == 0).all()
    assert heatmap.min() == 0
    assert heatmap.max() == pytest.approx(1)


def test_a_case_without_evidence_is_not_shown_in_full_colour(spot_classifier, monkeypatch):
    series, labels = legs_with_spot(Geometry((0, 0, 0), (1, 1, 5), np.eye(3)), (1, 75, 40))
    plain = spot_classifier.classify(series, legs_from_labels(labels))
    package = spot_classifier.package
    card = package.card.model_copy(update={"heat_reference": 1e6})
    monkeypatch.setattr(spot_classifier, "package", dataclasses.replace(package, card=card))
    faint = spot_classifier.classify(series, legs_from_labels(labels))
    assert plain.heatmap.max() == pytest.approx(1)
    assert 0 < faint.heatmap.max() < 0.1


def test_a_model_not_shown_to_tell_paints_the_same_map_a_quarter_as_strong(spot_classifier, monkeypatch):
    series, labels = legs_with_spot(Geometry((0, 0, 0), (1, 1, 5), np.eye(3)), (1, 75, 40))
    shown = spot_classifier.classify(series, legs_from_labels(labels)).heatmap
    package = spot_classifier.package
    metrics = {"AUC, case": Metric(value=0.35, ci95=(0.2, 0.5), measured_on="40 patients")}
    card = package.card.model_copy(update={"metrics": metrics})
    monkeypatch.setattr(spot_classifier, "package", dataclasses.replace(package, card=card))
    found = spot_classifier.classify(series, legs_from_labels(labels))
    np.testing.assert_array_equal(found.heatmap, shown / 4)
    np.testing.assert_array_equal(found.relative_heatmap, shown)


@pytest.fixture(scope="module", params=IMAGE_BACKBONES)
def network(request) -> CamNetwork:
    """A network as it starts from ImageNet weights, but with random ones."""
    recipe = Recipe.parse(RECIPE.replace("resnet18", request.param).replace('"none"', '"imagenet"', 1))
    torch.manual_seed(3)
    return build_network(recipe).eval()


def test_one_forward_pass_gives_the_score_and_its_map(network):
    with torch.inference_mode():
        output = network(torch.rand(1, 1, 224, 224))
    edge = output.maps.shape[-1]
    assert output.maps.shape == (1, 1, edge, edge)
    assert output.features.shape == (1, network.head.in_features)
    score = output.maps.mean(dim=(2, 3)) + network.head.bias
    torch.testing.assert_close(score, output.logits, atol=1e-4, rtol=1e-4)


def test_cells_are_where_the_layers_reach(network):
    """The centre of a cell's receptive field, against autograd through the same layers made linear."""
    cells = CellGrid.of(network.finest())
    image = torch.ones(1, 1, 1024, 96, requires_grad=True)
    with Averaging():
        network.trunk(image)[0, :, 16].sum().backward()
    weight = image.grad[0, 0].sum(dim=1).double()
    centre = float((weight * torch.arange(1024)).sum() / weight.sum())
    assert cells.start + 16 * cells.step == pytest.approx(centre, abs=0.5)


def test_cells_are_where_a_bright_spot_acts_most(network):
    """The network itself, nothing made linear: each cell of a sample answers to what lies at its centre, within half a
    cell. The gradient by a pixel is how much a faint spot there would change the cell."""
    cells = CellGrid.of(network.finest())
    generator = torch.Generator().manual_seed(5)
    image = torch.rand(1, 1, 224, 224, generator=generator, requires_grad=True)
    activations = network.trunk(image)
    middle = activations.shape[-1] // 2
    torch.manual_seed(7)
    (activations[0, :, middle, middle] * torch.randn(activations.shape[1])).sum().backward()
    strength = image.grad[0, 0].double() ** 2
    position = torch.arange(224, dtype=torch.float64)
    expected = cells.start + middle * cells.step
    for axis in (0, 1):
        profile = strength.sum(dim=axis)
        assert float((profile * position).sum() / profile.sum()) == pytest.approx(expected, abs=cells.step / 2)


GRIDS = {
    "vgg16": 15.5,
    "vgg19": 15.5,
    "resnet18": 0,
    "resnet34": 0,
    "resnet50": 0,
    "densenet121": 14,
    "densenet201": 14,
    "inception_v3": 37,
    "mobilenet_v2": 0,
    "squeezenet1_1": 15,
}
STEPS = {"squeezenet1_1": 16}
"""Pixels between cells, where they are not 32."""


def test_cells_are_where_arithmetic_puts_them(network, request):
    """Layer by layer a kernel of k with stride s and padding p moves the centre by ((k - 1) / 2 - p) steps so far
    (Araujo et al., "Computing receptive fields of convolutional neural networks", Distill 2019)."""
    cells, name = CellGrid.of(network.finest()), request.node.callspec.params["network"]
    assert cells.step == pytest.approx(STEPS.get(name, 32), abs=1e-3)
    assert cells.start == pytest.approx(GRIDS[name], abs=1e-2)


ICAM = RECIPE.replace('weights = "none"', 'weights = "none"\npooled = ["stage{}", "stage5"]')


@pytest.mark.parametrize(("finer", "edge"), [(3, 28), (4, 14)])
def test_icam_is_the_sum_of_the_finer_map_and_the_coarser_one_upsampled(finer, edge):
    """Equations (1) and (2) of Cai et al. 2019, against torchvision's layers and scipy's interpolation."""
    torch.manual_seed(3)
    network = build_network(Recipe.parse(ICAM.format(finer))).eval()
    samples = torch.rand(2, 1, 224, 224)
    with torch.inference_mode():
        output = network(samples)
        fine = network.trunk[: finer + 3](samples)
        coarse = network.trunk(samples)
    pooled = torch.cat([fine.mean(dim=(2, 3)), coarse.mean(dim=(2, 3))], dim=1)
    torch.testing.assert_close(output.logits, network.head(pooled))
    torch.testing.assert_close(output.features, pooled)
    of_fine, of_coarse = (
        torch.einsum("nchw,c->nhw", maps, weight).detach().numpy()
        for maps, weight in zip((fine, coarse), network.head.weight[0].split([fine.shape[1], 512]), strict=True)
    )
    # Cells of ResNet are centred at multiples of their step: every second or fourth fine cell is at a coarse one.
    places = np.arange(edge) * 7 / edge
    upsampled = [
        ndimage.map_coordinates(one, np.meshgrid(places, places, indexing="ij"), order=1, mode="nearest")
        for one in of_coarse
    ]
    assert output.maps.shape == (2, 1, edge, edge)
    np.testing.assert_allclose(output.maps[:, 0], of_fine + np.array(upsampled), atol=1e-4, rtol=1e-4)
    assert CellGrid.of(network.finest()).step == pytest.approx(224 / edge, abs=1e-3)


def test_a_network_that_is_cut_ends_with_the_stage_that_is_pooled():
    text = RECIPE.replace('weights = "none"', 'weights = "none"\npooled = ["stage3"]')
    network = build_network(Recipe.parse(text)).eval()
    with torch.inference_mode():
        output = network(torch.rand(1, 1, 224, 224))
    assert output.maps.shape == (1, 1, 28, 28)
    assert output.features.shape == (1, 128)
    assert CellGrid.of(network.finest()).step == pytest.approx(8, abs=1e-3)


def test_folding_and_lower_precision_keep_the_layers_that_are_pooled(tmp_path):
    classifier = Classifier(ModelPackage.read(make_package(tmp_path / "package", recipe=ICAM.format(4))), "cpu")
    torch.manual_seed(0)
    network = build_network(classifier.package.recipe).eval()
    samples = torch.rand(1, 1, 224, 224)
    with torch.inference_mode():
        plain, folded = network(samples), inference.folded(network)(samples)
        low = inference.lower_precision(network)
        assert next(low.trunk.parameters()).dtype == torch.bfloat16
        assert low(samples.bfloat16()).maps.shape == plain.maps.shape
    torch.testing.assert_close(folded.maps, plain.maps, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(folded.logits, plain.logits, atol=1e-4, rtol=1e-3)


def test_samples_remember_their_window():
    """The leg's outline in the sample is where its placement says, true to scale for oblong pixels."""
    series = Series(np.full((1, 90, 120), 100, np.float32), Geometry((0, 0, 0), (1.0, 1.5, 5), np.eye(3)))
    labels = np.zeros((1, 90, 120), np.uint8)
    labels[0, 10:80, 30:100] = 1
    batch = make_samples(series, legs_from_labels(labels).windows, 224)
    placement = batch.placements[0]
    columns, rows = placement.sample_coordinates(1), placement.sample_coordinates(0)
    assert rows[-1] - rows[0] == pytest.approx(69 * 224 / 70, rel=1e-3)
    assert columns[-1] - columns[0] == pytest.approx(69 * 224 / (70 * 1.5), rel=2e-2)
    covered = batch.pixels[0, 0] > 0
    assert covered[112].nonzero().min() == pytest.approx(columns[0], abs=2)
    assert covered[112].nonzero().max() == pytest.approx(columns[-1], abs=2)
