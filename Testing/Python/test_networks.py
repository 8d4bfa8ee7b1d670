"""Networks: each backbone computes what torchvision's does, from published weights or those of another package."""

import dataclasses
import hashlib
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from model_packages import IMAGE_BACKBONES, RECIPE, TWO_CHANNELS, make_package
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models import inference
from DystrophyDxLib.models.backbones import BACKBONES
from DystrophyDxLib.models.cam_network import build_network, trainable_parameters
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.models.published_weights import FILES, SHA256
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.models.training_recipe import STAGES
from DystrophyDxLib.models.weights import load_backbone

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def recipe_of(backbone: str, weights: str = "imagenet", trainable: str = '"head"') -> Recipe:
    text = RECIPE.replace("resnet18", backbone).replace('"none"', f'"{weights}"', 1)
    return Recipe.parse(text.replace('"all"', trainable))


def published_model(backbone: str) -> nn.Module:
    """torchvision's own model as it is with ImageNet weights, but with weights drawn at random."""
    torch.manual_seed(11)
    options = {"transform_input": True, "init_weights": False} if backbone == "inception_v3" else {}
    with torch.device("meta"):
        model = models.get_model(backbone, num_classes=7, **options)
    model.to_empty(device="cpu")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.5, 1.5), (module.bias, -0.3, 0.3), (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.5, 1.5),
            ):  # fmt: skip
                nn.init.uniform_(tensor, low, high)
            module.num_batches_tracked.zero_()
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -0.1, 0.1)
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    return model.eval()


def without_classifier(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """VGG's classifier takes half a gigabyte."""
    return {name: tensor for name, tensor in state.items() if not name.startswith("classifier.")}


def pooled_features(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What torchvision's model pools or hands to its head, averaged over the image."""
    seen = {}
    if isinstance(model, models.VGG | models.MobileNetV2 | models.SqueezeNet):
        return model.features(images).mean(dim=(2, 3))
    head = model.classifier if isinstance(model, models.DenseNet) else model.fc
    with head.register_forward_pre_hook(lambda module, inputs: seen.update(features=inputs[0])):
        model(images)
    return seen["features"]


def test_a_torchvision_that_does_not_start_is_told_by_the_backbones_that_need_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(InputError, match="torchvision does not start beside this PyTorch"):
        BACKBONES["vgg16"].model()
    assert BACKBONES["resnet18"].model() is not None


@pytest.fixture(scope="module", params=IMAGE_BACKBONES)
def loaded(request, tmp_path_factory):
    """A backbone's recipe, torchvision's model, and our network with that model's weights from a file."""
    model = published_model(request.param)
    file = tmp_path_factory.mktemp("weights") / "weights.pth"
    torch.save(without_classifier(model.state_dict()), file)
    recipe = recipe_of(request.param)
    network = build_network(recipe).eval()
    load_backbone(network, recipe, file)
    return recipe, model, network


def test_features_are_those_of_torchvisions_model_on_the_normalised_grey_image(loaded):
    _, model, network = loaded
    samples = torch.rand(1, 1, 128, 128, generator=torch.Generator().manual_seed(1)) * 1.5
    samples[..., :40] = 0
    mean, deviation = (torch.tensor(IMAGENET[name])[:, None, None] for name in ("mean", "std"))
    with torch.inference_mode():
        expected = pooled_features(model, (samples.expand(-1, 3, -1, -1) - mean) / deviation)
        features = network(samples).features
    assert features.std() > 0
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_folding_and_lower_precision_keep_the_features(loaded):
    recipe, _, network = loaded
    samples = torch.rand(1, 1, 112, 112, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        exact = network(samples).features
        folded = inference.folded(network)
        torch.testing.assert_close(folded(samples).features, exact, rtol=1e-3, atol=1e-4 * float(exact.abs().max()))
        low = inference.lower_precision(folded)(samples.bfloat16()).features
    # The depthwise layers of MobileNet, here with random weights, sum over few values, which rounding moves further.
    most = 0.15 if recipe.network.backbone == "mobilenet_v2" else 0.05
    assert float((low - exact).abs().mean() / exact.abs().mean()) < most


def test_stages_halve_the_resolution_one_by_one(loaded):
    recipe, _, network = loaded
    samples = torch.rand(1, 1, 224, 224)
    edges = []
    with torch.inference_mode():
        for name, layer in network.trunk.named_children():
            samples = layer(samples)
            if name != "ones":
                edges.append(samples.shape[-1])
    starts = (*BACKBONES[recipe.network.backbone].stages, len(edges))
    at_end = [edges[start - 1] for start in starts[1:]]
    if recipe.network.backbone == "squeezenet1_1":  # halves four times
        assert at_end.pop() == at_end[-1]
    for before, after in zip([224, *at_end[:-1]], at_end, strict=True):
        assert 1.9 < before / after < 2.5


@pytest.mark.parametrize("trainable", ["head", "stage5", "stage4", "all"])
def test_what_is_not_trained_stays_as_it_is(loaded, trainable):
    """A training step changes the chosen layers only, batch statistics included."""
    backbone = loaded[0].network.backbone
    tail = STAGES[STAGES.index(trainable) :] if trainable in STAGES else None
    recipe = recipe_of(backbone, trainable=str(list(tail)) if tail else f'"{trainable}"')
    network = loaded[2]
    parameters = trainable_parameters(network, recipe)
    network.train()
    first = {"head": 10**6, "all": 0}.get(trainable)
    if first is None:
        first = BACKBONES[backbone].stages[STAGES.index(trainable)]
    for name, layer in network.trunk.named_children():
        for module in layer.modules():
            own = list(module.parameters(recurse=False))
            trained = name != "ones" and int(name) >= first
            assert all(parameter.requires_grad == trained for parameter in own)
            if isinstance(module, nn.BatchNorm2d):
                assert module.training == trained
    expected = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert {id(parameter) for parameter in parameters} == {id(parameter) for parameter in expected}
    assert any(parameter is network.head.weight for parameter in parameters)
    network.eval()


def test_a_step_on_the_last_stage_leaves_the_first_layers_alone():
    torch.manual_seed(0)
    recipe = recipe_of("resnet18", "none", '["stage5"]')
    network = build_network(recipe)
    optimiser = torch.optim.SGD(trainable_parameters(network, recipe), 0.1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train()
    network(torch.rand(4, 1, 112, 112)).logits.square().mean().backward()
    optimiser.step()
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert all(name.startswith(("trunk.7.", "head.")) for name in changed)
    assert {"head.weight", "trunk.7.0.conv1.weight", "trunk.7.0.bn1.running_mean"} <= changed


@pytest.fixture(scope="module")
def resnet18_state():
    return published_model("resnet18").state_dict()


def first_kernels(file: Path | None, weights: str = "imagenet") -> torch.Tensor:
    recipe = recipe_of("resnet18", weights)
    network = build_network(recipe)
    load_backbone(network, recipe, file)
    return network.trunk[1 if weights == "imagenet" else 0].weight.detach()


def test_pth_and_safetensors_are_the_same_weights(resnet18_state, tmp_path):
    torch.save(resnet18_state, tmp_path / "w.pth")
    save_file(resnet18_state, tmp_path / "w.safetensors")
    torch.testing.assert_close(first_kernels(tmp_path / "w.pth"), first_kernels(tmp_path / "w.safetensors"))


def test_densenets_older_names_of_layers_are_understood(tmp_path):
    state = without_classifier(published_model("densenet121").state_dict())
    old = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    for kind in ("norm", "conv"):
        for number in "12":
            old = {name.replace(f".{kind}{number}.", f".{kind}.{number}."): tensor for name, tensor in old.items()}
    torch.save(old, tmp_path / "old.pth")
    recipe = recipe_of("densenet121")
    network = build_network(recipe)
    load_backbone(network, recipe, tmp_path / "old.pth")
    torch.testing.assert_close(
        network.trunk.state_dict()["10.denselayer16.conv2.weight"],
        state["features.denseblock4.denselayer16.conv2.weight"],
    )


def test_weights_none_starts_at_random():
    recipe = recipe_of("resnet18", "none")
    network = build_network(recipe)
    before = network.trunk[0].weight.detach().clone()
    load_backbone(network, recipe)
    assert torch.equal(network.trunk[0].weight, before)


def published_file(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    """A file named as torchvision names its own, after its checksum."""
    torch.save(state, folder / "w.pth")
    digest = hashlib.sha256((folder / "w.pth").read_bytes()).hexdigest()
    return (folder / "w.pth").rename(folder / f"resnet18-{digest[:8]}.pth")


def test_without_a_file_torchvisions_own_is_fetched_and_checked(resnet18_state, tmp_path, monkeypatch):
    source = published_file(tmp_path, resnet18_state)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    backbone = dataclasses.replace(BACKBONES["resnet18"], published=source.as_uri())
    monkeypatch.setitem(BACKBONES, "resnet18", backbone)
    fetched = first_kernels(None)
    torch.testing.assert_close(fetched, first_kernels(source))
    source.unlink()
    torch.testing.assert_close(first_kernels(None), fetched)
    (cached,) = (tmp_path / "home").rglob("*.pth")
    cached.write_bytes(cached.read_bytes()[:-1] + b"?")
    assert "does not match its checksum" in refusal(None)


def refusal(file: Path | None, backbone: str = "resnet18", weights: str = "imagenet") -> str:
    recipe = recipe_of(backbone, weights)
    with pytest.raises(InputError) as raised:
        load_backbone(build_network(recipe), recipe, file)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_weights_whose_layers_have_other_names_are_taken_in_their_order(tmp_path):
    """As those of MobileNetV2 by others than torchvision: the same tensors, and a classifier behind them."""
    model = published_model("mobilenet_v2")
    state = {
        f"net_{n}.{name.rpartition('.')[2]}": tensor for n, (name, tensor) in enumerate(model.state_dict().items())
    }
    torch.save(state, tmp_path / "others.pth")
    recipe = recipe_of("mobilenet_v2")
    network = build_network(recipe).eval()
    load_backbone(network, recipe, tmp_path / "others.pth")
    torch.testing.assert_close(network.state_dict()["trunk.17.conv.2.weight"], model.features[17].conv[2].weight.data)
    torch.testing.assert_close(network.state_dict()["trunk.18.1.running_var"], model.features[18][1].running_var)
    names = list(state)
    swapped = {name: state[names[1] if n == 0 else names[0] if n == 1 else name] for n, name in enumerate(names)}
    torch.save(swapped, tmp_path / "swapped.pth")
    assert "swapped.pth does not hold the weights of mobilenet_v2" in refusal(tmp_path / "swapped.pth", "mobilenet_v2")


def test_no_network_says_which_file_to_pass(tmp_path, monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("Network is unreachable")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    message = refusal(None, "resnet50")
    assert "could not be fetched; get resnet50-0676ba61.pth from https://" in message
    assert message.endswith("or begin with random weights: train --from-scratch.")
    assert not list(tmp_path.rglob("*.p*"))


def test_files_that_hold_no_such_weights_are_refused(resnet18_state, tmp_path):
    other = tmp_path / "other.pth"
    torch.save(resnet18_state, other)
    message = refusal(other, "resnet50")
    assert "other.pth does not hold the weights of resnet50; get resnet50-0676ba61.pth" in message

    deeper = resnet18_state | {"layer4.2.conv1.weight": torch.zeros(512, 512, 3, 3)}
    torch.save(deeper, tmp_path / "deeper.pth")
    assert "does not hold the weights of resnet18" in refusal(tmp_path / "deeper.pth")

    cut = tmp_path / "cut.pth"
    cut.write_bytes(other.read_bytes()[:100_000])
    assert "cut.pth is damaged or holds no weights; get resnet18-f37072fd.pth" in refusal(cut)
    cut.rename(tmp_path / "cut.safetensors")
    assert "is damaged or holds no weights" in refusal(tmp_path / "cut.safetensors")

    torch.save({"epoch": 3, "state_dict": {}}, tmp_path / "checkpoint.pth")
    assert "is damaged or holds no weights" in refusal(tmp_path / "checkpoint.pth")
    assert "There is no file absent.pth" in refusal(tmp_path / "absent.pth")
    assert "set network.weights to imagenet" in refusal(other, weights="none")


def test_a_file_that_runs_code_is_refused(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"fc.weight": Hostile()}, tmp_path / "hostile.pth")
    assert "is damaged or holds no weights" in refusal(tmp_path / "hostile.pth")
    assert not (tmp_path / "ran").exists()


def test_a_file_that_does_not_match_the_checksum_in_its_name_is_refused(resnet18_state, tmp_path):
    file = published_file(tmp_path, resnet18_state)
    first_kernels(file)
    other = file.rename(tmp_path / "resnet18-f37072fd.pth")
    assert "does not match its checksum" in refusal(other)


def test_a_file_of_which_only_the_first_digits_match_is_refused(resnet18_state, tmp_path, monkeypatch):
    file = published_file(tmp_path, resnet18_state)
    digits = file.stem.rpartition("-")[2]
    monkeypatch.setitem(SHA256, file.name, digits + "0" * (64 - len(digits)))
    assert "does not match its checksum" in refusal(file)


def test_whole_checksums_begin_with_the_digits_in_the_names():
    known_in_part = {"densenet201-c1103571.pth", "mobilenet_v2-b0353104.pth", "squeezenet1_1-b8a52dc0.pth"}
    assert set(FILES.values()) - set(SHA256) == known_in_part
    for name, digest in SHA256.items():
        assert re.fullmatch("[0-9a-f]{64}", digest)
        assert f"-{digest[:8]}.pth" in name


@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_a_packages_backbone_computes_the_same_in_a_new_network(tmp_path, weights):
    """A trunk fitted without ImageNet's normalisation stays as it is in a recipe that has it."""
    package = make_package(tmp_path / "package")
    source = build_network(recipe_of("resnet18", "none")).eval()
    tensors = ModelPackage.read(package).tensors()
    source.load_state_dict({name: tensor for name, tensor in tensors.items() if not name.startswith("features.")})
    recipe = recipe_of("resnet18", weights)
    network = build_network(recipe).eval()
    load_backbone(network, recipe, package)
    samples = torch.rand(1, 1, 112, 112)
    with torch.inference_mode():
        torch.testing.assert_close(network(samples).features, source(samples).features)


def test_a_package_of_the_same_classes_is_gone_on_with_head_and_all(tmp_path):
    package = make_package(tmp_path / "package")
    recipe = ModelPackage.read(package).recipe
    network = build_network(recipe)
    load_backbone(network, recipe, package)
    for name, tensor in ModelPackage.read(package).tensors().items():
        if not name.startswith("features."):
            torch.testing.assert_close(network.state_dict()[name], tensor, check_dtype=False)


@pytest.mark.parametrize(("has", "wants", "common"), [("stage4", "stage5", 7), ("stage5", "stage3", 6)])
def test_a_package_that_ends_with_another_stage_gives_those_that_both_have(tmp_path, has, wants, common):
    """The other stages keep their random weights, and so does the head."""
    text = RECIPE.replace('"none"', '"none"\npooled = ["{}"]', 1)
    package = make_package(tmp_path / "package", recipe=text.format(has))
    recipe = Recipe.parse(text.format(wants))
    network = build_network(recipe)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_backbone(network, recipe, package)
    given = ModelPackage.read(package).tensors()
    for name, tensor in network.state_dict().items():
        part, layer, *_ = name.split(".")
        taken = part == "trunk" and int(layer) < common
        torch.testing.assert_close(tensor, given[name] if taken else before[name], check_dtype=False)


def test_a_package_of_other_classes_leaves_the_head_alone(tmp_path):
    package = make_package(tmp_path / "package")
    recipe = ModelPackage.read(package).recipe.model_copy(update={"classes": ("A", "B", "C")})
    network = build_network(recipe)
    head = network.head.weight.clone()
    load_backbone(network, recipe, package)
    torch.testing.assert_close(network.head.weight, head)


@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_the_backbone_of_a_package_of_one_series_sees_two_equal_ones_as_that_one(tmp_path, weights):
    package = make_package(tmp_path / "package")
    source, tensors = build_network(recipe_of("resnet18", "none")).eval(), ModelPackage.read(package).tensors()
    source.load_state_dict({name: tensor for name, tensor in tensors.items() if not name.startswith("features.")})
    recipe = Recipe.parse(TWO_CHANNELS.replace('"none"', f'"{weights}"', 1))
    network = build_network(recipe).eval()
    load_backbone(network, recipe, package)
    samples = torch.rand(1, 1, 112, 112)
    with torch.inference_mode():
        seen = network(samples.expand(-1, 2, -1, -1)).features
        torch.testing.assert_close(seen, source(samples).features, atol=1e-3, rtol=1e-3)


def test_a_package_with_another_backbone_is_refused(tmp_path):
    package = make_package(tmp_path / "package")
    assert "backbone is resnet18, not resnet50" in refusal(package, "resnet50")


def test_a_normalising_package_needs_a_normalising_recipe(tmp_path):
    package = make_package(tmp_path / "package", recipe=RECIPE.replace('"none"', '"imagenet"', 1))
    assert "set network.weights to imagenet" in refusal(package, weights="none")


@pytest.mark.parametrize("planes", [2, 3])
def test_imagenet_weights_see_several_planes_as_colours_or_as_greys(planes, tmp_path):
    """Three planes are red, green and blue; two equal ones are what one grey plane is."""
    model = published_model("resnet18")
    file = tmp_path / "resnet18.safetensors"
    save_file(model.state_dict(), file)
    channels = ", ".join(f'{{name = "C{n}", scale = "{"median" if n else "fat"}"}}' for n in range(planes))
    text = RECIPE.replace('"none"', '"imagenet"', 1).replace("size = 224", f"size = 224\nchannels = [{channels}]")
    recipe = Recipe.parse(text)
    network = build_network(recipe).eval()
    load_backbone(network, recipe, file)
    samples = torch.rand(2, planes, 96, 96, generator=torch.Generator().manual_seed(4))
    samples = samples if planes == 3 else samples[:, :1].expand(-1, 2, -1, -1)
    colours = samples if planes == 3 else samples[:, :1].expand(-1, 3, -1, -1)
    mean, deviation = (torch.tensor(IMAGENET[name])[:, None, None] for name in ("mean", "std"))
    with torch.inference_mode():
        expected = pooled_features(model, (colours - mean) / deviation)
        torch.testing.assert_close(network(samples).features, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("backbone", IMAGE_BACKBONES)
def test_published_weights_are_where_torchvision_says(backbone):
    assert BACKBONES[backbone].published == models.get_model_weights(backbone).IMAGENET1K_V1.url


def test_classifying_with_the_demonstration_model_needs_neither_torchvision_nor_monai():
    code = "import sys; from DystrophyDxLib.classify import Classifier; "
    code += "from DystrophyDxLib.models.package import ModelPackage; "
    code += "from DystrophyDxLib.files.resources import embedded_model; "
    code += "Classifier(ModelPackage.read(embedded_model()), 'cpu'); "
    code += "print({'torchvision', 'monai', 'torch._dynamo', 'sympy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
