"""`Actions`: what the panel does with a classification, without Qt."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, InputError
from ..files.resources import muscle_model, pattern_model
from ..models.package import ModelPackage
from ..mrml.classification import SceneClassification
from ..mrml.classification_view import ClassificationView
from ..mrml.pipeline import ModelOnDevice
from ..reporting.output_folder import FILES, output_folder
from ..results import StudyResult

if TYPE_CHECKING:
    from ..classify import Classifier
    from ..mrml.dicom_database import Database

Progress = Callable[[int, int], None]


class Actions:
    """Classifies the volumes of a scene, one at a time, shows them and writes their reports.

    Args:
        view: shows the scene that the volumes are in.
        load_pytorch: makes sure that it works, before it is used; may raise `InputError`.
    """

    def __init__(self, view: ClassificationView, load_pytorch: Callable[[], None]) -> None:
        self._view = view
        self._load_pytorch = load_pytorch
        self._stopped: bool | None = None

    @property
    def busy(self) -> bool:
        """Whether a classification runs; events that are processed meanwhile may ask."""
        return self._stopped is not None

    def classify(self, classification: SceneClassification, model: Path, device: str, progress: Progress) -> None:
        """Classifies a volume, where its region was not corrected from the start, and shows it.

        Args:
            model: package folder or .zip.
            device: one of `devices.DEVICES`.
            progress: told (images done, of all) after each batch, and (0, 0) while the model is loaded.

        Raises:
            Cancelled: by `stop`, and the scene is as it was; or because the volume left the scene. It says which.
            InputError: as `load_pytorch`, `ModelPackage.read`, `Classifier` and `SceneClassification.classify`.
        """
        self._run(classification, model, device, progress, SceneClassification.classify)

    def reclassify(self, classification: SceneClassification, model: Path, device: str, progress: Progress) -> None:
        """Classifies the images whose region changed and shows the volume; otherwise as `classify`."""
        self._run(classification, model, device, progress, SceneClassification.reclassify)

    def stop(self) -> None:
        """Ends the running classification before its next batch."""
        if self.busy:
            self._stopped = True

    def write_report(
        self, classification: SceneClassification, models: Iterable[Path], folder: Path, overwrite: bool
    ) -> Path:
        """Writes what the command line writes.

        Args:
            models: packages among which the one that answered is looked for, for its card.
            overwrite: replace an earlier report; see `holds_report`.

        Returns:
            Path of report.html.

        Raises:
            InputError: as `output_folder` and `write_report_folder`.
        """
        from ..mrml.report_folder import write_report_folder

        with output_folder(folder, overwrite=overwrite) as inside:
            write_report_folder(classification, _card(classification, models), inside)
        return folder / "report.html"

    def write_dicom(
        self, classification: SceneClassification, models: Iterable[Path], database: Database, folder: Path
    ) -> Path:
        """Writes the answer as DICOM objects.

        Args:
            models: as of `write_report`.
            database: in which the images of the volume are.
            folder: that is made for them.

        Returns:
            The folder that holds the objects, and nothing else.

        Raises:
            InputError: as `mrml.dicom_database.write_dicom`.
        """
        from ..mrml.dicom_database import write_dicom

        return write_dicom(classification, _card(classification, models), database, folder)[0].parent

    def _run(
        self,
        classification: SceneClassification,
        model: Path,
        device: str,
        progress: Progress,
        classify: Callable[[SceneClassification, Classifier, Progress], StudyResult],
    ) -> None:
        if self.busy:
            raise RuntimeError("a classification runs already")

        def advance(done: int, total: int) -> None:
            progress(done, total)
            if classification.volume.GetScene() is not self._view.scene:
                raise Cancelled("The volume is no longer there; it was not classified to the end.")
            if self._stopped:
                raise Cancelled("Stopped; everything is as it was.")

        self._stopped = False
        try:
            loaded = _model(model, device)
            if not loaded.ready:
                advance(0, 0)
            sample = loaded.package.recipe.sample
            # Before PyTorch is loaded, which takes its time.
            sample.check_further([name for name in sample.further if classification.channel(name) is not None])
            self._load_pytorch()
            classify(classification, loaded.classifier, advance)
            self._view.show(classification)
        finally:
            self._stopped = None


def holds_report(folder: Path) -> bool:
    """Whether an earlier report would be replaced."""
    return any((folder / name).exists() for name in FILES)


def _card(classification: SceneClassification, models: Iterable[Path]) -> dict[str, Any]:
    """The card of the package that answered; empty where that is not among `models`."""
    answered = classification.result.model.sha256 if classification.result is not None else None
    for path in models:
        with suppress(InputError):  # moved or damaged since
            package = ModelPackage.read(path)
            if package.sha256 == answered:
                return package.card.model_dump()
    return {}


@lru_cache(maxsize=1)
def _model(model: Path, device: str) -> ModelOnDevice:
    return ModelOnDevice(ModelPackage.read(model), device, muscle_model(), pattern_model())
