"""Muscle diseases of the thigh: which muscles go to fat, in which order and how fast, with which texture and oedema.

A disease is a `Pattern`: a distribution of patients. Fat follows a latent probit scale. At onset all muscles are nearly
alike; from there each moves at its own speed, the average one a step in `pace_years`, so that in mid-course the muscles
lie apart by their `lead` and at the end by more. A table of adults with Becker dystrophy shows this (De Wel et al.
2024, Eur J Neurol 31:e16282, Table 2): the less fat a muscle has in the mean, the less patients differ in it. Around
the pattern persons differ: in how strongly they show it, and by compartment, muscle and side. Spreads are narrow where
figures of each muscle are published, and wide where only grades or an order are. `Tools/phantom_fat.py` prints the
phantoms' fat beside the published figures. How far the disease has gone when a person is examined is drawn from the
same distribution for every disease, so that the amount of fat tells little of the diagnosis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import ndtr, ndtri

from ..muscles.structures import MUSCLES

# Fine and coarse patches ("moth-eaten"), streaks along the fascicles, a net (reticular), and the rim of the muscle.
TEXTURES = ("fine", "coarse", "fascicles", "net", "rim")
# Probit of the average muscle's fat at onset, and steps from onset to mid-course. With them adults with Becker
# dystrophy have the means of De Wel et al.; and with a step in 3.15 years the vastus lateralis has 15 % fat after 5
# years of DMD and gains 8 % in the next (Willcocks et al. 2016, Ann Neurol 79:535, Table 2: 18 %, 7 % a year).
_ONSET, _MIDDLE = -2.75, 1.95
# The slowest muscle's speed, relative to the average one: none is spared for ever (our estimate).
_SLOWEST = 0.25
# SD of the logarithm of how strongly a person shows the pattern (our estimate).
_STRENGTH = 0.25
# Share of the variance between muscles that those of one compartment have in common (our estimate).
_COMMON = 0.5
# Compartment of each of `MUSCLES`: 0 front, 1 inside, 2 back.
_COMPARTMENT = np.array([0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 1, 2])
# How much streaks along the fascicles outweigh patches, from pictures of two patients (our estimate).
_FASCICLES = 1.8
# Years; who is examined at all.
_YOUNGEST, _OLDEST = 4, 85


@dataclass(frozen=True)
class Pattern:
    """How one disease spreads over the thigh.

    Attributes:
        lead: probit steps by which each of `MUSCLES` leads (or lags, below 0) the average one in mid-course.
        speed: steps of each muscle for one of the average one; empty where all started alike.
        onset_years: range of the age at onset; the earlier ages are the more frequent ones.
        pace_years: median duration of one step.
        stages: steps between onset and examination, from early cases that look healthy to end stage; with these the
            spread of the phantoms' fat in Becker dystrophy is De Wel et al.'s.
        male: share of male patients.
        scatter: SD in steps of a person's muscles about the pattern, on both sides alike; half of the variance is
            common to a compartment.
        asymmetry: SD in steps of each muscle between the sides.
        side: SD in steps of one whole leg against the other.
        gradient: change of the probit from the knee (level 0) to the hip (level 1), beyond the usual, by muscle.
        rim: share of the texture that runs from the rim inwards; below 0 from the centre outwards; by muscle.
        fascicles: how much streaks along the fascicles and whole fascicles outweigh the other textures.
        sharpness: range of how patchy fat is: 0 evenly mixed, 3 sharp patches; the lower are the more frequent ones.
        oedema: range of the oedema of a muscle at the height of its activity, 0 to 1.
        oedema_lead: steps by which oedema precedes fat.
        wasting: area of a muscle that is all fat, relative to a healthy one.
        bulky: muscles that grow while the others go to fat.
        weight: how often the disease is drawn among its group, dystrophinopathy or not; 0 only where it is asked for.
    """

    lead: tuple[float, ...] = (0.0,) * len(MUSCLES)
    speed: tuple[float, ...] = ()
    onset_years: tuple[float, float] = (5, 60)
    pace_years: float = 8.0
    stages: tuple[float, float] = (0.2, 3.9)
    male: float = 0.5
    scatter: float = 0.5
    asymmetry: float = 0.12
    side: float = 0.1
    gradient: Mapping[str, float] = field(default_factory=dict)
    rim: Mapping[str, float] = field(default_factory=dict)
    fascicles: float = 1.0
    sharpness: tuple[float, float] = (0.15, 1.9)
    oedema: tuple[float, float] = (0.0, 0.3)
    oedema_lead: float = 0.8
    wasting: float = 0.8
    bulky: tuple[str, ...] = ()
    weight: float = 1.0


_VASTI = ("vastus lateralis", "vastus intermedius", "vastus medialis")
_TREFOIL = ("sartorius", "gracilis", "adductor longus")

# `Pattern.lead`, the columns in the order of `MUSCLES`; the sources stand with `PATTERNS`.
_LEADS = {
    #              SAR     RF     VL     VI     VM     AM    GRA    BFL     ST     SM    BFS     AL     GM
    "sarcoglycan": (-0.8,  -0.3,   0.1,   0.5,   0.2,   0.8,  -0.8,   0.3,   0.1,   0.3,  -0.2,   0.1,   0.6),
    "DMD":         (-1.3,   0.1,   0.1,   0.1,   0.1,   0.6,  -1.4,   0.4, -0.35,   0.0,  -0.2,  -1.2,   0.5),
    "BMD":         (-0.9, -0.45,  0.15,   0.1,  0.15,  0.25,  -0.9,  0.35, -0.25,  0.25, -0.35,  -1.1,  0.25),
    "LGMD2A":      (-0.8,  -0.7,  -0.7,  -0.1,  -0.4,   0.9,  -0.4,   0.8,   0.5,   0.9,   0.2,   0.6,   0.3),
    "LGMD2B":      (-0.6,  -0.1,   0.3,   0.3,   0.2,   0.6,  -0.7,   0.4,   0.4,   0.6,   0.0,   0.3,  -0.3),
    "LGMD2I":      (-0.9,  -0.7,   0.1,   0.7,   0.3,   0.9,  -0.8,   0.5,   0.4,   0.5,   0.3,   0.2,   0.4),
    "Bethlem":     (-0.6,   0.1,   0.6,   0.4,   0.3,   0.2,  -0.6,   0.2,   0.2,   0.2,   0.1,  -0.1,   0.3),
    "FSHMD":       ( 0.0,   0.4,  -0.4,  -0.4,  -0.2,   0.4,   0.2,   0.4,   0.5,   0.8,   0.0,   0.4,  -0.4),
    "CMD":         (-0.6,  -0.3,   0.2,   0.2,   0.1,   0.6,  -0.6,   0.3,  -0.1,   0.3,   0.2,  -0.1,   0.5),
    "GNE":         ( 0.1,  -0.2,  -1.4,  -0.4,  -0.4,   0.4,   0.3,   0.7,   0.6,   0.7,   1.0,   0.3,   0.1),
    "MADD":        (-0.4,  -0.3,  -0.2,   0.0,  -0.1,   0.3,  -0.3,   0.7,   0.3,   0.7,   0.3,   0.2,   0.6),
    "myositis":    ( 0.2,  -0.2,   0.3,   0.3,   0.3,   0.2,   0.0,   0.0,  -0.1,   0.1,  -0.2,   0.1,   0.3),
    "IBM":         ( 0.2,  -0.2,   0.7,   0.7,   0.7,  -0.4,  -0.2,  -0.1,  -0.1,  -0.1,  -0.1,  -0.5,   0.0),
    "DM1":         (-0.1,  -0.7,   0.3,   0.6,   0.5,  -0.2,  -0.3,   0.0,   0.0,   0.2,   0.0,  -0.2,   0.0),
    "Pompe":       (-0.6,  -0.5,   0.0,   0.2,   0.2,   0.8,  -0.6,   0.5,   0.3,   0.7,  -0.2,   0.4,   0.4),
    "neurogenic":  ( 0.0,   0.0,   0.3,   0.0,   0.0,   0.0,   0.0,   0.0,   0.0,   0.0,   0.0,  -0.4,   0.0),
}  # fmt: skip

# The four genes share one pattern: adductors, glutei and back of the thigh first, the vasti more towards the hip
# (Tasca et al. 2018, J Neurol Neurosurg Psychiatry 89:72); fat concentric about the femur in 14 of 22, a trefoil in 4
# of 22 (Xie et al. 2019, Orphanet J Rare Dis 14:250).
_SARCOGLYCAN = Pattern(
    _LEADS["sarcoglycan"], onset_years=(3, 20), pace_years=5, gradient=dict.fromkeys(_VASTI, 1.0),
    rim={"vastus intermedius": 0.5, "vastus medialis": 0.3}, oedema=(0.0, 0.4), weight=0.6,
)  # fmt: skip

# Patterns in the order of Yang et al. 2021, BMC Neurology 21:13. Sartorius, gracilis and adductor longus are spared in
# dystrophinopathy, semitendinosus less ("trefoil with single fruit": Zheng et al. 2015, the sign is seen in 41.6 % of
# 166 patients and 0.8 % of 244 others).
PATTERNS: dict[str, Pattern] = {
    # Adductor magnus, gluteus maximus, quadriceps and biceps have the highest grades, semimembranosus and
    # semitendinosus lower ones, sartorius, gracilis and adductor longus the lowest (48 patients: abstract of "Muscle
    # magnetic resonance imaging of Duchenne muscular dystrophy"); biceps long head, vastus lateralis and rectus gain
    # most (Hollingsworth et al. 2013, Muscle Nerve 48:586); boys of 5 to 9 years have 23.5 % fat in the glutei, 15.2 %
    # in the hamstrings, 14.2 % in the quadriceps (73 boys of NCT03882827, abstract at the MDA conference). The gracilis
    # hardly changes in a year (Willcocks et al. 2016). How the leaflets of the trefoil go at the end is our estimate.
    "DMD": Pattern(
        _LEADS["DMD"],
        (0.6, 0.9, 0.9, 0.9, 0.9, 1.3, 0.6, 1.2, 0.8, 1.0, 0.9, 0.8, 1.2),
        onset_years=(2, 6), pace_years=3.15, male=1.0, scatter=0.3, oedema=(0.1, 0.6), oedema_lead=1.2,
        bulky=_TREFOIL, weight=1.3,
    ),
    # Leads and speeds give the means and SDs of 21 adults (De Wel et al. 2024, Table 2). There the SDs of whole
    # compartments are nearly those of their muscles, so a person's muscles go together; late, all have fat, the
    # adductor longus too. Slower than DMD: muscles gain 0.2 to 2.6 % in two years (Neurology 2021 97:e513), 1.0 to 5.1
    # % in 18 months (De Wel et al.); a step in 10 years is our estimate.
    "BMD": Pattern(
        _LEADS["BMD"],
        (0.51, 0.83, 1.04, 0.93, 0.93, 1.24, 0.83, 1.34, 1.24, 1.24, 0.93, 1.54, 0.83),
        onset_years=(4, 30), pace_years=10, male=1.0, scatter=0.3, oedema=(0.05, 0.5), oedema_lead=1.2, bulky=_TREFOIL,
    ),
    # Hip adductors and hamstrings, the front late (Barp et al. 2020, J Neurol 267:45); adductors and semimembranosus
    # first, then vastus intermedius; vastus lateralis, sartorius, gracilis spared (Mercuri et al. 2005, Neuromuscul
    # Disord 15:164); biceps long head most (mean grade 3.99 of 32 patients: Feng et al. 2018, Muscle
    # Nerve 58:536).
    "LGMD2A": Pattern(_LEADS["LGMD2A"], onset_years=(4, 30), pace_years=5),
    # Front and back together (Diaz-Manera et al. 2018, J Neurol Neurosurg Psychiatry 89:1071), the back most, and very
    # different from patient to patient (Reyngoudt et al. 2022, J Cachexia Sarcopenia Muscle 13:1850; the thigh gains
    # 4.1 % a year); sartorius and the front more than in LGMD2A (Arrigoni et al. 2018, Muscle Nerve); adductor magnus
    # at least as much as adductor longus in 73 % (Moore et al. 2023, "Expanding the muscle imaging spectrum in
    # dysferlinopathy"); sartorius and gracilis relatively spared. Oedema is early.
    "LGMD2B": Pattern(_LEADS["LGMD2B"], onset_years=(10, 35), pace_years=5, oedema=(0.2, 0.7), oedema_lead=1.6),
    "LGMD2C": _SARCOGLYCAN,
    "LGMD2D": replace(_SARCOGLYCAN, onset_years=(4, 40), pace_years=8),
    "LGMD2E": replace(_SARCOGLYCAN, onset_years=(3, 25)),
    # Adductor magnus and vastus intermedius most, back of the thigh first; rectus, sartorius and gracilis spared;
    # concentric about the femur (Xie et al. 2018, Biomed Res Int 2018:3710814); a trefoil in 2 of 11 (Xie et al. 2019).
    "LGMD2I": Pattern(
        _LEADS["LGMD2I"], onset_years=(4, 40), pace_years=7,
        rim={"vastus intermedius": 0.5, "vastus medialis": 0.4}, bulky=("sartorius", "gracilis"),
    ),
    # Fat from the rim of the vasti inwards and a central shadow in the rectus (Mercuri et al. 2005, Neuromuscul Disord
    # 15:303); such target and sandwich signs in all 15 patients, in other muscles too (Salim et al. 2020).
    "Bethlem": Pattern(
        _LEADS["Bethlem"], onset_years=(1, 25), pace_years=9, sharpness=(0.9, 2.6),
        rim=dict.fromkeys(_VASTI, 0.9) | {"rectus femoris": -0.9, "biceps femoris long head": 0.6,
                                          "semimembranosus": 0.5, "semitendinosus": 0.5, "gluteus maximus": 0.6},
    ),
    # Hamstrings, adductors and rectus first, a fifth of the muscle pairs asymmetric, oedema in 3.5 % of the muscles,
    # less fat towards the hip (Mul et al. 2017, Neurology 89:2057); vasti and glutei least (Olsen et al. 2006, J Neurol
    # 253:1437).
    "FSHMD": Pattern(
        _LEADS["FSHMD"], onset_years=(3, 50), pace_years=9, scatter=0.7, asymmetry=0.6, side=0.4,
        gradient=dict.fromkeys(MUSCLES, -0.3),
    ),
    # LAMA2: gluteus maximus, adductor magnus and back of the thigh, sartorius and gracilis spared (Turk J Pediatr 2001,
    # merosin-deficient and merosin-positive), sometimes sandwich signs (Quijano-Roy et al.); Ullrich: all but the
    # front and inside of the thigh (Mercuri et al. 2005). The adductor longus and the mixture are our estimate.
    "CMD": Pattern(
        _LEADS["CMD"], onset_years=(0, 2), pace_years=6, scatter=0.6, rim=dict.fromkeys(_VASTI, 0.4),
        sharpness=(0.3, 2.0), wasting=0.65,
    ),
    # Biceps short head always, vastus lateralis alone spared to the end, the other quadriceps variable (Tasca et al.
    # 2012, J Neurol 259:1358); oedema before fat (Neurology 2021 96:e798).
    "GNE": Pattern(_LEADS["GNE"], onset_years=(12, 40), pace_years=5, oedema=(0.1, 0.5), oedema_lead=1.2),
    # Lipid storage: gluteus maximus and the back of the thigh, the front and the medial muscles less (our estimate);
    # diffuse and even.
    "MADD": Pattern(
        _LEADS["MADD"], onset_years=(4, 50), pace_years=5, sharpness=(0.1, 1.2), oedema=(0.1, 0.6), oedema_lead=1.5,
    ),
    # Wide oedema, fat early in necrotising myositis, glutei and adductors more (Pinal-Fernandez et al. 2017, Ann Rheum
    # Dis 76:681; Muscle Nerve 2019 60:549); quadriceps in inclusion body myositis (Cox et al. 2011, Rheumatology
    # 50:1153). One mean with a wide scatter stands for the kinds.
    "myositis": Pattern(
        _LEADS["myositis"], onset_years=(3, 70), pace_years=3.5, scatter=0.7, asymmetry=0.25, oedema=(0.3, 0.9),
        oedema_lead=2.5, wasting=0.65,
    ),
    # Large variability, the adductor longus spared in spinal muscular atrophy (Brogna et al. 2020, J Neurol 267:898);
    # else whole muscles and fascicles at random, net-like, thin muscles (our estimate).
    "neurogenic": Pattern(
        _LEADS["neurogenic"], onset_years=(1, 50), pace_years=7, scatter=0.8, asymmetry=0.35, side=0.2, fascicles=3.0,
        sharpness=(0.6, 3.0), oedema=(0.0, 0.5), oedema_lead=1.5, wasting=0.5,
    ),
    # The rest are no groups of Yang et al., and the shipped model was not trained on them; they are made only where
    # they are asked for.
    # Vasti about the femur first, rectus spared (Kornblum et al. 2006, J Neurol 253:111), quadriceps more towards the
    # knee (Garibaldi et al. 2022, Eur J Neurol 29:843); 15.6 (SD 11.1) % fat in twenty muscles of leg and thigh of 33
    # patients (Heskamp et al. 2019, Neurology 92:e2803), so a step takes long and few reach the end.
    "DM1": Pattern(
        _LEADS["DM1"], onset_years=(8, 50), pace_years=14, stages=(0.2, 3.0), gradient=dict.fromkeys(_VASTI, -0.6),
        rim={"vastus intermedius": 0.3}, oedema=(0.0, 0.4), weight=0,
    ),
    # Inclusion body myositis: vasti, the rectus and the adductors spared (Cox et al. 2011, Rheumatology 50:1153), the
    # quadriceps more towards the knee (Ansari et al. 2020, Muscle Nerve 61:496).
    "IBM": Pattern(
        _LEADS["IBM"], onset_years=(45, 75), pace_years=4, male=0.6, scatter=0.6, asymmetry=0.3,
        gradient=dict.fromkeys(_VASTI, -0.5), oedema=(0.1, 0.7), oedema_lead=1.5, wasting=0.6, weight=0,
    ),
    # Late onset: hamstrings and adductors go fastest, all muscles 0.9 % a year (Carlier et al. 2015, J Inherit Metab
    # Dis 38:565), the thigh 1.7 % where there are symptoms (Figueroa-Bonaparte et al. 2018, Sci Rep 8:10898).
    "Pompe": Pattern(_LEADS["Pompe"], onset_years=(15, 60), pace_years=10, weight=0),
    "healthy": Pattern(onset_years=(_YOUNGEST, _OLDEST), weight=2.5),
}  # fmt: skip
DIAGNOSES = tuple(PATTERNS)
DYSTROPHINOPATHY = frozenset({"DMD", "BMD"})


@dataclass(frozen=True)
class Infiltration:
    """Fat and oedema in one person's muscles, of the left leg (0) and the right leg (1).

    Attributes:
        diagnosis: one of `DIAGNOSES`.
        age_years: at examination.
        sex: "M" or "F".
        duration_years: of the disease; 0 in health.
        latent: (2, 13) probit of the fat fraction of each muscle at mid-thigh (level 0.4).
        slope: (13,) change of the probit from level 0 to level 1.
        textures: (2, 13, 5) weight of each of `TEXTURES`, of unit norm.
        grain_mm: (2, 13, 2) size of fine and of coarse patches.
        bearings: (2, 13) direction of the fascicles in the image, in radians; see `texture`.
        sharpness: (2, 13) patchiness, see `Pattern`.
        bulk: (2, 13) area relative to a healthy muscle.
        oedema: (2, 13) share of the muscle's remaining tissue that is oedematous, 0 to 1.
    """

    diagnosis: str
    age_years: float
    sex: str
    duration_years: float
    latent: np.ndarray
    slope: np.ndarray
    textures: np.ndarray
    grain_mm: np.ndarray
    bearings: np.ndarray
    sharpness: np.ndarray
    bulk: np.ndarray
    oedema: np.ndarray

    @property
    def fractions(self) -> np.ndarray:
        """(2, 13) mean fat fraction of each muscle of the left and right leg at mid-thigh."""
        return ndtr(self.latent)

    @classmethod
    def drawn(cls, rng: np.random.Generator, diagnosis: str, shares: np.ndarray) -> Infiltration:
        """A person with the diagnosis; `shares` (13,) are the muscles' shares of the thigh's muscle."""
        pattern = PATTERNS[diagnosis]
        age, duration, pace = _history(rng, diagnosis)
        sex = "M" if rng.random() < pattern.male else "F"
        shared = rng.normal(0, pattern.scatter * np.sqrt(_COMMON), 3)[_COMPARTMENT]
        own = rng.normal(0, pattern.scatter * np.sqrt(1 - _COMMON), 13)
        differences = shared + own + rng.normal(0, pattern.asymmetry, (2, 13)) + rng.normal(0, pattern.side, (2, 1))
        disease = _course(pattern, shares, duration / pace, rng.lognormal(0, _STRENGTH)) + differences
        fat = 1 - (1 - ndtr(disease)) * (1 - _fat_of_age(rng, age))
        amount = float(np.mean(fat @ shares))
        return cls(
            diagnosis=diagnosis,
            age_years=age,
            sex=sex,
            duration_years=duration,
            latent=ndtri(fat),
            slope=rng.normal(0.2, 0.4) + _by_muscle(pattern.gradient),
            textures=_textures(rng, pattern, amount),
            grain_mm=np.array([rng.uniform(1.2, 2.6), rng.uniform(4, 9)]) * rng.lognormal(0, 0.2, (2, 13, 1)),
            bearings=_bearings(rng),
            # What is left of late disease is evenly "washed-out" (Mercuri et al. 2007).
            sharpness=_sharpness(rng, pattern) * rng.lognormal(0, 0.25, (2, 13)) * (1 - 0.5 * fat**3),
            bulk=_bulk(rng, pattern, fat, amount),
            oedema=_oedema(rng, pattern, disease),
        )


def course(diagnosis: str, duration_years: float, shares: np.ndarray) -> np.ndarray:
    """(13,) fat fraction of each of `MUSCLES` in the typical patient, `duration_years` after onset, aside from age.

    `shares` (13,) are the muscles' shares of the thigh's muscle: the average muscle is weighted with them.

    >>> fat = course("DMD", 8, np.full(13, 1 / 13))
    >>> bool(fat[MUSCLES.index("adductor magnus")] > fat[MUSCLES.index("gracilis")])
    True
    """
    if diagnosis == "healthy":
        return np.zeros(len(MUSCLES))
    pattern = PATTERNS[diagnosis]
    return ndtr(_course(pattern, shares, duration_years / pattern.pace_years))


def fat_fraction(latent: np.ndarray, sharpness: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Fat fraction where a texture `field` (standard normal) meets muscles of probit `latent`.

    Φ(latent·√(1 + s²) + s·field) has the mean Φ(latent) whatever the sharpness s: evenly mixed fat at s = 0, sharp
    patches of fat beside spared muscle for large s.
    """
    return ndtr(latent * np.sqrt(1 + sharpness**2) + sharpness * field)


def drawn_diagnosis(rng: np.random.Generator) -> str:
    """A dystrophinopathy in half of the draws, one of the other diseases or health in the other half."""
    wanted = bool(rng.random() < 0.5)
    names = [name for name in DIAGNOSES if (name in DYSTROPHINOPATHY) == wanted]
    weights = np.array([PATTERNS[name].weight for name in names])
    return str(rng.choice(names, p=weights / weights.sum()))


def _by_muscle(values: Mapping[str, float]) -> np.ndarray:
    return np.array([values.get(name, 0.0) for name in MUSCLES])


def _course(pattern: Pattern, shares: np.ndarray, steps: float, strength: float = 1.0) -> np.ndarray:
    """(13,) probit of the disease's fat so many steps after onset, where the pattern shows with a strength; none before
    onset."""
    lead = np.array(pattern.lead)
    if steps == 0:
        return np.full(lead.shape, -np.inf)
    lead = strength * (lead - lead @ shares)
    speed = 1 + strength * (np.array(pattern.speed) - 1) if pattern.speed else 1 + lead / _MIDDLE
    return _ONSET + _MIDDLE + lead + (steps - _MIDDLE) * np.maximum(speed, _SLOWEST)


def _history(rng: np.random.Generator, diagnosis: str) -> tuple[float, float, float]:
    """Age at examination, duration of the disease, and years a step takes in this person."""
    pattern = PATTERNS[diagnosis]
    low, high = pattern.onset_years
    onset = low + (high - low) * rng.beta(0.9, 2.6)
    if diagnosis == "healthy":
        return onset, 0.0, pattern.pace_years
    pace = pattern.pace_years * rng.lognormal(0, 0.3)
    earliest, latest = pattern.stages
    steps = earliest + (latest - earliest) * rng.beta(1.3, 1.5)
    duration = float(np.clip(steps * pace, _YOUNGEST - onset, _OLDEST - onset))
    return onset + duration, duration, pace


def _fat_of_age(rng: np.random.Generator, age_years: float) -> np.ndarray:
    """(2, 13) fat fraction of healthy muscle: about 2 % in the young and 6 % at 70.

    Boys have 2 (SD 1) % (Willcocks et al. 2016, Table 2), adults 3.7 (SD 1.5) % (Heskamp et al. 2019), rising with age
    in all compartments (Yoon et al. 2018, Radiology 287:235). How muscles differ is our estimate.
    """
    mean = (0.019 + 0.0008 * max(age_years - 20, 0)) * rng.lognormal(0, 0.4)
    return np.clip(mean * rng.lognormal(0, 0.35, 13) * rng.lognormal(0, 0.1, (2, 13)), 0.002, 0.3)


def _sharpness(rng: np.random.Generator, pattern: Pattern) -> float:
    low, high = pattern.sharpness
    return float(low + (high - low) * rng.beta(1.0, 2.6))


def _textures(rng: np.random.Generator, pattern: Pattern, amount: float) -> np.ndarray:
    """(2, 13, 5) weights of the textures; the person's own mixture with some change from muscle to muscle."""
    rim = _by_muscle(pattern.rim) * rng.uniform(0.7, 1.1)
    weights = np.abs(rng.normal(0, 1, 4)) + np.abs(rng.normal(0, 0.5, (2, 13, 4)))
    # Little fat lies along the fascicles, never as clouds.
    weights[..., 1] *= min(1, amount / 0.25)
    weights[..., 2:] *= pattern.fascicles
    weights[..., 2] *= _FASCICLES
    weights *= np.sqrt(1 - rim**2)[:, None] / np.linalg.norm(weights, axis=-1, keepdims=True)
    return np.concatenate([weights, np.broadcast_to(rim[:, None], (2, 13, 1))], axis=-1)


def _bearings(rng: np.random.Generator) -> np.ndarray:
    """(2, 13) directions: each muscle its own, the right leg's mirrored; vasti mostly run around the femur (our
    estimate from pictures)."""
    own = np.where(np.isin(MUSCLES, _VASTI), rng.normal(np.pi / 2, 0.6, 13), rng.uniform(0, np.pi, 13))
    return np.array([own, np.pi - own]) + rng.normal(0, 0.2, (2, 13))


def _bulk(rng: np.random.Generator, pattern: Pattern, fat: np.ndarray, amount: float) -> np.ndarray:
    """(2, 13) area relative to healthy muscles."""
    bulk = 1 + (pattern.wasting * rng.uniform(0.85, 1.15) - 1) * fat
    for name in pattern.bulky:
        bulk[:, MUSCLES.index(name)] *= 1 + rng.uniform(0, 0.35) * min(1, amount / 0.3)
    return np.clip(bulk, 0.35, 1.4)


def _oedema(rng: np.random.Generator, pattern: Pattern, disease: np.ndarray) -> np.ndarray:
    """(2, 13) oedema: it precedes the fat and goes with the last of the muscle."""
    height = rng.uniform(*pattern.oedema) * rng.lognormal(0, 0.3, disease.shape)
    return np.clip(height * ndtr(disease + pattern.oedema_lead) * (1 - ndtr(disease)), 0, 1)
