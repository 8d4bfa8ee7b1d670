"""What the folder of a cohort of phantoms holds; known without what makes them, which is slow to import."""

from __future__ import annotations

import csv
from pathlib import Path

TABLE = "cohort.csv"
"""Name of the table of a cohort."""
TRUTH = "truth.csv"
"""Name of the table of what no image of a thigh tells."""
BESIDE = "README.txt"
"""Name of the text beside the table of a cohort of thighs."""
ATLAS, ATLAS_NAMES = "atlas.nii.gz", "atlas.csv"
"""Names of the regions of brains, and of the table of their names."""


def earlier_cohort(out: Path) -> tuple[str, ...]:
    """Names of what is of an earlier cohort of phantoms in a folder; nothing where none is there, or patients are."""
    try:
        with (out / TABLE).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return ()
    if not rows or not all(row.get("synthetic") == "yes" and row.get("person") for row in rows):
        return ()
    return (TABLE, TRUTH, BESIDE, ATLAS, ATLAS_NAMES, *{row["patient_id"] for row in rows})
