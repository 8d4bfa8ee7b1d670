"""The studies in a tree of folders: one pass over the headers of all files, of which nothing counts but what they say.

DICOM images are of one study where they name the same patient and Study Instance UID; where they name no study, where
they lie in the same folder. An image file (NIfTI, NRRD, MetaImage) is a study of its own. Only the first attributes of
a file are read, so that the pass takes as long for a large file as for a small one; what is found stays in memory as
names, about 100 bytes a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..series.file_digests import file_digest
from .crew import OWN_PROCESS, Cluster, Crew, OwnProcesses
from .headers import UNREADABLE, Facts, ImageFile, Other, Said, header_reader
from .pseudonyms import Pseudonyms
from .studies import Failure, Files, Found, Identity, Place, Study

_BATCH = 200
"""Files that a process looks at before it tells what it has seen."""
_FOR_PROCESSES, _FOR_CLUSTER = 20_000, 100_000
"""Files, of 0.5 ms each, from which on it is worth while to begin processes, of this computer or of a cluster."""
_DAMAGED = Failure("file", "The DICOM file is damaged: cut off before it names its study; copy it again, or remove it.")
_ZEROS = Failure("file", "The file holds nothing but zeros, as where a copy has failed; copy it again, or remove it.")
_COPY = Failure("copy", "The image file is a copy of another one, whose answer holds for it.")


@dataclass
class _Group:
    """Files of one study: those that may be MR, by folder, and what else there is.

    Attributes:
        images: of each folder, hashes of the SOP Instance UIDs of what may be MR.
        named: how many files have one.
    """

    names: dict[str, list[str]] = field(default_factory=dict)
    images: dict[str, set[int]] = field(default_factory=dict)
    named: int = 0
    others: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)

    @property
    def copies(self) -> int:
        """Files whose image another one holds."""
        return self.named - len(set().union(*self.images.values()))

    def is_whole_without(self, folder: str, damaged: Container[str]) -> bool:
        """Whether folders in which nothing is damaged hold all images that a folder holds."""
        own = self.images.get(folder, set())
        others = (images for other, images in self.images.items() if other != folder and other not in damaged)
        return bool(own) and own <= set().union(*others)


def crew_for(files: int, address: str | None, processes: int) -> Crew:
    """Who reads the headers of so many files.

    Args:
        address: of a Ray cluster, if there is one.
        processes: of this computer that may be used.
    """
    if address and files >= _FOR_CLUSTER:
        return Cluster(address)
    return OwnProcesses(processes) if files >= _FOR_PROCESSES else OWN_PROCESS


class TreeScan:
    """One pass over a tree.

    Args:
        root: folder.
        pseudonyms: of what is found.
        without: a folder in it that is passed over, such as that of the results.
        told: called now and then with the number of files that were looked at, and of all.
        crew: gives for a number of files who reads their headers.
    """

    def __init__(
        self,
        root: Path,
        pseudonyms: Pseudonyms,
        without: Path | None = None,
        told: Callable[[int, int], None] = lambda done, total: None,
        crew: Callable[[int], Crew] = lambda files: OWN_PROCESS,
    ) -> None:
        self._root, self._pseudonyms, self._told, self._crew = root.resolve(), pseudonyms, told, crew
        self._without = without.resolve() if without else None
        self._found = Found()
        self._groups: dict[tuple[str, str], _Group] = {}
        self._strays: dict[str, list[str]] = {}
        self._empty: dict[str, list[str]] = {}
        self._first: set[str] = set()
        self._failed: set[str] = set()

    def run(self) -> Found:
        """Everything in the tree, in an order that does not depend on the file system's, nor on who reads.

        Raises:
            InputError: the folder cannot be opened, or processes that read end.
        """
        files = list(self._walk())
        total, done = sum(len(names) for _, names in files), 0
        batches = list(_batches(files))
        for batch, said in zip(batches, self._crew(total).each(header_reader, batches), strict=True):
            if isinstance(said, Failure):
                raise InputError(f"The headers of the files cannot be read: {said.reason}")
            every = iter(said)
            for folder, names in batch:
                for name, each in zip(names, every, strict=False):
                    self._heed(folder, name, each)
                done += len(names)
            self._told(done, total)
        self._assign_strays()
        self._tell_groups()
        self._found.studies.sort(key=lambda study: study.study)
        return self._found

    def _walk(self) -> Iterator[tuple[str, list[str]]]:
        if not os.access(self._root, os.R_OK | os.X_OK):
            raise InputError(f"The folder {self._root} cannot be opened; check its permissions.")
        for folder, below, names in os.walk(self._root, onerror=self._cannot_open):
            below[:] = sorted(name for name in below if self._without is None or Path(folder, name) != self._without)
            yield folder, sorted(names)

    def _cannot_open(self, error: OSError) -> None:
        self._fail(Path(error.filename), UNREADABLE)

    def _heed(self, folder: str, name: str, said: Said) -> None:
        """Takes what a file says."""
        if said is Other.HIDDEN:
            return
        self._found.files += 1
        if isinstance(said, Facts):
            self._enter(folder, name, said)
        elif isinstance(said, ImageFile):
            self._enter_image(Path(folder, name), said.digest)
        elif isinstance(said, Failure):
            self._fail(Path(folder, name), said)
        elif said is Other.NO_IMAGE:
            self._found.passed_over += 1
        else:
            (self._empty if said is Other.EMPTY else self._strays).setdefault(folder, []).append(name)

    def _enter(self, folder: str, name: str, facts: Facts) -> None:
        place = facts.study_uid or f"in {os.path.relpath(folder, self._root)}"
        group = self._groups.setdefault((facts.patient, place), _Group())
        group.folders.add(folder)
        if facts.modality not in ("MR", ""):
            group.others.add(facts.modality)
            return
        group.names.setdefault(folder, []).append(name)
        if facts.sop_uid:
            group.images.setdefault(folder, set()).add(hash(facts.sop_uid))
            group.named += 1

    def _enter_image(self, path: Path, digest: str) -> None:
        if digest in self._first:
            self._found.copies += 1
            self._fail(path, _COPY)
            return
        self._first.add(digest)
        study = self._pseudonyms.study("image file", digest)
        self._found.identities.append(Identity(study, None, "", "", str(path)))
        self._found.studies.append(Study(study, None, Place(path)))

    def _assign_strays(self) -> None:
        """Damaged and empty files go with the only study in their folder, which then says what it lacks, but where its
        images lie there as copies alone: then it lacks nothing."""
        of_folder: dict[str, list[_Group]] = {}
        for group in self._groups.values():
            for folder in group.folders:
                of_folder.setdefault(folder, []).append(group)
        damaged = self._strays.keys() | self._empty.keys()
        for folder in sorted(damaged):
            groups, strays, empty = of_folder.get(folder, []), self._strays.get(folder, []), self._empty.get(folder, [])
            if len(groups) == 1 and folder in groups[0].names and not groups[0].is_whole_without(folder, damaged):
                groups[0].names[folder] += sorted(strays + empty)
                continue
            for name in strays:
                self._fail(Path(folder, name), _DAMAGED)
            for path in (Path(folder, name) for name in empty):
                if path.stat().st_size:
                    self._fail(path, _ZEROS)
                else:
                    self._found.passed_over += 1

    def _tell_groups(self) -> None:
        for (patient_id, place), group in self._groups.items():
            study, patient = self._pseudonyms.study(patient_id, place), self._pseudonyms.patient(patient_id)
            self._found.copies += group.copies
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


def _batches(files: Iterable[tuple[str, list[str]]]) -> Iterator[tuple[tuple[str, tuple[str, ...]], ...]]:
    """The same files in batches of `_BATCH` or somewhat more."""
    batch: list[tuple[str, tuple[str, ...]]] = []
    for folder, names in files:
        for start in range(0, len(names), _BATCH):
            batch.append((folder, tuple(names[start : start + _BATCH])))
            if sum(len(part) for _, part in batch) >= _BATCH:
                yield tuple(batch)
                batch = []
    if batch:
        yield tuple(batch)
