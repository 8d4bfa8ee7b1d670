"""The process of `dystrophydx node` that classifies, with a model that stays loaded."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..exchange.node.worker import Answer, Job


def make_classify(model: Path | None, device: str) -> Classifying:
    """What classifies, made in the process that does: the node itself runs without PyTorch.

    Args:
        model: package; None for the embedded one.
        device: one of `devices.DEVICES`.

    Raises:
        InputError: the package or the device cannot be used.
    """
    from ..files.resources import embedded_model

    return Classifying(model or embedded_model(), device)


class Classifying:
    """A model that stays loaded.

    Args:
        model: package.
        device: one of `devices.DEVICES`.

    Raises:
        InputError: the package or the device cannot be used.
    """

    def __init__(self, model: Path, device: str) -> None:
        from ..files.resources import muscle_model, pattern_model
        from ..models.package import ModelPackage
        from ..mrml.pipeline import ModelOnDevice

        self._model = ModelOnDevice(ModelPackage.read(model), device, muscle_model(), pattern_model())
        self._model.check_device()
        _ = self._model.classifier  # loads it

    def __call__(self, job: Job) -> Answer:
        """
        Raises:
            InputError: the study cannot be classified, or holds no T1-weighted series of the thighs.
        """
        from ..exchange.node.thighs import AlreadyAnswered, ThighExport
        from ..mrml.pipeline import StudyFiles, classify_into_folder

        export = ThighExport(job.images, job.answered)
        try:
            classify_into_folder(StudyFiles(job.images), self._model, job.out, further=export)
        except AlreadyAnswered:
            return Answer("same", export.digest)
        except InputError as error:
            raise InputError(str(error).removeprefix(f"{job.images}: ")) from None
        return Answer("answered", export.digest, export.note)
