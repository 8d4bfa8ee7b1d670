"""A phantom's series as DICOM files, for demonstrations and for trying the way from DICOM."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from ..errors import InputError
from .contrasts import CONTRASTS
from .thigh import Phantom

_BITS = 12
_DESCRIPTION = {
    "T1": "T1 SE axial",
    "STIR": "STIR axial",
    "DIXON_FAT": "Dixon fat axial",
    "DIXON_WATER": "Dixon water axial",
    "DIXON_FF": "Dixon fat fraction axial",
}
_PER_MILLE = 0.001


def write_dicom(phantom: Phantom, folder: Path, contrast: str = "T1", patient_id: str = "PHANTOM") -> list[Path]:
    """Writes one MR Image Storage file a slice (PS3.3 section A.4), named by number, and returns their paths.

    The signal is scaled to 12 bits, as its unit is arbitrary; the fat fraction is stored in per mille with its rescale
    slope. UIDs are a digest of the phantom, so the same phantom gives the same bytes, and its contrasts are series of
    one study in one frame of reference. The headers say that the images are synthetic, and hold no date and no person.

    Raises:
        InputError: the folder holds files already, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError("The folder for the phantom holds files already; give an empty one.")
        paths = []
        for dataset in _datasets(phantom, contrast, patient_id):
            path = folder / f"{dataset.InstanceNumber:04d}.dcm"
            dataset.save_as(path, enforce_file_format=True)
            paths.append(path)
    except OSError:
        raise InputError("The phantom cannot be written there; check the folder and the space on the disk.") from None
    return paths


def stored_pixels(voxels: np.ndarray, contrast: str) -> np.ndarray:
    """`voxels` of a series as uint16: 12 bits of signal, or the fat fraction in per mille."""
    if contrast == "DIXON_FF":
        return np.rint(voxels / _PER_MILLE).astype(np.uint16)
    return np.rint(voxels * ((2**_BITS - 1) / max(float(voxels.max()), 1e-6))).astype(np.uint16)


def _datasets(phantom: Phantom, contrast: str, patient_id: str) -> list[Dataset]:
    pixels = stored_pixels(phantom.images[contrast].voxels, contrast)
    study = hashlib.sha256(phantom.fat_fraction.tobytes() + phantom.legs.tobytes()).hexdigest()
    series = hashlib.sha256(pixels.tobytes()).hexdigest()
    return [_slice(phantom, contrast, plane, k, patient_id, study, series) for k, plane in enumerate(pixels)]


def _slice(
    phantom: Phantom, contrast: str, plane: np.ndarray, k: int, patient_id: str, study: str, series: str
) -> Dataset:
    geometry, acquisition = phantom.images[contrast].geometry, phantom.images[contrast].acquisition
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = Dataset()
    ds.file_meta = meta
    ds.SOPClassUID = MRImageStorage
    ds.StudyInstanceUID = generate_uid(entropy_srcs=[study, "study"])
    ds.FrameOfReferenceUID = generate_uid(entropy_srcs=[study, "frame of reference"])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=[study, series, contrast, "series"])
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[study, series, contrast, f"image {k}"])
    ds.PatientName, ds.PatientID = "Phantom", patient_id
    ds.PatientBirthDate = ds.PatientSex = ds.StudyDate = ds.StudyTime = ds.ReferringPhysicianName = ""
    ds.StudyID, ds.AccessionNumber, ds.PositionReferenceIndicator = "", "", ""
    ds.Modality, ds.Manufacturer = "MR", "DystrophyDx phantom"
    ds.StudyDescription = "Synthetic thighs, no patient"
    ds.SeriesDescription = f"{_DESCRIPTION[contrast]} thigh phantom"
    ds.DerivationDescription = "Computed from a model of the thigh, not acquired"
    ds.SeriesNumber, ds.InstanceNumber = 1 + CONTRASTS.index(contrast), k + 1
    ds.ImageType = list(acquisition.image_type)
    ds.BodyPartExamined, ds.PatientPosition = acquisition.body_part, "FFS"
    ds.Laterality = {"left": "L", "right": "R", None: ""}[acquisition.laterality]
    ds.ScanningSequence = list(acquisition.scanning_sequence)
    ds.SequenceVariant = "SP" if "GR" in acquisition.scanning_sequence else "NONE"
    ds.ScanOptions, ds.MRAcquisitionType = "", "2D"
    ds.MagneticFieldStrength = acquisition.field_strength_t
    ds.RepetitionTime, ds.EchoTime = acquisition.repetition_time_ms, acquisition.echo_time_ms
    if acquisition.inversion_time_ms is not None:
        ds.InversionTime = acquisition.inversion_time_ms
    ds.EchoTrainLength = 1
    ds.PixelSpacing = [geometry.spacing[1], geometry.spacing[0]]
    ds.SliceThickness = phantom.thickness_mm
    ds.SpacingBetweenSlices = round(geometry.spacing[2], 4)
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient = [round(float(x), 4) for x in (geometry.ijk_to_lps @ [0, 0, k, 1])[:3]]
    ds.set_pixel_data(plane, "MONOCHROME2", _BITS, generate_instance_uid=False)
    if contrast == "DIXON_FF":
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, _PER_MILLE, "US"
    return ds
