"""Fat in the muscles as a table, in words and as `muscles.csv`."""

from __future__ import annotations

from pathlib import Path

from ..files.spreadsheet import write_rows
from ..muscles.in_view import in_view
from ..muscles.infiltration import MERCURI, mercuri_grade
from ..muscles.structures import MUSCLES
from ..results import MuscleFat, StudyResult

COLUMNS = (
    "side", "muscle", "volume_ml", "fat_fraction", "fat_low", "fat_high", "mercuri", "slices", "voxels", "under_heat",
    "score", "heat_share", "mean_heat", "why",
)  # fmt: skip
"""Of `muscles.csv`."""
_NORMAL, _MILD, _MODERATE = (f"{limit:.0%}".replace("%", " %") for limit in MERCURI)
_NAMES = {1: "normal", 2: "mild", 3: "moderate", 4: "severe"}
GRADES = {**{grade: f"{grade}: {name}" for grade, name in _NAMES.items()}, 0: "no grade"}
"""What each grade says; 0 is none."""
SHADES = {1: "#fef0d9", 2: "#fdcc8a", 3: "#fc8d59", 4: "#b30000", 0: "#d5dae0"}
"""Colour of each grade: shades that stay apart in grey and to the colour-blind (OrRd of colorbrewer2.org)."""
INKS = {4: "#ffffff", **dict.fromkeys((0, 1, 2, 3), "#1b1f24")}
"""Colour of what is written on each shade."""
GRADE_WORDS = (
    f"Grades of Mercuri et al. 2002 by the fat fraction: 1 (normal) below {_NORMAL}, 2 (mild) below {_MILD}, 3 "
    f"(moderate) below {_MODERATE}, 4 (severe) from there on. Where the interval reaches into one other grade, that is "
    "told too (2 or 1); where it reaches into more, no grade is told (?). A radiologist's grades, by eye, run higher "
    "(Wokke et al. 2013). Volumes are of the slices shown."
)
_SOURCES = {
    "Dixon": "By the Dixon images, fat / (fat + water).",
    "fat image": "By grey between the darkest muscles, which are nearly black, and the fat of the legs: these look "
    "like the fat images of a Dixon scan, whose water images would tell the fat directly.",
    "T1-weighted": "By grey between the darkest muscles and the fat of the legs, without the rims of muscles: an "
    "estimate.",
}


def sides_of(result: StudyResult) -> list[str]:
    """The sides that have muscles, the patient's right first, as pictures show it."""
    shown = {muscle.side for muscle in result.muscle_fat}
    return [side for side in ("right", "left", "unknown", "none") if side in shown]


def by_muscle(result: StudyResult) -> list[tuple[str, list[MuscleFat | None]]]:
    """Each muscle in view with what is known of it on each of `sides_of`."""
    known: dict[tuple[str, str], MuscleFat] = {(row.muscle, row.side): row for row in result.muscle_fat}
    sides = sides_of(result)
    rows = [(name, [known.get((name, side)) for side in sides]) for name in MUSCLES]
    return [row for row in rows if any(row[1])]


def source_words(result: StudyResult) -> str:
    """Whether the muscles are in doubt, what tells the fat, or why nothing does, and whose map of them it is."""
    fat = result.fat
    return " ".join(filter(None, (fat.doubt, _SOURCES.get(fat.source or ""), fat.note, fat.map))) if fat else ""


def other_grade(muscle: MuscleFat) -> int | None:
    """The grade beside `MuscleFat.mercuri` that the interval of the fat reaches into; None where it reaches into none,
    or there is no grade."""
    if muscle.mercuri is None or muscle.fat_ci95 is None:
        return None
    return next((grade for grade in map(mercuri_grade, muscle.fat_ci95) if grade != muscle.mercuri), None)


def grade_cell(muscle: MuscleFat) -> str:
    """The grade in a table: "2", "2 or 1" where another one is possible, "?" where there is none."""
    other = other_grade(muscle)
    return f"{muscle.mercuri or '?'}{f' or {other}' if other else ''}"


def told(muscle: MuscleFat) -> str:
    """A muscle in words.

    >>> from ..results import MuscleFat
    >>> gracilis = MuscleFat(muscle="gracilis", voxels=9, under_heat=0, score=0, side="left", volume_ml=1.0,
    ...     fat_fraction=0.12, fat_ci95=(0.1, 0.2), mercuri=2, slices=())
    >>> told(gracilis), told(gracilis.model_copy(update={"fat_ci95": (0.0, 0.25)}))
    ('left gracilis 12 % (grade 2, mild)', 'left gracilis 12 % (grade 2, mild; perhaps 1, normal)')
    """
    side = f"{muscle.side} " if muscle.side in ("left", "right") else ""
    if muscle.fat_fraction is None:
        return f"{side}{muscle.muscle} not decidable"
    grade = f"grade {muscle.mercuri}, {_NAMES[muscle.mercuri]}" if muscle.mercuri else "several grades possible"
    other = other_grade(muscle)
    perhaps = f"; perhaps {other}, {_NAMES[other]}" if other else ""
    return f"{side}{muscle.muscle} {100 * muscle.fat_fraction:.0f} % ({grade}{perhaps})"


def fat_by_leg(result: StudyResult) -> str:
    """How much of each leg's muscles is fat, such as "right 12 %, left 14 %"; nothing where that is not known."""
    known = [muscle for muscle in result.muscle_fat if muscle.fat_fraction is not None]
    legs = []
    for side in sides_of(result):
        own = [muscle for muscle in known if muscle.side == side]
        if own:
            ml = sum(muscle.volume_ml for muscle in own)
            share = sum(muscle.volume_ml * (muscle.fat_fraction or 0) for muscle in own) / ml
            legs.append(f"{side} {100 * share:.0f} %" if side in ("left", "right") else f"{100 * share:.0f} %")
    return ", ".join(legs)


def summary_line(result: StudyResult) -> str:
    """Fat of each leg's muscles, and the muscles with most and least of it of those well in view, in one line; nothing
    without a map."""
    muscles = result.muscle_fat
    if not muscles:
        return source_words(result)
    known = sorted(in_view([m for m in muscles if m.fat_fraction is not None]), key=lambda m: m.fat_fraction or 0)
    if not known:
        return f"Fat in the muscles: not decidable. {source_words(result)}".strip()
    source = f" ({result.fat.source})" if result.fat and result.fat.source else ""
    extremes = f"most {told(known[-1])}, least {told(known[0])}"
    doubt, whose = (result.fat.doubt, result.fat.map) if result.fat else ("", "")
    return f"{doubt} Fat in the muscles{source}: {fat_by_leg(result)}; {extremes}. {whose}".strip()


def write_muscles_csv(path: Path, result: StudyResult) -> None:
    """Writes `muscles.csv`: a row a muscle and side; fractions 0 to 1, and nothing where they cannot be told."""
    heat = {(row.side, row.muscle): (round(row.share, 4), round(row.mean_heat, 4)) for row in result.muscle_heat}
    rows = [
        (
            muscle.side, muscle.muscle, muscle.volume_ml, muscle.fat_fraction, *(muscle.fat_ci95 or (None, None)),
            muscle.mercuri, len(muscle.slices), muscle.voxels, muscle.under_heat, round(muscle.score, 4),
            *heat.get((muscle.side, muscle.muscle), (None, None)), muscle.why,
        )
        for muscle in result.muscle_fat
    ]  # fmt: skip
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        write_rows(file, [COLUMNS, *rows])
