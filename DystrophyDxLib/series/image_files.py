"""Image files (NIfTI, NRRD, MetaImage) become `Series`, and voxels become images."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .series import NO_ORIENTATION, Geometry, Series, check_size

if TYPE_CHECKING:
    import SimpleITK as sitk


def as_image(voxels: np.ndarray, geometry: Geometry) -> sitk.Image:
    """Voxels (z, y, x) as a SimpleITK image."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(voxels)
    image.SetOrigin(geometry.origin)
    image.SetSpacing(geometry.spacing)
    image.SetDirection(geometry.direction.ravel())
    return image


def check_finite(voxels: np.ndarray) -> None:
    if not np.isfinite([voxels.min(), voxels.max()]).all():  # both are NaN where one voxel is
        raise InputError("The image holds voxels that are not numbers (NaN or infinite); export it again.")


_NIFTI = (".nii", ".nii.gz")
IMAGE_FILES = (*_NIFTI, ".nrrd", ".nhdr", ".mha", ".mhd")


def read_image_file(path: Path) -> Series:
    """Reads a NIfTI, NRRD or MetaImage file, whatever its values are.

    Raises:
        InputError: it is damaged, has several values a voxel, has axes that are not perpendicular, or is no volume.
        OSError: it cannot be opened.
    """
    return read_image_frames(path, most_dimensions=3)[0]


def read_image_frames(path: Path, most_dimensions: int = 4) -> tuple[Series, ...]:
    """Reads a NIfTI, NRRD or MetaImage file of volumes along a fourth axis, time; one volume where it has none.

    Raises:
        InputError: as `read_image_file`, or more dimensions.
        OSError: it cannot be opened.
    """
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with _quiet_itk():
        try:
            reader.ReadImageInformation()
            _check_image_header(reader, most_dimensions)
            image = read_voxels(path, reader)
        except RuntimeError as error:
            if "orthonormal" in str(error):
                raise InputError(
                    "The image axes are not perpendicular; resample the image to a regular grid."
                ) from None
            raise InputError(
                "The image file cannot be read: it is cut off, damaged or lacks its data file; export it again."
            ) from None
    known = image.GetDimension() > 2 and _states_orientation(path, reader)
    image = sitk.JoinSeries(image) if image.GetDimension() == 2 else image
    frames = [image[:, :, :, t] for t in range(image.GetSize()[3])] if image.GetDimension() == 4 else [image]
    volumes = tuple(
        Series(
            voxels=sitk.GetArrayFromImage(frame),
            geometry=Geometry(frame.GetOrigin(), frame.GetSpacing(), np.reshape(frame.GetDirection(), (3, 3))),
            selection="The image file that was given.",
        )
        for frame in frames
    )
    return volumes if known else tuple(volume.warned(*NO_ORIENTATION) for volume in volumes)


def read_voxels(path: Path, reader: sitk.ImageFileReader) -> sitk.Image:
    """The image of a NIfTI, NRRD or MetaImage file whose header `reader` has read.

    Raises:
        InputError: voxels are not finite.
        RuntimeError: the file is damaged or cut off, where SimpleITK by itself would read zeros.
    """
    try:
        if path.name.lower().endswith(_NIFTI):
            _check_nifti_voxels(path, reader)
        else:
            _check_stored_voxels(path, reader)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise RuntimeError("The voxels are damaged or end early.") from None
    return reader.Execute()


@contextmanager
def _quiet_itk() -> Iterator[None]:
    """ITK's warnings name the file."""
    import SimpleITK as sitk

    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def _check_image_header(reader: sitk.ImageFileReader, most_dimensions: int) -> None:
    size = reader.GetSize()
    if np.prod(size[most_dimensions:]) > 1:
        wanted = "one 3D volume" if most_dimensions == 3 else "a volume or a cine"
        raise InputError(f"The image is {len(size)}-dimensional; give {wanted} of it.")
    if reader.GetNumberOfComponents() != 1:
        raise InputError("The voxels hold several numbers (colour, vector or complex); give a grey-scale image.")
    check_size((size[2] if len(size) > 2 else 1, size[1], size[0]))


def _check_nifti_voxels(path: Path, reader: sitk.ImageFileReader) -> None:
    """Raises for a file that ends early, fails its checksum or holds voxels that are not finite.

    SimpleITK reads all of these without a word, as zero.
    """
    item = int(reader.GetMetaData("bitpix")) // 8
    count = math.prod(reader.GetSize())
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        byte_order = "<" if file.read(4) in (b"\x5c\x01\0\0", b"\x1c\x02\0\0") else ">"  # size of header: 348 or 540
        file.seek(int(float(reader.GetMetaData("vox_offset"))))
        voxels = file.read(count * item)
        while file.read(1 << 20):  # the checksum is compared at the end
            continue
    if len(voxels) < count * item:
        raise EOFError
    if reader.GetMetaData("datatype") in ("16", "64"):  # float32, float64
        check_finite(np.frombuffer(voxels, f"{byte_order}f{item}"))


def _check_stored_voxels(path: Path, reader: sitk.ImageFileReader) -> None:
    """Raises where NRRD or MetaImage voxels end early or, compressed, fail their checksum.

    SimpleITK does not look at the checksum, and prints lines of its own where a MetaImage file ends early.
    """
    import SimpleITK as sitk

    header = _header_text(path)
    detached = re.search(r"^(?:data ?file:|ElementDataFile *=) *(?!LOCAL)(\S[^\r\n]*)", header, re.I | re.M)
    data, offset = (path.parent / detached[1].strip(), 0) if detached else (path, len(header))
    if not data.is_file():  # a list of files, which SimpleITK resolves
        return
    if re.search(r"^(encoding: *gz|CompressedData *= *True)", header, re.I | re.M):
        _unpack(data, offset)
    elif re.search(r"^(encoding: *raw|BinaryData *= *True)", header, re.I | re.M):
        item = sitk.Image([1, 1], reader.GetPixelID()).GetSizeOfPixelComponent()
        if data.stat().st_size - offset < item * math.prod(reader.GetSize()):
            raise EOFError


def _header_text(path: Path) -> str:
    """The text in front of the voxels of a NRRD or MetaImage file, one character a byte."""
    with path.open("rb") as file:
        start = file.read(1 << 16).decode("latin-1")
    end = re.search(r"\n\r?\n" if start.startswith("NRRD") else r"ElementDataFile *=[^\n]*\n", start)
    return start[: end.end()] if end else start


def _unpack(path: Path, offset: int) -> None:
    """Raises when the gzip or zlib stream that starts at `offset` is damaged or cut off."""
    with path.open("rb") as file:
        file.seek(offset)
        is_gzip = file.read(2) == b"\x1f\x8b"
        file.seek(offset)
        if is_gzip:
            with gzip.GzipFile(fileobj=file) as stream:
                while stream.read(1 << 20):
                    continue
            return
        unpacker = zlib.decompressobj()
        while not unpacker.eof and (part := file.read(1 << 18)):
            unpacker.decompress(part)
    if not unpacker.eof:
        raise EOFError


def _states_orientation(path: Path, reader: sitk.ImageFileReader) -> bool:
    """Whether the header says how the image lies in the patient."""
    if path.name.lower().endswith(_NIFTI):
        return any(reader.GetMetaData(code) != "0" for code in ("qform_code", "sform_code"))
    if path.name.lower().endswith((".nrrd", ".nhdr")):
        space = reader.GetMetaData("NRRD_space") if reader.HasMetaDataKey("NRRD_space") else ""
        return "posterior" in space or "anterior" in space
    return re.search(r"^(TransformMatrix|Orientation|Rotation) *=", _header_text(path), re.M) is not None
