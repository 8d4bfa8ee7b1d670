"""`dystrophydx evaluate` of repeated cross-validation: each repeat as `folds` evaluates it, and how the figures spread
over the repeats, in each of which the patients were dealt to other folds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from ..cohort.splits import repeats_in
from ..reporting.output_folder import check_results_folder, results_folder
from ..reporting.pages import Page, Section
from ..reporting.progress import Advance
from ..reporting.tables import Table
from .folds import evaluate_folds
from .map_report import Atlas

SCHEMA = "dystrophydx.repeats/1"
FILES = ("report.html", "repeats.json", "tables")
"""Beside a folder of `folds.FILES` for each repeat."""


def evaluate_repeats(
    folder: Path,
    cohort: Path,
    out: Path,
    *,
    device: str,
    overwrite: bool,
    advance: Advance,
    atlas: Atlas | None = None,
    reference: str | None = None,
) -> dict[str, object]:
    """Evaluates the models of all repeats and writes `FILES` into `out`.

    Args:
        folder: in which `dystrophydx train --split kfold:K --repeats R` trained.
        cohort, out, device, overwrite, atlas, reference: as of `folds.evaluate_folds`.

    Returns:
        The content of repeats.json.

    Raises:
        InputError: as `folds.evaluate_folds`.
    """
    repeats = repeats_in(folder)
    files = (*FILES, *(repeat.name for repeat in repeats))
    check_results_folder(out, files, overwrite=overwrite)
    with results_folder(out, files, overwrite=overwrite) as inside:
        found = [
            evaluate_folds(
                repeat,
                cohort,
                inside / repeat.name,
                device=device,
                overwrite=False,
                advance=lambda what, done, total, name=repeat.name: advance(f"{name}: {what}", done, total),
                atlas=atlas,
                reference=reference,
            )
            for repeat in repeats
        ]
        summary = _summarised(found)
        _write(found, summary, inside)
    return summary


def figures_of(summary: dict[str, object]) -> dict[str, float]:
    """Figures of one repeat: accuracy of images and patients, and of the patients of each class the share who are
    called so.

    Args:
        summary: of `folds.evaluate_folds`.
    """
    matrix = np.array(summary["patients"]["confusion"])
    shares = np.divide(
        matrix.diagonal(), matrix.sum(axis=1), out=np.full(len(matrix), np.nan), where=matrix.any(axis=1)
    )
    return {
        **{f"Accuracy, {unit}": summary[unit]["accuracy"]["value"] for unit in ("images", "patients")},
        **{f"Called rightly, {name}": float(share) for name, share in zip(summary["classes"], shares, strict=True)},
    }


def spread(repeats: list[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation (n - 1) of each figure over repeats."""
    table = pd.DataFrame(repeats)
    return {name: (float(table[name].mean()), float(table[name].std(ddof=1))) for name in table}


def _summarised(found: list[dict[str, object]]) -> dict[str, object]:
    first = found[0]
    figures = [figures_of(summary) for summary in found]
    return {
        "schema": SCHEMA,
        "program": first["program"],
        "notices": first["notices"],
        "classes": first["classes"],
        "cohort": first["cohort"],
        "figures": {
            name: {"mean": mean, "sd": deviation, "repeats": [each[name] for each in figures]}
            for name, (mean, deviation) in spread(figures).items()
        },
    }


def _write(found: list[dict[str, object]], summary: dict[str, object], folder: Path) -> None:
    rows = [
        {
            "Figure": name,
            "Mean ± standard deviation": f"{figure['mean']:.3f} ± {figure['sd']:.3f}",
            **{f"Repeat {n}": f"{value:.3f}" for n, value in enumerate(figure["repeats"], 1)},
        }
        for name, figure in summary["figures"].items()
    ]
    table = Table(
        "repeats",
        f"{len(found)} repeats",
        pd.DataFrame(rows),
        "The standard deviation tells how much the answer hangs on who is trained on; all repeats have the same "
        "patients, so it is no interval.",
    )
    patients = found[0]["patients"]["total"]
    section = Section(
        "Over all repeats",
        (
            f"Each repeat deals the {patients} patients to other folds, and each patient is answered for by the model "
            "of the fold that did not see them. The folders beside this page hold each repeat.",
        ),
        (),
        (table,),
    )
    page = Page("repeated cross-validation", f"{len(found)} repeats", tuple(summary["notices"]), (section,))
    (folder / "tables").mkdir()
    page.write_tables(folder / "tables")
    page.write(folder / "report.html")
    (folder / "repeats.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
