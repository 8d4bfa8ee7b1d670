"""From the files of a study to the folder of its results, in one call.

PyTorch and Slicer are imported when the study has been read, so that what cannot be read is told at once.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..cohort.seen import told_if_seen
from ..cohort.table import listed
from ..devices import compute_device
from ..errors import InputError
from ..explain.region_heat import read_atlas
from ..models.package import ModelPackage
from ..reporting.output_folder import check_output_folder, output_folder
from ..reporting.progress import Advance, silent
from ..results import StudyResult, gravest_first
from ..series.dicom_identity import check_same_patient
from ..series.label_names import read_label_names
from ..series.reading import read_input
from ..series.segmentation_file import SegmentationFile, read_segmentation, segmentation_header
from ..series.series import Series

if TYPE_CHECKING:
    from ..classify import Classification, Classifier
    from ..series.series import Series

UNNAMED = "Labels without names are called by their numbers; a table beside the label map, of its name, names them."
UNCOMPARED = (
    "The given muscles could not be compared with those in the images, as these were not looked for; check that they "
    "are of this patient and examination."
)
_NUMBER = re.compile(r"label \d+")
LONGEST_LABEL = 80
"""Characters of the name of a study."""


@dataclass(frozen=True)
class StudyFiles:
    """What is read to classify one study.

    Attributes:
        images: DICOM folder or file, NIfTI, NRRD or MetaImage.
        series_uid: of the DICOM series to take, where there are several.
        channels: paths of the further inputs of the model, by name.
        frames: numbers, from 0, of the frames of a cine that are inputs, by the name of the input; the others are
            those with the largest and smallest cavity.
        region: segmentation (`.seg.nrrd`) instead of the automatic region.
        muscles: segmentation with a segment a muscle, for the fat in each and the share of it that lies under the heat.
        label_names: table of the names of the labels of `region` and `muscles`, where they are label maps; see
            `label_names.read_label_names`.
        atlas: label map on the grid of the images and, if it has one, the table of its regions' names, for the regions
            ranked by the heat in them; the muscles where there is none.
        modality: "MR" where DICOM images of any modality are MR.
        label: what the study is called wherever its answer is told; a name that tells no identity where it is empty.

    Raises:
        InputError: a segmentation or table of names that cannot be read, or a label that is too long or no plain text.
    """

    images: Path
    series_uid: str | None = None
    channels: Mapping[str, Path] = field(default_factory=dict)
    frames: Mapping[str, int] = field(default_factory=dict)
    region: Path | None = None
    muscles: Path | None = None
    label_names: Path | None = None
    atlas: tuple[Path, Path | None] | None = None
    modality: str | None = None
    label: str = ""

    def __post_init__(self) -> None:
        for option, path in self._drawn:
            if path is not None:
                with _told_of(option, path):
                    segmentation_header(path)
        if self.label_names is not None:
            read_label_names(self.label_names)
            if self.region is None and self.muscles is None:
                raise InputError("--label-names belongs to a label map; give it with --muscles or --roi.")
        if len(self.label) > LONGEST_LABEL or not self.label.isprintable():
            raise InputError(f"--label is plain text of at most {LONGEST_LABEL} characters; shorten it.")

    @property
    def _drawn(self) -> tuple[tuple[str, Path | None], ...]:
        return ("--roi", self.region), ("--muscles", self.muscles)

    def drawn_on(self, series: Series) -> tuple[SegmentationFile | None, SegmentationFile | None]:
        """What was drawn as region and as muscles; None where nothing was.

        Raises:
            InputError: it cannot be read, lies beside the images, or is of another patient than they.
        """
        region, muscles = (self._read(option, path, series) for option, path in self._drawn)
        return region, muscles

    def _read(self, option: str, path: Path | None, series: Series) -> SegmentationFile | None:
        if path is None:
            return None
        with _told_of(option, path):
            if series.kind == "dicom":
                check_same_patient(path, self.images, series.series_uid)
            file = read_segmentation(path, self.label_names, (series.geometry, series.voxels.shape))
            file.check_lies_in(series.geometry, series.voxels.shape)
        return file


@contextlib.contextmanager
def _told_of(option: str, path: Path) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"{option} {path}: {error}") from None


class ModelOnDevice:
    """A model package whose network is loaded when it is first asked for, and then serves all studies.

    Args:
        device: one of `devices.DEVICES`.
        muscles: package of a model of muscle maps; None for no map.
        pattern: package of a model that answers by the fat of the muscles; None for no such answer.
    """

    def __init__(
        self, package: ModelPackage, device: str, muscles: Path | None = None, pattern: Path | None = None
    ) -> None:
        self.package = package
        self._device = device
        self._muscles, self._pattern = muscles, pattern

    def check_device(self) -> None:
        """Raises `InputError` where the device that was asked for is not there; PyTorch is asked of a GPU alone."""
        if self._device not in ("auto", "cpu"):
            compute_device(self._device)

    @property
    def ready(self) -> bool:
        """Whether the network is loaded."""
        return "classifier" in vars(self)

    @cached_property
    def classifier(self) -> Classifier:
        """Raises `InputError` as `Classifier`."""
        from ..classify import Classifier
        from ..models.map_package import MapPackage
        from ..models.pattern_package import PatternPackage
        from ..muscles.mapper import MuscleMapper

        looks_at_legs = self.package.recipe.sample.region.kind == "legs"
        maps = MapPackage.read(self._muscles) if self._muscles is not None and looks_at_legs else None
        mapper = MuscleMapper(maps, self._device) if maps is not None else None
        pattern = PatternPackage.read(self._pattern) if self._pattern is not None and looks_at_legs else None
        return Classifier(self.package, self._device, mapper, pattern)


@dataclass(frozen=True)
class Stopwatch:
    """Seconds of each stage of the work on one study.

    Attributes:
        started: `time.perf_counter()` when the work began.
        seconds: by stage.
    """

    started: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time that the block takes to a stage."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


class FurtherOutput(Protocol):
    """What else becomes of a classification, such as DICOM objects."""

    def check(self, series: Series) -> None:
        """Raises `InputError` where it cannot be made of a series; before anything slow is loaded."""

    def write(self, folder: Path, result: StudyResult, found: Classification, card: Mapping[str, Any]) -> None:
        """Adds its files to the folder, which holds all others."""


def classify_into_folder(
    files: StudyFiles,
    model: ModelOnDevice,
    out: Path,
    *,
    overwrite: bool = False,
    watch: Stopwatch | None = None,
    advance: Advance = silent,
    further: FurtherOutput | None = None,
) -> StudyResult:
    """Reads a study, classifies it in a scene of its own, and writes its results.

    Args:
        out: folder that gets all files of the result contract (`output_folder.FILES`), or none.
        overwrite: replace earlier results in it.
        further: writes more into the folder.
        watch: runs since the work on this study began; its stages become those of the result.

    Returns:
        The result as written.

    Raises:
        InputError: as `output_folder`, `read_input`, `StudyFiles.drawn_on`, `Classifier`, `Classifier.classify`,
            `labels_of_file`, `muscles_of_file` and `read_atlas`; Slicer's scene library is not installed.
    """
    watch = watch or Stopwatch()
    check_output_folder(out, overwrite=overwrite)
    model.check_device()
    with watch.stage("read"):
        advance("Reading the study", 0, 0)
        sample = model.package.recipe.sample
        asked = files.series_uid, files.frames, files.modality, advance
        try:
            series = read_input(files.images, files.channels, sample, *asked)
        except InputError as error:
            of_channels = (path for name, path in files.channels.items() if str(error).startswith(f"Channel {name}: "))
            names = f" Files: {listed(error.files)}." if error.files else ""
            raise InputError(f"{next(of_channels, files.images)}: {error}{names}") from None
        if further is not None:
            further.check(series)
        series = replace(told_if_seen(series, [files.images], model.package.card), label=files.label)
        region_file, muscles_file = files.drawn_on(series)
    with watch.stage("load"):
        advance("Loading PyTorch and Slicer", 0, 0)
        classifier = model.classifier
        _require_slicer()
        from ..classify import with_muscle_fat, with_region_heat, with_texture_scores
        from ..muscles.given_map import warnings_on_given, warnings_on_unnamed
        from .classification import SceneClassification
        from .muscle_nodes import map_given
        from .report_folder import write_report_folder
        from .scenes import new_scene, vtk_messages_to_log
        from .segmentation import labels_of_file, muscles_of_file
        from .volumes import add_series

        vtk_messages_to_log()
        scene = new_scene()
        volume = add_series(scene, series, files.label or "MRI")
    muscles = muscles_of_file(muscles_file, volume) if muscles_file is not None else None
    places = muscles[:2] if muscles and files.atlas is None else None
    if files.atlas is not None:
        places = read_atlas(*files.atlas, series)
    called = [name for given in (muscles, places) if given for name in given[1].values()]
    uncompared = muscles is not None and sample.region.kind == "legs" and classifier.mapper is None
    series = replace(series, notes=(*series.notes, *notes_on_labels(called, uncompared=uncompared)))
    regions = None
    if region_file is not None:
        with watch.stage("roi"):
            region = classifier.region
            of_map = partial(region.labels_of_map, series)
            drawn = labels_of_file(region_file, volume, of_map)
            regions = region.from_labels(series, drawn.labels, drawn.overlapping)
        for warning in regions.warnings:
            advance(f"{warning.code.value}: {warning.message}", 0, 0)
    found = classifier.classify(series, regions, watch.seconds, lambda done, total: advance("Classifying", done, total))
    if muscles is not None:
        given, by_network = map_given(muscles, found.regions), found.muscles
        found = replace(with_texture_scores(found, *muscles), muscles=given or by_network)
        unlike = warnings_on_given(given, by_network) if given else warnings_on_unnamed(muscles.labels, by_network)
        told = gravest_first((*found.result.warnings, *unlike))
        found = replace(found, result=found.result.model_copy(update={"warnings": told}))
        found = with_muscle_fat(found, series)
    if places is not None:
        found = with_region_heat(found, *places)
    advance("Writing the results", 0, 0)
    in_scene = SceneClassification(volume)
    in_scene.put(found)
    with output_folder(out, overwrite=overwrite) as folder:
        card = model.package.card.model_dump()
        result = write_report_folder(in_scene, card, folder, watch.started)
        if further is not None:
            further.write(folder, result, found, card)
        return result


def notes_on_labels(names: Iterable[str], *, uncompared: bool) -> tuple[str, ...]:
    """What must be known of labels that were given.

    Args:
        names: theirs.
        uncompared: whether they are muscles of legs whose muscles are not looked for.
    """
    unnamed = any(_NUMBER.fullmatch(name) for name in names)
    return (*((UNNAMED,) if unnamed else ()), *((UNCOMPARED,) if uncompared else ()))


def _require_slicer() -> None:
    try:
        import slicer  # noqa: F401
    except ImportError:
        raise InputError(
            "Writing the results needs Slicer's scene library; install it with: pip install 'dystrophydx[viewer]'."
        ) from None
