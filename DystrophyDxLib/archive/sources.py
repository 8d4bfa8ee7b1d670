"""What an archive can be: a tree of folders, a cohort table, or a PACS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..cohort.table import Case, Cohort
from ..errors import InputError
from ..models.package import ModelPackage
from ..reporting.progress import Advance
from .crew import OWN_PROCESS, Crew
from .pseudonyms import Pseudonyms
from .studies import Found, Identity, InPacs, Place, Study

LOOKING = "Looking for studies"
_WEB = ("http://", "https://")


@dataclass(frozen=True)
class Asked:
    """Which studies of a PACS are asked for; see `exchange.pacs.Pacs.studies`."""

    patient: str = ""
    date: str = ""
    description: str = ""

    def __bool__(self) -> bool:
        return bool(self.patient or self.date or self.description)


def source_name(source: str) -> str:
    """What tells an archive from others: its address, or its place on this computer."""
    return source.rstrip("/") if source.startswith(_WEB) else str(Path(source).resolve())


def check(source: str, asked: Asked, package: ModelPackage) -> None:
    """Raises the `InputError` of a source that is none or cannot be used with this model, before any work."""
    if source.startswith(_WEB):
        from ..exchange.pacs import Pacs

        Pacs(source)
        if not (asked.patient or asked.date):
            raise InputError("A PACS holds too many studies to list all; give --patient or --date.")
    elif asked:
        raise InputError("--patient, --date and --description are for a PACS; give its address, or leave them out.")
    elif not Path(source).exists():
        raise InputError(f"There is no folder or table {source}; give a folder, a cohort table or the URL of a PACS.")
    if source.startswith(_WEB) or Path(source).is_dir():
        _refuse_channels(package)


def find(
    source: str,
    asked: Asked,
    package: ModelPackage,
    pseudonyms: Pseudonyms,
    out: Path,
    advance: Advance,
    crew: Callable[[int], Crew] = lambda files: OWN_PROCESS,
) -> Found:
    """The studies of an archive.

    Args:
        source: folder, cohort table (.csv) or address of a DICOMweb service.
        asked: of a PACS.
        package: the model, whose recipe says which columns of a table are its inputs.
        out: folder of the results, which is no part of a tree.
        crew: gives for a number of files who reads their headers.

    Raises:
        InputError: as `check`, `Cohort.read`, `TreeScan.run` and `Pacs.studies`.
    """
    check(source, asked, package)
    advance(LOOKING, 0, 0)
    if source.startswith(_WEB):
        return _in_pacs(source, asked, pseudonyms)
    path = Path(source)
    if not path.is_dir():
        return _in_table(path, package, pseudonyms)
    from .tree import TreeScan

    def told(done: int, files: int) -> None:
        advance(LOOKING, done, files)

    return TreeScan(path, pseudonyms, out, told, crew).run()


def _in_table(path: Path, package: ModelPackage, pseudonyms: Pseudonyms) -> Found:
    """The rows of a cohort table, also those of diseases that the recipe leaves out."""
    cohort = Cohort.read(path, package.recipe)
    found = Found()
    for case in sorted((*cohort.cases, *cohort.others), key=lambda case: case.row):
        patient = pseudonyms.patient(case.patient_id)
        study = pseudonyms.study(*row_identity(case, path))
        there = case.with_full_paths()
        images = Place(there.path, there.further)
        found.studies.append(Study(study, patient, images, case.row, case.disease))
        found.identities.append(Identity(study, patient, case.patient_id, "", str(case.path)))
    found.files = len(found.studies)
    return found


def row_identity(case: Case, table: Path) -> tuple[str, ...]:
    """What tells the study of a row from all others, wherever the table lies."""
    place = case.path.relative_to(table.parent) if case.path.is_relative_to(table.parent) else case.path
    return "row", case.patient_id, place.as_posix()


def _in_pacs(url: str, asked: Asked, pseudonyms: Pseudonyms) -> Found:
    """Pseudonyms are those of the same studies in a tree."""
    from ..exchange.pacs import Pacs

    found = Found()
    for row in Pacs(url).studies(asked.patient, asked.date, asked.description, with_patients=True):
        patient_id, uid = row["PatientID"].strip(), row["StudyInstanceUID"]
        study, patient = pseudonyms.study(patient_id, uid), pseudonyms.patient(patient_id)
        found.studies.append(Study(study, patient, InPacs(url, uid)))
        found.identities.append(Identity(study, patient, patient_id, uid, url))
    return found


def _refuse_channels(package: ModelPackage) -> None:
    """Raises the `InputError` of a model that needs several series of a study, or a cine."""
    sample = package.recipe.sample
    if sample.further or sample.of_cine:
        names = " and ".join(channel.name for channel in sample.channels)
        raise InputError(f"The model takes {names} of each study; give a cohort table that names them.")
