"""`LegFat`: the fat of a leg's muscles, compared as the rules of signs ask, in true, false and not decidable.

The muscles of a leg share the errors of the scale by which their fat is told: where one has more than it is said to
have, so have the others. So two muscles are compared at the scale's value, at its least and at its greatest, and what
the comparison says must hold at all three, and a margin for the errors of either beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .structures import MUSCLES

ERROR = 0.05
"""By how much two muscles may be further apart, or nearer, than their fat fractions at one and the same scale. Dixon
images: the repeatability of two fractions (Grimm et al. 2018; see `infiltration`). T1-weighted images: our choice; of
224 phantoms 99 in 100 decided signs of a leg were those of the true fat."""
OF_LITTLE = 0.4
"""The error is at most this share of the larger of the two fractions: of healthy muscle there is little to err by."""
RIM_ERROR = 0.03
"""The same of the rim and the centre of one muscle (our choice on phantoms)."""


class Comparison(NamedTuple):
    """Whether something holds; None where that cannot be decided.

    Attributes:
        spare: how far the fat lies within what is asked for; below 0 it does not hold. The smallest counts.
        why: the muscles and their fat, in a sentence.
    """

    holds: bool | None
    spare: float
    why: str


def all_hold(comparisons: Iterable[Comparison]) -> Comparison:
    """What must hold together: false where one is false, else undecided where one is. It tells of the most failing."""
    known = sorted(comparisons, key=lambda comparison: comparison.spare)
    for wanted in (False, None):
        found = [comparison for comparison in known if comparison.holds is wanted]
        if found:
            return found[0]
    return known[0]


@dataclass(frozen=True)
class LegFat:
    """Fat of the muscles of a leg.

    Attributes:
        fat: of each muscle whose fat is told, (3,) fraction, least and greatest.
        rims: of some of them, (2, 3) of its rim and of its centre.
        in_view: muscles of the map, whether or not their fat is told.
        error: see `ERROR`; 0 of fat that is known.
    """

    fat: Mapping[str, np.ndarray]
    rims: Mapping[str, np.ndarray] = field(default_factory=dict)
    in_view: frozenset[str] = frozenset()
    error: float = 0.0

    @classmethod
    def exact(cls, fractions: np.ndarray) -> LegFat:
        """Of fractions (13,) that are known without error, in the order of `MUSCLES`; nan of those out of view."""
        known = {name: np.full(3, part) for name, part in zip(MUSCLES, fractions, strict=True) if not np.isnan(part)}
        return cls(known, in_view=frozenset(known))

    def at_most(self, muscles: Sequence[str], limit: float) -> Comparison:
        """Whether each of some muscles has at most so much fat."""
        return all_hold(self._within(name, limit, -1) for name in muscles)

    def at_least(self, muscles: Sequence[str], limit: float) -> Comparison:
        """Whether each of some muscles has at least so much fat."""
        return all_hold(self._within(name, limit, 1) for name in muscles)

    def more(self, these: Sequence[str], those: Sequence[str], by: float) -> Comparison:
        """Whether each of these muscles has more fat than each of those, by at least so much."""
        return all_hold(self._apart((one,), (other,), by) for one in these for other in those)

    def more_in_the_mean(self, these: Sequence[str], those: Sequence[str], by: float) -> Comparison:
        """Whether these muscles have more fat in their mean than those, by at least so much."""
        return self._apart(tuple(these), tuple(those), by)

    def more_in_the_rim(self, muscle: str, by: float) -> Comparison:
        """Whether the rim of a muscle has more fat than its centre, by at least so much."""
        if muscle not in self.rims:
            lacking = self._lacking([muscle])
            return lacking or Comparison(None, 0, f"The {muscle} is too thin here to tell its rim from its centre.")
        rim, centre = self.rims[muscle]
        words = f"{muscle} {percent(rim[0])} along its rim, {percent(centre[0])} in its centre"
        return _compared(rim - centre - by, RIM_ERROR if self.error else 0.0, words, _points(by))

    def listed(self, muscles: Sequence[str]) -> str:
        """Some muscles with the fat that each has.

        >>> LegFat({"gracilis": np.full(3, 0.1), "sartorius": np.full(3, 0.2)}).listed(("gracilis", "sartorius"))
        'gracilis 10 %, sartorius 20 %'
        """
        return ", ".join(f"{name} {percent(self.fat[name][0])}" for name in muscles)

    def _within(self, name: str, limit: float, sign: int) -> Comparison:
        lacking = self._lacking([name])
        if lacking:
            return lacking
        asked = f"at {'least' if sign > 0 else 'most'} {percent(limit)}"
        return _compared(sign * (self.fat[name] - limit), 0.0, self.listed([name]), asked)

    def _apart(self, these: tuple[str, ...], those: tuple[str, ...], by: float) -> Comparison:
        lacking = self._lacking([*these, *those])
        if lacking:
            return lacking
        one, other = (np.mean([self.fat[name] for name in part], axis=0) for part in (these, those))
        words = " and ".join(
            self.listed(part) if len(part) == 1 else f"{percent(mean[0])} in the mean of {', '.join(part)}"
            for part, mean in ((these, one), (those, other))
        )
        return _compared(one - other - by, self.error_of(one, other), words, _points(by))

    def error_of(self, one: np.ndarray, other: np.ndarray) -> float:
        """By how much the difference of two fractions (3,) may be wrong."""
        return min(self.error, OF_LITTLE * float(max(one[0], other[0])))

    def _lacking(self, names: Iterable[str]) -> Comparison | None:
        for name in names:
            if name not in self.in_view:
                return Comparison(None, 0, f"Not enough of the {name} is in view.")
            if name not in self.fat:
                return Comparison(None, 0, f"How much fat is in the {name} cannot be told.")
        return None


def percent(fraction: float) -> str:
    """A fraction in %."""
    return f"{100 * fraction:.0f} %"


def _points(by: float) -> str:
    return f"{100 * by:.0f} points more in the former"


def _compared(spare: np.ndarray, error: float, words: str, asked: str) -> Comparison:
    """Of the (3,) fat beyond what is asked for: at the scale's value, least and greatest."""
    holds = True if spare.min() >= error else False if spare.max() < -error else None
    text = f"{words[0].upper()}{words[1:]}: the sign asks for {asked}"
    return Comparison(holds, float(spare[0]), f"{text}{', which the error leaves open' if holds is None else ''}.")
