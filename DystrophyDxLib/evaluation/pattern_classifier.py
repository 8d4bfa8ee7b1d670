"""A model of patterns as what evaluations take: it answers for a series, and every image of it has that answer."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from .. import __version__
from ..classify import Classifier
from ..errors import InputError
from ..files.resources import muscle_model
from ..models.map_package import MapPackage
from ..models.packages import AnsweringPackage
from ..models.pattern_package import PatternPackage
from ..muscles.fat_of_series import fat_of_series
from ..muscles.mapper import MuscleMapper
from ..pattern_answer import answer
from ..results import ImageResult, ModelFacts, Provenance, StudyResult
from ..series.input_facts import input_facts
from ..series.series import Series


@dataclass(frozen=True)
class PatternClassification:
    """What a model of patterns says of a series: each image has the probability of the case."""

    result: StudyResult


class PatternClassifier:
    """A model of patterns with the model of muscle maps that ships with the extension, as a classification has it.

    Args:
        package: the model.
        device: one of `devices.DEVICES`.

    Raises:
        InputError: there is no model of muscle maps.
    """

    def __init__(self, package: PatternPackage, device: str) -> None:
        maps = muscle_model()
        if maps is None:
            raise InputError("The model of muscle maps, by which a pattern is told, was left out of this installation.")
        self.package = package
        self.mapper = MuscleMapper(MapPackage.read(maps), device)

    def classify(self, series: Series) -> PatternClassification:
        """Answers for a series.

        Raises:
            InputError: no leg is found, or there is no answer.
        """
        recipe, card = self.package.recipe, self.package.card
        fat = fat_of_series(series, recipe.sample, self.mapper, recipe.dixon)
        found = answer(self.package, fat.muscles, by_grey=fat.by_grey, why_not=fat.why)
        if found.case is None:
            raise InputError(found.why)
        by_name = {ranked.name: ranked.probability for ranked in found.case.differential}
        facts = card.model_dump(include=set(ModelFacts.model_fields) - {"sha256"})
        result = StudyResult(
            input=input_facts(series, ""),
            model=ModelFacts(**facts, sha256=self.package.sha256),
            case=found.case,
            images=tuple(
                ImageResult(
                    slice=window.slice,
                    side=window.side.value,
                    window_ijk=(window.i, window.j),
                    probability=found.case.probability,
                    roi=window.source,
                    anatomy="thigh",
                    counted=True,
                    probabilities=tuple(by_name[name] for name in card.classes) if by_name else (),
                )
                for window in fat.windows
            ),
            skipped=(),
            warnings=fat.warnings,
            provenance=Provenance(
                program=f"DystrophyDx {__version__}",
                created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                device=str(self.mapper.device),
                precision="float32",
            ),
            timing_s={},
        )
        return PatternClassification(result)


def classifier_of(package: AnsweringPackage, device: str) -> Classifier | PatternClassifier:
    """What answers by a package.

    Raises:
        InputError: as `Classifier` and `PatternClassifier`.
    """
    return PatternClassifier(package, device) if isinstance(package, PatternPackage) else Classifier(package, device)
