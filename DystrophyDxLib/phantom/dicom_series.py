"""A phantom as a DICOM series, for demonstrations and for trying the way from DICOM."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from ..errors import InputError
from .thigh import Phantom

_BITS = 12


def write_dicom(phantom: Phantom, folder: Path) -> list[Path]:
    """Writes one MR Image Storage file a slice (PS3.3 section A.4), named by number, and returns their paths.

    The signal is scaled to 12 bits, as its unit is arbitrary. The UIDs are a digest of the images, so the same phantom
    gives the same bytes. The headers say that the images are synthetic, and hold no date and no person.

    Raises:
        InputError: the folder holds files already, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError("The folder for the phantom holds files already; give an empty one.")
        paths = []
        for dataset in _datasets(phantom):
            path = folder / f"{dataset.InstanceNumber:04d}.dcm"
            dataset.save_as(path, enforce_file_format=True)
            paths.append(path)
    except OSError:
        raise InputError("The phantom cannot be written there; check the folder and the space on the disk.") from None
    return paths


def _datasets(phantom: Phantom) -> list[Dataset]:
    voxels = phantom.series.voxels
    pixels = np.rint(voxels * ((2**_BITS - 1) / max(float(voxels.max()), 1e-6))).astype(np.uint16)
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    return [_slice(phantom, plane, k, digest) for k, plane in enumerate(pixels)]


def _slice(phantom: Phantom, plane: np.ndarray, k: int, digest: str) -> Dataset:
    geometry, acquisition = phantom.series.geometry, phantom.series.acquisition
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = Dataset()
    ds.file_meta = meta
    ds.SOPClassUID = MRImageStorage
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[digest, f"image {k}"])
    ds.StudyInstanceUID = generate_uid(entropy_srcs=[digest, "study"])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=[digest, "series"])
    ds.FrameOfReferenceUID = generate_uid(entropy_srcs=[digest, "frame of reference"])
    ds.PatientName, ds.PatientID = "Phantom", "PHANTOM"
    ds.PatientBirthDate = ds.PatientSex = ds.StudyDate = ds.StudyTime = ds.ReferringPhysicianName = ""
    ds.StudyID, ds.AccessionNumber, ds.PositionReferenceIndicator = "", "", ""
    ds.Modality, ds.Manufacturer = "MR", "DystrophyDx phantom"
    ds.StudyDescription = "Synthetic thighs, no patient"
    ds.SeriesDescription = "T1 SE axial thigh phantom"
    ds.DerivationDescription = "Computed from a model of the thigh, not acquired"
    ds.SeriesNumber, ds.InstanceNumber = 1, k + 1
    ds.ImageType = ["DERIVED", "PRIMARY", "OTHER"]
    ds.BodyPartExamined, ds.PatientPosition = "THIGH", "FFS"
    ds.Laterality = {"left": "L", "right": "R", None: ""}[acquisition.laterality]
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "SE", "NONE", ""
    ds.MRAcquisitionType = "2D"
    ds.MagneticFieldStrength = acquisition.field_strength_t
    ds.RepetitionTime, ds.EchoTime = acquisition.repetition_time_ms, acquisition.echo_time_ms
    ds.EchoTrainLength = 1
    ds.PixelSpacing = [geometry.spacing[1], geometry.spacing[0]]
    ds.SliceThickness = ds.SpacingBetweenSlices = round(geometry.spacing[2], 4)
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient = [round(float(x), 4) for x in (geometry.ijk_to_lps @ [0, 0, k, 1])[:3]]
    ds.set_pixel_data(plane, "MONOCHROME2", _BITS, generate_instance_uid=False)
    return ds
