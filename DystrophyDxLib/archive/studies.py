"""`Study`: the unit of an archive, and where its images are read from."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Protocol

from ..errors import InputError
from ..series.image_files import IMAGE_FILES

_UID = re.compile(r"\d+(?:\.\d+){3,}")


class Failure(NamedTuple):
    """Why a study has no answer.

    Attributes:
        kind: one of `KINDS`.
        reason: a sentence that tells no identity.
    """

    kind: str
    reason: str

    @classmethod
    def of(cls, kind: str, error: InputError) -> Failure:
        """The failure that an error tells."""
        return cls(kind, without_uids(error))


def without_uids(error: InputError) -> str:
    """Its message without the UIDs that some list for the user."""
    return _UID.sub("(UID)", str(error))


KINDS = {
    "file": "an image file that cannot be read, or another file that is damaged or cannot be opened and tells no study",
    "copy": "an image file that is a copy of another one",
    "no MR": "a study without MR images",
    "reading": "the DICOM images of a study cannot be read",
    "classification": "the model cannot be used on the images",
    "writing": "its folder or DICOM objects cannot be made",
    "time": "it took longer than one study may take, also alone",
    "memory": "it needed more memory than one study may take, also alone",
    "worker": "it ended the process that worked on it, three times",
    "unexpected": "a fault of the program",
}
"""Kinds of failures."""


@dataclass(frozen=True)
class Input:
    """What `reading.read_input` reads of a study."""

    path: Path | tuple[Path, ...]
    further: Mapping[str, Path] = field(default_factory=dict)
    series_uid: str | None = None

    @property
    def stage(self) -> str:
        """Kind of the failure where it cannot be read."""
        return "file" if any(path.name.lower().endswith(IMAGE_FILES) for path in self.files) else "reading"

    @property
    def files(self) -> tuple[Path, ...]:
        """Files, or the one file or folder."""
        return self.path if isinstance(self.path, tuple) else (self.path,)


class Images(Protocol):
    """Where the images of a study are."""

    def opened(self) -> contextlib.AbstractContextManager[Input]:
        """The images, there to be read as long as the context is open.

        Raises:
            InputError: they cannot be had.
        """

    @property
    def where(self) -> str:
        """The place in words, for the user alone."""


@dataclass(frozen=True)
class Files:
    """Files of a study in a tree, whatever else lies beside them.

    Attributes:
        names: of the files in each folder, by the folder's path.
    """

    names: Mapping[str, tuple[str, ...]]

    @contextlib.contextmanager
    def opened(self) -> Iterator[Input]:
        yield Input(tuple(sorted(Path(folder, name) for folder, names in self.names.items() for name in names)))

    @property
    def where(self) -> str:
        return "; ".join(self.names)


@dataclass(frozen=True)
class Place:
    """A file or folder that holds one study alone, and the series of its further channels."""

    path: Path
    further: Mapping[str, Path] = field(default_factory=dict)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Input]:
        yield Input(self.path, self.further)

    @property
    def where(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class InPacs:
    """A study in a PACS, whose best suited series is retrieved into a folder for as long as it is read."""

    url: str
    study_uid: str

    @contextlib.contextmanager
    def opened(self) -> Iterator[Input]:
        from ..exchange.pacs import Pacs

        service = Pacs(self.url)
        chosen = service.best_series(self.study_uid)
        with TemporaryDirectory(prefix="dystrophydx") as name:
            service.retrieve(self.study_uid, chosen, Path(name))
            yield Input(Path(name), series_uid=chosen)

    @property
    def where(self) -> str:
        return self.url


@dataclass(frozen=True)
class Study:
    """One examination of an archive.

    Attributes:
        study, patient: pseudonyms; no patient where nothing tells one.
        images: where they are.
        row: of the cohort table.
        diagnosis: as the table tells it.
    """

    study: str
    patient: str | None
    images: Images
    row: int | None = None
    diagnosis: str | None = None


class Identity(NamedTuple):
    """Whose study it is: for the user alone, never in the dataset."""

    study: str
    patient: str | None
    patient_id: str
    study_uid: str
    where: str


@dataclass
class Found:
    """What an archive holds.

    Attributes:
        studies: to be classified.
        failures: pseudonyms of study and patient with what is wrong, of what cannot be.
        identities: of all of them.
        files: that were looked at.
        passed_over: of them, that are neither DICOM nor image files.
        copies: of them, that hold an image which another file holds.
    """

    studies: list[Study] = field(default_factory=list)
    failures: list[tuple[str, str | None, Failure]] = field(default_factory=list)
    identities: list[Identity] = field(default_factory=list)
    files: int = 0
    passed_over: int = 0
    copies: int = 0

    @property
    def total(self) -> int:
        """Studies and what counts as one."""
        return len(self.studies) + len(self.failures)
