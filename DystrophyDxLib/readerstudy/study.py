"""The folder of a reader study: what lies where in it.

    protocol.json, protocol.html    the protocol, for machines and printed
    cases/C001/mri.nrrd             voxels and geometry of a case, nothing else
    model/C001/answer.json          the model's answer, with heatmap.nrrd beside it where an arm shows it
    answers/R1.sqlite               the answers of a reader
    truth/truth.csv, key.csv        what the cases have, and which rows of the cohort table they are

A process that shows cases opens the protocol, its reader's answers and the cases; the model's answer in the aided arm
alone, and never the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import InputError
from .protocol import Protocol, Reader

PROTOCOL, PAGE, CASES, MODEL, ANSWERS, TRUTH = (
    "protocol.json", "protocol.html", "cases", "model", "answers", "truth",
)  # fmt: skip
IMAGE, MODEL_ANSWER, HEATMAP = "mri.nrrd", "answer.json", "heatmap.nrrd"


class ModelAnswer(BaseModel):
    """The model's answer to a case, as `results.CaseResult` has it, with the messages of its warnings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    probability: float
    ci95: tuple[float, float]
    label: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """An opened reader study."""

    folder: Path
    protocol: Protocol

    @classmethod
    def open(cls, folder: str | Path) -> Study:
        """Opens a study that `creation.create_study` made.

        Raises:
            InputError: the folder holds none, or its protocol was changed.
        """
        folder = Path(folder).absolute()
        return cls(folder, Protocol.read(folder / PROTOCOL))

    @property
    def truth(self) -> Path:
        """Folder of the truth."""
        return self.folder / TRUTH

    def answers(self, reader: Reader) -> Path:
        """File of a reader's answers."""
        return self.folder / ANSWERS / f"{reader.code}.sqlite"

    def image(self, case: str) -> Path:
        """The MRI of a case.

        Raises:
            InputError: it is missing.
        """
        return self._present(case, Path(CASES, case, IMAGE))

    def heatmap(self, case: str) -> Path:
        """Evidence of the model on the voxels of the case, 0 to 1.

        Raises:
            InputError: it is missing.
        """
        return self._present(case, Path(MODEL, case, HEATMAP))

    def model_answer(self, case: str) -> ModelAnswer:
        """What the model says of a case.

        Raises:
            InputError: it is missing or damaged.
        """
        path = self._present(case, Path(MODEL, case, MODEL_ANSWER))
        try:
            return ModelAnswer.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            raise InputError(f"The model's answer to case {case} is damaged; {_RESTORE}") from None

    def _present(self, case: str, relative: Path) -> Path:
        path = self.folder / relative
        if not path.is_file():
            raise InputError(f"{relative.as_posix()} of case {case} is missing in the study folder; {_RESTORE}")
        return path


_RESTORE = "restore it from the study's backup."
