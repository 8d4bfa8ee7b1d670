"""Texture methods on planted textures, the published equations, and patches under the heat."""

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial.distance import euclidean as scipy_euclidean
from torchvision import models

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.evaluation.texture_images import TextureImages
from DystrophyDxLib.evaluation.texture_methods import (
    CENTROIDS,
    PatchDictionary,
    held_out_answers,
    published_features,
    statistical_texture,
    texture_methods,
    without_answer,
)
from DystrophyDxLib.evaluation.texture_networks import (
    BINS,
    PATCH,
    Responses,
    chi_square,
    class_histograms,
    euclidean,
    neurons_beside_fat,
    patch_map,
)
from DystrophyDxLib.models.backbones import BACKBONES
from DystrophyDxLib.models.cells import CellGrid

# Equations.


def test_distances_of_histograms_are_those_worked_out_by_hand():
    p, q = np.array([[0.5, 0.5, 0.0, 0.0]]), np.array([[0.25, 0.25, 0.5, 0.0]])
    assert euclidean(p, q) == pytest.approx([np.sqrt(1 / 16 + 1 / 16 + 1 / 4)])
    assert euclidean(p, q) == pytest.approx([scipy_euclidean(p[0], q[0])])
    assert chi_square(p, q) == pytest.approx([0.5 * (1 / 12 + 1 / 12 + 1 / 2)])


def test_the_chi_square_distance_runs_from_0_of_equals_to_1_of_strangers():
    p, q = np.array([[0.2, 0.8, 0, 0]]), np.array([[0, 0, 0.7, 0.3]])
    assert chi_square(p, p) == [0]
    assert chi_square(p, q) == pytest.approx([1])


def test_responses_fall_into_twenty_even_bins_and_count_as_shares_of_their_class():
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(50, 3)) * [1, 10, 0.1] + [0, 5, -3], np.repeat([0, 1], [30, 20])
    found = class_histograms(values, labels)
    for label, neuron in itertools.product((0, 1), range(3)):
        own = values[labels == label, neuron]
        limits = values[:, neuron].min(), values[:, neuron].max()
        expected, _ = np.histogram(own, BINS, limits)
        np.testing.assert_allclose(found[label][neuron], expected / len(own))


def test_a_neuron_is_counted_where_it_sets_two_classes_further_apart_than_fat_does():
    """Fat tells the classes half; one neuron tells them wholly, one like fat, one not at all, and one is dead."""
    labels, fold = np.tile([0, 0, 1, 1], 10), np.repeat([1, 2], 20)
    fat = np.tile([0.0, 1.0, 1.0, 1.0], 10)
    neurons = np.column_stack([labels, fat, np.tile([0, 1], 20), np.full(40, 7.0)])
    found = neurons_beside_fat(neurons, fat, labels, fold)
    assert len(found) == 2 * 2  # folds and distances; one pair of classes
    assert (found["neurons"] == 4).all()
    assert (found["better"] == 1).all()
    chi = found[found["distance"] == "Chi-square"].iloc[0]
    assert chi["best"] == pytest.approx(1)
    assert chi["fat"] == pytest.approx(0.5 * (0.5 + 0.25 / 1.5))


# Methods beside networks.

SIZE = 112


def planted(patients=24, images=2, seed=0) -> TextureImages:
    """Three classes whose fat has one histogram and one mean but lies in other patterns: single pixels, streaks and
    blocks. All amounts of fat occur in every class."""
    rng = np.random.default_rng(seed)
    labels, stacks, names = [], [], []
    muscle = np.zeros((SIZE, SIZE), bool)
    muscle[20:90, 20:90] = True
    for patient in range(patients):
        for _ in range(images):
            label, fat = patient % 3, rng.uniform(0.2, 0.8)
            shape = {0: (SIZE, SIZE), 1: (SIZE // 4, SIZE), 2: (SIZE // 4, SIZE // 4)}[label]
            field = rng.permutation(np.prod(shape)).reshape(shape) < fat * np.prod(shape)
            field = field.repeat(SIZE // shape[0], axis=0).repeat(SIZE // shape[1], axis=1)
            stacks.append(np.where(field, 136, 34).astype(np.uint8)[None])
            labels.append(label)
            names.append(f"P{patient}")
    return TextureImages(np.array(stacks), np.repeat(muscle[None], len(labels), 0), np.array(labels), np.array(names))


@pytest.fixture(scope="module")
def textures():
    return planted()


def accuracy(images, name):
    """Of a method over two folds of patients."""
    method = next(each for each in texture_methods(lambda _: None, seed=1) if each.name == name)
    fold = np.array([int(patient[1:]) // 3 % 2 for patient in images.patients])
    answers = held_out_answers(method, images, fold, seed=1)
    return np.mean([(said == images.labels[fold == n]).mean() for n, said in enumerate(answers)])


def test_fat_alone_cannot_tell_textures_of_one_mean_but_texture_can(textures):
    assert accuracy(textures, "Mean fat fraction, kNN") < 0.55
    for name in ("Statistical texture, kNN", "Statistical texture, SVM"):
        assert accuracy(textures, name) > 0.9
    assert accuracy(textures, "Patch dictionary, SVM") > 0.65


def test_labels_that_mean_nothing_are_told_by_chance(textures):
    rng = np.random.default_rng(3)
    of_patient = dict(zip(np.unique(textures.patients), rng.permutation(np.arange(24) % 3), strict=True))
    shuffled = TextureImages(
        textures.stacked, textures.muscle, np.array([of_patient[p] for p in textures.patients]), textures.patients
    )
    assert accuracy(shuffled, "Statistical texture, SVM") < 0.6


def test_what_lies_outside_the_muscles_does_not_count(textures):
    changed = textures.stacked.copy()
    changed[:, 0][~textures.muscle] = 255
    other = TextureImages(changed, textures.muscle, textures.labels, textures.patients)
    np.testing.assert_array_equal(statistical_texture(other), statistical_texture(textures))


def test_even_fat_has_one_grey_and_perfect_homogeneity():
    images = planted(patients=1, images=1)
    even = TextureImages(np.full_like(images.stacked, 85), images.muscle, images.labels, images.patients)
    (found,) = statistical_texture(even)
    assert sorted(found[:32])[-2:] == [0, 1]
    contrast, homogeneity = found[32:35], found[38:41]
    assert (contrast == 0).all()
    assert homogeneity == pytest.approx([1, 1, 1])


def test_the_dictionary_learns_nothing_from_images_that_are_tested(textures):
    training = textures.patients != "P0"
    dictionary = PatchDictionary(textures, seed=1).histograms(training)
    assert dictionary.shape[1] <= CENTROIDS
    assert dictionary.sum(axis=1) == pytest.approx(1)
    changed = textures.stacked.copy()
    changed[~training] = 0
    other = TextureImages(changed, textures.muscle, textures.labels, textures.patients)
    again = PatchDictionary(other, seed=1).histograms(training)
    np.testing.assert_array_equal(again[training], dictionary[training])


def test_features_of_photographs_are_those_of_the_whole_network_before_its_answer(textures, tmp_path):
    """Weights in torchvision's own form; the network's last layer on the features gives its own answer."""
    torch.manual_seed(0)
    network = models.resnet18().eval()
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    images = TextureImages(
        *(part[:2] for part in (textures.stacked, textures.muscle, textures.labels, textures.patients))
    )
    found = published_features(images, "resnet18", tmp_path / "resnet18.pth")
    mean, deviation = (torch.tensor(colours)[:, None, None] for colours in BACKBONES["resnet18"].normalisation)
    grey = torch.from_numpy(images.stacked.repeat(3, axis=1)).float() * (1.5 / 255)
    with torch.inference_mode():
        answer = network((grey - mean) / deviation)
        np.testing.assert_allclose(network.fc(torch.from_numpy(found)), answer, rtol=1e-4, atol=1e-4)


def test_fc7_of_vgg16_is_its_second_layer_of_4096():
    with torch.device("meta"):
        network = models.vgg16()
        expected = network.classifier[3]
        cut = without_answer(network)
        assert cut(torch.empty(1, 3, 224, 224)).shape == (1, 4096)
    assert [layer for layer in cut.classifier if isinstance(layer, torch.nn.Linear)][-1] is expected
    assert isinstance(cut.classifier[-1], torch.nn.ReLU)


def test_weights_of_another_network_are_refused(textures, tmp_path):
    torch.save(models.resnet34().state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(InputError, match="does not hold the weights of resnet18"):
        published_features(textures, "resnet18", tmp_path / "resnet18.pth")


# Patches under the heat.


def test_patches_are_taken_under_the_strongest_heat_of_images_that_are_called_rightly(textures):
    count = len(textures)
    cells = CellGrid(8.0, 16.0)
    maps = np.zeros((count, 3, 7, 7), np.float32)
    maps[:, :, 3, 2] = 1  # sample pixel (56, 40)
    maps[:, :, 5, 5] = 0.4
    said = textures.labels.copy()
    said[0] = (said[0] + 1) % 3
    found = patch_map(textures, Responses(said, np.empty((count, 1)), maps, cells), seed=1)
    assert len(found.patches) == count - 1
    expected = textures.fractions[1:, 56 - PATCH // 2 : 56 + PATCH // 2, 40 - PATCH // 2 : 40 + PATCH // 2]
    assert sorted(map(np.ndarray.tobytes, found.patches)) == sorted(part.tobytes() for part in expected)
    assert sorted(found.labels) == sorted(textures.labels[1:])
    assert found.places.shape == (count - 1, 2)


def test_no_patch_is_taken_under_heat_that_is_weak_beside_that_outside_the_muscles(textures):
    maps = np.zeros((len(textures), 3, 7, 7), np.float32)
    maps[:, :, 3, 2] = 0.4
    maps[:, :, 0, 0] = 1
    found = Responses(textures.labels, np.empty((len(textures), 1)), maps, CellGrid(8.0, 16.0))
    assert patch_map(textures, found, seed=1) is None
