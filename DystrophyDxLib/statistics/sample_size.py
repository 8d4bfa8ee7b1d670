"""How many readers and cases a next study needs, from the variances of this one.

After Hillis, Obuchowski and Berbaum 2011 (Acad Radiol 18:129): the variances and covariances that come from the
sampling of cases shrink with the number of cases, at an unchanged share of positive ones; that of arms by readers does
not.
"""

from __future__ import annotations

from scipy.stats import chi2, f, ncf, ncx2

from ..errors import InputError
from .merit import Random
from .mrmc import Components

LEVEL, POWER = 0.05, 0.8
MOST_CASES = 100_000


def power(pilot: Components, difference: float, *, readers: int, cases: int, random: Random) -> float:
    """Chance that a study of two arms finds a difference, at the two-sided level `LEVEL`.

    Args:
        pilot: of an earlier study. A variance component of arms by readers below 0 counts as 0.
        difference: true one, between the means of the arms.
        readers, cases: of the study that is planned.
        random: what its result is to generalise to.

    Raises:
        InputError: the earlier study shows no variation to plan with.
    """
    scale = pilot.cases / cases
    own, shared = scale * max(pilot.error - pilot.cov1, 0.0), scale * pilot.shared
    by_reader = max(pilot.arm_by_reader, 0.0)
    mean_square = by_reader + own - shared
    variance = {
        "readers and cases": by_reader + own + (readers - 1) * shared,
        "cases": own + (readers - 1) * shared,
        "readers": mean_square,
    }[random]
    if not variance > 0:
        raise InputError(
            "The figures of the readers do not vary, so that no study can be planned from them; add cases."
        )
    noncentrality = readers * difference**2 / (2 * variance)
    if noncentrality == 0:
        return LEVEL
    if random == "cases" or mean_square <= 0:
        return float(ncx2.sf(chi2.ppf(1 - LEVEL, 1), 1, noncentrality))
    df2 = (readers - 1) * (variance / mean_square) ** 2
    return float(ncf.sf(f.ppf(1 - LEVEL, 1, df2), 1, df2, noncentrality))


def cases_needed(pilot: Components, difference: float, *, readers: int, random: Random) -> int | None:
    """The fewest cases with a power of `POWER`; None where `MOST_CASES` are too few, so that only more readers help.

    Raises:
        InputError: as `power`.
    """

    def enough(cases: int) -> bool:
        return power(pilot, difference, readers=readers, cases=cases, random=random) >= POWER

    if not enough(MOST_CASES):
        return None
    few, many = 0, MOST_CASES
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if enough(middle) else (middle, many)
    return many
