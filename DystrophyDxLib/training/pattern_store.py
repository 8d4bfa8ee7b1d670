"""The fat of the muscles of a cohort, found once and kept on disk, a file of JSON a series."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from ..cohort.table import Case, Cohort, Problems
from ..errors import InputError
from ..models.pattern_package import PatternRecipe
from ..models.strict import Strict
from ..muscles.fat_of_series import fat_of_series
from ..muscles.label_maps import read_label_map
from ..muscles.mapper import MuscleMapper
from ..reporting.progress import Advance
from ..results import MuscleFat
from ..series.file_digests import series_digest
from ..series.reading import read_channels


class StoredFat(Strict):
    """What is known of the fat of a series: `muscles`, and `why` it cannot be told or used."""

    muscles: tuple[MuscleFat, ...]
    by_grey: bool
    why: str


@dataclass(frozen=True)
class PatternStore:
    """The fat of a cohort.

    Attributes:
        cohort: the series whose fat can be told.
        fat: of each of them.
        warnings: sentences on the others.
    """

    cohort: Cohort
    fat: tuple[StoredFat, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(
        cls, cohort: Cohort, recipe: PatternRecipe, mapper: MuscleMapper, folder: Path, advance: Advance
    ) -> PatternStore:
        """Finds the fat of the series that the folder does not hold yet, and reads that of the others.

        Raises:
            InputError: with all rows whose series cannot be read; or the folder cannot be written.
        """
        problems, found = Problems(), {}
        for done, case in enumerate(cohort.cases, 1):
            try:
                found[case.row] = _found(case, recipe, mapper, folder)
            except InputError as error:
                problems.add(str(error).rstrip("."), f"row {case.row}, patient {case.patient_id}")
            except OSError:
                raise InputError(
                    "The folder for the fat of muscles cannot be written; check free space and permissions."
                ) from None
            advance("Measuring the fat of muscles", done, len(cohort.cases))
        problems.raise_any()
        told = tuple(case for case in cohort.cases if not found[case.row].why)
        if not told:
            raise InputError(f"The fat of no series can be told; of the first: {next(iter(found.values())).why}")
        warnings = tuple(
            f"Row {case.row}, patient {case.patient_id}, tells no fat: {found[case.row].why}"
            for case in cohort.cases
            if found[case.row].why
        )
        return cls(Cohort(told, cohort.recipe), tuple(found[case.row] for case in told), warnings)


def _found(case: Case, recipe: PatternRecipe, mapper: MuscleMapper, folder: Path) -> StoredFat:
    """The fat of a series, taken from the folder or found.

    Raises:
        InputError: the series cannot be read.
    """
    paths = (case.path, *case.further.values(), *([case.map] if case.map else []))
    of_files = " ".join(map(series_digest, paths))
    content = f"{_code()} {mapper.package.sha256} {recipe.sample} {sorted(case.further)} {bool(case.map)} {of_files}"
    file = folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.json"
    try:
        return StoredFat.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError, ValueError):
        pass  # it is found below, and written anew
    fat = _measured(case, recipe, mapper)
    folder.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(fat.model_dump_json(), encoding="utf-8")
    partial.replace(file)
    return fat


def _measured(case: Case, recipe: PatternRecipe, mapper: MuscleMapper) -> StoredFat:
    series = read_channels(case.path, case.further)
    drawn = read_label_map(case.map, series) if case.map else None
    try:
        fat = fat_of_series(series, recipe.sample, mapper, recipe.dixon, drawn)
    except InputError as error:
        return StoredFat(muscles=(), by_grey=True, why=str(error))
    # What lies along the thigh is not needed, and would be most of the file.
    muscles = tuple(muscle.model_copy(update={"slices": ()}) for muscle in fat.muscles)
    return StoredFat(muscles=muscles, by_grey=fat.by_grey, why=fat.why)


@lru_cache(maxsize=1)
def _code() -> str:
    """Digest of the code between a file and the fat of its muscles."""
    library = Path(__file__).parents[1]
    folders = ("series", "regions", "samples", "muscles")
    files = sorted(file for folder in folders for file in (library / folder).glob("*.py"))
    return hashlib.sha256("".join(file.read_text(encoding="utf-8") for file in files).encode()).hexdigest()
