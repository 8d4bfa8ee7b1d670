"""Fat in the muscles: which muscles a disease takes, how much, and with what texture.

Patterns are ranks in steps of a latent probit scale: a muscle one step higher is one standard deviation further
on its way to fat. The ranks follow the publications named with each pattern; the size of a step is ours. The mean fat
fraction is drawn from the same range for dystrophinopathy and the other diseases, so that it tells nothing of the
diagnosis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from .anatomy import MUSCLES

# Textures: fine and coarse patches (moth-eaten), streaks along the fascicles, fat at the rim of each muscle.
TEXTURES = ("fine", "coarse", "streaks", "rim")
_NONE = (0.0,) * len(MUSCLES)


@dataclass(frozen=True)
class Pattern:
    """How one disease spreads over the thigh.

    Attributes:
        ranks: involvement of each of `MUSCLES` in probit steps relative to the mean.
        mean_fat: range of the mean fat fraction of all muscles.
        scatter: SD in steps between muscles of one person, on both sides alike.
        asymmetry: SD in steps of each muscle between the sides.
        side: SD in steps of one whole leg against the other.
        rim: share of texture that runs from the rim inwards.
        sharpness: range of how patchy fat is: 0 evenly mixed, 3 sharp patches.
        wasting: area of a muscle that is all fat, relative to a healthy one.
        weight: how often the pattern is drawn among its group, dystrophinopathy or not.
        bulky: muscles that grow while the others go to fat.
    """

    ranks: tuple[float, ...]
    mean_fat: tuple[float, float] = (0.06, 0.75)
    scatter: float = 0.3
    asymmetry: float = 0.12
    side: float = 0.1
    rim: float = 0.0
    sharpness: tuple[float, float] = (0.3, 1.7)
    wasting: float = 0.8
    weight: float = 1.0
    bulky: tuple[str, ...] = ()


# Order of ranks: sartorius, rectus femoris, vastus lateralis, intermedius, medialis, adductor magnus, gracilis,
# biceps femoris long head, semitendinosus, semimembranosus, biceps femoris short head, adductor longus.
PATTERNS = {
    # Zheng et al. 2015, "The trefoil with single fruit sign in muscle magnetic resonance imaging is highly specific for
    # dystrophinopathies": sartorius, gracilis, adductor longus and, less, semitendinosus spared; adductor magnus,
    # biceps and quadriceps lead (Yang et al. 2021, BMC Neurology 21:13).
    "duchenne": Pattern(
        (-1.7, 0.3, 0.4, 0.3, 0.3, 0.9, -1.7, 0.7, -0.5, 0.1, 0.0, -1.2), weight=1.5,
        bulky=("sartorius", "gracilis", "adductor longus"),
    ),
    # Adductor magnus, biceps long head, semimembranosus and vasti lead (Tasca et al. 2012, Neuromuscul Disord 22
    # Suppl 2:S100).
    "becker": Pattern(
        (-1.6, -0.2, 0.4, 0.3, 0.3, 0.8, -1.6, 0.9, 0.2, 0.6, 0.0, -1.2),
        bulky=("sartorius", "gracilis", "adductor longus"),
    ),
    # Adductors and posterior compartment first, front spared (Barp et al. 2020, J Neurol 267:45).
    "lgmd_r1": Pattern((-1.0, -0.9, -0.7, -0.1, -0.5, 1.0, -0.4, 0.9, 0.6, 1.0, 0.3, 0.8)),
    # Posterior thigh and adductors, often one side more (ten Dam et al. 2014, Neuromuscul Disord 24:1097).
    "lgmd_r12": Pattern((-0.9, -1.1, -0.5, -0.3, -0.2, 0.9, -0.8, 0.8, 0.8, 1.0, 0.3, 0.5), side=0.35, asymmetry=0.25),
    # Posterior and anterior muscles together, adductor longus too (Diaz-Manera et al. 2018, JNNP 89:1071).
    "dysferlinopathy": Pattern((-0.6, -0.3, 0.5, 0.4, 0.3, 0.7, -0.8, 0.5, 0.4, 0.8, 0.2, 0.6)),
    # Fat concentric about the femur and from the muscles' rims; medial muscles not spared
    # (Xie et al. 2019, Orphanet J Rare Dis 14:250).
    "sarcoglycanopathy": Pattern((-0.2, -0.1, 0.3, 0.8, 0.3, 0.7, -0.3, 0.3, -0.3, 0.1, 0.1, 0.5), rim=0.5),
    # Hamstrings, adductor longus and rectus early (Tasca et al. 2016, Ann Neurol, doi 10.1002/ana.24640); a fifth of
    # the muscle pairs asymmetric (Mul et al. 2017, Neurology 89:2057).
    "fshd": Pattern(
        (0.0, 0.5, -0.5, -0.5, -0.2, 0.5, 0.2, 0.3, 0.5, 0.9, 0.0, 0.6), scatter=0.6, asymmetry=0.6, side=0.4
    ),
    # Whole muscles and fascicles at random, thin muscles (Mercuri et al. 2007, J Magn Reson Imaging 25:433).
    "neurogenic": Pattern(_NONE, scatter=0.7, asymmetry=0.35, side=0.2, sharpness=(1.0, 3.0), wasting=0.5),
    # Outside-in in the vasti, late medial muscles (Mercuri et al. 2005, Neuromuscul Disord 15:303).
    "collagen_vi": Pattern(
        (-0.7, 0.1, 0.7, 0.6, 0.4, 0.3, -0.7, 0.3, 0.3, 0.3, 0.2, 0.0), rim=0.9, sharpness=(1.2, 2.6)
    ),
    # Vasti first, medial muscles not spared, back of the thigh late (Cox et al. 2011, Rheumatology 50:1153).
    "myositis": Pattern(
        (0.6, -0.2, 0.8, 0.8, 0.8, -0.6, 0.3, -0.6, -0.5, -0.4, -0.4, -0.6), wasting=0.6, asymmetry=0.3
    ),
    # End stage of any: no muscle spared.
    "late_diffuse": Pattern(_NONE, mean_fat=(0.45, 0.9), scatter=0.35, sharpness=(0.3, 1.5), wasting=0.6, weight=0.7),
    "healthy": Pattern(
        _NONE, mean_fat=(0.005, 0.07), scatter=0.2, sharpness=(0.4, 1.6), wasting=1.0, weight=3.5
    ),
}  # fmt: skip
DIAGNOSES = tuple(PATTERNS)
DYSTROPHINOPATHY = frozenset({"duchenne", "becker"})


@dataclass(frozen=True)
class Infiltration:
    """Fat in one person's muscles.

    Attributes:
        diagnosis: one of `DIAGNOSES`.
        latent: (2, 12) probit of the fat fraction of each muscle of the left and the right leg at mid-thigh.
        slope: change of the probit from level 0 to level 1.
        textures: (2, 12, 4) weight of each of `TEXTURES`, of unit norm.
        fascicles: (2, 12) direction of the streaks in radians.
        sharpness: (2, 12) patchiness, see `Pattern`.
        bulk: (2, 12) area relative to a healthy muscle.
    """

    diagnosis: str
    latent: np.ndarray
    slope: float
    textures: np.ndarray
    fascicles: np.ndarray
    sharpness: np.ndarray
    bulk: np.ndarray

    @property
    def fractions(self) -> np.ndarray:
        """(2, 12) mean fat fraction of each muscle of the left and right leg at mid-thigh."""
        return ndtr(self.latent)

    @classmethod
    def drawn(cls, rng: np.random.Generator, diagnosis: str, shares: np.ndarray) -> Infiltration:
        """A person with the diagnosis; `shares` (12,) are the muscles' shares of the thigh's muscle."""
        pattern = PATTERNS[diagnosis]
        low, high = pattern.mean_fat
        wanted = low + (high - low) * rng.beta(1.1, 1.4)
        ranks = np.asarray(pattern.ranks) * rng.uniform(0.75, 1.25)
        latent = ranks + rng.normal(0, pattern.scatter, 12) + rng.normal(0, pattern.asymmetry, (2, 12))
        latent = latent + rng.normal(0, pattern.side, (2, 1))
        latent = latent + _offset(latent, shares, wanted)
        fat = ndtr(latent)
        bulk = 1 + (pattern.wasting * rng.uniform(0.85, 1.15) - 1) * fat
        for name in pattern.bulky:
            bulk[:, MUSCLES.index(name)] *= 1 + rng.uniform(0, 0.35) * min(1, wanted / 0.3)
        textures = np.abs(rng.normal(0, 1, 4)) + np.abs(rng.normal(0, 0.5, (2, 12, 4)))
        # Little fat lies along the fascicles, never as clouds.
        textures[..., 1] *= min(1, wanted / 0.25)
        textures[..., 3] = 0
        textures *= np.sqrt(1 - pattern.rim**2) / np.linalg.norm(textures, axis=-1, keepdims=True)
        textures[..., 3] = pattern.rim
        sharpness = rng.uniform(*pattern.sharpness) * rng.lognormal(0, 0.25, (2, 12))
        return cls(
            diagnosis=diagnosis,
            latent=latent,
            slope=float(rng.normal(0.2, 0.4)),
            textures=textures,
            fascicles=rng.uniform(0, np.pi, (2, 12)),
            sharpness=sharpness,
            bulk=np.clip(bulk, 0.35, 1.4),
        )


def _offset(latent: np.ndarray, shares: np.ndarray, wanted: float) -> float:
    """What to add to `latent` so that the mean fat fraction over both legs is `wanted`."""
    low, high = -8.0, 8.0
    for _ in range(40):
        middle = (low + high) / 2
        if np.mean(ndtr(latent + middle) @ shares) < wanted:
            low = middle
        else:
            high = middle
    return middle


def fat_fraction(latent: np.ndarray, sharpness: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Fat fraction where a texture `field` (standard normal) meets muscles of probit `latent`.

    Φ(latent·√(1 + s²) + s·field) has the mean Φ(latent) whatever the sharpness s: evenly mixed fat at s = 0, sharp
    patches of fat beside spared muscle for large s.
    """
    return ndtr(latent * np.sqrt(1 + sharpness**2) + sharpness * field)


def drawn_diagnosis(rng: np.random.Generator) -> str:
    """A dystrophinopathy in half of the draws, one of the other patterns or health in the other half."""
    wanted = bool(rng.random() < 0.5)
    names = [name for name in DIAGNOSES if (name in DYSTROPHINOPATHY) == wanted]
    weights = np.array([PATTERNS[name].weight for name in names])
    return str(rng.choice(names, p=weights / weights.sum()))
