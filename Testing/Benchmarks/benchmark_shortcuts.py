"""Does anything but the muscles tell phantoms with dystrophinopathy from the others?

Trains the same small network twice: on phantoms, and on the same phantoms with all muscle of each slice set to its mean
signal. What the second one still finds is not the pattern of the disease: body, age, sex, scanner, or a trace of the
synthesis. Prints both AUCs on test patients beside those of the rivals that know the true fat.

Run as `python Testing/Benchmarks/benchmark_shortcuts.py [--patients 600] [--processes 2]` (about ten minutes).
"""

from __future__ import annotations

import argparse
import csv
import shutil
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.evaluation.predictions import by_patient, counted, predict
from DystrophyDxLib.evaluation.roc import auc
from DystrophyDxLib.evaluation.truth_files import muscle_fat
from DystrophyDxLib.model_package import ModelPackage
from DystrophyDxLib.phantom.cohort import drawn_patients, write_cohort
from DystrophyDxLib.phantom.rivals import trefoil_sign
from DystrophyDxLib.recipe import Recipe
from DystrophyDxLib.training.cohort import Cohort
from DystrophyDxLib.training.train import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=600)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        table = write_cohort(
            drawn_patients(options.patients, options.seed),
            work / "phantoms",
            seed=options.seed,
            processes=options.processes,
        )
        flat = with_flat_muscles(table, work / "flat")
        recipe = small_recipe()
        for name, path in (("phantoms", table), ("muscles set to their mean", flat)):
            print(f"network, {name}: {network_auc(recipe, path, work / path.parent.name, options):.2f}", flush=True)
        print_rivals(Cohort.read(table, recipe).of_split("test"))


def small_recipe() -> Recipe:
    """The embedded model's recipe, shorter and at its small size only."""
    recipe = Recipe.named("embedded")
    first = recipe.training.stages[0].model_copy(update={"epochs": 8})
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"stages": (first,)})})


def with_flat_muscles(table: Path, out: Path) -> Path:
    """A copy of the cohort in which all muscle pixels of a leg have the mean signal of the muscle in their slice."""
    out.mkdir()
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        source, target = table.parent / row["patient_id"], out / row["patient_id"]
        target.mkdir()
        image = sitk.ReadImage(str(source / "T1.nii.gz"))
        voxels = sitk.GetArrayFromImage(image).astype(np.float32)
        muscle, legs = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(source / "truth" / f"{name}.nii.gz")))
            for name in ("muscles", "legs")
        )
        for plane, inside, side in zip(voxels, muscle > 0, legs, strict=True):
            for leg in (1, 2):
                if (chosen := inside & (side == leg)).any():
                    plane[chosen] = plane[chosen].mean()
        flat = sitk.GetImageFromArray(voxels)
        flat.CopyInformation(image)
        sitk.WriteImage(flat, str(target / "T1.nii.gz"))
    shutil.copy(table, out / table.name)
    return out / table.name


def network_auc(recipe: Recipe, table: Path, work: Path, options: argparse.Namespace) -> float:
    """AUC, by patient, of a network trained on the cohort."""
    cohort = Cohort.read(table, recipe)
    package = train(
        recipe,
        cohort,
        work.with_name(f"{work.name}-package"),
        seed=options.seed,
        cache=work.with_name(f"{work.name}-cache"),
        processes=options.processes,
    )
    found = predict(Classifier(ModelPackage.read(package)), cohort.of_split("test"))
    patients = by_patient(counted(found.images))
    return auc(patients["truth"].to_numpy(), patients["probability"].to_numpy()).value


def print_rivals(test: Cohort) -> None:
    fat = np.array([muscle_fat(case) for case in test.cases])
    truth = test.labels
    print(f"mean fat fraction of the muscles: {auc(truth, np.nanmean(fat, axis=1)).value:.2f}")
    sign = np.array([trefoil_sign(one) for one in np.nan_to_num(fat, nan=0.0)])
    print(f"trefoil sign: sensitivity {sign[truth == 1].mean():.2f}, specificity {1 - sign[truth == 0].mean():.2f}")


if __name__ == "__main__":
    main()
