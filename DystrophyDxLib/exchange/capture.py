"""The overview as a DICOM Secondary Capture (PS3.3, A.8), since most viewers show nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from highdicom.sc import SCImage
from pydicom.dataset import Dataset

from .making import Making


def make_capture(making: Making, png: Path) -> Dataset:
    """The object: the picture in colour, pixel by pixel.

    Args:
        png: overview.png.
    """
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(png)))
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    study = making.source.study
    ds = SCImage(
        pixel_array=np.ascontiguousarray(pixels[..., :3]),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=study.StudyInstanceUID,
        patient_orientation=("L", "P"),
        **making.common("overview"),
    )
    ds.PatientOrientation = []  # several slices, and a legend
    ds.ManufacturerModelName = ds.SecondaryCaptureDeviceManufacturerModelName = making.device["manufacturer_model_name"]
    ds.SoftwareVersions = making.device["software_versions"]
    ds.DeviceSerialNumber = making.device["device_serial_number"]
    ds.BurnedInAnnotation = "YES"
    ds.ConversionType = "WSD"
    ds.ImageComments = "Research only, not for diagnosis"
    ds.SourceImageSequence = [image.reference for image in making.source.images]
    return making.finished(ds, "overview")
