"""The folder of a reader study: what lies where in it.

    protocol.json, protocol.html    the protocol, for machines and printed
    cases/C001/mri.nrrd             voxels and geometry of a case, nothing else
    model/C001/answer.json          the model's answer, with heatmap.nrrd beside it where an arm shows it
    answers/R1.sqlite               the answers of a reader
    truth/truth.csv, key.csv        what the cases have, and which rows of the cohort table they are

A process that shows cases opens the protocol, its reader's answers and the cases; the model's answer in the aided arm
alone, and never the truth. The protocol holds the digest of every file of cases, model and truth, so that one that is
changed or lost later is refused.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..models.strict import Strict
from .protocol import Protocol, Reader
from .store import ReaderStore

PROTOCOL, PAGE, CASES, MODEL, ANSWERS, TRUTH = (
    "protocol.json", "protocol.html", "cases", "model", "answers", "truth",
)  # fmt: skip
IMAGE, MODEL_ANSWER, HEATMAP, TRUTH_TABLE = "mri.nrrd", "answer.json", "heatmap.nrrd", "truth.csv"


class ModelAnswer(Strict):
    """The model's answer to a case, as `results.CaseResult` has it, with the messages of its warnings."""

    probability: float
    ci95: tuple[float, float]
    label: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class ReaderStudy:
    """An opened reader study."""

    folder: Path
    protocol: Protocol

    @classmethod
    def open(cls, folder: str | Path) -> ReaderStudy:
        """Opens a study that `creation.create_study` made.

        Raises:
            InputError: the folder holds none, or its protocol was changed.
        """
        folder = Path(folder).absolute()
        return cls(folder, Protocol.read(folder / PROTOCOL))

    @classmethod
    def seal(cls, folder: Path, protocol: Protocol) -> ReaderStudy:
        """Declares the study whose cases, model's answers and truth lie in `folder`: writes the protocol with their
        digests, and a file of answers for each reader.

        Raises:
            InputError: a reader's file cannot be written.
        """
        content = sorted(path for name in (CASES, MODEL) for path in (folder / name).rglob("*") if path.is_file())
        digests = {
            path.relative_to(folder).as_posix(): _digest(path) for path in (*content, folder / TRUTH / TRUTH_TABLE)
        }
        study = cls(folder, protocol.model_copy(update={"files": digests}))
        study.protocol.write(folder / PROTOCOL)
        (folder / ANSWERS).mkdir(mode=0o770)
        for reader in protocol.readers:
            ReaderStore.create(study.answers(reader), study.protocol, reader)
        return study

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
            InputError: it is missing or was changed.
        """
        return self._present(case, CASES, IMAGE)

    def heatmap(self, case: str) -> Path:
        """Evidence of the model on the voxels of the case, 0 to 1.

        Raises:
            InputError: it is missing or was changed.
        """
        return self._present(case, MODEL, HEATMAP)

    def model_answer(self, case: str) -> ModelAnswer:
        """What the model says of a case.

        Raises:
            InputError: it is missing or was changed.
        """
        path = self._present(case, MODEL, MODEL_ANSWER)
        return ModelAnswer.model_validate_json(path.read_text(encoding="utf-8"))

    @property
    def faults(self) -> tuple[str, ...]:
        """Which files of cases, model and truth are not as they were when the study was created, and how."""
        return tuple(fault for path in self.protocol.files if (fault := self._fault(path)))

    def _present(self, case: str, kind: str, name: str) -> Path:
        path = f"{kind}/{case}/{name}"
        if fault := self._fault(path):
            raise InputError(f"{fault}; {RESTORE}")
        return self.folder / path

    def _fault(self, path: str) -> str | None:
        """What is wrong with a file that the protocol declares."""
        try:
            changed = _digest(self.folder / path) != self.protocol.files.get(path)
        except (FileNotFoundError, NotADirectoryError):
            return f"{path} is missing in the study folder"
        except OSError:
            return f"{path} cannot be read by this user"
        return f"{path} was changed after the study was created" if changed else None


RESTORE = "restore the study folder from its backup."


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
