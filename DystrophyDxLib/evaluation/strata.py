"""How often patients of each sex, third of ages, centre and field strength are called rightly."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..reporting.tables import Table
from ..statistics.confusion import proportion
from ..statistics.unpaired import equal_errors
from .tables import GROUPS, NOT_GIVEN, group_order


def by_stratum(patients: pd.DataFrame) -> Table:
    """A row a stratum, with the p of a chi-square test that all strata of one kind err equally often (Germain et al.,
    Diagnostics 2021;11:1554, for sex and terciles of age).

    Args:
        patients: one row a patient, with `truth`, `said`, `sex`, `age`, `centre` and `field_strength_t`.
    """
    right = patients["said"] == patients["truth"]
    kinds = {**GROUPS, "Age": _tercile}
    rows = []
    for kind, group_of in kinds.items():
        groups = group_of(patients)
        told = [(name, right[groups == name]) for name in sorted(groups.unique(), key=group_order)]
        known = [members for name, members in told if name != NOT_GIVEN]
        p = equal_errors([int((~members).sum()) for members in known], [len(members) for members in known])
        for name, members in told:
            accuracy = proportion(int(members.sum()), len(members))
            rows.append({"By": kind, "Group": name, "Patients": len(members), "Accuracy": accuracy, "p, chi-square": p})
    return Table(
        "strata",
        "Patients called rightly by sex, third of ages, centre and field strength, with Wilson's 95 % intervals",
        pd.DataFrame(rows),
        "p: that all groups of one kind err equally often, those not given left out; –: there is one group. Not "
        "corrected for the number of tests.",
    )


def _tercile(patients: pd.DataFrame) -> pd.Series:
    """Third of the ages that each patient is in, by its bounds."""
    ages = patients["age"]
    bounds = np.unique(ages.quantile([0, 1 / 3, 2 / 3, 1]).dropna())
    if len(bounds) < 2:
        return pd.Series(NOT_GIVEN, index=patients.index)
    thirds = pd.cut(ages, bounds, include_lowest=True)
    names = {part: f"{max(part.left, bounds[0]):.1f} to {part.right:.1f} years" for part in thirds.cat.categories}
    return thirds.map(names).astype(object).fillna(NOT_GIVEN)
