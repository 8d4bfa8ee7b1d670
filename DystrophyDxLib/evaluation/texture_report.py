"""Tables, figures and sections of a comparison of texture methods, after Cai et al. 2019 (see `texture`)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from ..reporting.figures import saved_picture
from ..reporting.harness import provenance
from ..reporting.pages import Section
from ..reporting.tables import Table
from ..statistics.bootstrap import LEAST_PATIENTS
from . import localisation, tables
from .summaries import TextureSummary
from .texture_comparison import TextureComparison
from .texture_figures import neuron_figure, patch_figure
from .texture_methods import mean_fat_fraction
from .texture_networks import neurons_beside_fat, patch_map


def sections(found: TextureComparison, summary: TextureSummary, figures: Path) -> Iterator[Section]:
    """The sections of the report; pictures are written into `figures`."""
    cohort = summary.cohort
    yield Section(
        "Accuracy",
        (
            f"{cohort.patients} patients with {cohort.images} images of {', '.join(found.classes)}; "
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
    models = [(f"{name}, fold {n}", sha256) for name, own in summary.models.items() for n, sha256 in enumerate(own, 1)]
    facts = [("Program", summary.program), ("Cohort table, SHA-256", cohort.sha256), ("Seed", str(found.seed))]
    yield provenance([*facts, *models])


def _neurons(found: TextureComparison, figures: Path) -> Section:
    first = found.fold == 1
    name = found.best.name
    fat = mean_fat_fraction(found.images)[first, 0]
    labels = found.images.labels[first]
    shown = saved_picture(
        neuron_figure(found.best.responses.features[first], fat, labels, found.classes),
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
    counts = np.bincount(laid_out.labels, minlength=len(found.classes))
    told = ", ".join(f"{name} {count}" for name, count in zip(found.classes, counts, strict=True))
    shown = saved_picture(
        patch_figure(laid_out, found.classes),
        figures,
        "patches",
        f"Patches of 24 × 24 pixels under the strongest heat, laid out by t-SNE: {told}",
        f"Patches of fat fraction ({told}) under the heat of network {found.best.name} in images that it calls "
        "rightly, laid out by t-SNE of their pixels: those that look alike lie together, while distances between "
        "groups mean nothing. Frames: a patch of each region, in the colour of its class.",
    )
    yield Section("Patches under the heat", (), (shown,))


def accuracy_table(found: TextureComparison) -> Table:
    """Table 1: mean, maximum and minimum accuracy of each method over the folds."""
    rows = []
    for method in found.said:
        row: dict[str, object] = {"Method": method}
        for unit, accuracy in found.overall(method).items():
            shares = found.accuracies(method, unit)
            row |= {f"Mean, {unit}": shares.mean(), f"Maximum, {unit}": shares.max(), f"Minimum, {unit}": shares.min()}
            row[f"All {unit}"] = accuracy
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
        f"mean over the folds, by image. (–): fewer than {LEAST_PATIENTS} patients.",
    )


def difference_table(found: TextureComparison) -> Table:
    """Accuracy and places of the heat, each network minus each later one on the same images, a row a class."""
    shown = {"right": "Accuracy", **tables.HEAT}
    titles = {figure: f"Difference, {shown[figure].lower()}" for figure in localisation.COMPARED}
    rows = []
    for first, second in combinations(found.networks, 2):
        differences = localisation.differences(first.heat, second.heat, seed=found.seed)
        for disease, group in differences.groupby("disease", sort=False):
            described = {"Networks": f"{first.name} minus {second.name}", "Class": disease}
            rows.append({**described, **tables.heat_figures(group, titles)})
    return Table(
        "differences",
        "Networks on the same images: mean differences with 95 % intervals by patient bootstrap",
        pd.DataFrame(rows),
        f"Each figure: of the images in which both networks have it. (–): fewer than {LEAST_PATIENTS} patients.",
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
