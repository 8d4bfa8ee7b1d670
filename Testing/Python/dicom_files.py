"""Small DICOM series written for tests: single-frame and enhanced multi-frame MR, with a made-up patient in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

IDENTITY = ("Mustermann", "Erika", "4711-0815", "19610325", "Dr. Sommer")
"""What must never leave the reader; every file written here holds all of it."""

AXIAL = np.eye(3)
T1_SPIN_ECHO = {"RepetitionTime": 550, "EchoTime": 12, "ScanningSequence": "SE", "MagneticFieldStrength": 1.5}


def thigh_like(slices: int, rows: int = 24, columns: int = 20, seed: int = 0) -> np.ndarray:
    """(slices, rows, columns) int16 with values 0 to 2047, every voxel different from its neighbours."""
    return np.random.default_rng(seed).integers(0, 2048, (slices, rows, columns)).astype(np.int16)


def image_dataset(pixels: np.ndarray, storage: str = MRImageStorage, **attributes) -> FileDataset:
    """An MR object around `pixels` (rows, columns) or (frames, rows, columns), without position."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = storage
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = storage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["series"])
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    dataset.Modality = "MR"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = f"{IDENTITY[0]}^{IDENTITY[1]}", *IDENTITY[2:4]
    dataset.ReferringPhysicianName = IDENTITY[4]
    dataset.SeriesDescription = f"t1 tse tra {IDENTITY[0]}"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def place(dataset: Dataset, position: np.ndarray, direction: np.ndarray, spacing: tuple[float, float, float]) -> None:
    """Writes position (LPS mm), direction cosines (columns: i, j, k axes) and spacing (i, j, k) as decimal strings."""
    dataset.ImagePositionPatient = [f"{value:.6f}" for value in position]
    dataset.ImageOrientationPatient = [f"{value:.9f}" for value in direction[:, :2].T.ravel()]
    dataset.PixelSpacing = [spacing[1], spacing[0]]
    dataset.SliceThickness = spacing[2]


def series_datasets(
    voxels: np.ndarray,
    direction: np.ndarray = AXIAL,
    spacing: tuple[float, float, float] = (1.5, 1.2, 6.0),
    origin: tuple[float, float, float] = (-110.0, -85.0, 40.0),
    **attributes,
) -> list[FileDataset]:
    """One single-frame MR object a slice of `voxels` (z, y, x), in the order of the slices."""
    datasets = []
    for k, pixels in enumerate(voxels):
        dataset = image_dataset(pixels, **({"InstanceNumber": k + 1} | T1_SPIN_ECHO | attributes))
        place(dataset, np.asarray(origin) + k * spacing[2] * direction[:, 2], direction, spacing)
        datasets.append(dataset)
    return datasets


def write_series(folder: Path, datasets: list[FileDataset], seed: int = 0) -> list[Path]:
    """Writes each object under a name that tells nothing of its order; returns the paths in the order of `datasets`."""
    folder.mkdir(parents=True, exist_ok=True)
    names = np.random.default_rng(seed).permutation(len(datasets))
    paths = [folder / f"{IDENTITY[0]}_{name:04d}" for name in names]
    for path, dataset in zip(paths, datasets, strict=True):
        dataset.save_as(path, enforce_file_format=True)
    return paths


def enhanced_dataset(
    voxels: np.ndarray,
    positions: np.ndarray,
    direction: np.ndarray = AXIAL,
    spacing: tuple[float, float, float] = (1.5, 1.2, 6.0),
    frame_attributes: list[dict] | None = None,
    **attributes,
) -> FileDataset:
    """An Enhanced MR object: frame n is voxels[n] at positions[n] (LPS mm).

    `frame_attributes[n]` may hold RescaleSlope, RescaleIntercept, EffectiveEchoTime, FrameType and FrameLaterality.
    """
    dataset = image_dataset(voxels, EnhancedMRImageStorage, NumberOfFrames=len(voxels), **attributes)
    dataset.EchoPulseSequence, dataset.MagneticFieldStrength = "SPIN", 3.0
    shared = Dataset()
    shared.PlaneOrientationSequence = [Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [f"{v:.9f}" for v in direction[:, :2].T.ravel()]
    shared.PixelMeasuresSequence = [Dataset()]
    shared.PixelMeasuresSequence[0].PixelSpacing = [spacing[1], spacing[0]]
    shared.PixelMeasuresSequence[0].SliceThickness = spacing[2]
    shared.MRTimingAndRelatedParametersSequence = [Dataset()]
    shared.MRTimingAndRelatedParametersSequence[0].RepetitionTime = 600.0
    dataset.SharedFunctionalGroupsSequence = [shared]
    macros = {
        "RescaleSlope": "PixelValueTransformationSequence",
        "RescaleIntercept": "PixelValueTransformationSequence",
        "EffectiveEchoTime": "MREchoSequence",
        "FrameType": "MRImageFrameTypeSequence",
        "FrameLaterality": "FrameAnatomySequence",
    }
    groups = []
    for n, position in enumerate(positions):
        group = Dataset()
        group.PlanePositionSequence = [Dataset()]
        group.PlanePositionSequence[0].ImagePositionPatient = [f"{value:.6f}" for value in position]
        for keyword, value in (frame_attributes[n] if frame_attributes else {"EffectiveEchoTime": 11.0}).items():
            if macros[keyword] not in group:
                setattr(group, macros[keyword], [Dataset()])
            setattr(group[macros[keyword]][0], keyword, value)
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    return dataset
