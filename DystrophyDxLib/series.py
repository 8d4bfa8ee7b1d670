"""Reading a study: files or arrays become a `Series` of voxels, geometry and acquisition facts, without identity."""

from __future__ import annotations

import dataclasses
import gzip
import math
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from .errors import InputError

if TYPE_CHECKING:
    import SimpleITK as sitk

MAX_VOXELS = 2**30
"""Largest volume that is read: 4 GiB as float32."""
MIN_PIXELS = 16
"""Least rows and columns of an image that can show a leg."""

_NO_ANATOMY = {"P", "PHASE", "PHASE MAP", "R", "REAL", "I", "IMAGINARY"}
_WATER_OR_FAT = {"W", "WATER", "F", "FAT", "FF", "FAT_FRACTION"}
_OPPOSED_PHASE = {"OP", "OPP", "OPP_PHASE", "OPPOSED_PHASE", "OUT_PHASE", "OUT_OF_PHASE"}
_SAME_PLACE_MM = 0.5
"""Distance of two channels' voxels up to which they are taken to be at one place: half a fine pixel."""
_FAT_WATER_SHIFT_HZ_PER_T = 145.0  # 3.4 ppm of 42.577 MHz/T


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a series lie in the patient, in LPS (x to the left, y to posterior, z to superior), as DICOM.

    Attributes:
        origin: LPS position in mm of the centre of voxel (i, j, k) = (0, 0, 0).
        spacing: voxel size in mm along i (columns), j (rows), k (slices); all positive.
        direction: (3, 3), orthonormal; column n is the LPS unit vector of index axis n (i, j, k).
    """

    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    direction: np.ndarray

    def __post_init__(self) -> None:
        direction = np.asarray(self.direction, dtype=float).reshape(3, 3)
        if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-3):
            raise InputError("The image axes are not perpendicular; resample the image to a regular grid first.")
        if min(self.spacing) <= 0:
            raise InputError("The voxel spacing is not positive; check the image header.")
        object.__setattr__(self, "direction", direction)

    @property
    def ijk_to_lps(self) -> np.ndarray:
        """(4, 4) affine from voxel index (i, j, k, 1) to LPS mm."""
        affine = np.eye(4)
        affine[:3, :3] = self.direction * np.asarray(self.spacing)
        affine[:3, 3] = self.origin
        return affine


@dataclass(frozen=True)
class Acquisition:
    """What the header says of how the images were made; None where it says nothing. Nothing that identifies a person.

    Units: tesla, milliseconds.
    """

    modality: str | None = None
    field_strength_t: float | None = None
    repetition_time_ms: float | None = None
    echo_time_ms: float | None = None
    inversion_time_ms: float | None = None
    scanning_sequence: tuple[str, ...] = ()
    scan_options: tuple[str, ...] = ()
    image_type: tuple[str, ...] = ()
    body_part: str | None = None
    laterality: Literal["left", "right"] | None = None

    @property
    def fat_suppressed(self) -> bool:
        """Whether the header says that fat gives no signal: fat saturation, or inversion recovery that nulls fat."""
        nulled = "IR" in self.scanning_sequence and 0 < (self.inversion_time_ms or 0) < 400
        return nulled or any(option in ("FS", "SFS") or "FATSAT" in option for option in self.scan_options)

    @property
    def opposed_phase(self) -> bool:
        """Whether fat and water cancel where they mix: so labelled, or a gradient echo at such an echo time.

        Fat precesses 3.4 ppm slower than water (Dixon, Radiology 1984;153:189).
        """
        if _OPPOSED_PHASE & set(self.image_type):
            return True
        if "GR" not in self.scanning_sequence or "SE" in self.scanning_sequence:
            return False
        if not self.field_strength_t or not self.echo_time_ms:
            return False
        turns = _FAT_WATER_SHIFT_HZ_PER_T * self.field_strength_t * self.echo_time_ms / 1000
        return bool(np.cos(2 * np.pi * turns) < -0.5)

    @property
    def t1_weighted(self) -> bool | None:
        """Whether these are T1-weighted images with all of their fat signal; None where the header does not say.

        T1 weighting is TR < 1200 ms with TE < 35 ms (gradient echo: TE < 10 ms).
        """
        if self.fat_suppressed or self.opposed_phase or "EP" in self.scanning_sequence:
            return False
        if (_NO_ANATOMY | _WATER_OR_FAT) & set(self.image_type):
            return False
        is_gradient_echo = "GR" in self.scanning_sequence and "SE" not in self.scanning_sequence
        short_tr = None if self.repetition_time_ms is None else self.repetition_time_ms < 1200
        short_te = None if self.echo_time_ms is None else self.echo_time_ms < (10 if is_gradient_echo else 35)
        if False in (short_tr, short_te):
            return False
        return None if None in (short_tr, short_te) else True


@dataclass(frozen=True)
class Series:
    """One MR series.

    Attributes:
        voxels: (z, y, x) = (k, j, i) float32, rescaled, bright is strong signal. Slices missing in the input are zero.
        geometry: position of the voxels in LPS.
        acquisition: facts from the header.
        kind: "dicom" or "file" as read by `read_study`, "scene" for a volume of a Slicer scene.
        series_uid: DICOM Series Instance UID, None for other inputs.
        selection: one sentence that says why this series of the input was taken.
        notes: sentences on what was found while reading (gaps, duplicate slices, ...).
        missing_slices: indices k of slices that the input lacks.
        orientation_known: False when the header does not say how the image lies in the patient: `geometry` is then a
            guess and no side of the patient can be told from it.
        further: voxels of further channels on the same grid, by name; see `with_channels`.
    """

    voxels: np.ndarray
    geometry: Geometry
    acquisition: Acquisition = field(default_factory=Acquisition)
    kind: Literal["dicom", "file", "scene"] = "file"
    series_uid: str | None = None
    selection: str = ""
    notes: tuple[str, ...] = ()
    missing_slices: tuple[int, ...] = ()
    orientation_known: bool = True
    further: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3:
            raise InputError(f"The image has {self.voxels.ndim} dimensions; give a 3D volume or a series of slices.")
        if self.voxels.dtype != np.float32:
            object.__setattr__(self, "voxels", self.voxels.astype(np.float32))


def read_study(path: str | Path, series_uid: str | None = None) -> Series:
    """Reads the axial T1-weighted series of the legs from a DICOM folder, or one image file.

    Of several DICOM series (or stacks of slices in one series) the best suited is taken, and `Series.selection` says
    why. An image that is not axial or not T1-weighted is read like any other; what it is fit for is judged later.

    Args:
        path: folder with DICOM files of any names, nested or not; one DICOM file; or a NIfTI (.nii, .nii.gz),
            NRRD (.nrrd, .nhdr) or MetaImage (.mha, .mhd) file.
        series_uid: DICOM Series Instance UID to take instead of the best suited series.

    Raises:
        InputError: there is no image that can be used, with what to do about it.
    """
    return _read(Path(path), series_uid, cine=False)[0]


def read_frames(path: str | Path, series_uid: str | None = None) -> tuple[Series, ...]:
    """Reads a cine: volumes of one place at several times, in their order; one volume where there is no other.

    Args:
        path: as `read_study`; an image file with a fourth axis, or DICOM with several frames at each slice's position,
            of which, of several series, that with the most frames is taken.
        series_uid: DICOM Series Instance UID to take instead.

    Raises:
        InputError: as `read_study`, or slices with more frames than others.
    """
    return _read(Path(path), series_uid, cine=True)


def _read(path: Path, series_uid: str | None, *, cine: bool) -> tuple[Series, ...]:
    """The volumes of an input, one where no cine is asked for."""
    if not path.exists():
        raise InputError("The input does not exist; check the path.")
    is_image_file = path.is_file() and path.name.lower().endswith(_IMAGE_FILES)
    if is_image_file and series_uid is not None:
        raise InputError("A series UID is for DICOM input only; leave it out for an image file.")
    try:
        if is_image_file:
            volumes = read_image_frames(path) if cine else (read_image_file(path),)
        else:
            volumes = _read_dicom(path, series_uid, cine=cine)
    except OSError:
        raise InputError("The input cannot be opened; check its permissions.") from None
    except MemoryError:
        raise InputError("The image does not fit into memory; crop it to the thighs or resample it.") from None
    for volume in volumes:
        _check_voxels(volume.voxels)
    return volumes


def with_channels(series: Series, further: Mapping[str, Series]) -> Series:
    """The series with registered series of the same legs as further channels.

    Args:
        further: by the channels' names.

    Raises:
        InputError: a further series lies on another grid, or is the first one once more.
    """
    for name, other in further.items():
        if apart := why_apart(series, other):
            raise InputError(f"The channel {name} {apart}; register it to the first and resample it on its grid.")
        if np.array_equal(series.voxels, other.voxels):
            raise InputError(f"The channel {name} is the first channel's series once more; give the other one.")
    return dataclasses.replace(series, further={name: other.voxels for name, other in further.items()})


def why_apart(series: Series, other: Series) -> str | None:
    """How the grid of another series differs from that of the first channel; None where it does not."""
    ours, theirs = series.voxels.shape, other.voxels.shape
    if ours != theirs:
        return (
            f"has {theirs[2]} × {theirs[1]} × {theirs[0]} voxels and the first channel "
            f"{ours[2]} × {ours[1]} × {ours[0]}"
        )
    corners = np.array([[i, j, k, 1] for i in (0, ours[2]) for j in (0, ours[1]) for k in (0, ours[0])]).T
    apart = np.linalg.norm((series.geometry.ijk_to_lps - other.geometry.ijk_to_lps)[:3] @ corners, axis=0).max()
    return f"lies up to {apart:.0f} mm away from the first channel" if apart > _SAME_PLACE_MM else None


def read_channels(path: str | Path, further: Mapping[str, str | Path], series_uid: str | None = None) -> Series:
    """Reads a study with further channels: `read_study` of each, then `with_channels`.

    Raises:
        InputError: as both, with the name of the channel.
    """
    first = read_study(path, series_uid)
    others = {}
    for name, other in further.items():
        try:
            others[name] = read_study(other)
        except InputError as error:
            raise InputError(f"Channel {name}: {error}") from None
    return with_channels(first, others)


def as_image(voxels: np.ndarray, geometry: Geometry) -> sitk.Image:
    """Voxels (z, y, x) as a SimpleITK image."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(voxels)
    image.SetOrigin(geometry.origin)
    image.SetSpacing(geometry.spacing)
    image.SetDirection(geometry.direction.ravel())
    return image


def check_size(shape: tuple[int, ...]) -> None:
    """Refuses a volume of `shape` (z, y, x) that is too small to show a leg or too large to be read.

    Raises:
        InputError: fewer than `MIN_PIXELS` rows or columns, or more than `MAX_VOXELS` voxels.
    """
    if min(shape[1:]) < MIN_PIXELS:
        raise InputError(
            f"The slices have only {shape[1]} × {shape[2]} pixels; give images of at least {MIN_PIXELS} × {MIN_PIXELS}."
        )
    if np.prod(shape, dtype=float) > MAX_VOXELS:
        raise InputError(
            f"The image would have {shape[2]} × {shape[1]} × {shape[0]} voxels, too many for memory;"
            " crop it to the thighs or resample it."
        )


def _check_finite(voxels: np.ndarray) -> None:
    if not np.isfinite([voxels.min(), voxels.max()]).all():  # both are NaN where one voxel is
        raise InputError("The image holds voxels that are not numbers (NaN or infinite); export it again.")


def _check_voxels(voxels: np.ndarray) -> None:
    _check_finite(voxels)
    if voxels.min() == voxels.max():
        raise InputError("The image is empty: all voxels have the same value; give another image or export it again.")


def _read_dicom(path: Path, series_uid: str | None, *, cine: bool) -> tuple[Series, ...]:
    from .dicom_study import read_dicom, read_dicom_frames

    if path.is_dir() and not any(path.iterdir()):
        raise InputError("The folder is empty; give a folder with a DICOM MR series, or an image file.")
    return read_dicom_frames(path, series_uid) if cine else (read_dicom(path, series_uid),)


_NIFTI = (".nii", ".nii.gz")
_IMAGE_FILES = (*_NIFTI, ".nrrd", ".nhdr", ".mha", ".mhd")


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
    return tuple(
        Series(
            voxels=sitk.GetArrayFromImage(frame),
            geometry=Geometry(frame.GetOrigin(), frame.GetSpacing(), np.reshape(frame.GetDirection(), (3, 3))),
            selection="The image file that was given.",
            notes=() if known else ("No orientation in the header: the sides of the patient cannot be trusted.",),
            orientation_known=known,
        )
        for frame in frames
    )


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
        _check_finite(np.frombuffer(voxels, f"{byte_order}f{item}"))


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
        stream = zlib.decompressobj()
        while not stream.eof and (part := file.read(1 << 18)):
            stream.decompress(part)
    if not stream.eof:
        raise EOFError


def _states_orientation(path: Path, reader: sitk.ImageFileReader) -> bool:
    """Whether the header says how the image lies in the patient."""
    if path.name.lower().endswith(_NIFTI):
        return any(reader.GetMetaData(code) != "0" for code in ("qform_code", "sform_code"))
    if path.name.lower().endswith((".nrrd", ".nhdr")):
        space = reader.GetMetaData("NRRD_space") if reader.HasMetaDataKey("NRRD_space") else ""
        return "posterior" in space or "anterior" in space
    return re.search(r"^(TransformMatrix|Orientation|Rotation) *=", _header_text(path), re.M) is not None
