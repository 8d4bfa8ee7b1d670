"""Pairs of frames through the whole pipeline: a cohort of beating hearts, trained on, classified, evaluated."""

import csv
import json
import re

import click
import numpy as np
import pandas as pd
import pytest
from model_packages import make_package
from typer.testing import CliRunner

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.cohort.options import chosen_recipe, chosen_splits
from DystrophyDxLib.cohort.splits import stratified
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.commands.main import app
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.phantom.heart_cohort import write_hearts
from DystrophyDxLib.results import WarningCode
from DystrophyDxLib.samples.kinds import region_of
from DystrophyDxLib.series.reading import read_input
from DystrophyDxLib.training.train import train

pytestmark = pytest.mark.slow

SIZE = 64


def small(name: str) -> Recipe:
    """A recipe with the published parts but few pixels and epochs and no published weights."""
    facts = Recipe.named(name).model_dump(mode="json", exclude_none=True)
    facts["sample"] |= {"size": SIZE, "region": {"kind": "square", "pixel_mm": 160 / SIZE}}
    facts["network"] |= {"weights": "none"}
    facts["training"] |= {"optimiser": "adamw", "batch": 8, "trainable": ["stage5"]}
    facts["training"]["stages"] = [{"size": SIZE, "epochs": 1, "learning_rate": 1e-3, "schedule": "constant"}]
    return Recipe.model_validate(facts)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_hearts(15, tmp_path_factory.mktemp("cohort") / "hearts", seed=8, matrix=80, frames=8)


@pytest.fixture(scope="module")
def package(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("package")
    recipe = small("germain2021")
    cohort = stratified(Cohort.read(table, recipe), 1, (0.4, 0.4, 0.2))
    return train(recipe, cohort, folder / "pairs", seed=1, cache=folder / "cache")


@pytest.fixture(scope="module")
def classifier(package):
    return Classifier(ModelPackage.read(package), "cpu")


@pytest.fixture(scope="module")
def classified(classifier, table):
    series = read_input(table.parent / "H0002" / "cine.nii.gz", {}, classifier.package.recipe.sample)
    return series, classifier.classify(series)


def test_published_recipes_are_as_published():
    pair, single, plane = (Recipe.named(f"germain2021{name}") for name in ("", "_single", "_plane"))
    for recipe in (pair, single, plane):
        assert recipe.network.backbone == "vgg16"
        assert recipe.network.head.hidden == (256, 128, 64)
        assert recipe.network.head.dropout == (0.25, 0.35, 0.40)
        assert recipe.sample.extent_mm == 160 * 1.5
        assert (recipe.training.optimiser, recipe.training.batch) == ("sgd", 32)
        assert [(stage.learning_rate, stage.epochs) for stage in recipe.training.stages] == [(1e-4, 100)]
        assert recipe.training.augmentation.zoom == (0.85, 1.15)
        assert (recipe.training.augmentation.rotation_degrees, recipe.training.augmentation.shift) == (20, 0.15)
    assert pair.classes == single.classes == ("normal", "HCM", "DCM")
    assert pair.sample.further == ("SYSTOLE",)
    assert pair.network.branches == "channels"
    assert len(plane.classes) == 4


def test_a_trained_pair_says_what_it_was_trained_on(package):
    card = ModelPackage.read(package).card
    assert card.demonstration
    assert card.trained_on == "synthetic DIASTOLE and SYSTOLE images of 6 phantoms only, no patients"
    assert "Top-1 accuracy, case" in card.metrics


def test_a_cine_is_classified_with_a_map_of_every_class_within_its_square(classified):
    series, found = classified
    result = found.result
    assert [ranked.name for ranked in result.case.differential] != []
    assert {(image.side, image.anatomy, image.counted) for image in result.images} == {("none", "not judged", True)}
    assert "SYSTOLE is frame 3 of 8" in result.input.selection
    shown = re.search(r"DIASTOLE is (frame \d of 8)", result.input.selection).group(1)
    assert f"Pictures show DIASTOLE, {shown} (from 0)." in result.input.notes
    assert {warning.code for warning in result.warnings} >= {WarningCode.DEMONSTRATION_MODEL}
    assert not {warning.code for warning in result.warnings} & {WarningCode.NOT_AXIAL, WarningCode.NOT_THIGH}
    inside = found.regions.labels > 0
    for label in range(3):
        heat = found.heat_of(label).voxels
        assert heat.shape == series.voxels.shape
        assert not heat[~inside].any()
    assert found.heatmap[inside].any()


def test_the_answer_hangs_on_both_frames(classifier, classified):
    series, found = classified
    at_rest = type(series)(series.voxels, series.geometry, further={"SYSTOLE": series.voxels})
    assert classifier.classify(at_rest).result.case.probability != found.result.case.probability


def test_the_square_follows_the_region_that_a_user_draws(classifier, classified):
    series, found = classified
    labels = np.zeros(series.voxels.shape, np.uint8)
    labels[1, 30:34, 28:32] = 4
    moved = classifier.classify(series, region_of(classifier.package.recipe.sample).from_labels(series, labels))
    assert [image.slice for image in moved.result.images] == [1]
    assert moved.result.images[0].roi == "edited"
    assert moved.result.images[0].window_ijk != found.result.images[1].window_ijk


def test_a_frame_of_a_pair_alone_is_refused_before_anything_runs(classifier, classified):
    series, _ = classified
    with pytest.raises(InputError, match="needs SYSTOLE beside DIASTOLE"):
        classifier.classify(type(series)(series.voxels, series.geometry))


def test_a_cohort_of_single_frames_is_refused_with_its_rows(tmp_path, table):
    import SimpleITK as sitk

    frame = sitk.ReadImage(str(table.parent / "H0001" / "cine.nii.gz"))[:, :, :, 0]
    sitk.WriteImage(frame, str(tmp_path / "frame.nii.gz"))
    (tmp_path / "cohort.csv").write_text("patient_id,path,diagnosis\nA,frame.nii.gz,normal\n")
    from DystrophyDxLib.archive.crew import OWN_PROCESS
    from DystrophyDxLib.reporting.progress import silent
    from DystrophyDxLib.training.sample_store import SampleStore

    recipe = small("germain2021")
    with pytest.raises(InputError, match=r"needs SYSTOLE beside DIASTOLE.*row 2 of patient A"):
        SampleStore.of(
            Cohort.read(tmp_path / "cohort.csv", recipe), recipe.sample, tmp_path / "cache", OWN_PROCESS, silent
        )


def test_frames_in_files_of_their_own_have_columns(tmp_path, table):
    rows = "patient_id,path,diagnosis,SYSTOLE\nA,{0},normal,\nB,{0},normal,{1}\n"
    (tmp_path / "cohort.csv").write_text(rows.format(table, table.parent / "absent.nii.gz"))
    with pytest.raises(InputError, match=r"a path of SYSTOLE that does not exist.*row 3"):
        Cohort.read(tmp_path / "cohort.csv", Recipe.named("germain2021"))


def test_the_command_line_takes_a_cine_with_frames_and_a_region_out_of_it(package, table, tmp_path):
    study, model = str(table.parent / "H0003" / "cine.nii.gz"), ["--model", str(package), "--device", "cpu"]
    out = tmp_path / "result"
    asked = ["--frame", "DIASTOLE=1", "--frame", "systole=4"]
    told = CliRunner().invoke(app, ["classify", study, *model, *asked, "--out", str(out)], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    result = json.loads((out / "result.json").read_text())
    assert "DIASTOLE is frame 1 of 8 (from 0), as asked." in result["input"]["selection"]
    assert {image["side"] for image in result["images"]} == {"none"}
    again = ["classify", study, *model, "--roi", str(out / "roi.seg.nrrd"), "--out", str(tmp_path / "again"), "--json"]
    edited = json.loads(CliRunner().invoke(app, again, catch_exceptions=False).stdout)
    assert [image["window_ijk"] for image in edited["images"]] == [image["window_ijk"] for image in result["images"]]
    assert {image["roi"] for image in edited["images"]} == {"edited"}
    with pytest.raises(InputError, match="NAME one of DIASTOLE, SYSTOLE"):
        CliRunner().invoke(
            app, ["classify", study, *model, "--frame", "REST=1", "--out", str(tmp_path / "x")], catch_exceptions=False
        )


def test_an_evaluation_holds_the_heat_against_the_heart_and_tells_strata(package, table, tmp_path):
    ask = ["evaluate", str(package), str(table), "--device", "cpu", "--out", str(tmp_path / "out")]
    told = CliRunner().invoke(app, ask, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    audit = pd.read_csv(tmp_path / "out" / "audit.csv")
    # The table has no splits: three of the fifteen hearts, three slices each, were left out of the training.
    assert len(audit) == 9
    assert audit["patient_id"].nunique() == 3
    assert audit["area_outside"].between(0.5, 1).all()
    assert audit["heat_outside"].dropna().between(0, 1).all()
    strata = pd.read_csv(tmp_path / "out" / "tables" / "strata.csv")
    assert (strata["By"] == "Age").sum() == 3
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Evaluated on synthetic images" in page
    assert "hypertrophic" in page or "HCM" in page
    assert not {word for word in ("dystrophinopath", "each leg&#39;s", "thigh") if word in page.casefold()}


def test_two_kinds_of_hearts_are_evaluated_without_giving_the_heart_the_grey_of_leg_muscle(table, tmp_path):
    facts = small("germain2021_single").model_dump(mode="json", exclude_none=True)
    facts |= {"classes": ["normal", "HCM"], "diagnoses": {"normal": ["healthy", "DCM"], "HCM": []}}
    facts["network"] = {"backbone": "resnet18", "weights": "none"}
    model = make_package(
        tmp_path / "two", recipe=Recipe.model_validate(facts).toml(), bias=3.0, classes=("normal", "HCM")
    )
    ask = ["evaluate", str(model), str(table), "--device", "cpu", "--out", str(tmp_path / "out")]
    told = CliRunner().invoke(app, ask, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    assert "Pixels of the leg" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("matrix", "size", "kind"), [("128", 128, "square"), ("256", 256, "square"), ("raw", 160, "slice")]
)
def test_the_matrix_is_another_one_as_asked(matrix, size, kind):
    recipe = chosen_recipe("germain2021", None, False, matrix)
    assert (recipe.sample.size, recipe.sample.region.kind) == (size, kind)
    assert {stage.size for stage in recipe.training.stages} == {size}
    with pytest.raises(InputError, match="recipes with a square region"):
        chosen_recipe("yang2021", None, False, matrix)


def test_shares_of_a_split_are_as_asked(table):
    split = chosen_splits(Cohort.read(table, small("germain2021")), "stratified:40/40/20", 1)[0]
    assert [len(split.of_split(name).patients) for name in ("train", "validation", "test")] == [6, 6, 3]


def test_the_phantom_command_makes_hearts(tmp_path):
    arguments = ["phantom", "hearts", "--patients", "2", "--matrix", "64", "--diagnoses", "4-chamber,short axis"]
    CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "planes")], catch_exceptions=False)
    with (tmp_path / "planes" / "cohort.csv").open(encoding="utf-8") as file:
        assert [row["plane"] for row in csv.DictReader(file)] == ["4-chamber", "short axis"]
    Cohort.read(tmp_path / "planes" / "cohort.csv", Recipe.named("germain2021_plane"))
    arguments += ["--no-truth", "--out", str(tmp_path / "x")]
    with pytest.raises(click.NoSuchOption, match="--no-truth"):
        CliRunner().invoke(app, arguments, standalone_mode=False, catch_exceptions=False)
