"""Grad-CAM: the maps of a head that is not one linear layer."""

import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from DystrophyDxLib.explain.grad_cam import grad_cam
from DystrophyDxLib.models.cam_network import build_network
from DystrophyDxLib.models.cells import CellGrid
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.training.fit import Logits


def pair_network(size: int = 64):
    recipe = Recipe.named("germain2021")
    facts = recipe.model_dump(mode="json", exclude_none=True)
    facts["sample"]["size"] = facts["training"]["stages"][0]["size"] = size
    facts["sample"]["region"]["pixel_mm"] = 240 / size
    torch.manual_seed(3)
    network = build_network(Recipe.model_validate(facts)).eval()
    for layer in network.head:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
    return network


def test_maps_of_a_pair_of_trunks_are_those_of_pytorch_grad_cam():
    network = pair_network()
    samples = torch.rand(2, 2, 64, 64)
    output = network(samples)
    torch.testing.assert_close(output.logits, network.logits(samples).detach())
    for label in range(3):
        reference = GradCAM(model=Logits(network), target_layers=[network.trunk])
        targets = [ClassifierOutputTarget(label)] * 2
        reference(input_tensor=samples, targets=targets)
        seen = reference.activations_and_grads
        expected = reference.get_cam_image(
            samples, network.trunk, targets, seen.activations[0].numpy(), seen.gradients[0].numpy()
        )
        torch.testing.assert_close(output.maps[:, label], torch.from_numpy(expected), rtol=1e-3, atol=1e-6)


def test_of_pooling_and_one_linear_layer_it_is_the_class_activation_map():
    """Selvaraju et al. 2017, section 3.1: up to the number of cells."""
    activations = torch.rand(2, 5, 4, 3)
    linear = nn.Linear(5, 3)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    _, maps = grad_cam(head, activations)
    torch.testing.assert_close(12 * maps, nn.functional.conv2d(activations, linear.weight[:, :, None, None]))


def test_inference_mode_gives_the_same_maps_and_leaves_no_gradient_behind():
    head = nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.ReLU(), nn.Linear(6, 2))
    activations = torch.rand(1, 3, 4, 4)
    plain = grad_cam(head, activations)
    with torch.inference_mode():
        inside = grad_cam(head, activations * 1)
    torch.testing.assert_close(plain, inside)
    assert all(parameter.grad is None for parameter in head.parameters())


def test_cells_are_those_before_the_last_pooling():
    """VGG16's last convolution sees every 16th pixel."""
    network = pair_network()
    assert network(torch.rand(1, 2, 64, 64)).maps.shape == (1, 3, 4, 4)
    assert round(CellGrid.of(network.finest()).step, 2) == 16


def test_each_trunk_sees_its_own_frame():
    network = pair_network()
    samples = torch.rand(1, 2, 64, 64)
    other = samples.clone()
    other[:, 1] = 0
    (first, second), (same, changed) = (network.trunk(images).chunk(2, dim=1) for images in (samples, other))
    torch.testing.assert_close(first, same)
    assert not torch.allclose(second, changed)
