"""Published signs of the thigh, as rules on the fat of its muscles: present, absent, or not decidable.

Publications describe signs in words, for the eye. The limits of the fat fraction by which they are told here are our
choice, made on phantoms; `Tools/sign_figures.py` measures what comes of it on others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..results import FatSource, MuscleFat, Sign, SignSide
from .leg_fat import ERROR, Comparison, LegFat, all_hold, percent
from .structures import MUSCLES

_VASTI = ("vastus lateralis", "vastus intermedius", "vastus medialis")
_HAMSTRINGS = ("biceps femoris long head", "semimembranosus")
RIMMED = ("vastus lateralis",)
"""Muscles whose rim and centre signs ask for."""


LEAST_VOXELS = 60
"""Of a muscle, from which signs look at it: the fat of fewer is that of its rim (our choice)."""


class PublishedSign(ABC):
    """A sign of the thigh's muscles.

    Attributes:
        name: what it is called.
        disease: in which it is seen.
        publication: that describes it.
        says: what the publication says of it.
        figures: sensitivity and specificity as published, or that none were found.
        rule: what must hold here, in words; the limits are ours.
    """

    name: str
    disease: str
    publication: str
    says: str
    figures: str
    rule: str

    @abstractmethod
    def of(self, legs: Mapping[SignSide, LegFat]) -> Iterator[Sign]:
        """Whether the sign is present, by the fat of the legs of each side."""

    def _row(self, side: SignSide, present: bool | None, why: str) -> Sign:
        return Sign(name=self.name, disease=self.disease, side=side, present=present, why=why)


class LegSign(PublishedSign):
    """A sign of one leg: all that it asks for must hold together."""

    @abstractmethod
    def asks(self, leg: LegFat) -> Iterator[Comparison]:
        """All that must hold."""

    @abstractmethod
    def told(self, leg: LegFat) -> str:
        """The muscles that show it, with their fat."""

    def of(self, legs: Mapping[SignSide, LegFat]) -> Iterator[Sign]:
        for side, leg in legs.items():
            found = all_hold(self.asks(leg))
            yield self._row(side, found.holds, self.told(leg) if found.holds else found.why)

    def shown(self, fractions: np.ndarray) -> bool:
        """Whether fat fractions (13,) that are known without error show the sign; not where one that it asks for is
        nan."""
        return bool(all_hold(self.asks(LegFat.exact(fractions))).holds)


class Trefoil(LegSign):
    """Three leaflets of spared muscle, and a fruit, among muscles replaced by fat."""

    name = "trefoil"
    disease = "dystrophinopathy"
    publication = (
        "Zheng et al. 2015, The trefoil with single fruit sign in muscle magnetic resonance imaging is highly specific "
        "for dystrophinopathies"
    )
    says = (
        "Trefoil with single fruit: sartorius, gracilis and adductor longus (three leaflets) and the semitendinosus "
        "(the fruit) are relatively spared at mid-thigh."
    )
    figures = (
        "sensitivity 0.416 (0.340 to 0.495), 166 patients; specificity 0.992 (0.971 to 0.999), 244 with other "
        "neuromuscular diseases; in another series 21 of 22 patients have it, 4 of 22 with a sarcoglycanopathy and 2 "
        "of 11 with LGMD R9 (Xie et al. 2019)"
    )
    rule = (
        "each leaflet at most 40 %; adductor magnus, biceps femoris long head, vastus lateralis and vastus intermedius "
        "each 10 points above each leaflet, and in the mean 5 points above the semitendinosus"
    )
    LEAFLETS = ("sartorius", "gracilis", "adductor longus")
    FRUIT = "semitendinosus"
    REPLACED = ("adductor magnus", "biceps femoris long head", "vastus lateralis", "vastus intermedius")

    def asks(self, leg: LegFat) -> Iterator[Comparison]:
        yield leg.at_most(self.LEAFLETS, 0.4)
        yield leg.more(self.REPLACED, self.LEAFLETS, 0.1)
        yield leg.more_in_the_mean(self.REPLACED, (self.FRUIT,), 0.05)

    def told(self, leg: LegFat) -> str:
        return (
            f"Spared are {leg.listed(self.LEAFLETS)} and, less so, {leg.listed((self.FRUIT,))}; replaced by fat are "
            f"{leg.listed(self.REPLACED)}."
        )


class Sandwich(LegSign):
    """A muscle whose rim is fat and whose centre is spared."""

    name = "sandwich"
    disease = "Bethlem myopathy"
    publication = "Mercuri et al. 2005, Neuromuscul Disord 15:303"
    says = "Fat lies along the rim of the vasti, and their centre is spared."
    figures = (
        "sensitivity 1.00 and specificity 0.90 in the moderately affected of 15 patients and 50 with four other "
        "dystrophies (Salim et al. 2020); 10 of 11 patients with a collagen VI-related myopathy have it (Fu et al. "
        "2016)"
    )
    rule = (
        "vastus lateralis 12 points more along its rim than in its centre; its outermost 3 mm, where fat between "
        "muscles lies, do not count"
    )

    def asks(self, leg: LegFat) -> Iterator[Comparison]:
        yield leg.more_in_the_rim(RIMMED[0], 0.12)

    def told(self, leg: LegFat) -> str:
        rim, centre = (percent(part[0]) for part in leg.rims[RIMMED[0]])
        return f"The {RIMMED[0]} holds {rim} fat along its rim and {centre} in its centre."


class PosteriorThigh(LegSign):
    """Hamstrings and adductors before the front of the thigh."""

    name = "posterior thigh"
    disease = "LGMD R1"
    publication = "Mercuri et al. 2005, Neuromuscul Disord 15:164"
    says = (
        "Adductors and semimembranosus are replaced first, then the back of the thigh; vastus lateralis, sartorius and "
        "gracilis are spared. Barp et al. 2020 see hip adductors and hamstrings most replaced in 57 patients."
    )
    figures = (
        "none found for the thigh alone; a biceps femoris long head replaced beside a spared extensor digitorum longus "
        "of the calf has 0.76 and 0.905 against healthy controls (32 patients, Feng et al. 2018)"
    )
    rule = (
        "adductor magnus, biceps femoris long head and semimembranosus each at least 10 %, and in the mean 25 points "
        "above vastus lateralis, vastus medialis and rectus femoris and 20 above sartorius and gracilis"
    )
    REPLACED = ("adductor magnus", *_HAMSTRINGS)
    FRONT = ("vastus lateralis", "vastus medialis", "rectus femoris")
    INNER = ("sartorius", "gracilis")

    def asks(self, leg: LegFat) -> Iterator[Comparison]:
        yield leg.at_least(self.REPLACED, 0.1)
        yield leg.more_in_the_mean(self.REPLACED, self.FRONT, 0.25)
        yield leg.more_in_the_mean(self.REPLACED, self.INNER, 0.2)

    def told(self, leg: LegFat) -> str:
        return f"Replaced by fat are {leg.listed(self.REPLACED)}; spared are {leg.listed((*self.FRONT, *self.INNER))}."


class SparedVastusLateralis(LegSign):
    """A vastus lateralis spared where even the rest of the quadriceps is not."""

    name = "vastus lateralis spared"
    disease = "GNE myopathy"
    publication = "Tasca et al. 2012, J Neurol 259:1358"
    says = (
        "The biceps femoris short head is severely replaced even early; the vastus lateralis, not the quadriceps, is "
        "the only muscle spared late (13 patients)."
    )
    figures = "none found"
    rule = (
        "biceps femoris short head at least 30 %, vastus lateralis at most 30 %; in the mean the hamstrings lie 20 "
        "points above the vastus lateralis and the rest of the quadriceps 5"
    )
    SPARED = "vastus lateralis"
    REPLACED = ("biceps femoris short head", *_HAMSTRINGS, "semitendinosus")
    BESIDE = ("rectus femoris", "vastus intermedius", "vastus medialis")

    def asks(self, leg: LegFat) -> Iterator[Comparison]:
        yield leg.at_least(self.REPLACED[:1], 0.3)
        yield leg.at_most((self.SPARED,), 0.3)
        yield leg.more_in_the_mean(self.REPLACED, (self.SPARED,), 0.2)
        yield leg.more_in_the_mean(self.BESIDE, (self.SPARED,), 0.05)

    def told(self, leg: LegFat) -> str:
        return (
            f"Spared is {leg.listed((self.SPARED,))}; replaced by fat are {leg.listed(self.REPLACED)}, and more than "
            f"it {leg.listed(self.BESIDE)}."
        )


class SparedRectus(LegSign):
    """A rectus femoris spared among the vasti."""

    name = "rectus femoris spared"
    disease = "inclusion body myositis"
    publication = "Cox et al. 2011, Rheumatology 50:1153"
    says = "The quadriceps is replaced but for the rectus femoris, and the adductors are spared (32 patients)."
    figures = (
        "none found for the thigh alone; the typical pattern of thigh and calf has an accuracy of 0.95 with a "
        "specificity of 1.00 (17 patients, 118 with other myopathies, Tasca et al. 2015)"
    )
    rule = "each vastus at least 30 %, and in the mean 20 points above rectus femoris and above adductor magnus"
    SPARED = ("rectus femoris", "adductor magnus")

    def asks(self, leg: LegFat) -> Iterator[Comparison]:
        yield leg.at_least(_VASTI, 0.3)
        for spared in self.SPARED:
            yield leg.more_in_the_mean(_VASTI, (spared,), 0.2)

    def told(self, leg: LegFat) -> str:
        return f"Replaced by fat are {leg.listed(_VASTI)}; spared are {leg.listed(self.SPARED)}."


class Asymmetry(PublishedSign):
    """Muscles with much more fat on one side than on the other."""

    name = "asymmetry"
    disease = "FSHD"
    publication = "Gerevini et al. 2016, Eur Radiol 26:693"
    says = (
        "Asymmetric muscles are more frequent in FSHD (30 patients) than in other myopathies (23); of muscle pairs of "
        "leg and thigh they are 15 % (Olsen et al. 2006) to 20 % (Mul et al. 2017)."
    )
    figures = "none found"
    rule = "at least 2 in 10 of the muscles in view on both sides, and no fewer than 2, lie 15 points apart"
    POINTS, SHARE, LEAST = 0.15, 0.2, 2
    FEWEST = 6
    """Muscles in view on both sides from which the sign is decided (our choice)."""

    def of(self, legs: Mapping[SignSide, LegFat]) -> Iterator[Sign]:
        if not {"left", "right"} <= legs.keys():
            yield self._row("both", None, "The left and the right leg are not both in view.")
            return
        left, right = legs["left"], legs["right"]
        pairs = [name for name in MUSCLES if name in left.fat and name in right.fat]
        if len(pairs) < self.FEWEST:
            yield self._row("both", None, f"Too few muscles are told on both sides: {len(pairs)}.")
            return
        spare = {name: _spare(left, right, name, self.POINTS) for name in pairs}
        surely = [name for name, (least, _) in spare.items() if least >= 0]
        perhaps = [name for name, (_, most) in spare.items() if most >= 0]
        wanted = max(self.LEAST, int(np.ceil(self.SHARE * len(pairs))))
        present = True if len(surely) >= wanted else False if len(perhaps) < wanted else None
        found = ", ".join(
            f"{name} (left {percent(left.fat[name][0])}, right {percent(right.fat[name][0])})"
            for name in (surely if present else perhaps)
        )
        apart = f"the sides lie {100 * self.POINTS:.0f} points apart"
        of_all = f"in at least {wanted} of {len(pairs)} muscles"
        why = {
            True: f"{apart.capitalize()} in {found}.",
            False: f"That {apart} {of_all} is not so{f'; at most in {found}' if found else ''}.",
            None: f"Whether {apart} {of_all} the error leaves open: {found}.",
        }[present]
        yield self._row("both", present, why)


def _spare(left: LegFat, right: LegFat, name: str, points: float) -> tuple[float, float]:
    """How far the sides of a muscle lie apart at least and at most, beyond so many points."""
    one, other = left.fat[name], right.fat[name]
    apart, error = one - other, left.error_of(one, other)
    least = np.abs(apart).min() if np.ptp(np.sign(apart)) == 0 else 0.0
    return float(least - error - points), float(np.abs(apart).max() + error - points)


TREFOIL = Trefoil()
SIGNS: tuple[PublishedSign, ...] = (
    TREFOIL, Sandwich(), PosteriorThigh(), SparedVastusLateralis(), SparedRectus(), Asymmetry(),
)  # fmt: skip
"""All, in the order in which they are told."""


def signs_of(
    fat: Sequence[MuscleFat],
    rims: Mapping[tuple[str, str], np.ndarray],
    source: FatSource | None,
    error: float = ERROR,
) -> tuple[Sign, ...]:
    """Each sign of each leg in view, left before right; none without a muscle in view.

    Args:
        rims: of the muscles of `RIMMED`; see `rims.rim_fat`.
        source: what tells the fat. Where nothing does, or the muscles are in doubt, no sign is decided.
        error: see `leg_fat.ERROR`; 0 of fat that is known.
    """
    legs: dict[SignSide, LegFat] = {}
    for side in dict.fromkeys(row.side for row in fat):
        own = [row for row in fat if row.side == side and row.voxels >= LEAST_VOXELS]
        legs[side] = LegFat(
            {row.muscle: np.array([row.fat_fraction, *row.fat_ci95]) for row in own if row.fat_ci95 is not None},
            {name: parts for (where, name), parts in rims.items() if where == side},
            frozenset(row.muscle for row in own),
            error,
        )
    found = tuple(row for sign in SIGNS if legs for row in sign.of(legs))
    if source and (source.doubt or source.source is None):
        why = source.doubt or source.note
        return tuple(row.model_copy(update={"present": None, "why": why}) for row in found)
    return found
