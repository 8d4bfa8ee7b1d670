"""The phantoms' fat in each muscle beside the published figures, as Markdown.

Run as `python Tools/phantom_fat.py OUT.md`. Published figures stand here alone, each with its source; what is not
published is said. Fat is in % at mid-thigh, the mean of both legs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from DystrophyDxLib.muscles.structures import MUSCLES
from DystrophyDxLib.phantom.disease import DIAGNOSES, PATTERNS, Infiltration
from DystrophyDxLib.phantom.thigh import muscle_shares

PERSONS = 2000
_FRONT, _BACK = MUSCLES[1:5], MUSCLES[7:11]


@dataclass(frozen=True)
class Published:
    """Fat in % of some muscles together, mean and SD (None where none is given), in some patients of a diagnosis."""

    diagnosis: str
    who: str
    muscles: tuple[str, ...]
    mean: float
    spread: float | None
    source: str
    asked: Callable[[Infiltration], bool] = lambda person: True


def _adult(person: Infiltration) -> bool:
    return person.age_years >= 18


def _boy(person: Infiltration) -> bool:
    return 5 <= person.age_years < 9


_BECKER = {
    "biceps femoris long head": (45.4, 34.3), "adductor magnus": (44.1, 32.6), "semimembranosus": (42.9, 32.1),
    "gluteus maximus": (41.8, 25.8), "vastus lateralis": (39.1, 29.9), "vastus medialis": (38.0, 28.1),
    "vastus intermedius": (35.6, 27.2), "semitendinosus": (31.5, 29.5), "biceps femoris short head": (26.8, 25.2),
    "adductor longus": (23.1, 28.4), "rectus femoris": (23.0, 22.4), "gracilis": (17.1, 18.2),
    "sartorius": (13.5, 12.6),
}  # fmt: skip
_DE_WEL = "De Wel et al. 2024, Eur J Neurol 31:e16282, Table 2"
_WILLCOCKS = "Willcocks et al. 2016, Ann Neurol 79:535, Table 2"
_BOYS = "73 boys of NCT03882827, abstract at the MDA conference"
_HESKAMP = "Heskamp et al. 2019, Neurology 92:e2803, abstract; leg and thigh together"
PUBLISHED = (
    *(Published("BMD", "21 adults", (name,), *figures, _DE_WEL, _adult) for name, figures in _BECKER.items()),
    Published("BMD", "21 adults", _BACK, 37.1, 30.0, _DE_WEL, _adult),
    Published("BMD", "21 adults", _FRONT, 35.3, 26.7, _DE_WEL, _adult),
    Published("DMD", "5 to 9 years", ("gluteus maximus",), 23.5, None, _BOYS, _boy),
    Published("DMD", "5 to 9 years", _BACK, 15.2, None, _BOYS, _boy),
    Published("DMD", "5 to 9 years", _FRONT, 14.2, None, _BOYS, _boy),
    Published("DMD", "ambulant boys", ("vastus lateralis",), 18, 17, _WILLCOCKS, _boy),
    Published("DM1", "33 adults", MUSCLES, 15.6, 11.1, _HESKAMP, _adult),
    Published("healthy", "boys", ("vastus lateralis",), 2, 1, _WILLCOCKS, lambda person: person.age_years < 14),
    Published("healthy", "10 adults", MUSCLES, 3.7, 1.5, _HESKAMP, _adult),
)
# What else the patterns rest on, in `PATTERNS`' words: no figures of each muscle were found.
GRADES = {
    "DMD": "mean grades of nine muscles", "LGMD2A": "order, and one mean grade", "LGMD2B": "order", "LGMD2C": "order",
    "LGMD2D": "order", "LGMD2E": "order", "LGMD2I": "order", "Bethlem": "rim and core", "FSHMD": "order, asymmetry",
    "CMD": "order", "GNE": "order", "MADD": "our estimate", "myositis": "our estimate", "IBM": "order", "DM1": "order",
    "Pompe": "order", "neurogenic": "our estimate",
}  # fmt: skip


@cache
def drawn(diagnosis: str) -> list[Infiltration]:
    rng, shares = np.random.default_rng(0), muscle_shares()
    return [Infiltration.drawn(rng, diagnosis, shares) for _ in range(PERSONS)]


def fat_of(persons: list[Infiltration]) -> np.ndarray:
    """(persons, 13) fat in %."""
    return 100 * np.array([person.fractions.mean(axis=0) for person in persons])


def of_phantoms(figure: Published) -> tuple[float, float]:
    """Mean and SD of the same fat in phantoms."""
    persons = [person for person in drawn(figure.diagnosis) if figure.asked(person)]
    shares, at = muscle_shares(), [MUSCLES.index(name) for name in figure.muscles]
    fat = fat_of(persons)[:, at] @ (shares[at] / shares[at].sum())
    return float(fat.mean()), float(fat.std())


def beside_published() -> list[str]:
    """A Markdown row for each published figure."""
    rows = ["| disease, who | muscles | published | phantoms | source |", "| --- | --- | ---: | ---: | --- |"]
    for figure in PUBLISHED:
        name = {_FRONT: "quadriceps", _BACK: "hamstrings", MUSCLES: "all"}.get(figure.muscles, figure.muscles[0])
        published = f"{figure.mean:g}" + (f" ± {figure.spread:g}" if figure.spread else "")
        mean, spread = of_phantoms(figure)
        phantoms = f"{mean:.1f} ± {spread:.1f}"
        rows.append(f"| {figure.diagnosis}, {figure.who} | {name} | {published} | {phantoms} | {figure.source} |")
    return rows


def all_muscles() -> list[str]:
    """A Markdown row for each disease: 10th percentile, median and 90th percentile of each muscle."""
    rows = [
        f"| disease | rests on | scatter | {' | '.join(MUSCLES)} |",
        f"| --- | --- | ---: |{' --- |' * len(MUSCLES)}",
    ]
    for diagnosis in DIAGNOSES:
        low, middle, high = np.percentile(fat_of(drawn(diagnosis)), (10, 50, 90), axis=0)
        cells = [f"{m:.0f} ({a:.0f}, {b:.0f})" for a, m, b in zip(low, middle, high, strict=True)]
        known = {figure.diagnosis for figure in PUBLISHED}
        basis = ", ".join(
            ["figures above"] * (diagnosis in known) + [text for name, text in GRADES.items() if name == diagnosis]
        )
        scatter = "" if diagnosis == "healthy" else f"{PATTERNS[diagnosis].scatter:g}"
        rows.append(f"| {diagnosis} | {basis} | {scatter} | {' | '.join(cells)} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="Markdown to write")
    parts = (
        "**The phantoms' fat beside the published, in %, mean ± SD**",
        "\n".join(beside_published()),
        "**All muscles of the phantoms, in %: median (10th, 90th percentile)**",
        "\n".join(all_muscles()),
        "Scatter is the SD, in steps of the disease, by which a person's muscles differ from the pattern: wider where "
        "less is known. No figures by sex were found. The sources of orders and grades stand in `phantom/disease.py`.",
    )
    parser.parse_args().out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
