"""Synthetic thighs of known anatomy, fat, oedema and diagnosis, to train and test on. No one's images."""

from ..muscles.structures import MUSCLES
from .contrasts import CONTRASTS
from .dicom_series import write_dicom
from .disease import DIAGNOSES, DYSTROPHINOPATHY
from .thigh import Phantom, make_phantom

__all__ = ["CONTRASTS", "DIAGNOSES", "DYSTROPHINOPATHY", "MUSCLES", "Phantom", "make_phantom", "write_dicom"]
