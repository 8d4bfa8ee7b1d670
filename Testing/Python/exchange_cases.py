"""Studies whose voxels are all different, findings on them without a network, and DICOM objects read by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from dicom_files import AXIAL, series_datasets, thigh_like, write_series
from pydicom.dataset import Dataset, FileDataset

from DystrophyDxLib.exchange.folder import write_objects
from DystrophyDxLib.exchange.making import Findings
from DystrophyDxLib.exchange.source import Source
from DystrophyDxLib.muscles.muscle_map import MapSource, MuscleMap
from DystrophyDxLib.results import (
    CaseResult,
    FatSource,
    ImageResult,
    InputFacts,
    ModelFacts,
    MuscleFat,
    Provenance,
    ResultWarning,
    Sign,
    StudyResult,
)
from DystrophyDxLib.series.reading import read_study
from DystrophyDxLib.series.series import Series

FRAME_OF_REFERENCE = "1.2.3.4.5"
BRIGHT = 1500
"""Grey from which a voxel is muscle: so it can be told from the source which voxels are."""


def study_datasets(voxels: np.ndarray | None = None, direction: np.ndarray = AXIAL, **attributes) -> list[FileDataset]:
    """A slice an object, as a scanner writes them, with all that an object about them needs."""
    voxels = thigh_like(4) if voxels is None else voxels
    return series_datasets(voxels, direction, FrameOfReferenceUID=FRAME_OF_REFERENCE, SeriesNumber=3, **attributes)


def result_of(series: Series, **changes) -> StudyResult:
    """An answer with something of everything."""

    def muscle(name: str, side: str, fat: float | None, mercuri: int | None, why: str = "") -> MuscleFat:
        interval = None if fat is None else (fat - 0.0625, fat + 0.125)
        figures = {"voxels": 9, "under_heat": 3, "score": 0.3, "volume_ml": 12.5, "slices": ()}
        told = {"fat_fraction": fat, "fat_ci95": interval, "mercuri": mercuri, "why": why}
        return MuscleFat(muscle=name, side=side, **figures, **told)

    facts = {
        "input": InputFacts(
            label="Case 7",
            kind="dicom",
            series_uid=series.series_uid,
            slices=len(series.voxels),
            spacing_mm=series.geometry.spacing,
            selection="The only series.",
            notes=(),
            acquisition={},
        ),
        "model": ModelFacts(
            name="demo", version="2", sha256="ab" * 32, trained_on="phantoms", classes=("other", "dystrophinopathy")
        ),
        "case": CaseResult(
            probability=0.625,
            ci95=(0.375, 0.75),
            label="indeterminate",
            threshold=0.5,
            reason="The interval crosses the threshold.",
        ),
        "images": tuple(
            ImageResult(
                slice=k,
                side=side,
                window_ijk=((0, 10), (0, 10)),
                probability=0.6,
                roi="edited" if k == 1 else "auto",
                anatomy="thigh",
                counted=True,
            )
            for k in range(2)
            for side in ("left", "right")
        ),
        "skipped": (),
        "warnings": (ResultWarning(code="LEGS_TOUCHING", message="The legs touch in slice 1."),),
        "provenance": Provenance(
            program="DystrophyDx 0.1.0", created="2026-01-02T03:04:05+00:00", device="cpu", precision="float32"
        ),
        "timing_s": {"total": 1.0},
        "muscles": (
            muscle("sartorius", "left", 0.4375, 3),
            muscle("gracilis", "right", None, None, why="Nothing tells fat."),
        ),
        "signs": (Sign(name="trefoil", disease="DMD", side="left", present=None, why="No gracilis."),),
        "fat": FatSource(source="Dixon", note="Fat by Dixon.", map="A map."),
    }
    return StudyResult(**(facts | changes))


def findings_on(series: Series, source: MapSource = "auto", **changes) -> Findings:
    """Legs are halves of the image, bright voxels are muscles, and heat is grey."""
    legs = np.full(series.voxels.shape, 1, np.uint8)
    legs[:, :, : legs.shape[2] // 2] = 2
    legs[list(series.missing_slices)] = 0
    labels = np.where(series.voxels > BRIGHT, np.where(legs == 1, 1, 7), 0).astype(np.uint8)
    labels[legs == 0] = 0
    sides = np.where(labels > 0, legs, 0).astype(np.uint8)
    muscles = MuscleMap(labels, sides, source)
    card = {"intended_use": "Research.", "metrics": {"AUC": {"value": 0.9, "ci95": (0.8, 0.95), "measured_on": "30"}}}
    return Findings(result_of(series, **changes), legs, series.voxels / np.float32(2048), muscles, card)


@dataclass(frozen=True)
class Written:
    """Objects of a study: paths of the sources, and the folder of the objects."""

    sources: list[Path]
    folder: Path
    findings: Findings

    def __getattr__(self, name: str) -> Dataset:
        """`seg`, `heatmap`, `report` and `overview`."""
        return pydicom.dcmread(self.folder / f"{name}.dcm")


def write_all(folder: Path, datasets: list[FileDataset], **changes) -> Written:
    """Writes a study, and the objects of findings on it."""
    paths = write_series(folder / "study", datasets)
    series = read_study(folder / "study")
    findings = findings_on(series, **changes)
    png = folder / "overview.png"
    picture = np.random.default_rng(1).integers(0, 255, (30, 40, 3)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(picture, isVector=True), str(png))
    write_objects(Source.read(folder / "study", series), findings, png, folder / "dicom")
    return Written(paths, folder / "dicom", findings)


def lps(plane: np.ndarray, ds: Dataset) -> np.ndarray:
    """(n, 3) mm of the pixels that are set, from the position, orientation and spacing of a header (PS3.3, C.7.6.2)."""
    row, column = np.nonzero(plane)
    cosines = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
    row_mm, column_mm = map(float, ds.PixelSpacing)
    first = np.array(ds.ImagePositionPatient, float)
    return first + column[:, None] * column_mm * cosines[0] + row[:, None] * row_mm * cosines[1]


def frames(ds: Dataset) -> Iterator[tuple[Dataset, Dataset, np.ndarray]]:
    """Of each frame of a multi-frame object its place, its own groups, and its pixels."""
    shared = ds.SharedFunctionalGroupsSequence[0]
    rows, columns, count = ds.Rows, ds.Columns, int(ds.NumberOfFrames)
    if "FloatPixelData" in ds:
        pixels = np.frombuffer(ds.FloatPixelData, "<f4")
    elif "PixelData" in ds and ds.BitsAllocated == 1:
        pixels = np.unpackbits(np.frombuffer(ds.PixelData, np.uint8), bitorder="little")
    else:
        pixels = np.frombuffer(ds.PixelData, f"<i{ds.BitsAllocated // 8}")
    pixels = pixels[: count * rows * columns].reshape(count, rows, columns)
    for groups, plane in zip(ds.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        place = Dataset()
        for name, keyword in (
            ("PlanePositionSequence", "ImagePositionPatient"),
            ("PlaneOrientationSequence", "ImageOrientationPatient"),
            ("PixelMeasuresSequence", "PixelSpacing"),
        ):
            holder = groups if name in groups else shared
            setattr(place, keyword, holder[name][0][keyword].value)
        yield place, groups, plane


def source_planes(paths: list[Path]) -> Iterator[tuple[Dataset, str, int | None, np.ndarray]]:
    """Of each image of a study its place, SOP Instance UID, number among several frames, and grey values."""
    for path in paths:
        ds = pydicom.dcmread(path)
        if "NumberOfFrames" in ds:
            for number, (place, _, plane) in enumerate(frames(ds), 1):
                yield place, ds.SOPInstanceUID, number, plane
        else:
            yield ds, ds.SOPInstanceUID, None, ds.pixel_array


def same_points(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two sets of points are the same, to 10 µm."""
    sets = [np.unique(np.round(points, 2) + 0.0, axis=0) for points in (one, other)]
    return sets[0].shape == sets[1].shape and np.allclose(*sets, atol=0.021)


def texts(ds: Dataset) -> dict[str, list[str]]:
    """All texts of a report by what they are."""
    found: dict[str, list[str]] = {}
    for item in ds.ContentSequence:
        if item.ValueType == "TEXT":
            found.setdefault(item.ConceptNameCodeSequence[0].CodeMeaning, []).append(item.TextValue)
        for name, more in texts(item).items() if "ContentSequence" in item else ():
            found.setdefault(name, []).extend(more)
    return found
