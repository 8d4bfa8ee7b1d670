"""Recipes: what a published method is, as data that cannot contradict itself."""

import subprocess
import sys
import time

import pytest
from model_packages import RECIPE

from DystrophyDxLib.cohort.options import chosen_classifier, chosen_recipe
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.recipe import Recipe


def refusal(old: str, new: str) -> str:
    assert old in RECIPE
    with pytest.raises(InputError) as raised:
        Recipe.parse(RECIPE.replace(old, new, 1))
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_a_recipe_of_ones_own_is_named_by_its_file_where_it_is_wrong(tmp_path):
    (tmp_path / "ours.toml").write_text("classes = 3\n")
    with pytest.raises(InputError, match=r"^ours\.toml is not a valid recipe"):
        chosen_recipe(str(tmp_path / "ours.toml"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = " + "[" * 30_000, "nested too deeply"),
        ("x = " + "1" * 5000, "digits"),
        (".".join("a" * 20_000) + " = 1", "nested deeper than any recipe"),
        ("[" + ' . "a'.join("a" * 3000) + "]", "not a valid recipe"),
        ("#" * 70_000, "cannot be read; give the path of a TOML file"),
        ("name = '\udcff'", "cannot be read"),
    ],
)
def test_text_that_is_no_recipe_is_refused_at_once(tmp_path, text, told):
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    started = time.monotonic()
    with pytest.raises(InputError, match=told):
        chosen_recipe(str(path))
    assert time.monotonic() - started < 5


def test_a_task_that_contradicts_itself_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(Recipe.named("mattia2025").toml() + '\n[tasks."X"]\nA = ["PD"]\n')
    with pytest.raises(InputError, match="The task 'X' of the recipe is not valid"):
        chosen_recipe(str(path), task="X")


def test_a_change_that_a_recipe_cannot_take_is_refused():
    with pytest.raises(InputError, match="cannot be changed so"):
        chosen_recipe("mattia2025", matrix=None, backbone=5)


def test_yang2021_is_as_published():
    """Frozen ImageNet ResNet50 under a new head, SGD at 1e-4 in batches of 32 until it converges."""
    recipe = Recipe.named("yang2021")
    assert (recipe.network.backbone, recipe.network.weights) == ("resnet50", "imagenet")
    training = recipe.training
    assert (training.trainable, training.optimiser, training.batch) == ("head", "sgd", 32)
    assert [stage.learning_rate for stage in training.stages] == [1e-4]
    assert training.stages[0].patience is not None
    assert (training.momentum, training.weight_decay, training.class_weights) == (0, 0, "none")


def test_the_embedded_recipe_trains_a_small_network_from_scratch():
    recipe = Recipe.named("embedded")
    assert (recipe.network.backbone, recipe.network.weights) == ("resnet18", "none")
    assert recipe.training.trainable == "all"
    assert recipe.network.pooled == ("stage3", "stage4")
    assert recipe.training.augmentation == "wide"
    assert [stage.size for stage in recipe.training.stages] == [112]


@pytest.mark.parametrize("name", ["yang2021", "embedded"])
def test_every_disease_of_table_2_has_its_class(name):
    recipe = Recipe.named(name)
    others = "LGMD2A LGMD2B LGMD2C LGMD2D LGMD2E LGMD2I Bethlem FSHMD CMD GNE MADD myositis neurogenic healthy"
    more = "DM1 IBM Pompe"
    assert {recipe.class_of(disease) for disease in ("DMD", "BMD")} == {recipe.classes.index("dystrophinopathy")}
    assert {recipe.class_of(disease) for disease in f"{others} {more}".split()} == {recipe.classes.index("other")}
    assert sum(map(len, recipe.diagnoses.values())) == 19
    assert recipe.decision.outputs == 1


def test_thigh15_tells_the_fifteen_diseases_of_table_2_and_health_apart():
    recipe, of_two = Recipe.named("thigh15"), Recipe.named("yang2021")
    more = {"DM1", "IBM", "Pompe"}
    diseases = [name for label in of_two.classes for name in of_two.diagnoses[label] if name not in more]
    assert sorted(recipe.classes) == sorted(diseases)
    assert all(recipe.classes[recipe.class_of(disease)] == disease for disease in diseases)
    assert recipe.decision.outputs == 16


def test_a_diagnosis_is_known_in_any_case_and_by_its_class():
    recipe = Recipe.parse(RECIPE)
    assert recipe.class_of("dmd") == recipe.class_of(" Dystrophinopathy ") == 1
    assert recipe.class_of("fshmd") == recipe.class_of("OTHER") == 0


def test_an_unknown_diagnosis_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="no diagnosis 'Pompe'; use one of FSHMD, healthy, DMD, BMD"):
        Recipe.parse(RECIPE).class_of("Pompe")


@pytest.mark.parametrize("name", ["yang2021", "yang2021_stir", "embedded", "thigh15", "cai2019"])
def test_a_written_recipe_reads_back(name):
    recipe = Recipe.named(name)
    assert Recipe.parse(recipe.toml()) == recipe


def test_class_names_with_blanks_quotes_and_brackets_read_back():
    odd = 'muscle "disease" [x.y]'
    recipe = Recipe.parse(RECIPE)
    renamed = recipe.model_copy(
        update={"classes": (odd, "dystrophinopathy"), "diagnoses": {odd: ("Pompé",), "dystrophinopathy": ("DMD",)}}
    )
    assert Recipe.parse(renamed.toml()) == renamed


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('other = ["FSHMD", "healthy"]', "", "diagnoses lists the diseases of each class"),
        ('other = ["FSHMD", "healthy"]', 'other = ["dmd"]', "a disease belongs to one class"),
        ('"all"', '["stage4"]', "the last of stage1, stage2, stage3, stage4, stage5"),
        ('"all"', '["layer4"]', "the last of stage1, stage2, stage3, stage4, stage5"),
        ('"all"', "[]", "training.trainable"),
        ('"adamw"', '"adamw"\nmomentum = 0.9', "momentum belongs to sgd"),
        ('"all"', '"all"\ncopies = 2', "copies are kept only with trainable = head"),
        ("size = 224", "size = 224\nchannels = []", "sample.channels"),
        (
            "size = 224",
            'size = 224\nchannels = [{name = "T1", scale = "median"}]',
            "first channel has the scale fat",
        ),
        (
            "size = 224",
            'size = 224\nchannels = [{name = "T1", scale = "fat"}, {name = "t1", scale = "median"}]',
            "each channel has its own name",
        ),
        ("size = 112", "size = 448", "size of the sample, or that halved"),
        ("size = 112", "size = 100", "training.stages.0.size"),
        ("learning_rate = 1e-3", "learning_rate = 0", "training.stages.0.learning_rate"),
        ("batch = 8", "batch = 0", "training.batch"),
        ("epochs = 1", "epochs = 1\niterations = 5", "either epochs or iterations"),
        ("epochs = 1\n", "", "either epochs or iterations"),
        ('weights = "none"', 'weights = "none"\npooled = ["stage5", "stage4"]', "pooled names some of stage1"),
        ('weights = "none"', 'weights = "none"\npooled = []', "network.pooled"),
        ('"all"', '"head"\naugmentation = {zoom = [1, 1], rotation_degrees = 0, intensity = [1, 1]}', "augmentation"),
        ('"all"', '"all"\naugmentation = "wider"', "training.augmentation"),
        ("batch = 8", "batchsize = 8", "training.batch"),
        ('"none"', '"coco"', "network.weights"),
        ("[sample]", "[sample", "not a valid recipe"),
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(old, new, said):
    assert said in refusal(old, new)


def test_a_recipe_that_does_not_ship_is_refused_with_those_that_do():
    with pytest.raises(
        InputError, match=r"choose one of cai2019, embedded, .*, thigh15, thigh3d, yang2021, yang2021_stir"
    ):
        Recipe.named("yang2020")


def test_cai2019_is_as_published():
    """Three maps of three slices, ICAM-28² on ResNet18, SGD in batches of 8: 4000 steps at 1e-4, 1000 at 1e-5."""
    recipe = Recipe.named("cai2019")
    assert recipe.classes == ("normal", "CMD", "DMD")
    assert recipe.sample.planes == 9
    assert (recipe.network.backbone, recipe.network.pooled) == ("resnet18", ("stage3", "stage5"))
    training = recipe.training
    assert (training.trainable, training.optimiser, training.batch) == ("all", "sgd", 8)
    assert [(stage.iterations, stage.learning_rate) for stage in training.stages] == [(4000, 1e-4), (1000, 1e-5)]
    assert (training.augmentation.zoom, training.augmentation.intensity) == ((1.0, 1.2), (0.8, 1.2))
    assert training.augmentation.rotation_degrees == 5


def test_steps_are_rounded_up_to_whole_epochs():
    stage = Recipe.named("cai2019").training.stages[0]
    assert [stage.epochs_of(batches) for batches in (1, 400, 401, 5000)] == [4000, 10, 10, 1]


def test_yang2021_stir_is_yang2021_with_a_second_channel():
    recipe, published = Recipe.named("yang2021_stir"), Recipe.named("yang2021")
    assert [channel.name for channel in recipe.sample.channels] == ["T1", "STIR"]
    assert published.sample.planes == 1
    assert (recipe.network, recipe.training, recipe.diagnoses) == (
        published.network,
        published.training,
        published.diagnoses,
    )


def test_reading_a_recipe_needs_no_torch():
    code = "import sys; from DystrophyDxLib.models.recipe import Recipe; "
    code += "Recipe.named('yang2021'); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_a_recipe_of_muscle_maps_is_not_compared_with_models_that_classify():
    with pytest.raises(InputError, match="muscles draws muscle maps; give one that classifies"):
        chosen_classifier("muscles")
