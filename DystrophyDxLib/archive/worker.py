"""One study after the other by a model that stays warm: what a worker does, in whichever process it lives."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import time
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from .. import __version__
from ..cohort.seen import told_if_seen
from ..errors import InputError
from ..models.map_package import MapPackage
from ..models.package import ModelPackage
from ..models.pattern_package import PatternPackage
from ..results import StudyResult
from ..series.reading import read_input
from ..series.series import Series
from .studies import Failure, Input, Study

if TYPE_CHECKING:
    from ..classify import Classifier
    from ..regions.windows import Regions
    from .folders import Folders

R = TypeVar("R")


@dataclass(frozen=True)
class Model:
    """The packages that answer together, as they are handed to workers.

    Attributes:
        maps: of muscle maps; None for no map.
        pattern: of the second answer; None for none.
    """

    package: ModelPackage
    maps: MapPackage | None = None
    pattern: PatternPackage | None = None

    @classmethod
    def read(cls, package: ModelPackage, maps: Path | None, pattern: Path | None) -> Model:
        """Raises `InputError` as the packages' own `read`."""
        looks_at_legs = package.recipe.sample.region.kind == "legs"
        return cls(
            package,
            MapPackage.read(maps) if maps and looks_at_legs else None,
            PatternPackage.read(pattern) if pattern and looks_at_legs else None,
        )

    @property
    def told(self) -> str:
        """Which models and which version of the program, in words."""
        card = self.package.card
        others = [
            f"{what} {other.sha256[:8] if other else 'none'}"
            for what, other in (("muscle maps", self.maps), ("pattern", self.pattern))
        ]
        told = ", ".join((f"model {card.name} {card.version} ({self.package.sha256[:8]})", *others))
        return f"DystrophyDx {__version__}, {told}"

    @property
    def made(self) -> str:
        """What tells answers of this model and version from those of others."""
        parts = (self.package, self.maps, self.pattern)
        digests = [part.sha256 if part else "" for part in parts]
        return hashlib.sha256("\n".join([__version__, *digests]).encode()).hexdigest()[:16]

    def classifier(self, device: str) -> Classifier:
        """Raises `InputError` as `Classifier`."""
        from ..classify import Classifier
        from ..muscles.mapper import MuscleMapper

        mapper = MuscleMapper(self.maps, device) if self.maps else None
        return Classifier(self.package, device, mapper, self.pattern)


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """What became of a study or of another part of a work: a result or a failure.

    Attributes:
        lacking: what could not be written beside a result, and why; empty where nothing.
    """

    result: R | None
    failure: Failure | None = None
    lacking: str = ""


class _Prepared(NamedTuple):
    """A study that was read, with its windows and the seconds of each stage; `held` keeps its images where they are."""

    series: Series
    regions: Regions
    timing_s: dict[str, float]
    given: Input
    held: contextlib.ExitStack


class StudyWorker:
    """A warm model, and a thread that reads the next study and finds its legs while the network works on this one.

    Args:
        model: see `Model`.
        device: one of `devices.DEVICES`.
        folders: None for the dataset alone.
        memory_gb: memory that studies may take beside the model; None for no bound. See `bound_memory`.

    Raises:
        InputError: as `Model.classifier`; folders cannot be written without Slicer's scene library.
    """

    def __init__(
        self, model: Model, device: str = "auto", folders: Folders | None = None, memory_gb: float | None = None
    ) -> None:
        self._model, self._folders = model, folders
        self._classifier = model.classifier(device)
        self._reader = ThreadPoolExecutor(1)
        self._ahead: tuple[str, Future[_Prepared | Failure]] | None = None
        if memory_gb is not None:
            bound_memory(memory_gb)

    def run(self, study: Study, ahead: Study | None = None) -> Outcome[StudyResult]:
        """Classifies a study.

        Args:
            ahead: the study that comes next, which is read meanwhile.
        """
        prepared = self._taken(study) or self._prepare(study)
        if ahead is not None:
            self._ahead = ahead.study, self._reader.submit(self._prepare, ahead)
        if isinstance(prepared, Failure):
            return Outcome(None, prepared)
        stage = "classification"
        with prepared.held:
            try:
                regions = prepared.regions if prepared.regions.windows else None  # finds none again, and says so
                found = self._classifier.classify(prepared.series, regions, prepared.timing_s)
                if self._folders is None:
                    return Outcome(found.result)
                stage = "writing"
                card = self._model.package.card.model_dump()
                return Outcome(*self._folders.write(study, prepared.given, prepared.series, found, card))
            except Exception as error:  # one study never ends the work on the others
                return Outcome(None, failure_of(error, stage))

    def _taken(self, study: Study) -> _Prepared | Failure | None:
        """What was read ahead, if it was this study."""
        if self._ahead is None:
            return None
        (known, future), self._ahead = self._ahead, None
        prepared = future.result()
        if known == study.study:
            return prepared
        if isinstance(prepared, _Prepared):
            prepared.held.close()
        return None

    def _prepare(self, study: Study) -> _Prepared | Failure:
        held, stage, start = contextlib.ExitStack(), "reading", time.perf_counter()
        try:
            given = held.enter_context(study.images.opened())
            stage = given.stage
            package = self._classifier.package
            series = read_input(given.path, given.further, package.recipe.sample, given.series_uid)
            series = told_if_seen(series, given.files, package.card)
            if self._folders:
                series = dataclasses.replace(series, label=study.study)
            read = time.perf_counter()
            stage = "classification"
            package.recipe.sample.check_further(series.further)
            regions = self._classifier.region.find(series)
            timing_s = {"read": read - start, "roi": time.perf_counter() - read}
        except Exception as error:  # as in `run`
            held.close()
            return failure_of(error, stage)
        return _Prepared(series, regions, timing_s, given, held)


def failure_of(error: Exception, stage: str) -> Failure:
    """The failure that an error makes of a study, told without an identity.

    Args:
        stage: the kind of an input that cannot be used.
    """
    if isinstance(error, InputError):
        return Failure.of(stage, error)
    if isinstance(error, MemoryError) or "alloc" in str(error):  # PyTorch's and ITK's word for it
        return Failure("memory", "The study needs more memory than one study may take.")
    where = traceback.extract_tb(error.__traceback__)[-1]
    fault = f"{type(error).__name__} in {Path(where.filename).name} line {where.lineno}"
    return Failure("unexpected", f"A fault of the program, {fault}; please report it.")


def bound_memory(gigabytes: float) -> None:
    """Lets this process take so much memory beyond what it has, so that a study that wants more fails by itself.

    Linux bounds the data of a process (`RLIMIT_DATA`); elsewhere only Ray's own watch over the computer's memory ends a
    worker that eats it up.
    """
    try:
        import resource

        status = Path("/proc/self/status").read_text()
    except (ImportError, OSError):
        return
    kilobytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:"))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (kilobytes * 1024 + int(gigabytes * 1e9), hard))
