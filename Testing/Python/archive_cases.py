"""Small archives made for tests: studies cut out of the sample study, each of another patient and a bit different."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from DystrophyDxLib.archive.pseudonyms import Pseudonyms
from DystrophyDxLib.archive.studies import Place, Study
from DystrophyDxLib.archive.worker import Model
from DystrophyDxLib.files.resources import sample_study
from DystrophyDxLib.results import (
    CaseResult,
    ImageResult,
    InputFacts,
    ModelFacts,
    MuscleFat,
    MuscleHeat,
    Provenance,
    ResultWarning,
    SkippedImage,
    StudyResult,
)

SLICES = (5, 9)
"""Of the sample study, that show a thigh."""


@cache
def _sample(k: int) -> FileDataset:
    return pydicom.dcmread(sorted(sample_study().glob("*.dcm"))[k])


def study_datasets(seed: int, **attributes) -> list[FileDataset]:
    """Two slices of 128 × 128 pixels, with UIDs, a patient and noise of their own."""
    rng = np.random.default_rng(seed)
    datasets = []
    for n, k in enumerate(SLICES):
        ds = copy.deepcopy(_sample(k))
        pixels = ds.pixel_array.reshape(128, 2, 128, 2).mean(axis=(1, 3))
        pixels = np.clip(pixels + rng.normal(0, 20, pixels.shape), 0, 4095).astype(np.uint16)
        ds.Rows, ds.Columns = pixels.shape
        ds.PixelSpacing = [2 * float(mm) for mm in ds.PixelSpacing]
        ds.PixelData = pixels.tobytes()
        ds.PatientID, ds.PatientName = f"4711-{seed:05d}", f"Mustermann^{seed}"
        for keyword, of in (
            ("StudyInstanceUID", ""),
            ("SeriesInstanceUID", "series"),
            ("SOPInstanceUID", f"image {n}"),
        ):
            setattr(ds, keyword, generate_uid(entropy_srcs=["archive", str(seed), of]))
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.InstanceNumber = n + 1
        ds.SpacingBetweenSlices = abs(
            float(_sample(SLICES[0]).ImagePositionPatient[2]) - float(_sample(SLICES[1]).ImagePositionPatient[2])
        )
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)
        datasets.append(ds)
    return datasets


def write_study(folder: Path, datasets: list[FileDataset], name: str = "IM") -> list[Path]:
    """Writes the images of a study into a folder beside what lies there."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}{n}" for n in range(len(datasets))]
    for path, ds in zip(paths, datasets, strict=True):
        ds.save_as(path, enforce_file_format=True)
    return paths


KEY = Pseudonyms(b"sixteen letters!")


def model_of(version: str = "1") -> Model:
    """A model of which only the names are there."""
    card = SimpleNamespace(name="demo", version=version)
    return Model(SimpleNamespace(card=card, sha256=f"{version}{'ab' * 31}"))


def study_of(name: str, patient: str = "4711") -> Study:
    return Study(KEY.study(name), KEY.patient(patient), Place(Path(name)))


def result_of(**changes) -> StudyResult:
    """An answer with two images, one of them outside the thigh, and a muscle."""
    image = {"window_ijk": ((1, 9), (2, 8)), "roi": "auto", "side": "left"}
    muscle = {"muscle": "sartorius", "side": "left", "voxels": 9, "under_heat": 3, "score": 0.25, "slices": ()}
    facts = {
        "input": InputFacts(
            kind="dicom",
            series_uid="1.2.840.99.4711",
            slices=2,
            spacing_mm=(1.5, 1.5, 6.0),
            selection="The only MR series.",
            notes=(),
            acquisition={"field_strength_t": 3.0},
        ),
        "model": ModelFacts(
            name="demo", version="1", sha256="ab" * 32, trained_on="nothing", classes=("other", "dystrophinopathy")
        ),
        "case": CaseResult(
            probability=0.75, ci95=(0.625, 0.875), label="dystrophinopathy", threshold=0.5, reason="So."
        ),
        "images": (
            ImageResult(**image, slice=0, probability=0.75, anatomy="thigh", counted=True),
            ImageResult(**image, slice=1, probability=0.5, anatomy="other", counted=False),
        ),
        "skipped": (SkippedImage(slice=1, side="right", reason="There is no leg."),),
        "warnings": (ResultWarning(code="LEGS_TOUCHING", message="The legs touch in slice 1."),),
        "provenance": Provenance(
            program="DystrophyDx 0.1.0", created="2026-01-02T03:04:05+00:00", device="cpu", precision="float32"
        ),
        "timing_s": {"read": 0.5, "roi": 0.25, "network": 1.0},
        "muscles": (MuscleFat(**muscle, volume_ml=12.5, fat_fraction=0.5, fat_ci95=(0.25, 0.75), mercuri=3),),
        "muscle_heat": (MuscleHeat(side="left", muscle="sartorius", share=0.5, mean_heat=0.25),),
    }
    return StudyResult(**(facts | changes))
