"""Synthetic T1-weighted thighs of known anatomy, fat and diagnosis, to train and test on. No one's images."""

from .anatomy import MUSCLES
from .dicom_series import write_dicom
from .disease import DIAGNOSES, DYSTROPHINOPATHY
from .thigh import Phantom, make_phantom

__all__ = ["DIAGNOSES", "DYSTROPHINOPATHY", "MUSCLES", "Phantom", "make_phantom", "write_dicom"]
