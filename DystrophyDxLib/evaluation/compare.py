"""`dystrophydx compare`: backbones trained by one recipe, or finished packages, side by side on one cohort.

Table 1 of Yang et al., BMC Neurology 2021;21:13, which compares five backbones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from .. import __version__
from ..classify import Classifier
from ..cohort.options import recipe_as_asked, split_as_asked
from ..cohort.seen import seen_patients
from ..cohort.table import Cohort
from ..errors import InputError
from ..models.backbones import BACKBONES
from ..models.package import ModelPackage
from ..models.recipe import Recipe, SampleRecipe
from ..models.weights import fetch_published
from ..reporting.case_report import DEMONSTRATION_MODEL, RESEARCH_ONLY, SYNTHETIC_COHORT
from ..reporting.figures import roc_figure, save_figure
from ..reporting.output_folder import results_folder
from ..reporting.pages import Page, Section
from ..reporting.progress import Advance
from ..reporting.tables import Table
from ..samples.kinds import region_of
from ..statistics import ranked
from ..statistics.confusion import proportion
from ..statistics.estimate import Estimate
from ..statistics.paired import compare_decisions
from ..statistics.roc import auc, compare_auc
from ..statistics.unpaired import compare_errors
from ..training.train import train
from . import tables
from .evaluate import both_intervals, evaluated_cases, is_synthetic, picture, roc_line, seen_notice
from .predictions import Predictions, by_patient, counted, predict

SCHEMA = "dystrophydx.comparison/1"
PACKAGES, CACHE, RESULTS, PLAN = "packages", "cache", "comparison", "plan.json"
FILES = ("report.html", "comparison.json", "tables", "figures", "predictions")
PUBLISHED_RECIPE = "yang2021"
PUBLISHED_BACKBONES = "vgg19,resnet50,densenet201,densenet121,inception_v3"
"""Of the paper's Table 1, separated by commas."""
_IMAGE = ["row", "slice", "side"]
_COMPARED = ("Accuracy", "Specificity", "Sensitivity", "Top-1 accuracy", "Top-3 accuracy", "AUC")


@dataclass(frozen=True)
class Model:
    """A model of the comparison with its predictions."""

    name: str
    package: ModelPackage
    predictions: Predictions

    @property
    def threshold(self) -> float | None:
        return self.package.card.threshold

    def right(self, rows: pd.DataFrame) -> np.ndarray:
        """(N,) bool, which of the model's images or patients it calls rightly."""
        if self.threshold is None:
            return ranked.accuracies(rows, self.package.card.classes)["Top-1 accuracy"]
        return (rows["probability"] >= self.threshold).to_numpy() == (rows["truth"] == 1).to_numpy()

    def figures(self, rows: pd.DataFrame, seed: int) -> dict[str, dict[str, Estimate | float]]:
        """What is compared, by kind of interval."""
        if self.threshold is None:
            classes = self.package.card.classes
            return {
                tables.PUBLISHED: ranked.published_figures(rows, classes),
                tables.BOOTSTRAP: ranked.bootstrap_figures(rows, classes, seed),
            }
        return {
            tables.PUBLISHED: tables.published_figures(rows, self.threshold),
            tables.BOOTSTRAP: tables.bootstrap_figures(rows, self.threshold, seed),
        }

    def area(self, rows: pd.DataFrame, seed: int) -> float:
        """AUC; of more than two classes the mean of each against the rest."""
        if self.threshold is None:
            return ranked.mean_auc(rows, self.package.card.classes, seed).value
        return auc(rows["truth"], rows["probability"]).value


@dataclass(frozen=True)
class Comparison:
    """What is compared. All models are compared on the images and patients that every one of them has answered for.

    Attributes:
        failures: (name, reason) of what could not be trained or evaluated.
        best: the model with the highest AUC of patients, of equal ones that of images.
    """

    models: tuple[Model, ...]
    failures: tuple[tuple[str, str], ...]
    cohort: Cohort
    split: str | None
    seed: int

    @cached_property
    def images(self) -> dict[str, pd.DataFrame]:
        """Counted images of each model, row by row the same image."""
        indexed = {model.name: counted(model.predictions.images).set_index(_IMAGE) for model in self.models}
        first = next(iter(indexed.values()))
        common = first.index[np.all([first.index.isin(table.index) for table in indexed.values()], axis=0)]
        return {name: table.loc[common].reset_index() for name, table in indexed.items()}

    @cached_property
    def patients(self) -> dict[str, pd.DataFrame]:
        """Patients of each model, row by row the same."""
        return {name: by_patient(table) for name, table in self.images.items()}

    @cached_property
    def notices(self) -> tuple[str, ...]:
        """What must stand beside every figure."""
        demonstration = any(model.package.card.demonstration for model in self.models)
        seen = {model.name: len(seen_patients(self.cohort, model.package.card)) for model in self.models}
        facts = (
            (DEMONSTRATION_MODEL, demonstration),
            (SYNTHETIC_COHORT, is_synthetic(self.cohort)),
            *((f"{name}: {seen_notice(count, len(self.cohort.patients))}", count > 0) for name, count in seen.items()),
        )
        return (*(notice for notice, applies in facts if applies), RESEARCH_ONLY)

    @cached_property
    def best(self) -> Model:
        def areas(model: Model) -> tuple[float, ...]:
            return tuple(model.area(members[model.name], self.seed) for members in (self.patients, self.images))

        return max(self.models, key=areas)

    @property
    def ranks(self) -> bool:
        """Whether the models tell more than two classes apart, and so rank them."""
        return self.models[0].threshold is None


def compare(
    cohort: Path,
    out: Path,
    *,
    recipe: str | None,
    backbones: Sequence[str],
    packages: Sequence[Path],
    weights: Path | None,
    cache: Path | None,
    split: str | None,
    device: str,
    processes: int,
    seed: int,
    advance: Advance,
) -> dict[str, object]:
    """Trains what is to be compared, evaluates it, and writes `FILES` into the folder `comparison` of `out`.

    `out` also takes the trained packages, in `packages`: run again with the same cohort, recipe and seed, those that
    are finished are kept, an interrupted training goes on, and the comparison is written anew. A backbone that fails
    is reported, the others go on.

    Args:
        recipe: a shipped recipe's name or a .toml file; None takes `PUBLISHED_RECIPE` or, where no backbone is to be
            trained, that of the first package.
        backbones: to train, names of `networks.BACKBONES`.
        packages: trained ones; to be compared beside the backbones.
        weights: folder with torchvision's weights, a file for each backbone whose name begins with the backbone's.
        cache: for samples and features; None takes the folder `cache` of `out`.
        split, device, seed: as in `evaluate.evaluate`.
        processes: that make samples.

    Returns:
        The content of comparison.json.

    Raises:
        InputError: cohort, recipe, packages, weights or `out` cannot be used, `out` holds another comparison, the user
            interrupted a training, or fewer than two models were left.
    """
    if recipe is None and packages and not backbones:
        published = ModelPackage.read(packages[0]).recipe
    else:
        published = recipe_as_asked(recipe or PUBLISHED_RECIPE, None, False)
    files = {name: weights_file(weights, name) for name in backbones}
    cases = Cohort.read(cohort, published)
    if backbones:
        cases = split_as_asked(cases, None, seed)[0]
    _check_names(backbones, packages)
    chosen, split = evaluated_cases(cases, split, [ModelPackage.read(package).card for package in packages])
    _open_plan(out, {"recipe": published.toml(), "cohort": _sha256(cohort), "seed": seed})
    failures: list[tuple[str, str]] = []
    places = {_name(package): package for package in packages}
    recipes = {}
    for name in backbones:
        try:
            wanted = recipe_as_asked(recipe or PUBLISHED_RECIPE, name, False)
            if not (out / PACKAGES / name).exists():
                fetch_published(wanted, files[name])
            recipes[name] = wanted
        except InputError as error:
            failures.append((name, str(error)))
    _check_number(len(packages) + len(recipes), failures)
    for name, wanted in recipes.items():
        try:
            places[name] = _trained(
                wanted, cases, out, files[name], cache or out / CACHE, device, processes, seed, advance
            )
        except InputError as error:
            if str(error).startswith("Training was interrupted"):
                raise InputError(
                    "The comparison was interrupted; run the same command again to go on: what is finished is kept."
                ) from None
            failures.append((name, str(error)))
    models = []
    for name, place in places.items():
        try:
            models.append(_evaluated(name, place, published, chosen, device, advance))
        except InputError as error:
            failures.append((name, str(error)))
    _check_number(len(models), failures)
    comparison = Comparison(tuple(models), tuple(failures), chosen, split, seed)
    summary = _summarised(comparison, _sha256(cohort))
    with results_folder(out / RESULTS, FILES, overwrite=True) as folder:
        _write(comparison, summary, folder)
    return summary


def _check_number(models: int, failures: Sequence[tuple[str, str]]) -> None:
    """Raises an `InputError` with the reasons when fewer than two models are left."""
    if models < 2:
        told = " ".join(f"{name}: {reason}" for name, reason in failures)
        raise InputError(f"Fewer than two models are left to compare; give more of them. {told}".strip())


def _check_names(backbones: Sequence[str], packages: Sequence[Path]) -> None:
    unknown = [name for name in backbones if name not in BACKBONES]
    if unknown:
        raise InputError(f"The backbone {unknown[0]!r} is not known; choose from {', '.join(BACKBONES)}.")
    names = [*backbones, *map(_name, packages)]
    if len(set(names)) < len(names):
        raise InputError("Two models have the same name; give each backbone once and rename the packages' folders.")


def _name(package: Path) -> str:
    return package.absolute().name.removesuffix(".zip")


def weights_file(folder: Path | None, backbone: str) -> Path | None:
    """The one file or package for `backbone` in `folder`: torchvision's are called resnet50-11ad3fa6.pth and so on.

    Raises:
        InputError: there is none, or more than one.
    """
    if folder is None:
        return None
    found = sorted(folder.glob(f"{backbone}*"))
    if len(found) != 1:
        raise InputError(
            f"{'No' if not found else 'More than one'} file for {backbone} lies in the folder given with "
            "--backbone-weights; put one there whose name begins with the backbone's."
        )
    return found[0]


def _open_plan(out: Path, plan: dict[str, object]) -> None:
    """Makes `out`, or checks that it holds a comparison by the same `plan`.

    Raises:
        InputError: it holds something else or cannot be written.
    """
    text = json.dumps(plan, indent=1, sort_keys=True) + "\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        present = {path.name for path in out.iterdir()}
        if not present:
            (out / PLAN).write_text(text, encoding="utf-8")
        elif PLAN not in present:
            raise InputError("The output folder holds other files; give a new or empty folder with --out.")
        elif (out / PLAN).read_text(encoding="utf-8") != text:
            raise InputError(
                "The output folder holds a comparison with another cohort, recipe or seed; give another with --out."
            )
    except OSError:
        raise InputError("The output folder cannot be written; check --out and its permissions.") from None


def _trained(
    recipe: Recipe,
    cohort: Cohort,
    out: Path,
    weights: Path | None,
    cache: Path,
    device: str,
    processes: int,
    seed: int,
    advance: Advance,
) -> Path:
    """The package of a recipe's backbone, trained where it is not there yet."""
    backbone = recipe.network.backbone
    package = out / PACKAGES / backbone
    if package.exists():
        return package
    package.parent.mkdir(exist_ok=True)
    return train(
        recipe,
        cohort,
        package,
        seed=seed,
        cache=cache,
        backbone_weights=weights,
        device=device,
        processes=processes,
        resume=True,
        advance=lambda what, done, total: advance(f"{backbone}: {what}", done, total),
    )


def _evaluated(name: str, place: Path, recipe: Recipe, cohort: Cohort, device: str, advance: Advance) -> Model:
    package = ModelPackage.read(place)
    if package.recipe.classes != recipe.classes:
        raise InputError(f"The package tells {' and '.join(package.card.classes)} apart, the recipe others.")
    found = predict(
        Classifier(package, device),
        cohort,
        lambda what, done, total: advance(f"{name}: {what}", done, total),
    )
    return Model(name, package, found)


def performance_table(comparison: Comparison) -> Table:
    """Table 1: a row for each model, unit and kind of interval."""
    rows = []
    for unit, members_of in (("images", comparison.images), ("patients", comparison.patients)):
        for model in comparison.models:
            members = members_of[model.name]
            sizes = {"n": len(members)} if comparison.ranks else tables.sizes(members)
            described = {"Model": model.name, "Per": unit, **sizes}
            for interval, found in model.figures(members, comparison.seed).items():
                # Patients are independent of each other: the bootstrap has nothing to add but the mean AUC.
                if unit == "images" or interval == tables.PUBLISHED or comparison.ranks:
                    shown = {name: found[name] for name in _COMPARED if name in found}
                    rows.append({**described, "Interval": interval, **shown})
    rows.sort(key=lambda row: (row["Per"], row["Interval"]))
    if comparison.ranks:
        return Table(
            "table1",
            "Performance of each model's ranked differential, with 95 % intervals",
            pd.DataFrame(rows),
            "All models answer for the same images. AUC: mean of each class against the rest. Wilson's intervals take "
            "images as independent; the patient bootstrap does not.",
        )
    _, positive = comparison.models[0].package.card.classes
    return Table(
        "table1",
        "Table 1. Performance of each model at its own threshold, with 95 % intervals",
        pd.DataFrame(rows),
        f"Positive: {positive}. All models answer for the same images. Wilson's and DeLong's intervals, as published, "
        "take images as independent; the patient bootstrap does not. (–): it gives none because fewer than "
        f"{tables.LEAST_PATIENTS} patients of a class stand behind the figure or all decisions are alike.",
    )


def difference_table(comparison: Comparison) -> Table:
    """Every model against the best: AUCs by DeLong, decisions on patients by McNemar."""
    best, rows = comparison.best, []
    for model in comparison.models:
        if model is best:
            continue
        row: dict[str, object] = {"Model": model.name}
        units = () if comparison.ranks else (("images", comparison.images), ("patients", comparison.patients))
        for unit, members in units:
            own, other = members[model.name], members[best.name]
            test = compare_auc(
                own["truth"].to_numpy(),
                other["probability"].to_numpy(),
                own["probability"].to_numpy(),
                own["patient_id"].to_numpy(),
            )
            row |= {f"AUC, difference, {unit}": test.difference, f"p, {unit}": test.p}
        own, other = comparison.patients[model.name], comparison.patients[best.name]
        decided = compare_decisions(np.ones(len(own)), best.right(other), model.right(own))
        row |= {f"Only {best.name} right": decided.only_first, "Only this right": decided.only_second}
        errors, fewer = (int((~model.right(own)).sum()), int((~best.right(other)).sum()))
        unpaired = compare_errors(errors, len(own), fewer, len(other))
        rows.append(row | {"p, McNemar": decided.p, "p, chi-square": unpaired})
    return Table(
        "differences",
        f"Differences from the model with the highest AUC per patient, {best.name}",
        pd.DataFrame(rows),
        (
            ""
            if comparison.ranks
            else "AUC: DeLong's test, for images with the covariance of images of one patient (Obuchowski). "
        )
        + "McNemar: paired decisions on patients; chi-square, as Germain et al. print it, takes the same as decisions "
        "on different patients. The p values are not corrected for the number of comparisons.",
    )


def disease_table(comparison: Comparison) -> Table:
    """Table 3 side by side: share of images of each disease that each model calls rightly."""
    rows = []
    for disease, truth in tables.diseases(next(iter(comparison.patients.values()))):
        figure = "sensitivity" if truth or comparison.ranks else "specificity"
        row: dict[str, object] = {"Disease": disease, "Figure": figure}
        for model in comparison.models:
            own = comparison.images[model.name]
            own = own[own["disease"] == disease]
            right = model.right(own)
            row |= {"Images": len(own), model.name: proportion(int(right.sum()), len(own))}
        rows.append(row)
    return Table(
        "table3_diseases",
        "Table 3. Share of images of each disease that each model calls rightly, with Wilson's 95 % intervals",
        pd.DataFrame(rows),
    )


def _summarised(comparison: Comparison, cohort_sha256: str) -> dict[str, object]:
    models = {
        model.name: {
            "sha256": model.package.sha256,
            "threshold": model.threshold,
            "images": both_intervals(comparison.images[model.name], model.package, comparison.seed),
            "patients": both_intervals(comparison.patients[model.name], model.package, comparison.seed),
        }
        for model in comparison.models
    }
    return {
        "schema": SCHEMA,
        "program": f"DystrophyDx {__version__}",
        "notices": list(comparison.notices),
        "cohort": {
            "sha256": cohort_sha256,
            "split": comparison.split,
            "synthetic": is_synthetic(comparison.cohort),
            "patients": len(next(iter(comparison.patients.values()))),
            "images": len(next(iter(comparison.images.values()))),
        },
        "seed": comparison.seed,
        "best": comparison.best.name,
        "models": models,
        "failures": [{"model": name, "reason": reason} for name, reason in comparison.failures],
    }


def _write(comparison: Comparison, summary: dict[str, object], folder: Path) -> None:
    for name in ("tables", "figures", "predictions"):
        (folder / name).mkdir()
    page = Page(
        "comparison of models",
        f"{len(comparison.models)} models compared",
        comparison.notices,
        tuple(_sections(comparison, summary, folder / "figures")),
    )
    page.write_tables(folder / "tables")
    page.write(folder / "report.html")
    for model in comparison.models:
        model.predictions.images.to_csv(folder / "predictions" / f"{model.name}.csv", index=False)
    (folder / "comparison.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def _sections(comparison: Comparison, summary: dict[str, object], figures: Path) -> Iterator[Section]:
    cohort = summary["cohort"]
    yield Section(
        "In brief",
        (
            f"{cohort['patients']} patients with {cohort['images']} images, "
            + (f"split {cohort['split']} of the cohort." if cohort["split"] else "the whole cohort."),
            f"{summary['best']} has the highest AUC per patient.",
            "A difference says something only where its interval leaves out 0.",
        ),
    )
    pictures = []
    for unit, members in (("images", comparison.images), ("patients", comparison.patients)):
        if not comparison.ranks and all(rows["truth"].nunique() == 2 for rows in members.values()):
            lines = [
                roc_line(members[model.name], model.name, model.threshold, comparison.seed, band=False)
                for model in comparison.models
            ]
            save_figure(roc_figure(lines), figures, f"roc_{unit}")
            told = "; ".join(line.label for line in lines)
            caption = f"ROC curves, {unit}. Dots: the thresholds."
            pictures.append(picture(figures, f"roc_{unit}", f"ROC curves, {unit}: {told}", caption))
    yield Section("Performance", (), tuple(pictures), (performance_table(comparison), difference_table(comparison)))
    yield Section("Diseases", (), (), (disease_table(comparison),))
    described = [
        {
            "Model": model.name,
            "Backbone": model.package.recipe.network.backbone,
            "Recipe": model.package.recipe.name,
            "Sample": _sample_text(model.package.recipe.sample),
            "Threshold": "none" if model.threshold is None else model.threshold,
            "Trained on": model.package.card.trained_on,
            "Series not evaluated": len(model.predictions.failures),
        }
        for model in comparison.models
    ]
    yield Section("Models", (), (), (Table("models", "What was compared", pd.DataFrame(described)),))
    if comparison.failures:
        frame = pd.DataFrame(comparison.failures, columns=["Model", "Reason"])
        yield Section("Models that failed", (), (), (Table("failures", "Not in any figure", frame),))


def _sample_text(sample: SampleRecipe) -> str:
    """Size and region of a recipe's samples in words, as the matrix sizes of Table 4 of Germain et al."""
    return f"{sample.size} × {sample.size}, {region_of(sample).described()}"


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        raise InputError("The cohort table cannot be opened; check its path and permissions.") from None
