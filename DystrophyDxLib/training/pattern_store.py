"""The fat of the muscles of a cohort, found once and kept on disk, a file of JSON a series."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

from pydantic import ValidationError

from ..archive.crew import Crew
from ..archive.studies import Failure
from ..cohort.splits import own
from ..cohort.table import Case, Cohort, Problems
from ..errors import InputError
from ..models.map_package import MapPackage
from ..models.pattern import PatientFat, few_muscles
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
        cohort: the series whose fat can be told, of muscles enough.
        fat: of each of them.
        warnings: sentences on the others.
    """

    cohort: Cohort
    fat: tuple[StoredFat, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(
        cls,
        cohort: Cohort,
        recipe: PatternRecipe,
        maps: MapPackage,
        device: str,
        folder: Path,
        crew: Crew,
        advance: Advance,
    ) -> PatternStore:
        """Finds the fat of the series that the folder does not hold yet, and reads that of the others; those of the
        scarcest class of a split first, so that a split with too few of them is refused before the rest is measured.

        Args:
            cohort: with splits that can be trained on.
            maps: package of the model of muscle maps.
            device: that it computes on, one of `devices.DEVICES`.
            crew: finds the fat; all of it reaches files and folder by the same paths.

        Raises:
            InputError: with all rows whose series cannot be read; too few series of a class tell fat; or the folder
                cannot be written.
        """
        problems, found = Problems(), {}
        without: dict[int, str] = {}
        cases = _scarcest_first(cohort)
        maker = partial(_maker, recipe, maps, device, folder.absolute(), _code())
        made = crew.each(maker, [case.with_full_paths() for case in cases], device)
        for done, (case, fat) in enumerate(zip(cases, made, strict=True), 1):
            if isinstance(fat, StoredFat):
                found[case.row] = fat
                if why := why_without(fat, recipe):
                    without[case.row] = why
                    _check_rest(cohort, without)
            else:
                why = fat.reason if isinstance(fat, Failure) else fat
                problems.add(why.rstrip("."), f"row {case.row}, patient {case.patient_id}")
            advance("Measuring the fat of muscles", done, len(cases))
        problems.raise_any()
        told = tuple(case for case in cohort.cases if case.row not in without)
        warnings = tuple(
            f"Row {case.row}, patient {case.patient_id}, tells no fat: {without[case.row]}"
            for case in cohort.cases
            if case.row in without
        )
        return cls(replace(cohort, cases=told), tuple(found[case.row] for case in told), warnings)


def why_without(fat: StoredFat, recipe: PatternRecipe) -> str:
    """Why nothing can be learnt from the fat of a series; nothing where something can."""
    seen, least = int(PatientFat.of(fat.muscles, by_grey=fat.by_grey).in_view.sum()), recipe.pattern.least_muscles
    return fat.why or ("" if seen >= least else few_muscles(seen, least))


def _scarcest_first(cohort: Cohort) -> list[Case]:
    """The series, those first whose class has the fewest patients in their split; of tests, which may lack, last."""
    patients = Counter((case.split, case.label) for case in cohort.patients)
    return sorted(cohort.cases, key=lambda case: (case.split == "test", patients[case.split, case.label]))


def _check_rest(cohort: Cohort, without: Mapping[int, str]) -> None:
    """Raises an `InputError` where the series cannot be trained on without those rows."""
    rest = tuple(case for case in cohort.cases if case.row not in without)
    row, why = next(iter(without.items()))
    told = f"Of {len(without)} series no fat can be told; of row {row}: {why}"
    try:
        own(replace(cohort, cases=rest))
    except InputError as error:
        raise InputError(f"{told} {error}") from None


def _maker(
    recipe: PatternRecipe, maps: MapPackage, device: str, folder: Path, code: str
) -> Callable[[Case], StoredFat | str]:
    """What finds the fat of a series, or says why it cannot be read, in whichever process.

    Raises:
        InputError: its computer has other code than that of this digest, or not the device.
    """
    if code != _code():
        raise InputError("A computer of the cluster has another version of DystrophyDx; install the same on all.")
    mapper = MuscleMapper(maps, device)

    def fat_of(case: Case) -> StoredFat | str:
        try:
            return _found(case, recipe, mapper, folder)
        except InputError as error:
            return str(error)
        except OSError:
            raise InputError(
                "The folder for the fat of muscles cannot be written; check free space and permissions."
            ) from None

    return fat_of


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
