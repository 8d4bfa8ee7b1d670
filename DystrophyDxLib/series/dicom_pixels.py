"""Pixels of DICOM images, decoded and rescaled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pydicom
from pydicom.pixels import get_decoder, iter_pixels
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from ..errors import InputError
from .dicom_header import LARGEST_HEADER, unpacked
from .dicom_inventory import Frame
from .jpeg import PLUGIN, SYNTAXES

_PLUGINS = {RLELossless: "pydicom"} | dict.fromkeys(SYNTAXES, PLUGIN)
"""Which of pydicom's decoders is taken: others for these syntaxes end the program, or hang it, on damaged images."""


class Placed(NamedTuple):
    """A frame and where its pixels go in a volume.

    Attributes:
        k, j, i: of its first pixel.
        columns: those of its columns that are shown.
    """

    frame: Frame
    k: int
    j: int
    i: int
    columns: slice


def decoded(
    placed: Sequence[Placed], shape: tuple[int, int, int], advance: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """(z, y, x) float32 of `shape`: all frames at their places, rescaled, bright is strong signal, zero where there is
    no frame.

    Args:
        advance: told how many of the frames are done.
    """
    voxels = np.zeros(shape, np.float32)
    by_file: dict[Path, list[Placed]] = {}
    for item in placed:
        by_file.setdefault(item.frame.path, []).append(item)
    inverted = placed[0].frame.inverted
    done = 0
    for items in by_file.values():
        for item, image in zip(items, _images(items), strict=True):
            first, stop, _ = item.columns.indices(image.shape[1])
            image = image[:, first:stop]
            signal = voxels[item.k, item.j : item.j + len(image), item.i + first : item.i + stop]
            _rescale(image, item.frame, signal)
            if inverted:  # what is strongest is known at the end
                np.negative(signal, out=signal)
            if item.frame.padding is not None:
                signal[image == item.frame.padding] = np.nan
            if advance and done % 50 == 0:
                advance(done, len(placed))
            done += 1
    if inverted:
        _turn_up(placed, voxels)
    for item in placed:
        if item.frame.padding is not None:
            voxels[item.k][np.isnan(voxels[item.k])] = 0
    return voxels


def _rescale(image: np.ndarray, frame: Frame, signal: np.ndarray) -> None:
    """Writes the signals of stored values."""
    if frame.slope == 1:
        signal[:] = image
    else:
        np.multiply(image, frame.slope, out=signal, casting="unsafe")
    if frame.intercept:
        signal += np.float32(frame.intercept)


def _turn_up(placed: Sequence[Placed], voxels: np.ndarray) -> None:
    """Makes inverted signals positive again, the strongest as strong as it was stored."""
    on_slice: dict[int, np.ndarray] = {}
    weakest = min(float(np.nanmin(voxels[item.k])) for item in placed)
    for item in placed:
        shown = on_slice.setdefault(item.k, np.zeros(voxels.shape[1:], bool))
        rows, columns = item.frame.shape
        shown[item.j : item.j + rows, item.i : item.i + columns] = True
    for k, shown in on_slice.items():
        voxels[k][shown] -= weakest


def digest(frame: Frame) -> bytes:
    """A digest of the signals of a frame."""
    (image,) = _images([Placed(frame, 0, 0, 0, slice(None))])
    signal = np.empty(image.shape, np.float32)
    _rescale(image, frame, signal)
    return hashlib.blake2b(signal.tobytes(), digest_size=16).digest()


def _images(items: Sequence[Placed]) -> Iterator[np.ndarray]:
    """Stored values (y, x) of frames of one file, in the order of `items`."""
    first = items[0].frame
    try:
        with first.path.open("rb") as file:
            rows, columns = first.shape
            stream = unpacked(file, LARGEST_HEADER + 8 * rows * columns * first.of_frames)
            source, syntax = _source(stream, first)
            _require_decoder(syntax)
            plugin = _PLUGINS.get(syntax, "")
            plugin = plugin if plugin in get_decoder(syntax).available_plugins else ""
            numbers = [item.frame.number for item in items]
            for image in iter_pixels(source, indices=numbers, raw=True, decoding_plugin=plugin):
                # Bits above those that are stored are no signal (PS3.5, 8.1.1).
                unused = first.unused_bits if image.dtype.kind in "iu" else 0
                yield image << unused >> unused if unused else image
    except InputError:
        raise
    except Exception:  # pydicom and its plugins raise nearly anything for pixels that are damaged or not there
        raise InputError(
            f"Slice {items[0].k} of the series has no pixels that can be read: its file is cut off, damaged "
            "or only a header; copy the study again.",
            [items[0].frame.path.name],
        ) from None


def _source(stream: BinaryIO, first: Frame) -> tuple[BinaryIO | pydicom.Dataset, pydicom.uid.UID]:
    """What pydicom takes the pixels of a file from, and their transfer syntax. Of a file that keeps to its syntax only
    the frames that are asked for come into memory."""
    if first.syntax:
        return stream, pydicom.uid.UID(first.syntax)
    dataset = pydicom.dcmread(stream, force=True)
    if not dataset.file_meta.get("TransferSyntaxUID"):
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset, dataset.file_meta.TransferSyntaxUID


def _require_decoder(syntax: pydicom.uid.UID) -> None:
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise InputError("The pixels are encoded in an unusual way; export the series again, uncompressed.") from None
    if not available:
        raise InputError(
            f"The pixels are compressed ({syntax.name}); install the decoders with: pip install 'dystrophydx[cli]'"
        )
