"""`dystrophydx texture`: texture methods side by side in a cross-validation, and what the networks among them look at.

Cai et al., "Texture analysis for muscular dystrophy classification in MRI with improved class activation mapping",
Pattern Recognition 2019;86:368: accuracy of networks and rivals (Table 1) and by size of the maps (Table 2), single
neurons beside the mean fat fraction (Figure 3), patches under the heat (Figure 6) and muscle texture scores (Table 3).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from .. import __version__
from ..classify import Classifier
from ..cohort.options import recipe_as_asked
from ..cohort.splits import FOLDS, k_folds, read_folds
from ..cohort.table import Case, Cohort
from ..errors import InputError
from ..explain.texture_score import texture_scores
from ..phantom.anatomy import MUSCLES
from ..reporting.case_report import DEMONSTRATION_MODEL, RESEARCH_ONLY, SYNTHETIC_COHORT
from ..reporting.figures import save_figure
from ..reporting.output_folder import check_results_folder, results_folder
from ..reporting.pages import Page, Section
from ..reporting.progress import Advance
from ..reporting.tables import Table
from ..statistics.confusion import proportion
from ..statistics.estimate import Estimate
from ..training.sample_store import SampleStore
from . import localisation, tables
from .compare import weights_file
from .evaluate import is_synthetic, picture
from .phantom_truth import has_truth, read_muscles, read_truth, segmentation_files
from .predictions import classify_case
from .texture_figures import neuron_figure, patch_figure
from .texture_images import TextureImages
from .texture_methods import held_out_answers, mean_fat_fraction, rivals
from .texture_networks import FoldModels, Responses, neurons_beside_fat, patch_map

SCHEMA = "dystrophydx.texture/1"
FILES = ("report.html", "texture.json", "predictions.csv", "heat.csv", "muscles.csv", "tables", "figures")
PUBLISHED_FOLDS = 4


@dataclass(frozen=True)
class Network:
    """A network of the comparison.

    Attributes:
        heat: rows of `localisation.localise_series` of the series with truth, with `patient_id`, `row` of the cohort
            table, `disease` (the class), `truth` and `right` (whether the image's most likely class is the truth);
            empty where no series has.
        muscles: one row a series and muscle, `patient_id`, `truth`, `muscle`, `score`; empty without muscle labels.
    """

    models: FoldModels
    responses: Responses
    heat: pd.DataFrame
    muscles: pd.DataFrame

    @property
    def name(self) -> str:
        return self.models.name

    @property
    def maps(self) -> str:
        """Size of the class activation maps in cells, as Table 2 calls it: ICAM-28² where several layers are pooled."""
        several = len(self.models.packages[0].recipe.network.pooled) > 1
        return f"{'ICAM-' if several else ''}{self.responses.maps.shape[-1]}²"


@dataclass(frozen=True)
class TextureComparison:
    """Methods that answered for the same images, each image while its patient was not trained on.

    Attributes:
        store: whose images `images` are.
        fold: (N,) of each image, from 1.
        said: by method, (N,) index of the class.
        failures: (method, reason) of rivals that could not be tried.
    """

    store: SampleStore
    images: TextureImages
    fold: np.ndarray
    said: dict[str, np.ndarray]
    networks: tuple[Network, ...]
    failures: tuple[tuple[str, str], ...]
    seed: int

    @property
    def cohort(self) -> Cohort:
        return self.store.cohort

    @property
    def classes(self) -> tuple[str, ...]:
        return self.cohort.recipe.classes

    @property
    def best(self) -> Network:
        """The network with the highest mean accuracy over the folds, the first given of equal ones."""
        return max(self.networks, key=lambda network: self.accuracies(network.name).mean())

    @property
    def notices(self) -> tuple[str, ...]:
        """What must stand beside every figure."""
        demonstration = any(
            package.card.demonstration for network in self.networks for package in network.models.packages
        )
        facts = ((DEMONSTRATION_MODEL, demonstration), (SYNTHETIC_COHORT, is_synthetic(self.cohort)))
        return (*(notice for notice, applies in facts if applies), RESEARCH_ONLY)

    def accuracies(self, method: str) -> np.ndarray:
        """(folds,) share of the images that a method is right about."""
        right = self.said[method] == self.images.labels
        return np.array([right[self.fold == number].mean() for number in np.unique(self.fold)])

    def accuracies_of_patients(self, method: str) -> np.ndarray:
        """(folds,) share of the patients of whom more images are called their class than any other."""
        return self.right_patients(method).groupby("fold")["right"].mean().to_numpy()

    def right_patients(self, method: str) -> pd.DataFrame:
        """`label`, `fold` and whether a method is `right` of each patient."""
        said = np.eye(len(self.classes))[self.said[method]]
        votes = pd.DataFrame(said).groupby(self.images.patients).sum()
        facts = pd.DataFrame({"label": self.images.labels, "fold": self.fold}).groupby(self.images.patients).first()
        own = np.take_along_axis(votes.to_numpy(), facts[["label"]].to_numpy(), axis=1)
        return facts.assign(right=(votes.to_numpy() >= own).sum(axis=1) == 1)

    def overall(self, method: str) -> dict[str, Estimate]:
        """Accuracy over all folds by unit, with Wilson's interval."""
        rights = {"images": self.said[method] == self.images.labels, "patients": self.right_patients(method)["right"]}
        return {unit: proportion(int(right.sum()), len(right)) for unit, right in rights.items()}

    @property
    def chance(self) -> dict[str, float]:
        """Accuracy by unit of who always says the most frequent class of the images."""
        most = np.full(len(self.images), np.bincount(self.images.labels).argmax())
        always = dataclasses.replace(self, said={"": most})
        return {unit: accuracy.value for unit, accuracy in always.overall("").items()}


def texture(
    cohort: Path,
    out: Path,
    *,
    recipe: str,
    models: Sequence[Path],
    folds: int,
    muscles: str | None,
    weights: Path | None,
    cache: Path | None,
    device: str,
    processes: int,
    seed: int,
    overwrite: bool,
    advance: Advance,
) -> dict[str, object]:
    """Compares texture methods by cross-validation and writes `FILES` into `out`.

    Args:
        recipe: a shipped recipe's name or a .toml file; one of its channels is the fat fraction.
        models: folders with a package a fold, as `dystrophydx train --split kfold:K` writes them, all of the same
            folds.
        folds: of patients, where no models are given.
        muscles: column of the cohort with the path of each series' muscle segmentation; None takes the truth of
            phantoms, where it is there.
        weights: folder with torchvision's weights of VGG16 and ResNet18, see `compare.weights_file`.
        cache: for samples; None takes a folder beside `out` of its name and "-cache".
        processes: that make samples.
        seed: of the folds, where no models are given, and of all that is drawn.
        overwrite: whether an earlier analysis in `out` is replaced.

    Returns:
        The content of texture.json.

    Raises:
        InputError: cohort, recipe, models or `out` cannot be used, or the models were trained in different folds.
    """
    check_results_folder(out, FILES, overwrite=overwrite)
    cases = Cohort.read(cohort, recipe_as_asked(recipe, None, False))
    fold_of = _folds(cases, models, folds, seed)
    networks = [FoldModels.read(folder, max(fold_of.values()), cases.recipe) for folder in models]
    _check_names(networks)
    labelled = _muscle_files(cases, cohort.parent, muscles)
    store = SampleStore.of(cases, cases.recipe.sample, cache or out.with_name(f"{out.name}-cache"), processes, advance)
    images = TextureImages.of(store, cases.recipe.sample)
    fold = np.array([fold_of[patient] for patient in images.patients])
    said, failures = _rivals(images, fold, weights, seed, advance)
    looked_at = tuple(_looked_at(model, store, fold, labelled, device, advance) for model in networks)
    said |= {network.name: network.responses.said for network in looked_at}
    found = TextureComparison(store, images, fold, said, looked_at, failures, seed)
    summary = _summarised(found, hashlib.sha256(cohort.read_bytes()).hexdigest())
    with results_folder(out, FILES, overwrite=overwrite) as folder:
        _write(found, summary, folder)
    return summary


def _folds(cohort: Cohort, models: Sequence[Path], count: int, seed: int) -> dict[str, int]:
    """The fold in which each patient is tested: that of the models, or drawn."""
    if not models:
        cohorts = k_folds(cohort, count, seed)
        return {case.patient_id: n for n, part in enumerate(cohorts, 1) for case in part.of_split("test").patients}
    first, *others = (read_folds(folder / FOLDS, cohort) for folder in models)
    if any(other != first for other in others):
        raise InputError("The models were trained in different folds; train all with the same --split and --seed.")
    return first


def _check_names(networks: Sequence[FoldModels]) -> None:
    if len({model.name for model in networks}) < len(networks):
        raise InputError("Two folders with models have the same name; rename one of them.")


def _muscle_files(cohort: Cohort, folder: Path, column: str | None) -> dict[int, Path]:
    """Path of the muscle segmentation of each row of the table that has one.

    Raises:
        InputError: there is no such column, or see `segmentation_files`.
    """
    if column is None:
        return {}
    if any(column.lower() not in case.extra for case in cohort.cases):
        raise InputError(f"The cohort table has no column {column}; give the one with the muscle segmentations.")
    return segmentation_files(cohort, folder, column.lower())


def _rivals(
    images: TextureImages, fold: np.ndarray, weights: Path | None, seed: int, advance: Advance
) -> tuple[dict[str, np.ndarray], tuple[tuple[str, str], ...]]:
    """What each rival says of the images, and why others could not be tried."""
    said, failures = {}, []
    numbers = np.unique(fold)
    for rival in rivals(lambda backbone: weights_file(weights, backbone), seed):
        answers = np.empty_like(images.labels)
        try:
            for number, answer in zip(numbers, held_out_answers(rival, images, fold, seed), strict=True):
                advance(rival.name, int(number), len(numbers))
                answers[fold == number] = answer
        except InputError as error:
            failures.append((rival.name, str(error)))
        else:
            said[rival.name] = answers
    return said, tuple(failures)


def _looked_at(
    models: FoldModels,
    store: SampleStore,
    fold: np.ndarray,
    labelled: dict[int, Path],
    device: str,
    advance: Advance,
) -> Network:
    """What the model of each fold says of the images of that fold and, where their muscles are known, where its heat
    lies."""
    answers, rows, heat, muscles = [], [], [], []
    for number, package in enumerate(models.packages, 1):
        classifier = Classifier(package, device)
        rows.append(np.flatnonzero(fold == number))
        answers.append(Responses.of(classifier, store.pixels, rows[-1]))
        for n in np.unique(store.case[rows[-1]]):
            case = store.cohort.cases[n]
            advance(f"{models.name}, fold {number}", len(heat), len(store.cohort.cases))
            try:
                of_heat, of_muscles = _explained(classifier, case, labelled.get(case.row))
            except InputError as error:
                raise InputError(f"Row {case.row} of the cohort: {error}") from None
            heat.append(of_heat.assign(patient_id=case.patient_id, row=case.row, truth=case.label))
            muscles.append(of_muscles.assign(patient_id=case.patient_id, truth=case.label))
    answered = Responses.joined(answers, np.argsort(np.concatenate(rows)))
    return Network(models, answered, pd.concat(heat), pd.concat(muscles))


def _explained(classifier: Classifier, case: Case, labelled: Path | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of `Network.heat` and `Network.muscles` of one series, none where its muscles are not known."""
    if labelled is None and not has_truth(case):
        return pd.DataFrame(), pd.DataFrame()
    found, heat = classify_case(classifier, case), pd.DataFrame()
    if has_truth(case):
        truth = read_truth(case, found.series)
        heat = localisation.localise_series(found.series, found.classification, truth)
        said = [np.argmax(image.probabilities) for image in found.classification.result.images if image.counted]
        heat = heat.assign(
            disease=classifier.package.card.classes[case.label], right=np.equal(said, case.label).astype(float)
        )
        drawn, names = truth.muscles, dict(enumerate(MUSCLES, 1))
    if labelled is not None:
        drawn, names = read_muscles(labelled, found.series)
    legs = found.classification.regions.labels > 0
    scores = texture_scores(found.classification.heatmap, drawn, names, legs)
    return heat, pd.DataFrame([{"muscle": score.muscle, "score": score.score} for score in scores])


def accuracy_table(found: TextureComparison) -> Table:
    """Table 1: mean, maximum and minimum accuracy of each method over the folds."""
    rows = []
    for method in found.said:
        row: dict[str, object] = {"Method": method}
        for unit, shares in (
            ("images", found.accuracies(method)),
            ("patients", found.accuracies_of_patients(method)),
        ):
            row |= {f"Mean, {unit}": shares.mean(), f"Maximum, {unit}": shares.max(), f"Minimum, {unit}": shares.min()}
            row[f"All {unit}"] = found.overall(method)[unit]
        rows.append(row)
    return Table(
        "table1",
        f"Table 1. Accuracy of each method over the {len(np.unique(found.fold))} folds",
        pd.DataFrame(rows),
        "All: over all folds, with Wilson's 95 % interval, which takes images as independent and is too narrow where a "
        "patient has several. "
        f"Always saying the most frequent class is right about {found.chance['images']:.3f} of the images and "
        f"{found.chance['patients']:.3f} of the patients. An image is one leg in one slice. A patient is called "
        "what most images are; where two classes have as many, "
        "the call is wrong. All methods answer for the same images of patients whom they have not seen. The networks "
        "use one of the other folds to stop in time; the rest learn from it, and choose k, C and gamma by "
        "cross-validation within the patients that they learn from.",
    )


def map_size_table(found: TextureComparison) -> Table:
    """Table 2: accuracy of each network in each fold, with the size of its maps."""
    rows = [
        {
            "Network": network.name,
            "Maps": network.maps,
            **{f"Fold {n}": share for n, share in enumerate(found.accuracies(network.name), 1)},
            "Mean": found.accuracies(network.name).mean(),
        }
        for network in found.networks
    ]
    return Table("table2", "Table 2. Accuracy by image in each fold, by size of the maps", pd.DataFrame(rows))


def neuron_table(found: TextureComparison) -> Table:
    """How many neurons of each network tell two classes apart better than the mean fat fraction."""
    fat, rows = mean_fat_fraction(found.images), []
    for network in found.networks:
        counts = neurons_beside_fat(network.responses.features, fat[:, 0], found.images.labels, found.fold)
        for (first, second, distance), group in counts.groupby(["first", "second", "distance"], sort=False):
            rows.append(
                {
                    "Network": network.name,
                    "Classes": f"{found.classes[second]} and {found.classes[first]}",
                    "Distance": distance,
                    "Neurons": int(group["neurons"].iloc[0]),
                    "Better than fat, mean": group["better"].mean(),
                    "Minimum": int(group["better"].min()),
                    "Maximum": int(group["better"].max()),
                    "Best neuron": group["best"].mean(),
                    "Fat fraction": group["fat"].mean(),
                }
            )
    return Table(
        "neurons",
        "Neurons whose responses set two classes further apart than the mean fat fraction does",
        pd.DataFrame(rows),
        "Distances between the classes' histograms of 20 bins, over the images of each fold, which its network has not "
        "seen; numbers are means over the folds. The more neurons, the more of them are better by chance alone.",
    )


def localisation_table(found: TextureComparison) -> Table:
    """Where the heat of each network lies, a row a network and class, beside its accuracy."""
    frames = []
    for network in found.networks:
        means = localisation.by_disease(network.heat, seed=found.seed)
        frame = tables.heat_by_disease(means, network.heat.drop_duplicates("patient_id")).frame
        frame = frame.rename(columns={"Disease": "Class"})
        frame.insert(0, "Network", network.name)
        frame.insert(1, "Maps", network.maps)
        frame.insert(2, "Accuracy", found.accuracies(network.name).mean())
        frames.append(frame)
    return Table(
        "localisation",
        "Does the heat look where the disease is? Means over images, with 95 % intervals by patient bootstrap",
        pd.concat(frames, ignore_index=True),
        "Heat of the class that the case is called. Pointing game: the highest heat lies in diseased muscle. Accuracy: "
        f"mean over the folds, by image. (–): fewer than {tables.LEAST_PATIENTS} patients.",
    )


def difference_table(found: TextureComparison) -> Table:
    """Accuracy and places of the heat, each network less each later one on the same images, a row a class."""
    titles = {"right": "Accuracy"} | {figure: title for title, figure in tables.HEAT.items()}
    rows = []
    for first, second in combinations(found.networks, 2):
        differences = localisation.differences(first.heat, second.heat, seed=found.seed)
        for disease, group in differences.groupby("disease", sort=False):
            row: dict[str, object] = {"Networks": f"{first.name} less {second.name}", "Class": disease}
            row |= {"Patients": int(group["patients"].max()), "Images": int(group["images"].max())}
            for of in group.itertuples():
                row[f"Difference, {titles[of.figure].lower()}"] = tables.mean_of_patients(
                    of.patients, of.value, of.low, of.high
                )
            rows.append(row)
    return Table(
        "differences",
        "Networks on the same images: mean differences with 95 % intervals by patient bootstrap",
        pd.DataFrame(rows),
        f"Each figure: of the images in which both networks have it. (–): fewer than {tables.LEAST_PATIENTS} patients.",
    )


def muscle_table(found: TextureComparison) -> Table:
    """Table 3: texture score of each muscle by class, mean and standard deviation over the cases."""
    scores, rows = found.best.muscles, []
    for muscle, group in scores.groupby("muscle"):
        row: dict[str, object] = {"Muscle": muscle}
        for label, name in enumerate(found.classes):
            own = group.loc[group["truth"] == label, "score"]
            row |= {name: _mean_and_deviation(own), f"{name}, cases": len(own)}
        rows.append(row)
    return Table(
        "table3",
        f"Table 3. Muscle texture score by class, mean ± standard deviation over cases; {found.best.name}",
        pd.DataFrame(rows),
        "The share of a muscle that lies under at least half of the strongest heat of the case, for the class that the "
        "case is called, by the network that has not seen the patient. Every case: muscles.csv.",
    )


def _mean_and_deviation(scores: pd.Series) -> str:
    if scores.empty:
        return "–"
    return f"{scores.mean():.2f} ± {scores.std():.2f}" if len(scores) > 1 else f"{scores.mean():.2f}"


def _summarised(found: TextureComparison, cohort_sha256: str) -> dict[str, object]:
    def told(shares: np.ndarray, overall: Estimate) -> dict[str, object]:
        return {
            "folds": shares.tolist(),
            "mean": shares.mean(),
            "maximum": shares.max(),
            "minimum": shares.min(),
            "all": {"value": overall.value, "ci95": [overall.low, overall.high]},
        }

    return {
        "schema": SCHEMA,
        "program": f"DystrophyDx {__version__}",
        "notices": list(found.notices),
        "cohort": {
            "sha256": cohort_sha256,
            "synthetic": is_synthetic(found.cohort),
            "patients": len(np.unique(found.images.patients)),
            "images": len(found.images),
        },
        "seed": found.seed,
        "accuracy": {
            method: {
                "images": told(found.accuracies(method), found.overall(method)["images"]),
                "patients": told(found.accuracies_of_patients(method), found.overall(method)["patients"]),
            }
            for method in found.said
        },
        "chance": found.chance,
        "models": {network.name: [package.sha256 for package in network.models.packages] for network in found.networks},
        "failures": [{"method": name, "reason": reason} for name, reason in found.failures],
    }


def _write(found: TextureComparison, summary: dict[str, object], folder: Path) -> None:
    for name in ("tables", "figures"):
        (folder / name).mkdir()
    page = Page(
        "texture analysis",
        f"{len(found.said)} texture methods compared",
        found.notices,
        tuple(_sections(found, summary, folder / "figures")),
    )
    page.write_tables(folder / "tables")
    page.write(folder / "report.html")
    _predictions(found).to_csv(folder / "predictions.csv", index=False)
    heat = [network.heat.assign(network=network.name) for network in found.networks if not network.heat.empty]
    if heat:
        pd.concat(heat).to_csv(folder / "heat.csv", index=False)
    muscles = [network.muscles.assign(network=network.name) for network in found.networks if not network.muscles.empty]
    if muscles:
        pd.concat(muscles).to_csv(folder / "muscles.csv", index=False)
    (folder / "texture.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def _predictions(found: TextureComparison) -> pd.DataFrame:
    """One row an image: patient, row of the cohort table, slice, side, fold, class, and the class that each method
    says."""
    names = np.array(found.classes)
    facts = {
        "patient_id": found.images.patients,
        "row": np.array([case.row for case in found.cohort.cases])[found.store.case],
        "slice": found.store.slice,
        "side": found.store.side,
        "fold": found.fold,
        "truth": names[found.images.labels],
    }
    return pd.DataFrame({**facts, **{method: names[said] for method, said in found.said.items()}})


def _sections(found: TextureComparison, summary: dict[str, object], figures: Path) -> Iterator[Section]:
    cohort = summary["cohort"]
    yield Section(
        "Accuracy",
        (
            f"{cohort['patients']} patients with {cohort['images']} images of {', '.join(found.classes)}; "
            f"{len(np.unique(found.fold))} folds of patients.",
            *found.store.warnings,
        ),
        (),
        (accuracy_table(found), *([map_size_table(found)] if found.networks else [])),
    )
    if found.networks:
        yield _neurons(found, figures)
        yield from _patches(found, figures)
        if not any(network.heat.empty for network in found.networks):
            paragraph = "The series are of phantoms, whose muscles and fat are known."
            compared = (difference_table(found),) if len(found.networks) > 1 else ()
            own = (localisation_table(found), *compared)
            yield Section("Does the heat look where the disease is?", (paragraph,), (), own)
        if not found.best.muscles.empty:
            yield Section("Muscle texture score", (), (), (muscle_table(found),))
    if found.failures:
        frame = pd.DataFrame(found.failures, columns=["Method", "Reason"])
        yield Section("Methods that could not be tried", (), (), (Table("failures", "Not in any figure", frame),))
    rows = [("Program", summary["program"]), ("Cohort table, SHA-256", cohort["sha256"]), ("Seed", str(found.seed))]
    rows += [
        (f"{name}, fold {n}", sha256)
        for name, all_of in summary["models"].items()
        for n, sha256 in enumerate(all_of, 1)
    ]
    frame = pd.DataFrame(rows, columns=["What", "Value"])
    yield Section("How this was made", (), (), (Table("provenance", "Enough to make the figures again", frame),))


def _neurons(found: TextureComparison, figures: Path) -> Section:
    first = found.fold == 1
    name = found.best.name
    fat = mean_fat_fraction(found.images)[first, 0]
    labels = found.images.labels[first]
    save_figure(neuron_figure(found.best.responses.features[first], fat, labels, found.classes), figures, "neurons")
    shown = picture(
        figures,
        "neurons",
        "Responses of the neurons to the images of each class, and box plots of the mean fat fraction and of the "
        "neuron that sets the classes furthest apart; the table holds the numbers",
        f"Network {name}, {len(labels)} images of fold 1, which it has not seen. Left: responses from the smallest "
        "(dark) to the largest (light) of each neuron, neurons in the order of their chi-square distance. Right: mean "
        "fat fraction, and the first of these neurons; boxes hold the middle half.",
    )
    return Section("Single neurons beside the mean fat fraction", (), (shown,), (neuron_table(found),))


def _patches(found: TextureComparison, figures: Path) -> Iterator[Section]:
    laid_out = patch_map(found.images, found.best.responses, found.seed)
    if laid_out is None:
        return
    save_figure(patch_figure(laid_out, found.classes), figures, "patches")
    counts = np.bincount(laid_out.labels, minlength=len(found.classes))
    told = ", ".join(f"{name} {count}" for name, count in zip(found.classes, counts, strict=True))
    shown = picture(
        figures,
        "patches",
        f"Patches of 24 × 24 pixels under the strongest heat, laid out by t-SNE: {told}",
        f"Patches of fat fraction ({told}) under the heat of network {found.best.name} in images that it calls "
        "rightly, laid out by t-SNE of their pixels: those that look alike lie together, while distances between "
        "groups mean nothing. Frames: a patch of each region, in the colour of its class.",
    )
    yield Section("Patches under the heat", (), (shown,))
