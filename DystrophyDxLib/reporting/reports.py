"""The files of each long command, known before anything slow is imported, so that a place that cannot be used is told
at once."""

from __future__ import annotations

from collections.abc import Iterable

from .harness import FIGURES, TABLES, Report

AUDIT = "audit.csv"
"""Of heatmaps, which models of patterns have none of."""
CASE_TABLES = ("predictions.csv", "patients.csv", "failures.csv", AUDIT)
"""Beside what is told of a cohort's cases, see `evaluation.evaluated.tables_of`."""
GALLERY = "gallery"
PREDICTIONS = "predictions"
EVALUATION = Report("evaluation of a model", "evaluation.json", CASE_TABLES, (TABLES, FIGURES, GALLERY))
MAPS = Report("Evaluation of a model of muscle maps", "evaluation.json", ("legs.csv", "failures.csv"))
PATTERNS = Report("evaluation of a model of patterns", "evaluation.json", CASE_TABLES[:3])
FOLDS = Report("cross-validation", "folds.json", CASE_TABLES)
COMPARISON = Report("comparison of models", "comparison.json", folders=(TABLES, FIGURES, PREDICTIONS))
TEXTURE = Report("texture analysis", "texture.json", ("predictions.csv", "heat.csv", "muscles.csv"))
READER_STUDY = Report("reader study", "analysis.json")


def of_repeats(names: Iterable[str]) -> Report:
    """The files of a repeated cross-validation, whose repeats have these names."""
    return Report("repeated cross-validation", "repeats.json", folders=(TABLES, *names))
