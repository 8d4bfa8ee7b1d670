"""The studies in a tree of folders: one pass over the headers of all files, of which nothing counts but what they say.

DICOM images are of one study where they name the same patient and Study Instance UID; where they name no study, where
they lie in the same folder. An image file (NIfTI, NRRD, MetaImage) is a study of its own. Only the first attributes of
a file are read, so that the pass takes as long for a large file as for a small one; what is found stays in memory as
names, about 100 bytes a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pydicom
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ParametricMapStorage

from ..errors import InputError
from ..series.dicom_header import (
    LARGEST_HEADER,
    Attributes,
    Damaged,
    looks_like_dicom,
    quiet_pydicom,
    unpacked,
)
from ..series.dicom_inventory import MR_STORAGE
from ..series.file_digests import file_digest, series_digest
from ..series.image_files import IMAGE_FILES
from .pseudonyms import Pseudonyms
from .studies import Failure, Files, Found, Identity, Place, Study

_TAGS: list[BaseTag | int] = [
    Tag(each) for each in ("SOPClassUID", "SOPInstanceUID", "Modality", "PatientID", "StudyInstanceUID")
]
_AFTER_STUDY = 0x0020000E
"""Tag from which on nothing is read: that after the Study Instance UID."""
_DIRECTORY = "1.2.840.10008.1.3."
_DAMAGED = Failure("file", "The DICOM file is damaged: cut off before it names its study; copy it again, or remove it.")
_UNREADABLE = Failure("file", "The file or folder cannot be opened; check its permissions.")
_COPY = Failure("copy", "The image file is a copy of another one, whose answer holds for it.")


class Facts(NamedTuple):
    """What a DICOM file says of where it belongs; empty where it says nothing."""

    patient: str
    study_uid: str
    sop_uid: str
    modality: str


def read_facts(stream: BinaryIO) -> Facts | None:
    """The first attributes of a DICOM file; None of what is no image, whatever its study.

    Raises:
        Damaged: the file ends before them.
    """
    ended = True

    def after_study(tag: int, vr: str | None, length: int) -> bool:
        nonlocal ended
        ended = tag < _AFTER_STUDY
        return not ended

    try:
        plain = unpacked(stream, LARGEST_HEADER)
        header = pydicom.filereader.read_partial(plain, after_study, force=True, specific_tags=_TAGS)
        own, meta = Attributes(header), Attributes(getattr(header, "file_meta", None) or pydicom.Dataset())
        kind = own.text("SOPClassUID") or meta.text("MediaStorageSOPClassUID")
    except Exception:  # as in `dicom_header.read_header`
        raise Damaged from None
    if kind.startswith(_DIRECTORY) or kind == ParametricMapStorage:
        return None
    if ended:
        raise Damaged
    modality = own.text("Modality") or ("MR" if kind in MR_STORAGE else "")
    return Facts(own.text("PatientID"), own.text("StudyInstanceUID"), own.text("SOPInstanceUID"), modality)


@dataclass
class _Group:
    """Files of one study: those that may be MR, by folder, and what else there is."""

    names: dict[str, list[str]] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)


class TreeScan:
    """One pass over a tree.

    Args:
        root: folder.
        pseudonyms: of what is found.
        without: a folder in it that is passed over, such as that of the results.
        told: called now and then with the number of files that were looked at.
    """

    def __init__(
        self, root: Path, pseudonyms: Pseudonyms, without: Path | None = None, told: Callable[[int], None] | None = None
    ) -> None:
        self._root, self._pseudonyms, self._told = root.resolve(), pseudonyms, told
        self._without = without.resolve() if without else None
        self._found = Found()
        self._groups: dict[tuple[str, str], _Group] = {}
        self._strays: dict[str, list[str]] = {}
        self._images: list[Path] = []
        self._seen: set[int] = set()
        self._failed: set[str] = set()

    def run(self) -> Found:
        """Everything in the tree, in an order that does not depend on the file system's.

        Raises:
            InputError: the folder cannot be opened.
        """
        with quiet_pydicom():
            for folder, names in self._walk():
                for name in names:
                    self._look_at(folder, name)
        self._assign_strays()
        self._tell_groups()
        self._tell_images()
        self._found.studies.sort(key=lambda study: study.study)
        return self._found

    def _walk(self) -> Iterator[tuple[str, list[str]]]:
        if not os.access(self._root, os.R_OK | os.X_OK):
            raise InputError(f"The folder {self._root} cannot be opened; check its permissions.")
        for folder, below, names in os.walk(self._root, onerror=self._cannot_open):
            below[:] = sorted(name for name in below if self._without is None or Path(folder, name) != self._without)
            yield folder, sorted(names)

    def _cannot_open(self, error: OSError) -> None:
        self._fail(Path(error.filename), _UNREADABLE)

    def _look_at(self, folder: str, name: str) -> None:
        found, path = self._found, Path(folder, name)
        # Names with a dot hold the file system's own notes ("._IM0001" of macOS); a pipe would be waited for.
        if name.startswith(".") or not path.is_file():
            return
        found.files += 1
        if self._told and found.files % 100 == 0:
            self._told(found.files)
        if name.lower().endswith(IMAGE_FILES):
            self._images.append(path)
            return
        try:
            with path.open("rb") as stream:
                start = stream.read(132)
                if not any(start):  # empty, or zeros where a copy has failed
                    self._strays.setdefault(folder, []).append(name)
                elif not looks_like_dicom(start):
                    found.passed_over += 1
                elif (facts := read_facts(stream)) is not None:
                    self._enter(folder, name, facts)
                else:
                    found.passed_over += 1
        except OSError:
            self._fail(path, _UNREADABLE)
        except Damaged:
            self._strays.setdefault(folder, []).append(name)

    def _enter(self, folder: str, name: str, facts: Facts) -> None:
        place = facts.study_uid or f"in {os.path.relpath(folder, self._root)}"
        group = self._groups.setdefault((facts.patient, place), _Group())
        group.folders.add(folder)
        if facts.modality not in ("MR", ""):
            group.others.add(facts.modality)
            return
        group.names.setdefault(folder, []).append(name)
        if facts.sop_uid:
            known = hash(facts.sop_uid)
            self._found.copies += known in self._seen
            self._seen.add(known)

    def _assign_strays(self) -> None:
        """Damaged and empty files go with the only study in their folder, which then says what it lacks."""
        of_folder: dict[str, list[_Group]] = {}
        for group in self._groups.values():
            for folder in group.folders:
                of_folder.setdefault(folder, []).append(group)
        for folder, names in self._strays.items():
            groups = of_folder.get(folder, [])
            if len(groups) == 1 and folder in groups[0].names:
                groups[0].names[folder] += names
                continue
            for name in names:
                path = Path(folder, name)
                with path.open("rb") as stream:
                    empty = not any(stream.read(132))
                if empty:
                    self._found.passed_over += 1
                else:
                    self._fail(path, _DAMAGED)

    def _tell_groups(self) -> None:
        for (patient_id, place), group in self._groups.items():
            study, patient = self._pseudonyms.study(patient_id, place), self._pseudonyms.patient(patient_id)
            images = Files({folder: tuple(names) for folder, names in group.names.items()})
            where = images.where or "; ".join(sorted(group.folders))
            self._found.identities.append(Identity(study, patient, patient_id, place, where))
            if group.names:
                self._found.studies.append(Study(study, patient, images))
            else:
                kinds = ", ".join(sorted(group.others))
                self._found.failures.append(
                    (study, patient, Failure("no MR", f"The study holds no MR images, only {kinds}."))
                )

    def _tell_images(self) -> None:
        first: set[str] = set()
        for path in self._images:
            try:
                digest = series_digest(path)
            except InputError as error:
                self._fail(path, Failure.of("reading", error))
                continue
            except OSError:
                self._fail(path, _UNREADABLE)
                continue
            if digest in first:
                self._found.copies += 1
                self._fail(path, _COPY)
                continue
            first.add(digest)
            study = self._pseudonyms.study("image file", digest)
            self._found.identities.append(Identity(study, None, "", "", str(path)))
            self._found.studies.append(Study(study, None, Place(path)))

    def _fail(self, path: Path, failure: Failure) -> None:
        """Enters what is no study as a failure, by its content where that can be had, else by its place."""
        place = os.path.relpath(path, self._root)
        try:
            content = file_digest(path) if failure is _DAMAGED else place
        except OSError:
            content = place
        study = self._pseudonyms.study("file", failure.kind, content)
        if study in self._failed:
            self._found.copies += 1
            return
        self._failed.add(study)
        self._found.failures.append((study, None, failure))
        self._found.identities.append(Identity(study, None, "", "", str(path)))
