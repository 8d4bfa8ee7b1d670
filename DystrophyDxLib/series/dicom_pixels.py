"""Pixels of DICOM images, decoded and rescaled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
from pydicom.pixels import get_decoder, iter_pixels
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from ..errors import InputError
from .dicom_inventory import Frame


def decoded(frames: list[Frame], index: np.ndarray) -> np.ndarray:
    """(z, y, x) float32: frame n at slice index[n], rescaled, bright is strong signal, zero in missing slices."""
    voxels = np.zeros((int(index[-1]) + 1, *frames[0].shape), np.float32)
    padded: list[tuple[int, np.ndarray]] = []
    by_file: dict[Path, list[tuple[int, Frame]]] = {}
    for k, frame in zip(index.tolist(), frames, strict=True):
        by_file.setdefault(frame.path, []).append((k, frame))
    for path, wanted in by_file.items():
        for (k, frame), image in zip(wanted, _images(path, wanted), strict=True):
            np.multiply(image, frame.slope, out=voxels[k], casting="unsafe")
            voxels[k] += np.float32(frame.intercept)
            if frame.padding is not None and (mask := image == frame.padding).any():
                padded.append((k, mask))
    if frames[0].inverted:
        strongest = voxels[index].max()
        for k in index:
            np.subtract(strongest, voxels[k], out=voxels[k])
    for k, mask in padded:
        voxels[k][mask] = 0
    return voxels


def _images(path: Path, wanted: list[tuple[int, Frame]]) -> Iterator[np.ndarray]:
    """Stored values (y, x) of the frames that are wanted of one file, in that order."""
    try:
        dataset = pydicom.dcmread(path, force=True)
        if not dataset.file_meta.get("TransferSyntaxUID"):
            implicit, little = dataset.original_encoding
            explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
        syntax = dataset.file_meta.TransferSyntaxUID
        _require_decoder(syntax)
        # The plugin for run-length coding aborts with a stack trace on damaged data; pydicom's own decoder does not.
        plugin = "pydicom" if syntax == RLELossless else ""
        yield from iter_pixels(dataset, indices=[frame.number for _, frame in wanted], raw=True, decoding_plugin=plugin)
    except InputError:
        raise
    except Exception:  # pydicom and its plugins raise nearly anything for pixels that are damaged or not there
        raise InputError(
            f"Slice {wanted[0][0]} of the series has no pixels that can be read: its file is cut off, damaged or only a"
            " header; copy the study again."
        ) from None


def _require_decoder(syntax: pydicom.uid.UID) -> None:
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise InputError("The pixels are encoded in an unusual way; export the series again, uncompressed.") from None
    if not available:
        raise InputError(
            f"The pixels are compressed ({syntax.name}); install the decoders with: pip install 'dystrophydx[cli]'"
        )
