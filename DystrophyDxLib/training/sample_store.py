"""Network input of a cohort, made once and kept on disk.

Each series has two files in the store's folder, named by a digest of the series' own files, of the code that makes
samples of them and of the size: its images as bare bytes, and what is known of them as JSON. The second is written last
and holds the digest of the first, so what a killed run or a damaged disk leaves behind is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..archive.crew import Crew
from ..archive.studies import Failure
from ..cohort.table import Case, Cohort, Problems
from ..errors import InputError
from ..models.recipe import SampleRecipe
from ..muscles.label_maps import read_label_map
from ..muscles.structures import MUSCLES
from ..regions.windows import AnyWindow, Regions, Side
from ..reporting.progress import Advance
from ..samples.kinds import region_of
from ..samples.label_samples import make_label_samples
from ..samples.region import Region, why_unusable
from ..samples.slice_samples import BRIGHTEST, SampleBatch
from ..series.file_digests import file_digest, series_digest
from ..series.reading import read_input
from ..series.series import Series

_Paths = tuple[Path, Mapping[str, Path], Path | None]
"""Of a series, of its further channels by name, and of a person's map of it where samples have one."""


def stored(pixels: torch.Tensor) -> torch.Tensor:
    """Samples as uint8, a quarter of the memory: 255 is `BRIGHTEST`."""
    return (pixels * (255 / BRIGHTEST)).round().to(torch.uint8)


def restored(pixels: torch.Tensor) -> torch.Tensor:
    """The inverse of `stored`, float32."""
    return pixels.float() * (BRIGHTEST / 255)


class StoredImages:
    """Images in many files, read when they are asked for.

    `images[index]`, with an array of n indices, a mask or a slice, is an array (n, *shape).

    Attributes:
        shape: (N, *shape) of all images.
        dtype: uint8, see `stored`.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, files: list[Path], counts: list[int], shape: tuple[int, ...]) -> None:
        self._files = files
        self._ends = np.cumsum(counts)
        self._starts = self._ends - counts
        self.shape = (int(sum(counts)), *shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: np.ndarray | slice) -> np.ndarray:
        wanted = np.arange(len(self))[index if isinstance(index, slice) else np.asarray(index)]
        images = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        numbers = np.searchsorted(self._ends, wanted, side="right")
        offsets = (wanted - self._starts[numbers]) * images[:1].nbytes
        # Opened anew each time: kept open, the files of a large cohort would be more than a process may have.
        for image, number, offset in zip(images, numbers.tolist(), offsets.tolist(), strict=True):
            try:
                with open(self._files[number], "rb", buffering=0) as file:
                    file.seek(offset)
                    whole = file.readinto(image) == image.nbytes
            except OSError:
                whole = False
            if not whole:
                raise InputError("Stored samples were removed or changed while they were used; start again.")
        return images


@dataclass(frozen=True)
class SampleStore:
    """The images of a cohort that show what its recipe expects, N in all, in the order of its cases and, in a case, of
    its windows.

    Attributes:
        cohort: the cases that gave an image.
        pixels: (N, *sample.shape) uint8, on disk; with the labels of a person's map as one plane more, where the cases
            have maps.
        case: (N,) index of each image's case in `cohort.cases`.
        slice: (N,) index of each image's slice in its series.
        side: (N,) str, the patient's side: left, right or unknown.
        field_strength_t: (N,) tesla, NaN where the header does not say it.
        digests: of the images of each case.
        warnings: sentences on the series that no image could be taken from.
    """

    cohort: Cohort
    pixels: StoredImages
    case: np.ndarray
    slice: np.ndarray
    side: np.ndarray
    field_strength_t: np.ndarray
    digests: tuple[str, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, cohort: Cohort, sample: SampleRecipe, folder: str | Path, crew: Crew, advance: Advance) -> SampleStore:
        """Makes the samples of the series whose samples are not in the folder yet, and opens all of them.

        A series whose images are not axial or not T1-weighted gives no sample, nor does an image without a thigh.

        Args:
            folder: of the store, made where it is absent; cohorts may share it.
            crew: makes them; all of it reaches files and folder by the same paths.

        Raises:
            InputError: with all rows whose series cannot be read or show the same images as another row; when more than
                half of the patients have no image, as a cohort of another kind has; or when the folder cannot be
                written.
        """
        folder = Path(folder).absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            raise InputError("The folder for samples cannot be made; check its place and permissions.") from None
        found = []
        for done, made in enumerate(_made_of_all(cohort, sample, folder, crew), 1):
            found.append(made)
            advance("Making samples", done, len(cohort.cases))
        entries = _checked(cohort, found)
        if not all(entry.images(folder).exists() for entry in entries):
            raise InputError(
                f"Samples that were made do not lie in {folder}; with --cache give a folder that all computers of the "
                "cluster reach under the same path."
            )
        given = [(case, entry) for case, entry in zip(cohort.cases, entries, strict=True) if not entry.reason]
        counts = [len(entry.slices) for _, entry in given]
        return cls(
            cohort=Cohort(tuple(case for case, _ in given), cohort.recipe),
            pixels=StoredImages([entry.images(folder) for _, entry in given], counts, _shape(cohort, sample)),
            case=np.repeat(np.arange(len(given)), counts),
            slice=np.array([k for _, entry in given for k in entry.slices], np.int64),
            side=np.array([side for _, entry in given for side in entry.sides], np.str_),
            field_strength_t=np.repeat([entry.field_strength_t or np.nan for _, entry in given], counts),
            digests=tuple(entry.sha256 for _, entry in given),
            warnings=tuple(
                f"{_where(case)} gives no image: {entry.reason}."
                for case, entry in zip(cohort.cases, entries, strict=True)
                if entry.reason
            ),
        )


@dataclass(frozen=True)
class _Entry:
    """What the store knows of one series.

    Attributes:
        sha256: digest of the images.
        slices, sides: of each image.
        reason: why there is no image, None where there is one.
    """

    key: str
    sha256: str
    slices: tuple[int, ...]
    sides: tuple[str, ...]
    field_strength_t: float | None
    reason: str | None

    def images(self, folder: Path) -> Path:
        return folder / f"{self.key}.u8"


def _made_of_all(cohort: Cohort, sample: SampleRecipe, folder: Path, crew: Crew) -> Iterator[_Entry | str]:
    """The entry of each case, in order, or why its series cannot be read."""
    paths = [(case.path, dict(case.further), case.map) for case in (each.with_full_paths() for each in cohort.cases)]
    for made in crew.each(partial(_maker, folder, sample, _preprocessing()), paths):
        yield made.reason.rstrip(".") if isinstance(made, Failure) else made


def _maker(folder: Path, sample: SampleRecipe, code: str) -> Callable[[_Paths], _Entry | str]:
    """What makes the entry of a series, in whichever process.

    Raises:
        InputError: its computer has other code than that of this digest.
    """
    if code != _preprocessing():
        raise InputError("A computer of the cluster has another version of DystrophyDx; install the same on all.")
    return partial(_made, folder, sample)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Sums do not depend on the number of threads when there is one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _made(folder: Path, sample: SampleRecipe, paths: _Paths) -> _Entry | str:
    """The entry of a series, taken from the folder or made; or why the series cannot be read."""
    try:
        content = " ".join(map(series_digest, (paths[0], *paths[1].values(), *([paths[2]] if paths[2] else []))))
        key = hashlib.sha256(f"{_preprocessing()} {sample} {content}".encode()).hexdigest()[:32]
        entry = _read(folder, key)
        if entry is not None:
            return entry
        with _one_thread():
            images, facts = _samples(paths, sample)
    except InputError as error:
        return str(error).rstrip(".")
    except OSError:
        return "The input cannot be opened; check its permissions"
    try:
        return _write(folder, key, images, facts)
    except OSError:
        raise InputError("Samples cannot be written; check the free space and permissions of their folder.") from None


def _samples(paths: _Paths, sample: SampleRecipe) -> tuple[np.ndarray, dict]:
    """Images (n, *sample.shape) uint8 of a series and the other attributes of its `_Entry`."""
    study = read_input(*paths[:2], sample)
    drawn = read_label_map(paths[2], study) if paths[2] else None
    windows: list[AnyWindow] = []
    reason: str | None = "No leg was found in any slice"
    region = region_of(sample)
    found = region.find(study)
    images = np.empty((0, *sample.shape), np.uint8)
    if found.windows:
        batch = region.samples(study, region.seen(found))
        shown, reason = _fitting(study, found, batch, region)
        if reason is None:
            windows = [window for window, fits in zip(batch.windows, shown, strict=True) if fits]
            images = stored(batch.pixels[torch.tensor(shown)]).numpy()
            if drawn is not None:
                maps = make_label_samples(study.geometry, drawn, batch)[list(shown)]
                kept, images = left_legs_with_maps(windows, images, maps)
                windows = [windows[n] for n in kept]
                reason = None if windows else "Its map holds no muscle in any leg whose side is known"
    return images, {
        "slices": tuple(window.slice for window in windows),
        "sides": tuple(window.side.value for window in windows),
        "field_strength_t": study.acquisition.field_strength_t,
        "reason": reason,
    }


def left_legs_with_maps(
    windows: Sequence[AnyWindow], images: np.ndarray, maps: np.ndarray
) -> tuple[list[int], np.ndarray]:
    """Legs as the network of muscle maps is taught by them: right ones mirrored, none without a muscle or of an unknown
    side.

    Returns:
        Numbers of the n windows that are kept, and (n, planes + 1, size, size) uint8 images with the labels last.
    """
    named = np.any((maps > 0) & (maps <= len(MUSCLES)), axis=(1, 2))
    kept = [n for n, window in enumerate(windows) if named[n] and window.side in (Side.LEFT, Side.RIGHT)]
    both = np.concatenate([images, maps[:, None]], axis=1)
    mirrored = [both[n, ..., ::-1] if windows[n].side is Side.RIGHT else both[n] for n in kept]
    return kept, np.stack(mirrored) if kept else both[:0]


def _shape(cohort: Cohort, sample: SampleRecipe) -> tuple[int, ...]:
    """Of an image in the store."""
    planes, *edges = sample.shape
    return (planes + any(case.map is not None for case in cohort.cases), *edges)


def _fitting(
    study: Series, found: Regions, batch: SampleBatch, region: Region[Any, Any]
) -> tuple[tuple[bool, ...], str | None]:
    """Which windows show what is expected, and why no image can be taken, if so."""
    judged = region.judge(study, found, batch.windows, region.quality(study, batch))
    return judged.fits, why_unusable(judged.warnings, any_fits=any(judged.fits))


@lru_cache(maxsize=1)
def _preprocessing() -> str:
    """Digest of the code between a file and its samples."""
    library = Path(__file__).parents[1]
    files = sorted(
        file for folder in ("series", "regions", "samples", "muscles") for file in (library / folder).glob("*.py")
    )
    code = [file.read_text(encoding="utf-8") for file in files]
    code += [inspect.getsource(function) for function in (stored, _samples, _fitting, left_legs_with_maps)]
    return hashlib.sha256("".join(code).encode()).hexdigest()


def _read(folder: Path, key: str) -> _Entry | None:
    """The entry of that key, None where there is none that is whole."""
    try:
        digest, _, facts = (folder / f"{key}.json").read_text(encoding="utf-8").partition("\n")
        if digest != hashlib.sha256(facts.encode()).hexdigest():
            return None
        values = json.loads(facts)
        entry = _Entry(**values | {name: tuple(values[name]) for name in ("slices", "sides")})
        return entry if file_digest(entry.images(folder)) == entry.sha256 else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(folder: Path, key: str, images: np.ndarray, facts: dict) -> _Entry:
    """Writes an entry; what lies under its names is whole at every moment."""
    entry = _Entry(key, hashlib.sha256(images.tobytes()).hexdigest(), **facts)
    text = json.dumps(asdict(entry))
    _put(entry.images(folder), images.tobytes())
    _put(folder / f"{key}.json", f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}".encode())
    return entry


def _put(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=".", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _checked(cohort: Cohort, found: list[_Entry | str]) -> list[_Entry]:
    """The entries.

    Raises:
        InputError: series cannot be read, images are there twice, or the cohort hardly gives any image.
    """
    problems = Problems()
    first: dict[str, Case] = {}
    reasons: dict[str, list[str]] = {}
    for case, entry in zip(cohort.cases, found, strict=True):
        if isinstance(entry, str):
            problems.add(entry, _where(case))
        elif entry.reason:
            reasons.setdefault(case.patient_id, []).append(f"row {case.row}, {entry.reason}")
        else:
            twin = first.setdefault(entry.sha256, case)
            if twin is not case:
                problems.add("the same images in two rows", f"{_where(twin)} and {_where(case)}")
    problems.raise_any()
    without = reasons.keys() - {case.patient_id for case in first.values()}
    if len(without) > len(cohort.patients) / 2:
        for patient in sorted(without):
            problems.add("patients without an image that can be used", f"{patient}: {', '.join(reasons[patient])}")
    problems.raise_any()
    return [entry for entry in found if isinstance(entry, _Entry)]


def _where(case: Case) -> str:
    return f"row {case.row} of patient {case.patient_id}"
