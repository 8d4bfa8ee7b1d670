"""A new reader study from a cohort table: pseudonymised cases, the model's answers, and the truth apart from both."""

from __future__ import annotations

import datetime
import hashlib
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
from pydantic import ValidationError

from ..classify import Classifier
from ..cohort.seen import seen_patients
from ..cohort.table import Case, Cohort, Problems
from ..errors import InputError
from ..files.spreadsheet import Sheet, write_rows
from ..models.package import ModelCard, ModelPackage
from ..reporting.output_folder import check_output_folder, output_folder
from ..reporting.progress import Advance
from ..results import StudyResult
from ..series.image_files import as_image, read_image_file
from ..series.reading import read_study
from ..series.series import Geometry, Series
from ..statistics.merit import FIGURES_OF_MERIT, RANDOM, Compares, FigureOfMerit, Random
from .endpoint import PrimaryEndpoint, default_comparison
from .protocol import Arm, Design, Protocol, Reader, StudyModel, first_problem, shuffled
from .protocol_page import write_protocol_page
from .questions import SUBTYPES, Questions
from .study import CASES, HEATMAP, IMAGE, MODEL, MODEL_ANSWER, PAGE, TRUTH, TRUTH_TABLE, ModelAnswer, ReaderStudy

if TYPE_CHECKING:
    from ..archive.answers import ArchiveAnswers

GREY_WINDOW = (0.0, 1000.0)
"""Every case is stored so that this window shows it from the 1st to the 99.5th percentile of its tissue."""
_PERCENTILES = (1, 99.5)
_READER_COLUMNS = {
    "reader": "a code (1 to 16 letters, digits, - or _, such as R1; never a name)",
    "role": "1 to 60 characters, such as radiologist",
    "years": "a number from 0 to 80, or empty",
}
"""What the cells of the table of readers hold."""


@dataclass(frozen=True)
class StudyPlan:
    """What a user decides of a study; see `Protocol`.

    Attributes:
        blocks: number of blocks of cases, more than one in the split-plot design.
        primary, holds_for: figure of the primary endpoint, and what it generalises to.
        compares: what it compares; None for `default_comparison`.
    """

    title: str
    readers: tuple[Reader, ...]
    arms: tuple[Arm, ...]
    design: Design
    questions: Questions
    duplicates: int
    washout_days: int
    blocks: int
    seed: int
    primary: FigureOfMerit = FIGURES_OF_MERIT[0]
    compares: Compares | None = None
    holds_for: Random = RANDOM[0]


def create_study(
    cohort: Path,
    plan: StudyPlan,
    package: ModelPackage,
    device: str,
    out: Path,
    advance: Advance,
    recorded: ArchiveAnswers | None = None,
) -> ReaderStudy:
    """Creates the folder of a study, with all of its files or not at all.

    Of a cohort with splits the test split is read, of another one every row.

    Args:
        cohort: the CSV; one row a patient.
        package: the model to be set beside the readers.
        device: see `devices.DEVICES`.
        out: new or empty folder.
        recorded: answers of the model that are taken instead of classifying; an aided arm needs their heatmaps.

    Raises:
        InputError: plan, cohort or `out` cannot be used, or series cannot be read or classified, with their rows.
    """
    check_output_folder(out, (), overwrite=False)
    codes = _codes(_cases(Cohort.read(cohort, package.recipe), package.card), plan.seed)
    protocol = _protocol(plan, codes, package)
    classifier = None if recorded else Classifier(package, device)
    with output_folder(out, (), overwrite=False) as folder:
        for name in (CASES, MODEL, TRUTH):
            (folder / name).mkdir()
        for name in (TRUTH,) if protocol.aided else (TRUTH, MODEL):
            (folder / name).chmod(0o700)
        problems = Problems()
        first: dict[str, Case] = {}
        for done, (code, case) in enumerate(codes.items()):
            advance("Reading and classifying", done, len(codes))
            try:
                series = read_study(case.path)
                if not series.orientation_known:
                    raise InputError(
                        "the header does not say how the image lies in the patient, so that no side can be shown"
                    )
                twin = first.setdefault(hashlib.sha256(series.voxels.tobytes()).hexdigest(), case)
                if twin is not case:
                    problems.add("the same images in two rows", f"rows {twin.row} and {case.row}")
                    continue
                if recorded is not None:
                    heat = read_image_file(recorded.heatmap(case)).voxels if protocol.aided else None
                    result = recorded.of(case)
                    if heat is not None and heat.shape != series.voxels.shape:
                        raise InputError("the dataset's heatmap is of another series")
                else:
                    assert classifier is not None
                    found = classifier.classify(series)
                    result, heat = found.result, found.heatmap if protocol.aided else None
                _write_case(folder, code, series, result, heat)
            except InputError as error:
                problems.add(str(error).rstrip("."), f"row {case.row}")
        problems.raise_any()
        _write_truth(folder / TRUTH, codes)
        write_protocol_page(ReaderStudy.seal(folder, protocol).protocol, folder / PAGE)
    return ReaderStudy.open(out)


def one_class(study: ReaderStudy) -> bool:
    """Whether no case, or every case, has what the study asks for."""
    return len({row["label"] for _, row in Sheet.read(study.truth / TRUTH_TABLE, TRUTH_TABLE).records()}) == 1


def read_readers(path: Path) -> tuple[Reader, ...]:
    """Reads a table of readers: a CSV with the columns `reader` (code), `role` and `years` (of experience).

    Raises:
        InputError: it is not such a table, with all rows that are wrong.
    """
    sheet = Sheet.read(path, "The table of readers", f"check its path ({path})")
    missing = sheet.missing(_READER_COLUMNS)
    if missing or not sheet.rows:
        raise InputError(
            f"The table of readers lacks {', '.join(missing) or 'rows'}; it has the columns reader, role, years."
        )
    problems = Problems("The table of readers", "correct it")
    for number in sheet.ragged:
        problems.add("more or fewer cells than the header", f"row {number}")
    readers = [_reader(number, row, problems) for number, row in sheet.records()]
    problems.raise_any()
    return tuple(filter(None, readers))


def _reader(number: int, row: Mapping[str, str], problems: Problems) -> Reader | None:
    """The reader of a row of the table; None where the row is told to `problems`."""
    years = row.get("years", "").replace(",", ".") or None
    try:
        return Reader.model_validate({"code": row.get("reader", ""), "role": row.get("role", ""), "years": years})
    except ValidationError as error:
        for field in dict.fromkeys(str(each["loc"][0]) for each in error.errors()):
            column = "reader" if field == "code" else field
            problems.add(f"{column} is not {_READER_COLUMNS[column]}", f"row {number}")
        return None


def _cases(cohort: Cohort, card: ModelCard) -> Sequence[Case]:
    """The cases to be read, none of which the model has seen."""
    cases = cohort.of_split("test").cases if cohort.has_splits else cohort.cases
    problems = Problems()
    for patient, rows in Counter(case.patient_id for case in cases).items():
        if rows > 1:
            told = " / ".join(cohort.spellings.get(patient, [patient]))
            problems.add("patients with more than one series, of which a reader study takes one", told)
    for patient in sorted(seen_patients(replace(cohort, cases=cases), card)):
        problems.add("patients that the model has seen in training, so that its answers would be too good", patient)
    problems.raise_any()
    if not cases:
        raise InputError("The cohort has no case in the test split; leave the column split out to read all cases.")
    return cases


def _codes(cases: Sequence[Case], seed: int) -> dict[str, Case]:
    """Each case by a code that says nothing of its place in the cohort table."""
    rows = shuffled(range(len(cases)), seed, "codes")
    digits = max(3, len(str(len(cases))))
    return {f"C{number:0{digits}d}": cases[row] for number, row in enumerate(rows, 1)}


def _blocks(codes: Mapping[str, Case], count: int, seed: int) -> tuple[tuple[str, ...], ...]:
    """The codes in `count` blocks, each with its share of every class."""
    dealt = shuffled(sorted(codes), seed, "blocks")
    dealt.sort(key=lambda code: codes[code].label or 0)
    return tuple(tuple(sorted(dealt[block::count])) for block in range(count))


def _protocol(plan: StudyPlan, codes: Mapping[str, Case], package: ModelPackage) -> Protocol:
    asked = package.recipe.classes[1]
    if plan.questions.subtype and not {*SUBTYPES} <= {*package.recipe.diagnoses[asked]}:
        raise InputError(f"The subtypes {' and '.join(SUBTYPES)} are not of {asked}; do not ask for them.")
    told = {name: value for name, value in vars(plan).items() if name in Protocol.model_fields}
    try:
        protocol = Protocol.model_validate(
            {
                **told,
                "created": datetime.date.today().isoformat(),
                "blocks": _blocks(codes, plan.blocks, plan.seed),
                "grey_window": GREY_WINDOW,
                "model": _study_model(package),
                "asked": asked,
                "primary": None,
            }
        )
        compares = plan.compares or default_comparison(protocol.arms_of_answers)
        primary = PrimaryEndpoint(figure=plan.primary, compares=compares, holds_for=plan.holds_for)
        return Protocol.model_validate({**dict(protocol), "primary": primary})
    except ValidationError as error:
        raise InputError(f"The study cannot be made like this: {first_problem(error)}.") from None


def _study_model(package: ModelPackage) -> StudyModel:
    """The model in the words of the protocol, which refuses one without a threshold."""
    told = {name: getattr(package.card, name) for name in StudyModel.model_fields if name != "sha256"}
    return StudyModel.model_validate(told | {"sha256": package.sha256})


def _write_case(folder: Path, code: str, series: Series, result: StudyResult, heat: np.ndarray | None) -> None:
    """Writes what is shown of a case: its grey values and geometry, and the model's answer with its heatmap."""
    for name in (CASES, MODEL):
        (folder / name / code).mkdir()
    _write_image(_windowed(series.voxels), series.geometry, folder / CASES / code / IMAGE)
    answer = ModelAnswer(
        probability=result.case.probability,
        ci95=result.case.ci95,
        label=result.case.label,
        warnings=tuple(warning.message for warning in result.warnings),
    )
    (folder / MODEL / code / MODEL_ANSWER).write_text(answer.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if heat is not None:
        _write_image(heat, series.geometry, folder / MODEL / code / HEATMAP)


def _windowed(voxels: np.ndarray) -> np.ndarray:
    """(z, y, x) int16, linear in `voxels`, on the scale of `GREY_WINDOW`; brighter than int16 can hold is its end."""
    tissue = voxels[voxels != 0]
    low, high = np.percentile(tissue, _PERCENTILES)
    scaled = GREY_WINDOW[0] + (voxels - low) * ((GREY_WINDOW[1] - GREY_WINDOW[0]) / max(high - low, 1e-6))
    limits = np.iinfo(np.int16)
    return np.clip(np.rint(scaled), limits.min, limits.max).astype(np.int16)


def _write_image(voxels: np.ndarray, geometry: Geometry, path: Path) -> None:
    try:
        sitk.WriteImage(as_image(voxels, geometry), str(path), useCompression=True)
    except RuntimeError:
        raise OSError from None  # `output_folder` says it


def _write_truth(folder: Path, codes: Mapping[str, Case]) -> None:
    """The salt is random, so that nobody can try out which truth has the digest that the protocol tells."""
    for name, header, rows in (
        (
            TRUTH_TABLE,
            ("case", "label", "diagnosis", "synthetic", "salt"),
            [
                (code, case.label, case.disease, int(case.synthetic), secrets.token_hex(16))
                for code, case in codes.items()
            ],
        ),
        ("key.csv", ("case", "patient_id", "row"), [(code, case.patient_id, case.row) for code, case in codes.items()]),
    ):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            write_rows(file, (header, *rows))
