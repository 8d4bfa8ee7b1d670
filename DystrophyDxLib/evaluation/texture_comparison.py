"""Texture methods that answered for the same images, and how often each is right."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from ..cohort.table import Cohort
from ..reporting.harness import Measure, report_notices
from ..statistics.confusion import proportion
from ..statistics.estimate import Estimate
from ..training.sample_store import SampleStore
from .phantom_truth import is_synthetic
from .summaries import FailedMethod, FoldShares, TextureCohort, TextureSummary
from .texture_images import TextureImages
from .texture_networks import FoldModels, Responses

Unit = Literal["images", "patients"]


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
        failures: (method, reason) of methods that could not be tried.
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

    def accuracies(self, method: str, unit: Unit = "images") -> np.ndarray:
        """(folds,) share of the images, or of the patients, that a method is right about."""
        return self.right(method)[unit].groupby("fold")["right"].mean().to_numpy()

    def right(self, method: str) -> dict[Unit, pd.DataFrame]:
        """`label`, `fold` and whether a method is `right` of each image, and of each patient: where more images are
        called their class than any other."""
        images = pd.DataFrame({"label": self.images.labels, "fold": self.fold})
        said = np.eye(len(self.classes))[self.said[method]]
        votes = pd.DataFrame(said).groupby(self.images.patients).sum().to_numpy()
        patients = images.groupby(self.images.patients).first()
        own = np.take_along_axis(votes, patients[["label"]].to_numpy(), axis=1)
        return {
            "images": images.assign(right=self.said[method] == self.images.labels),
            "patients": patients.assign(right=(votes >= own).sum(axis=1) == 1),
        }

    def overall(self, method: str) -> dict[Unit, Estimate]:
        """Accuracy over all folds by unit, with Wilson's interval."""
        return {unit: proportion(int(rows["right"].sum()), len(rows)) for unit, rows in self.right(method).items()}

    @property
    def chance(self) -> dict[Unit, float]:
        """Accuracy by unit of who always says the most frequent class of the images."""
        most = np.full(len(self.images), np.bincount(self.images.labels).argmax())
        always = dataclasses.replace(self, said={"": most})
        return {unit: accuracy.value for unit, accuracy in always.overall("").items()}

    def predictions(self) -> pd.DataFrame:
        """One row an image: patient, row of the cohort table, slice, side, fold, class, and the class that each method
        says."""
        names = np.array(self.classes)
        facts = {
            "patient_id": self.images.patients,
            "row": np.array([case.row for case in self.cohort.cases])[self.store.case],
            "slice": self.store.slice,
            "side": self.store.side,
            "fold": self.fold,
            "truth": names[self.images.labels],
        }
        return pd.DataFrame({**facts, **{method: names[said] for method, said in self.said.items()}})

    def summary(self, cohort_sha256: str) -> TextureSummary:
        """The content of texture.json."""
        packages = {network.name: network.models.packages for network in self.networks}
        demonstration = any(package.card.demonstration for own in packages.values() for package in own)
        synthetic = is_synthetic(self.cohort)
        return TextureSummary(
            notices=report_notices(demonstration=demonstration, synthetic=synthetic, further=self.cohort.notices),
            cohort=TextureCohort(
                sha256=cohort_sha256,
                synthetic=synthetic,
                patients=len(np.unique(self.images.patients)),
                images=len(self.images),
            ),
            seed=self.seed,
            accuracy={
                method: {
                    unit: _shares(self.accuracies(method, unit), accuracy)
                    for unit, accuracy in self.overall(method).items()
                }
                for method in self.said
            },
            chance=self.chance,
            models={name: tuple(package.sha256 for package in own) for name, own in packages.items()},
            failures=tuple(FailedMethod(method=name, reason=reason) for name, reason in self.failures),
        )


def _shares(shares: np.ndarray, overall: Estimate) -> FoldShares:
    return FoldShares(
        folds=tuple(shares.tolist()),
        mean=shares.mean(),
        maximum=shares.max(),
        minimum=shares.min(),
        all=Measure.of(overall),
    )
