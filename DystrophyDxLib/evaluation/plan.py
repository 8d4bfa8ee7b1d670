"""The folder of a comparison, which takes one comparison alone; without PyTorch, so that another is refused at once."""

from __future__ import annotations

import json
from pathlib import Path

from ..cohort.table import AnyRecipe
from ..errors import InputError
from ..reporting.harness import table_sha256
from ..reporting.output_folder import Content
from ..reporting.reports import COMPARISON

RESULTS, PLAN = "comparison", "plan.json"


def open_comparison(out: Path, recipe: AnyRecipe, cohort: Path, seed: int) -> Content:
    """Makes `out`, or checks that it holds a comparison of the same.

    Args:
        recipe: by which backbones are trained, but for the backbone.
        cohort: the CSV.

    Returns:
        What lies in its folder of results.

    Raises:
        InputError: it holds something else or cannot be written.
    """
    plan = {"recipe": recipe.toml(), "cohort": table_sha256(cohort), "seed": seed}
    text = json.dumps(plan, indent=1, sort_keys=True) + "\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        present = {path.name for path in out.iterdir()}
        if not present:
            (out / PLAN).write_bytes(text.encode())
        elif PLAN not in present:
            raise InputError("The output folder holds other files; give a new or empty folder with --out.")
        elif (out / PLAN).read_bytes() != text.encode():
            raise InputError(
                "The output folder holds a comparison with another cohort, recipe or seed; give another with --out."
            )
    except OSError:
        raise InputError("The output folder cannot be written; check --out and its permissions.") from None
    return COMPARISON.check(out / RESULTS, overwrite=True)
