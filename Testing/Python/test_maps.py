"""From synthetic brain maps to a model, its evaluation and what is said of misclassified patients."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from model_packages import make_package
from scipy.stats import mannwhitneyu
from test_volumes import OF_MAPS
from typer.testing import CliRunner

from DystrophyDxLib.cohort.options import chosen_recipe
from DystrophyDxLib.cohort.splits import FOLDS, hold_out_centre, k_folds, write_folds
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.commands.main import app
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.evaluation import folds
from DystrophyDxLib.evaluation.alterations import Reference, alterations, compared, in_words
from DystrophyDxLib.evaluation.evaluate import evaluate
from DystrophyDxLib.evaluation.evaluated import EvaluationOptions
from DystrophyDxLib.evaluation.repeats import figures_of, spread
from DystrophyDxLib.evaluation.summaries import SummedFolds
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.phantom.brain_maps import CHANGED, atlas, make_maps, write_brains
from DystrophyDxLib.reporting.harness import Measure
from DystrophyDxLib.reporting.progress import silent
from DystrophyDxLib.series.diffusivity import mean_diffusivity
from DystrophyDxLib.training.train import train

pytestmark = pytest.mark.slow

PATIENTS = 60
SMALL_MAPS = (
    OF_MAPS.replace("size = 64", "size = 32")
    .replace("depth = 32", "depth = 16")
    .replace('["other", "dystrophinopathy"]', '["PD", "MSA"]\nleft_out = ["HC"]')
    .replace('dystrophinopathy = ["DMD", "BMD"]', 'PD = ["PD"]')
    .replace('other = ["FSHMD", "healthy"]', 'MSA = ["MSA-C"]')
    .replace('["stage4"]', '["stage3"]')
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("brains")


@pytest.fixture(scope="module")
def table(folder):
    return write_brains(PATIENTS, folder / "cohort", seed=1)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    """Small, for the task of the cerebellar types, with few steps."""
    asked = chosen_recipe("mattia2025", None, False, task="PD/MSA-C&PC").model_dump()
    stage = {"size": 32, "epochs": 8, "learning_rate": 2e-3, "schedule": "one_cycle"}
    return Recipe.model_validate(
        asked
        | {"sample": asked["sample"] | {"size": 32, "depth": 16}, "network": asked["network"] | {"pooled": ("stage3",)}}
        | {"training": asked["training"] | {"trainable": "all", "stages": [stage]}}
    )


@pytest.fixture(scope="module")
def package(folder, table, recipe):
    return train(recipe, hold_out_centre(Cohort.read(table, recipe), "B", 1), folder / "model", seed=1, cache=folder)


def test_a_task_is_a_pair_of_labels_and_leaves_the_others_out(table):
    recipe = Recipe.named("mattia2025")
    assert list(recipe.tasks) == ["PD/MSA", "PD/MSA-P", "PD/MSA-C&PC"]
    task = recipe.for_task("PD/MSA-P")
    assert (task.classes, task.left_out) == (("PD", "MSA-P"), ("HC", "MSA-C", "MSA-PC"))
    assert Recipe.parse(task.toml()) == task
    cohort = Cohort.read(table, task)
    share = PATIENTS // len(CHANGED)
    assert (len(cohort.cases), len(cohort.others)) == (2 * share, 3 * share)
    assert "HC" in cohort.others_told
    assert "MSA-PC" in cohort.others_told
    with pytest.raises(InputError, match="no task 'PD/PSP'; choose one of PD/MSA, "):
        recipe.for_task("PD/PSP")


def test_a_misspelt_diagnosis_is_not_taken_for_one_that_is_left_out(table, tmp_path):
    rows = table.read_text().replace(",MSA-P,", ",MSAP,").replace(",B0", f",{table.parent}/B0")
    (tmp_path / "cohort.csv").write_text(rows)
    with pytest.raises(InputError, match="a diagnosis that the recipe does not know"):
        Cohort.read(tmp_path / "cohort.csv", Recipe.named("mattia2025").for_task("PD/MSA-C&PC"))


def test_one_modality_is_asked_for_by_its_name():
    alone = chosen_recipe("mattia2025", None, False, channels=["md"])
    assert [channel.name for channel in alone.sample.channels] == ["MD"]
    with pytest.raises(InputError, match="choose from GM, MD"):
        chosen_recipe("mattia2025", None, False, channels=["FA"])
    with pytest.raises(InputError, match="first channel has the scale fat"):
        chosen_recipe("thigh3d", None, False, channels=["STIR"])


def test_a_disease_changes_its_own_regions_and_no_others():
    labels, names = atlas()
    number = {name: value for value, name in names.items()}
    healthy, ill = make_maps(3, "HC", 0), make_maps(3, "MSA-P", 1.0)
    for region, changed in (("putamen", True), ("pons", False), ("cerebral cortex", False)):
        inside = labels == number[region]
        density = ill.density[inside].mean() / healthy.density[inside].mean()
        diffusivity = ill.diffusivity[inside].mean() / healthy.diffusivity[inside].mean()
        assert (density < 0.85) == changed
        assert (diffusivity > 1.15) == changed
    assert not healthy.density[labels == 0].any()


def test_a_centre_that_training_has_not_seen_is_told_apart_by_the_regions_that_the_disease_changes(
    folder, table, package
):
    """Of the centre that was held out, whose scanner has another offset; the heat lies in the hindbrain."""
    names = folder / "cohort" / "atlas.csv"
    summary = evaluate(
        package,
        _with_splits(folder, table),
        folder / "evaluation",
        EvaluationOptions("cpu", False, silent, (folder / "cohort" / "atlas.nii.gz", names), "HC"),
        split="test",
        seed=1,
    )
    assert summary.cohort.synthetic
    assert summary.figures["patients"]["AUC"].value > 0.8
    heat = pd.read_csv(folder / "evaluation" / "tables" / "regions_1.csv").set_index("Region")["Mean heat"]
    assert heat[list(CHANGED["MSA-C"])].min() > heat[["cerebral cortex", "white matter", "putamen"]].max()
    altered = pd.read_csv(folder / "evaluation" / "tables" / "alterations_patients.csv")
    both = altered[altered["Map"] == "MD"].groupby("Truth")["Altered"].median()
    assert both[1] > both[0]
    page = (folder / "evaluation" / "report.html").read_text(encoding="utf-8")
    assert "Are misclassified patients altered less?" in page
    assert "Sensitivity for each disease of the class MSA-C&amp;PC and specificity for each of PD" in page
    assert not {word for word in ("dystrophinopath", "each leg&#39;s", "thigh") if word in page.casefold()}


def _with_splits(folder, table):
    """The table with the centre B for a test split, and the others in training."""
    frame = pd.read_csv(table)
    frame["split"] = np.where(frame["centre"] == "B", "test", "train")
    place = table.with_name("split.csv")
    frame.to_csv(place, index=False)
    return place


def test_the_package_classifies_by_the_command_line_with_its_atlas(folder, package, tmp_path):
    person = folder / "cohort" / "B0004"
    command = ["classify", person / "GM.nii.gz", "--model", package]
    command += ["--channel", f"MD={person / 'MD.nii.gz'}", "--atlas", folder / "cohort" / "atlas.nii.gz", "--json"]
    command += ["--atlas-names", folder / "cohort" / "atlas.csv", "--out", tmp_path / "out"]
    done = CliRunner().invoke(app, [str(part) for part in command], catch_exceptions=False)
    result = json.loads(done.stdout)
    assert [image["slices"] for image in result["images"]] == [[5, 37]]
    assert len(result["regions"]) == len(atlas()[1])
    heat = sitk.ReadImage(str(tmp_path / "out" / "heatmap.nrrd"))
    assert heat.GetSize() == sitk.ReadImage(str(person / "GM.nii.gz")).GetSize()


def planted(shift: float, seed: int = 5):
    """A reference group of standard normal voxels, and a patient with a shift in every fourth of them."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(1.0, 0.1, (40, 1, 8, 8, 8)).astype(np.float32)
    reference = Reference(maps.mean(axis=0), maps.std(axis=0, ddof=1), len(maps))
    patient = rng.normal(1.0, 0.1, (1, 8, 8, 8)).astype(np.float32)
    patient[..., ::4] += 0.1 * shift
    return reference, patient


def test_z_scores_find_a_planted_shift_and_else_what_chance_gives():
    reference, patient = planted(5.0)
    strength = np.abs(reference.z_scores(patient))[0]
    assert (strength[..., ::4] >= 1.96).mean() > 0.95
    assert (strength[..., 1::4] >= 1.96).mean() == pytest.approx(0.05, abs=0.04)
    reference.deviation[0, 0] = 0
    assert not reference.z_scores(patient)[0, 0].any()


def of_patients(altered, mean_z, right):
    return pd.DataFrame(
        {"truth": 1, "channel": "MD", "altered": altered, "mean_z": mean_z, "right": right, "patient_id": "x", "row": 1}
    )


def test_misclassified_patients_are_compared_by_the_test_of_mann_and_whitney():
    rng = np.random.default_rng(1)
    altered = np.concatenate([rng.normal(0.3, 0.02, 12), rng.normal(0.1, 0.02, 6)])
    mean_z = rng.normal(2.6, 0.1, 18)
    right = np.arange(18) < 12
    [row] = compared(of_patients(altered, mean_z, right), ("PD", "MSA")).to_dict("records")
    assert row["altered_p"] == pytest.approx(mannwhitneyu(altered[:12], altered[12:]).pvalue)
    assert (row["right"], row["wrong"], row["class"]) == (12, 6, "MSA")
    [told] = in_words(compared(of_patients(altered, mean_z, right), ("PD", "MSA")))
    assert "6 of 18 misclassified" in told
    assert "less altered voxels" in told
    assert "no clear difference in mean |z|" in told
    [other] = in_words(compared(of_patients(altered[::-1], mean_z, right[::-1][::-1]), ("PD", "MSA")))
    assert "more altered voxels" in other or "no clear difference in altered voxels" in other
    [few] = in_words(compared(of_patients(altered[:13], mean_z[:13], right[:13]), ("PD", "MSA")))
    assert "too few" in few


def test_a_reference_group_needs_patients(table):
    recipe = Recipe.named("mattia2025")
    cases = Cohort.read(table, recipe).others
    small = Recipe.parse(OF_MAPS).sample
    with pytest.raises(InputError, match="has 2 series and needs at least 6"):
        Reference.of(cases[:2], small, silent)
    reference = Reference.of(cases[:6], small, silent)
    found = alterations(cases[6:8], reference, small, silent)
    assert list(found["channel"]) == ["GM", "MD"] * 2
    assert found["altered"].between(0, 1).all()


def test_repeats_of_a_cross_validation_have_a_mean_and_a_spread():
    figures = []
    for matrix, accuracy in (([[8, 2], [4, 6]], 0.7), ([[9, 1], [3, 7]], 0.8), ([[7, 3], [5, 5]], 0.6)):
        summed = SummedFolds(confusion=matrix, errors=0, total=20, accuracy=Measure(value=accuracy, ci95=(None, None)))
        figures.append(figures_of(("PD", "MSA"), images=summed, patients=summed))
    found = spread(figures)
    for name, expected in (
        ("Accuracy, patients", (0.7, 0.1)),
        ("Called rightly, PD", (0.8, np.std([0.8, 0.9, 0.7], ddof=1))),
        ("Called rightly, MSA", (0.6, 0.1)),
    ):
        assert (found[name].mean, found[name].sd) == pytest.approx(expected)


def test_of_repeats_without_answers_for_images_only_patients_are_told():
    summed = SummedFolds(confusion=[[8, 2], [4, 6]], errors=6, total=20, accuracy=Measure(value=0.7, ci95=(None, None)))
    found = figures_of(("PD", "MSA"), images=None, patients=summed)
    assert found == {"Accuracy, patients": 0.7, "Called rightly, PD": 0.8, "Called rightly, MSA": 0.6}


def test_each_repeat_answers_for_every_patient_and_is_held_against_the_reference_group(tmp_path, monkeypatch):
    """Untrained models of three folds, twice; healthy persons, whom the recipe leaves out, are the reference group."""
    table = write_brains(24, tmp_path / "cohort", seed=2, diagnoses=["HC", "HC", "PD", "MSA-C"])
    models = tmp_path / "models"
    cohort = Cohort.read(table, Recipe.parse(SMALL_MAPS))
    for repeat in (1, 2):
        write_folds(models / f"repeat{repeat}" / FOLDS, k_folds(cohort, 3, repeat))
        for fold in (1, 2, 3):
            make_package(
                models / f"repeat{repeat}" / f"fold{fold}",
                recipe=SMALL_MAPS,
                seed=repeat + 3 * fold,
                classes=("PD", "MSA"),
            )
    command = ["evaluate", models, table, "--reference", "HC", "--atlas", table.with_name("atlas.nii.gz")]
    command += ["--atlas-names", table.with_name("atlas.csv"), "--out", tmp_path / "out", "--device", "cpu"]
    unfinished = (models / "repeat2" / "fold3").rename(tmp_path / "fold3")
    monkeypatch.setattr(folds, "predict", None)  # a training that is not finished is told before anything is classified
    with pytest.raises(InputError, match="fold3 in repeat2: There is no model package"):
        CliRunner().invoke(app, [str(part) for part in command], catch_exceptions=False)
    monkeypatch.undo()
    unfinished.rename(models / "repeat2" / "fold3")
    told = CliRunner().invoke(app, [str(part) for part in command], catch_exceptions=False)
    assert "mean ± sd of 2 repeats" in told.stdout
    summary = json.loads((tmp_path / "out" / "repeats.json").read_text())
    for repeat in (1, 2):
        patients = pd.read_csv(tmp_path / "out" / f"repeat{repeat}" / "patients.csv")
        assert len(patients) == len(cohort.patients) == 12
        accuracy = (patients["said"] == patients["truth"]).mean()
        assert summary["figures"]["Accuracy, patients"]["repeats"][repeat - 1] == pytest.approx(accuracy)
        altered = pd.read_csv(tmp_path / "out" / f"repeat{repeat}" / "tables" / "alterations_patients.csv")
        assert len(altered) == 2 * len(patients)
    with pytest.raises(InputError, match="no patients with 'PSP'"):
        CliRunner().invoke(
            app,
            ["evaluate", str(models), str(table), "--reference", "PSP", "--out", str(tmp_path / "other")],
            catch_exceptions=False,
        )


@pytest.fixture
def diffusion(tmp_path):
    """A series of one tensor everywhere in a block, noise-free, with the mean of its eigenvalues known."""
    rng = np.random.default_rng(2)
    directions = rng.normal(size=(20, 3))
    directions = np.vstack([np.zeros((2, 3)), directions / np.linalg.norm(directions, axis=1, keepdims=True)])
    values = np.where(directions.any(axis=1), 1000.0, 0.0)
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    tensor = axes @ np.diag([1.7e-3, 0.4e-3, 0.3e-3]) @ axes.T
    signal = np.zeros((len(values), 6, 16, 18), np.float32)
    decay = np.exp(-values * np.einsum("ni,ij,nj->n", directions, tensor, directions))
    signal[:, 1:5, 3:13, 4:14] = 900 * decay[:, None, None, None]
    image = sitk.JoinSeries([sitk.GetImageFromArray(volume) for volume in signal])
    image.SetSpacing((2, 2, 3, 1))
    sitk.WriteImage(image, str(tmp_path / "dwi.nii.gz"))
    np.savetxt(tmp_path / "dwi.bval", values[None])
    np.savetxt(tmp_path / "dwi.bvec", directions.T)
    return tmp_path / "dwi.nii.gz"


def test_mean_diffusivity_is_that_of_the_tensor(diffusion):
    found = mean_diffusivity(diffusion)
    voxels = sitk.GetArrayFromImage(found)
    np.testing.assert_allclose(voxels[1:5, 3:13, 4:14], 0.8e-3, rtol=1e-3)
    assert not voxels[0].any()
    assert found.GetSpacing() == (2, 2, 3)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda voxels: voxels * 0, "shows nothing"),
        (lambda voxels: np.where(voxels > 800, np.nan, voxels), "NaN"),
        (lambda voxels: np.where(voxels > 0, np.float32(500), voxels), "shows no diffusion"),
    ],
)
def test_a_diffusion_series_of_nothing_or_with_no_numbers_gives_no_map(diffusion, spoil, told):
    image = sitk.ReadImage(str(diffusion))
    volumes = [sitk.GetImageFromArray(volume) for volume in spoil(sitk.GetArrayFromImage(image))]
    sitk.WriteImage(sitk.JoinSeries(volumes), str(diffusion))
    with pytest.raises(InputError, match=told):
        mean_diffusivity(diffusion)


def test_a_diffusion_series_that_is_cut_off_gives_no_map(diffusion):
    content = diffusion.read_bytes()
    diffusion.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cut off"):
        mean_diffusivity(diffusion)


def test_what_is_no_diffusion_series_is_named(diffusion):
    with pytest.raises(InputError, match="does not exist"):
        mean_diffusivity(diffusion.with_name("none.nii.gz"))
    image = sitk.ReadImage(str(diffusion))
    sitk.WriteImage(image[:, :, :, 0], str(diffusion.with_name("map.nii.gz")))
    with pytest.raises(InputError, match="one volume only"):
        mean_diffusivity(diffusion.with_name("map.nii.gz"))
    np.savetxt(diffusion.with_name("few.bval"), np.zeros((1, 5)))
    with pytest.raises(InputError, match="22 volumes, but 5 b-values"):
        mean_diffusivity(diffusion, diffusion.with_name("few.bval"))
    np.savetxt(diffusion.with_name("flat.bval"), np.full((1, 22), 1000.0))
    with pytest.raises(InputError, match="without diffusion weighting"):
        mean_diffusivity(diffusion, diffusion.with_name("flat.bval"))
    values = np.loadtxt(diffusion.with_name("dwi.bval"))
    np.savetxt(diffusion.with_name("huge.bval"), values[None] * 1e6)
    with pytest.raises(InputError, match="shows no diffusion"):
        mean_diffusivity(diffusion, diffusion.with_name("huge.bval"))
    for wrong in (values / 1000, -values, np.where(values > 0, np.nan, 0)):
        np.savetxt(diffusion.with_name("wrong.bval"), wrong[None])
        with pytest.raises(InputError, match="b-values are not in s/mm²"):
            mean_diffusivity(diffusion, diffusion.with_name("wrong.bval"))
    np.savetxt(diffusion.with_name("zero.bvec"), np.zeros((3, 22)))
    with pytest.raises(InputError, match="not of length 1"):
        mean_diffusivity(diffusion, directions=diffusion.with_name("zero.bvec"))
    np.savetxt(diffusion.with_name("one.bvec"), np.eye(3)[:, [0] * 22])
    with pytest.raises(InputError, match="6 directions that differ"):
        mean_diffusivity(diffusion, directions=diffusion.with_name("one.bvec"))
    diffusion.with_name("dwi.bvec").unlink()
    with pytest.raises(InputError, match=r"no \.bvec file .* --bvec"):
        mean_diffusivity(diffusion)


def test_a_series_where_a_map_is_needed_is_named(folder, table, diffusion, recipe):
    with table.open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.update({name: str(table.parent / row[name]) for name in ("path", "GM", "MD")})
    rows[1]["MD"] = str(diffusion)
    with (diffusion.with_name("cohort.csv")).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    cohort = hold_out_centre(Cohort.read(diffusion.with_name("cohort.csv"), recipe), "B", 1)
    with pytest.raises(InputError, match="Channel MD: The image is 4-dimensional"):
        train(recipe, cohort, diffusion.with_name("model"), seed=1, cache=folder)


def test_the_trained_package_holds_its_task(package):
    assert ModelPackage.read(package).recipe.classes == ("PD", "MSA-C&PC")
