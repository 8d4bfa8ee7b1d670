"""Does anything but the muscles tell phantoms with dystrophinopathy from the others?

Trains the same small network twice: on phantoms, and on the same phantoms with all muscle of each leg and slice set to
its mean signal. What the second one still finds is not the pattern of the disease: body, age, sex, scanner, or a trace
of the synthesis. It should find no more than a forest that is given age, sex, mean fat of the muscles and field
strength, and has no image: where that lies clearly lower, something in the images gives the group away. Prints these
AUCs on test patients, with 95 % intervals, and the trefoil sign from the truth.

Run as
    dystrophydx phantom thighs --like yang2021 --out cohort
    python Testing/Benchmarks/benchmark_shortcuts.py cohort/cohort.csv WORK
(about a quarter of an hour on one core). Images, samples and models are kept in WORK, with one seed and number of
epochs: run again, it goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from sklearn.ensemble import RandomForestClassifier

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.evaluation.phantom_truth import muscle_fat
from DystrophyDxLib.evaluation.predictions import by_patient, counted, predict
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.muscles.signs import TREFOIL
from DystrophyDxLib.samples import quality
from DystrophyDxLib.statistics.estimate import Estimate
from DystrophyDxLib.statistics.roc import auc
from DystrophyDxLib.training.train import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path, help="table of phantoms with truth and splits")
    parser.add_argument("work", type=Path, help="folder for what is made on the way")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    # Muscle set to its mean may be as bright as fat. That is no reason here to leave out those who have most fat.
    quality.FAT_TO_MUSCLE = 0.0
    recipe = small_recipe(options.epochs)
    cohort = Cohort.read(options.cohort, recipe)
    test = cohort.of_split("test")
    show("network, phantoms", network_auc(cohort, options.work / "phantoms", options))
    flat = Cohort.read(with_flat_muscles(options.cohort, options.work / "flat"), recipe)
    show("network, muscles set to their mean", network_auc(flat, options.work / "flat-muscles", options))
    show("forest, no image", forest_auc(cohort, options.seed))
    show("mean fat of the muscles", auc(test.labels, severities(test)))
    sign = np.array([TREFOIL.shown(np.nan_to_num(muscle_fat(case))) for case in test.cases])
    sensitivity, specificity = sign[test.labels == 1].mean(), 1 - sign[test.labels == 0].mean()
    print(f"trefoil sign: sensitivity {sensitivity:.2f}, specificity {specificity:.2f}")


def show(what: str, area: Estimate) -> None:
    print(f"{what}: AUC {area:.2f}", flush=True)


def small_recipe(epochs: int) -> Recipe:
    """The embedded model's recipe, shorter and at its small size only."""
    recipe = Recipe.named("embedded")
    first = recipe.training.stages[0].model_copy(update={"epochs": epochs})
    return recipe.model_copy(
        update={
            "sample": recipe.sample.model_copy(update={"size": first.size}),
            "training": recipe.training.model_copy(update={"stages": (first,)}),
        }
    )


def with_flat_muscles(table: Path, out: Path) -> Path:
    """A copy of the cohort in which all muscle pixels of a leg have the mean signal of the muscle in their slice."""
    copy = out / table.name
    if copy.exists():
        return copy
    with table.open(encoding="utf-8", newline="") as file:
        paths = [Path(row["path"]) for row in csv.DictReader(file)]
    for path in paths:
        source, target = table.parent / path, out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        image = sitk.ReadImage(str(source))
        voxels = sitk.GetArrayFromImage(image).astype(np.float32)
        muscle, legs = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(source.parent / "truth" / f"{name}.nii.gz")))
            for name in ("muscles", "legs")
        )
        for plane, inside, side in zip(voxels, muscle > 0, legs, strict=True):
            for leg in (1, 2):
                if (chosen := inside & (side == leg)).any():
                    plane[chosen] = plane[chosen].mean()
        flat = sitk.GetImageFromArray(voxels)
        flat.CopyInformation(image)
        sitk.WriteImage(flat, str(target))
    # Last, so that a table stands for a whole copy.
    shutil.copy(table, copy)
    return copy


def network_auc(cohort: Cohort, package: Path, options: argparse.Namespace) -> Estimate:
    """AUC, by patient, of a network trained on the cohort."""
    if not package.exists():
        train(
            cohort.recipe,
            cohort,
            package,
            seed=options.seed,
            cache=package.with_name(f"{package.name}-cache"),
            resume=True,
        )
    found = predict(Classifier(ModelPackage.read(package)), cohort.of_split("test"), lambda what, done, total: None)
    patients = by_patient(counted(found.images))
    return auc(patients["truth"].to_numpy(), patients["probability"].to_numpy())


def forest_auc(cohort: Cohort, seed: int) -> Estimate:
    """AUC of a random forest that knows of each patient what the cohort table says, the disease excepted."""
    forest = RandomForestClassifier(500, min_samples_leaf=10, random_state=seed)
    known, test = cohort.of_split("train"), cohort.of_split("test")
    forest.fit(facts(known), known.labels)
    return auc(test.labels, forest.predict_proba(facts(test))[:, 1])


def facts(cohort: Cohort) -> np.ndarray:
    """(cases, 4) age in years, whether male, mean fat fraction of the muscles, field strength in tesla."""
    cases = cohort.cases
    return np.column_stack(
        [
            [case.age for case in cases],
            [case.sex == "M" for case in cases],
            severities(cohort),
            [float(case.extra["field_strength_t"]) for case in cases],
        ]
    )


def severities(cohort: Cohort) -> np.ndarray:
    """(cases,) true mean fat fraction of the muscles."""
    return np.array([float(case.extra["severity"]) for case in cohort.cases])


if __name__ == "__main__":
    main()
