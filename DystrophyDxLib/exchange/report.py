"""The result as a DICOM Structured Report (PS3.3, A.35.13; PS3.16, TID 1500)."""

from __future__ import annotations

from collections.abc import Iterator

from highdicom.sr import (
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementProperties,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from ..muscles.structures import label_of
from ..reporting.case_report import WARNINGS, extent, figures, finding, notices, reservations
from ..reporting.muscle_fat import summary_line, told
from ..reporting.pattern_words import pattern_line
from ..results import CaseResult, ModelFacts, MuscleFat
from ..series.words import listed
from .making import PRODUCT, Making, code
from .segmentation import Segment, segments_of, tracking

Group = MeasurementsAndQualitativeEvaluations | VolumetricROIMeasurementsAndQualitativeEvaluations
SCHEME = "99DYSTROPHYDX"
"""Of private codes, for what no published code says."""
MERCURI = Code("MERCURI", SCHEME, "Mercuri grade, 1 normal to 4 severe")
WARNING = Code("WARNING", SCHEME, "Warning")
SIGN = Code("SIGN", SCHEME, "Sign of the thigh's muscles")
CORRECTION = Code("CORRECTION", SCHEME, "Reader's correction")
MODEL = Code("MODEL", SCHEME, "Model")
PRIVATE = (MERCURI, WARNING, SIGN, CORRECTION, MODEL)
THIGH = code("SCT^68367000^Thigh")
MILLILITRE = code("UCUM^mL^milliliter")
GRADE = code("UCUM^{grade}^grade")
DIGITS = 2
"""Decimals of figures: of percent and millilitres more says nothing."""


def make_report(making: Making, segmentation: Dataset | None) -> Dataset:
    """The object.

    Args:
        segmentation: of the same result, whose segments it tells of.
    """
    result = making.findings.result
    groups = [
        _answer(making, "Answer of the network", result.case, result.model),
        *_pattern(making),
        *(_muscles(making, segmentation) if segmentation is not None else ()),
    ]
    device = DeviceObserverIdentifyingAttributes(
        uid=making.uid("device"),
        name=PRODUCT,
        manufacturer_name=PRODUCT,
        model_name=making.algorithm(result.model)["name"],
    )
    report = MeasurementReport(
        observation_context=ObservationContext(ObserverContext(codes.DCM.Device, device)),
        procedure_reported=codes.LN.MRIUnspecifiedBodyRegion,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    before = next(n for n, item in enumerate(report[0].ContentSequence) if item.ValueType == "CONTAINER")
    for item in reversed(list(_texts(making))):
        report[0].ContentSequence.insert(before, item)
    report[0].ContentSequence.extend(_model(making))
    _separate(report[0])
    content, report[0].ContentSequence = report[0].ContentSequence, []  # highdicom would copy and check it once more
    evidence = [_evidence(making, image.sop_class, image.sop_uid, image.series_uid) for image in making.source.images]
    evidence = list({ds.SOPInstanceUID: ds for ds in evidence}.values())
    ds = Comprehensive3DSR(
        evidence=[*evidence, *([segmentation] if segmentation is not None else [])],
        content=report[0],
        is_complete=True,
        is_final=False,
        is_verified=False,
        **making.common("report"),
        **making.device,
    )
    ds.ContentSequence = content
    return making.finished(ds, "report")


def _answer(making: Making, name: str, case: CaseResult, model: ModelFacts) -> MeasurementsAndQualitativeEvaluations:
    """The group of an answer: probability of each class that it tells, threshold, label and reason."""
    classes = [(one.name, one.probability, one.ci95) for one in case.differential]
    classes = classes or [(model.classes[1], case.probability, case.ci95)]
    measured = [
        _measured(
            codes.DCM.Probability,
            100 * probability,
            codes.UCUM.Percent,
            tracking_identifier=TrackingIdentifier(making.uid(name, of), of),
            interval=_percent(interval) if case.has_interval else None,
        )
        for of, probability, interval in classes
    ]
    shows_thigh = any(image.anatomy == "thigh" for image in making.findings.result.images)
    if case.threshold is not None:
        measured.append(_measured(codes.DCM.ThresholdValue, 100 * case.threshold, codes.UCUM.Percent))
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(making.uid(name), name),
        algorithm_id=making.algorithm_of_report(model),
        finding_sites=[FindingSite(THIGH)] if shows_thigh else None,
        measurements=measured,
    )
    _add(group, codes.DCM.Finding, f"{case.label}: {case.reason}")
    return group


def _pattern(making: Making) -> Iterator[MeasurementsAndQualitativeEvaluations]:
    """The second answer, where there is one; its words are beside the first one's."""
    pattern = making.findings.result.pattern
    if pattern is not None and pattern.case is not None:
        yield _answer(making, "Answer by the pattern of fat in the muscles", pattern.case, pattern.model)


def _measured(
    name: Code,
    value: float,
    unit: Code,
    tracking_identifier: TrackingIdentifier | None = None,
    interval: tuple[float, float] | None = None,
) -> Measurement:
    """A figure with what it may be less and more by its 95 % interval, in the same unit."""
    properties = None
    if interval is not None:
        low, high = value - interval[0], interval[1] - value
        properties = MeasurementProperties(upper_measurement_uncertainty=high, lower_measurement_uncertainty=low)
    measured = Measurement(name, value, unit, tracking_identifier=tracking_identifier, properties=properties)
    own = measured[0].MeasuredValueSequence[0].MeasurementUnitsCodeSequence
    for item in (measured[0], *measured[0].get("ContentSequence", ())):
        if item.ValueType == "NUM":
            number = item.MeasuredValueSequence[0]
            number.NumericValue = f"{round(float(number.NumericValue), DIGITS):g}"
            number.MeasurementUnitsCodeSequence = own  # highdicom writes intervals without a unit
    return measured


def _percent(interval: tuple[float, float]) -> tuple[float, float]:
    return 100 * interval[0], 100 * interval[1]


def _muscles(making: Making, segmentation: Dataset) -> Iterator[VolumetricROIMeasurementsAndQualitativeEvaluations]:
    numbered = {(s.side.value, s.label): (n, s) for n, s in enumerate(segments_of(making), 1)}
    for muscle in making.findings.result.muscle_fat:
        found = numbered.get((muscle.side, label_of(muscle.muscle) or 0))
        if found is not None:
            yield _muscle(making, segmentation, muscle, *found)


def _muscle(
    making: Making, segmentation: Dataset, muscle: MuscleFat, number: int, segment: Segment
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    measured = [_measured(codes.SCT.Volume, muscle.volume_ml, MILLILITRE)]
    interval = _percent(muscle.fat_ci95) if muscle.fat_ci95 else None
    if muscle.fat_fraction is not None:
        measured.append(
            _measured(codes.DCM.FatFraction, 100 * muscle.fat_fraction, codes.UCUM.Percent, interval=interval)
        )
    if muscle.mercuri is not None:
        measured.append(_measured(MERCURI, muscle.mercuri, GRADE))
    identifier, uid = tracking(making, segment)
    group = VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid, identifier),
        referenced_segment=ReferencedSegment(
            segmentation.SOPClassUID,
            segmentation.SOPInstanceUID,
            number,
            source_series=SourceSeriesForSegmentation(making.source.images[0].series_uid),
        ),
        finding_sites=[FindingSite(segment.kind, laterality=segment.laterality)],
        measurements=measured,
    )
    within = f", 95 % interval {interval[0]:.0f} to {interval[1]:.0f} %" if interval else ""
    words = f"Fat: {told(muscle)}{within}. {muscle.why}"
    _add(group, codes.DCM.Comment, words.strip())
    return group


def _texts(making: Making) -> Iterator[TextContentItem]:
    """What a colleague reads first: the answer, and what it is worth."""
    result = making.findings.result
    for words in notices(result):
        yield _text(codes.DCM.Comment, words)
    told = f"{finding(result)}. {figures(result)}. {result.case.reason}"
    yield _text(codes.DCM.Summary, " ".join((told, *reservations(result))))
    for words in (extent(result), summary_line(result), result.fat.note if result.fat else "", pattern_line(result)):
        if words:
            yield _text(codes.DCM.Comment, words)
    for warning in result.warnings:
        title, advice = WARNINGS[warning.code]
        yield _text(WARNING, f"{warning.code.value}: {title} {warning.message} {advice}")
    for sign in result.signs:
        yield _text(SIGN, sign.told)
    edited = sorted({image.slice for image in result.images if image.roi == "edited"})
    if edited:
        yield _text(
            CORRECTION, f"The user drew, corrected or gave the region in {listed(edited)}; the figures are of it."
        )
    if making.findings.muscles is not None and making.findings.muscles.source == "edited":
        yield _text(CORRECTION, "A person drew or corrected the muscles; the figures are of them.")


def _model(making: Making) -> Iterator[TextContentItem]:
    """The model's card in short."""
    model, card = making.findings.result.model, making.findings.card or {}
    yield _text(MODEL, f"{model.name}, version {model.version}; package SHA-256 {model.sha256}")
    yield _text(MODEL, f"Trained on {model.trained_on}")
    for key, words in (("intended_use", "Intended use"), ("licence", "Licence")):
        if card.get(key):
            yield _text(MODEL, f"{words}: {card[key]}")
    for name, metric in card.get("metrics", {}).items():
        if not name.endswith("validation"):
            yield _text(MODEL, _metric(name, metric))


def _metric(name: str, metric: dict) -> str:
    low, high = metric["ci95"]
    return f"{name}: {metric['value']:.3f} (95 % interval {low:.3f} to {high:.3f}), {metric['measured_on']}"


def _evidence(making: Making, sop_class: str, sop_uid: str, series_uid: str) -> Dataset:
    ds = Dataset()
    ds.update(making.source.study)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID = sop_class, sop_uid, series_uid
    return ds


def _separate(item: Dataset) -> None:
    """Has viewers show each item by itself with its name, and not as one flowing text as highdicom asks them to."""
    if item.ValueType == "CONTAINER":
        item.ContinuityOfContent = "SEPARATE"
    for inner in item.get("ContentSequence", ()):
        _separate(inner)


def _text(name: Code, words: str) -> TextContentItem:
    return TextContentItem(name=name, value=words, relationship_type=RelationshipTypeValues.CONTAINS)


def _add(group: Group, name: Code, words: str) -> None:
    group[0].ContentSequence.append(_text(name, words))
