"""What all DICOM objects of a result have in common: whose they are, who made them, when, and which object they are."""

from __future__ import annotations

import datetime
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.sr import AlgorithmIdentification
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from ..muscles.muscle_map import MuscleMap
from ..results import ModelFacts, StudyResult
from .source import UTF_8, Source

Kind = Literal["seg", "heatmap", "report", "overview"]
PRODUCT = "DystrophyDx"
_SERIES = {
    "seg": (9001, "legs and muscles"),
    "heatmap": (9002, "heatmap"),
    "report": (9003, "report"),
    "overview": (9004, "overview"),
}
"""Series Number of each kind of object, and its words in the Series Description."""
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://dystrophydx.invalid/objects")


@dataclass(frozen=True)
class Findings:
    """What objects are made of. Arrays are (z, y, x) as the series.

    Attributes:
        result: as it is told everywhere else.
        legs: uint8, `LABEL_OF_SIDE` of the legs.
        heat: float32, evidence for the told class, as in heatmap.nrrd.
        muscles: None without a map.
        card: of the model package; empty where it is not there any more.
    """

    result: StudyResult
    legs: np.ndarray
    heat: np.ndarray
    muscles: MuscleMap | None = None
    card: Mapping[str, Any] | None = None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of it but when and how fast it was found, on what, and what the user calls the study."""
        unnamed = self.result.input.model_copy(update={"label": ""})
        told = self.result.model_copy(update={"timing_s": {}, "provenance": None, "input": unnamed})
        content = hashlib.sha256(told.model_dump_json(by_alias=True, warnings=False).encode())
        drawn = (self.muscles.labels, self.muscles.sides) if self.muscles else ()
        for array in (self.legs, self.heat, *drawn):
            content.update(np.ascontiguousarray(array).tobytes())
        return content.hexdigest()

    @property
    def edited(self) -> bool:
        """Whether a person drew or corrected the region."""
        return any(image.roi == "edited" for image in self.result.images)


@dataclass(frozen=True)
class Making:
    """The objects of one result in the study of its source.

    What is the same has the same UIDs: they are derived (UUIDv5, PS3.5, B.2) from the images, the model package and the
    findings.
    """

    source: Source
    findings: Findings

    def uid(self, *what: str) -> str:
        """The UID of an object or of something in it."""
        images = ",".join(f"{image.sop_uid}:{image.frame}" for image in self.source.images)
        name = "|".join((images, self.findings.result.model.sha256, self.findings.digest, *what))
        return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"

    def common(self, kind: Kind) -> dict[str, Any]:
        """Arguments of all of highdicom's constructors."""
        return {
            "series_instance_uid": self.uid(kind, "series"),
            "series_number": _SERIES[kind][0],
            "sop_instance_uid": self.uid(kind),
            "instance_number": 1,
            "manufacturer": PRODUCT,
        }

    @property
    def device(self) -> dict[str, Any]:
        """Arguments of those that tell the device."""
        return {
            "manufacturer_model_name": PRODUCT,
            "software_versions": self.findings.result.provenance.program,
            "device_serial_number": self.findings.result.model.sha256,
        }

    def finished(self, ds: Dataset, kind: Kind) -> Dataset:
        """The object with what highdicom leaves out or makes up: its series' name, its time, patient and study."""
        ds.update({element.tag: element for element in self.source.study if element.keyword != "FrameOfReferenceUID"})
        if kind in ("report", "overview"):
            ds.pop("PositionReferenceIndicator", None)
        ds.SpecificCharacterSet = UTF_8
        ds.SeriesDescription = f"RESEARCH ONLY: {PRODUCT} {_SERIES[kind][1]}"
        date, time = self.created
        ds.InstanceCreationDate, ds.InstanceCreationTime = date, time
        ds.SeriesDate, ds.SeriesTime = date, time
        if kind == "overview":
            ds.Laterality = ""
        if kind in ("seg", "heatmap"):
            ds.ContentCreatorName = ""
        for keyword in ("ContentDate", "DateOfSecondaryCapture"):
            if keyword in ds:
                setattr(ds, keyword, date)
                setattr(ds, keyword.replace("Date", "Time"), time)
        for equipment in ds.get("ContributingEquipmentSequence", ()):
            equipment.pop("ContributionDateTime", None)
        if "DimensionOrganizationSequence" in ds:
            organization = self.uid(kind, "dimensions")
            for item in (*ds.DimensionOrganizationSequence, *ds.DimensionIndexSequence):
                item.DimensionOrganizationUID = organization
        return ds

    @property
    def created(self) -> tuple[str, str]:
        """Date and time of the classification, by the local clock as all times of a study."""
        when = datetime.datetime.fromisoformat(self.findings.result.provenance.created).astimezone()
        return f"{when:%Y%m%d}", f"{when:%H%M%S}"

    def referring(self, ds: Dataset, derivation: Code) -> Dataset:
        """A multi-frame object whose frames, and itself, refer to the images of the study that they were made of."""
        ds.ReferencedSeriesSequence = self.source.series_references
        ds.pop("SourceImageSequence", None)
        slices, normal = self.source.slices, self.source.series.geometry.direction[:, 2]
        derivations = [Items([self._derivation(k, derivation)]) for k in slices]
        frames = ds.PerFrameFunctionalGroupsSequence
        of_slices = np.array([self.source.position(k) for k in slices]) @ normal
        of_frames = np.array([g.PlanePositionSequence[0].ImagePositionPatient for g in frames], float) @ normal
        nearest = np.abs(of_frames[:, None] - of_slices).argmin(axis=1)
        for groups, n in zip(frames, nearest, strict=True):
            groups.DerivationImageSequence = derivations[n]
        return ds

    def _derivation(self, k: int, derivation: Code) -> Dataset:
        item = Dataset()
        item.DerivationCodeSequence = [code_item(derivation)]
        images = self.source.of_slice(k)
        item.SourceImageSequence = [_source_item(image.reference, self.source.whole) for image in images]
        return item

    def algorithm(self, model: ModelFacts) -> dict[str, Any]:
        """Name, version and digest of what gave an answer."""
        return {
            "name": f"{self.findings.result.provenance.program}: {model.name}"[:64],
            "version": model.version[:64],
            "parameters": {"package sha256": model.sha256},
        }

    def algorithm_sequence(self) -> AlgorithmIdentificationSequence:
        """The same for an image."""
        return AlgorithmIdentificationSequence(
            family=codes.DCM.ArtificialIntelligence, **self.algorithm(self.findings.result.model)
        )

    def algorithm_of_report(self, model: ModelFacts) -> AlgorithmIdentification:
        """The same for a group of a report."""
        named = self.algorithm(model)
        parameters = [f"{name}: {value}" for name, value in named.pop("parameters").items()]
        return AlgorithmIdentification(**named, parameters=parameters)


def code(text: str) -> Code:
    """
    >>> code("SCT^71341001^Femur")
    Code(value='71341001', scheme_designator='SCT', meaning='Femur', scheme_version=None)
    """
    scheme, value, meaning = text.split("^")
    return Code(value, scheme, meaning)


def code_item(concept: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = concept.value, concept.scheme_designator
    item.CodeMeaning = concept.meaning
    return item


def _source_item(item: Dataset, preserved: bool) -> Dataset:
    item.PurposeOfReferenceCodeSequence = [code_item(codes.DCM.SourceImageForImageProcessingOperation)]
    item.SpatialLocationsPreserved = "YES" if preserved else "NO"
    return item
