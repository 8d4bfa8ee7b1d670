"""Diseases take the muscles that the literature says, in its order; neither age nor the amount of fat tells them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import ndtri
from scipy.stats import norm, rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from DystrophyDxLib.muscles.signs import TREFOIL
from DystrophyDxLib.phantom.anatomy import LEFT, MUSCLES, RIGHT, draw, legs_at
from DystrophyDxLib.phantom.body import Body
from DystrophyDxLib.phantom.disease import (
    DIAGNOSES,
    DYSTROPHINOPATHY,
    TEXTURES,
    Infiltration,
    course,
    drawn_diagnosis,
    fat_fraction,
)
from DystrophyDxLib.phantom.published_cohort import OTHERS
from DystrophyDxLib.phantom.texture import lesions

INDEX = {name: number for number, name in enumerate(MUSCLES)}
# Shares of the muscle at mid-thigh, about those of the shape model.
SHARES = np.array([0.03, 0.07, 0.18, 0.15, 0.12, 0.14, 0.025, 0.05, 0.045, 0.06, 0.035, 0.04, 0.055])
SARCOGLYCANOPATHIES = ("LGMD2C", "LGMD2D", "LGMD2E")


def drawn(diagnosis: str, count: int = 150, seed: int = 1) -> list[Infiltration]:
    rng = np.random.default_rng(seed)
    return [Infiltration.drawn(rng, diagnosis, SHARES) for _ in range(count)]


def auc(truth: np.ndarray, score: np.ndarray) -> float:
    positives = truth.sum()
    return (rankdata(score)[truth].sum() - positives * (positives + 1) / 2) / (positives * (~truth).sum())


@pytest.fixture(scope="module")
def mixture() -> list[Infiltration]:
    """Persons as they are drawn to train on."""
    rng = np.random.default_rng(3)
    return [Infiltration.drawn(rng, drawn_diagnosis(rng), SHARES) for _ in range(1500)]


@pytest.fixture(scope="module")
def patients() -> list[Infiltration]:
    """A third with a dystrophinopathy, 57 % of them DMD, the others evenly from the other diseases; no healthy ones
    (Yang et al. 2021: 148 of 432 patients)."""
    rng = np.random.default_rng(4)
    names = ["DMD"] * 280 + ["BMD"] * 210 + [OTHERS[n % len(OTHERS)] for n in range(940)]
    return [Infiltration.drawn(rng, name, SHARES) for name in names]


def is_dystrophinopathy(persons: list[Infiltration]) -> np.ndarray:
    return np.array([person.diagnosis in DYSTROPHINOPATHY for person in persons])


def of_both_legs(persons: list[Infiltration]) -> np.ndarray:
    return np.array([person.fractions.mean(axis=0) for person in persons])


def test_groups_are_those_of_the_published_cohort_health_and_some_that_must_be_asked_for(mixture):
    published = {
        "DMD", "BMD", "LGMD2A", "LGMD2B", "LGMD2C", "LGMD2D", "LGMD2E", "LGMD2I", "Bethlem", "FSHMD", "CMD", "GNE",
        "MADD", "myositis", "neurogenic", "healthy",
    }  # fmt: skip
    assert set(DIAGNOSES) == published | {"DM1", "IBM", "Pompe"}
    assert {person.diagnosis for person in mixture} == published
    assert sorted(DYSTROPHINOPATHY) == ["BMD", "DMD"]


def test_same_seed_same_person():
    first, again, other = (Infiltration.drawn(np.random.default_rng(seed), "FSHMD", SHARES) for seed in (5, 5, 6))
    for name, value in vars(first).items():
        np.testing.assert_array_equal(value, getattr(again, name))
    assert not np.array_equal(first.latent, other.latent)


# Muscles that a publication calls affected first or most, and spared. Sources stand with the patterns.
@pytest.mark.parametrize(
    ("diagnosis", "leading", "spared"),
    [
        ("DMD", ("adductor magnus", "gluteus maximus", "biceps femoris long head"),
         ("sartorius", "gracilis", "adductor longus")),
        ("BMD", ("adductor magnus", "gluteus maximus", "biceps femoris long head", "semimembranosus"),
         ("sartorius", "gracilis")),
        ("LGMD2A", ("adductor magnus", "semimembranosus", "biceps femoris long head"),
         ("vastus lateralis", "sartorius", "rectus femoris")),
        ("LGMD2B", ("adductor magnus", "semimembranosus"), ("sartorius", "gracilis", "gluteus maximus")),
        ("LGMD2D", ("adductor magnus", "gluteus maximus"), ("sartorius", "gracilis")),
        ("LGMD2I", ("adductor magnus", "vastus intermedius"), ("rectus femoris", "sartorius", "gracilis")),
        ("Bethlem", ("vastus lateralis",), ("sartorius", "gracilis")),
        ("FSHMD", ("semimembranosus",), ("vastus lateralis", "vastus intermedius", "gluteus maximus")),
        ("CMD", ("adductor magnus", "gluteus maximus"), ("sartorius", "gracilis")),
        ("GNE", ("biceps femoris short head",), ("vastus lateralis",)),
        ("DM1", ("vastus intermedius", "vastus medialis"), ("rectus femoris",)),
        ("IBM", ("vastus lateralis", "vastus intermedius", "vastus medialis"), ("adductor magnus", "adductor longus")),
        ("Pompe", ("adductor magnus", "semimembranosus"), ("sartorius", "gracilis", "rectus femoris")),
    ],
)  # fmt: skip
def test_disease_takes_the_muscles_that_the_literature_says(diagnosis, leading, spared):
    fat = dict(zip(MUSCLES, of_both_legs(drawn(diagnosis)).mean(axis=0), strict=True))
    order = sorted(fat, key=fat.get)
    assert set(order[-len(leading) :]) == set(leading)
    assert set(order[: len(spared)]) == set(spared)


@pytest.mark.parametrize("diagnosis", [name for name in DIAGNOSES if name != "healthy"])
def test_fat_grows_with_the_duration_of_the_disease(diagnosis):
    early, later, late = (course(diagnosis, years, SHARES) for years in (1, 8, 25))
    assert np.all(early < later)
    assert np.all(later < late)
    assert course(diagnosis, 0, SHARES).max() == 0


def test_early_becker_looks_alike_in_all_muscles():
    """From a common onset the muscles part, so that what tells late disease does not tell early disease."""
    early, late = (course("BMD", years, SHARES) for years in (6, 25))
    assert np.ptp(early) < 0.1
    assert np.ptp(late) > 0.5


def test_becker_is_milder_than_duchenne_at_equal_duration():
    for years in (2, 5, 10, 15):
        assert course("BMD", years, SHARES) @ SHARES < 0.7 * (course("DMD", years, SHARES) @ SHARES)


def test_duchenne_moves_as_fast_as_measured():
    """Willcocks et al. 2016, Ann Neurol 79:535, Table 2: vastus lateralis 18 % fat, 7 % more in a year, in boys some 5
    years after onset; the gracilis does not change."""
    now, in_a_year = (course("DMD", years, SHARES) for years in (5, 6))
    assert now[INDEX["vastus lateralis"]] == pytest.approx(0.18, abs=0.04)
    assert (in_a_year - now)[INDEX["vastus lateralis"]] == pytest.approx(0.07, abs=0.02)
    assert (in_a_year - now)[INDEX["gracilis"]] < 0.005


def test_healthy_muscle_has_little_fat_and_more_in_the_old():
    persons = drawn("healthy", 300)
    fat = of_both_legs(persons) @ SHARES
    old = np.array([person.age_years > 60 for person in persons])
    assert all(person.duration_years == 0 for person in persons)
    assert fat.max() < 0.16
    assert 0.01 < fat[~old].mean() < 0.035 < fat[old].mean() < 0.08
    assert max(person.oedema.max() for person in persons) == 0


def test_early_disease_looks_nearly_healthy_and_late_disease_spares_little():
    fat = of_both_legs(drawn("BMD", 400)) @ SHARES
    assert np.mean(fat < 0.10) > 0.05
    assert np.mean(fat > 0.65) > 0.05


def test_age_sex_and_duration_fit_the_disease(mixture):
    for person in mixture:
        assert 4 <= person.age_years <= 85
        assert 0 <= person.duration_years <= person.age_years + 1e-9
        assert person.sex == "M" or person.diagnosis not in DYSTROPHINOPATHY
    assert {person.sex for person in drawn("LGMD2A", 30)} == {"M", "F"}
    assert np.median([person.age_years for person in drawn("DMD")]) < 14


def test_facioscapulohumeral_dystrophy_is_the_most_asymmetric():
    """Mul et al. 2017: a fifth of all muscle pairs."""

    def asymmetry(diagnosis: str) -> float:
        return float(np.mean([abs(np.subtract(*person.fractions)) > 0.15 for person in drawn(diagnosis, 80)]))

    found = {diagnosis: asymmetry(diagnosis) for diagnosis in DIAGNOSES}
    assert max(found, key=found.get) == "FSHMD"
    assert 0.15 < found["FSHMD"] < 0.5
    assert found["DMD"] < 0.1


@pytest.mark.parametrize("diagnosis", SARCOGLYCANOPATHIES)
def test_vasti_are_worse_towards_the_hip_in_sarcoglycanopathies(diagnosis):
    """Tasca et al. 2018: proximodistal gradient of the vasti."""
    slope = np.mean([person.slope for person in drawn(diagnosis, 40)], axis=0)
    assert slope[INDEX["vastus lateralis"]] > slope[INDEX["semimembranosus"]] + 0.8


def test_oedema_is_wide_in_myositis_precedes_fat_and_ends_with_the_muscle():
    mean = {name: np.mean([person.oedema for person in drawn(name, 80)]) for name in DIAGNOSES}
    assert max(mean, key=mean.get) == "myositis"
    assert mean["LGMD2B"] > mean["LGMD2A"]
    persons = drawn("myositis", 200)
    oedema, fat = (np.concatenate([getattr(p, name).ravel() for p in persons]) for name in ("oedema", "fractions"))
    assert 0 <= oedema.min() <= oedema.max() <= 1
    assert oedema[fat < 0.2].mean() > 0.2
    assert oedema[fat > 0.9].mean() < 0.06


def test_spared_muscles_grow_in_dystrophinopathy_and_neurogenic_ones_waste():
    def bulk(diagnosis: str) -> dict[str, float]:
        return dict(
            zip(MUSCLES, np.mean([person.bulk.mean(axis=0) for person in drawn(diagnosis)], axis=0), strict=True)
        )

    assert bulk("DMD")["sartorius"] > 1.05 > 1 > bulk("DMD")["adductor magnus"]
    assert np.mean(list(bulk("neurogenic").values())) < np.mean(list(bulk("LGMD2A").values())) - 0.08


@pytest.mark.parametrize("persons", ["mixture", "patients"])
def test_neither_the_amount_of_fat_nor_age_tells_the_group(persons, request):
    persons = request.getfixturevalue(persons)
    truth = is_dystrophinopathy(persons)
    fat = of_both_legs(persons) @ SHARES
    assert 0.45 < auc(truth, fat) < 0.70
    assert 0.30 < auc(truth, np.array([person.age_years for person in persons])) < 0.70


def test_half_of_the_drawn_have_a_dystrophinopathy(mixture):
    assert 0.45 < is_dystrophinopathy(mixture).mean() < 0.55


def test_trefoil_sign_is_as_specific_and_as_insensitive_as_published(patients):
    """Zheng et al. 2015: sensitivity 0.416 (0.340 to 0.495), specificity 0.992 (0.971 to 0.999); those with the sign
    were older. In Becker dystrophy the sign comes and goes, as the leaflets go to fat in the end."""
    truth = is_dystrophinopathy(patients)
    sign = np.array([TREFOIL.shown(fractions) for fractions in of_both_legs(patients)])
    age = np.array([person.age_years for person in patients])
    boys = np.array([person.diagnosis == "DMD" for person in patients])
    assert 0.34 < sign[truth].mean() < 0.495
    assert sign[~truth].mean() < 0.029
    assert age[boys & sign].mean() > age[boys & ~sign].mean()


def test_the_pattern_of_muscles_tells_the_group_but_not_of_everyone(mixture):
    """A logistic regression on the true fat of the 13 muscles: the groups can be learnt, but early
    patients hardly."""
    truth = is_dystrophinopathy(mixture)
    fat = of_both_legs(mixture)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    probit = ndtri(np.clip(fat, 1e-3, 1 - 1e-3))
    score = cross_val_predict(model, probit, truth, cv=4, method="predict_proba")[:, 1]
    middle = (fat @ SHARES > 0.2) & (fat @ SHARES < 0.5)
    assert 0.85 < auc(truth, score) < 0.96
    assert auc(truth[middle], score[middle]) > 0.9


@pytest.mark.parametrize("sharpness", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("mean", [0.05, 0.4, 0.9])
def test_patchiness_does_not_change_a_muscles_mean_fat(sharpness, mean):
    noise = np.random.default_rng(0).standard_normal(200_000)
    assert fat_fraction(norm.ppf(mean), sharpness, noise).mean() == pytest.approx(mean, abs=0.005)


def block(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A square of 120 pixels of one muscle of the left leg, as codes and as bool plane."""
    codes = np.zeros((160, 160), np.uint8)
    codes[20:140, 20:140] = LEFT + 1 + number
    return codes, codes > 0


def only(texture: str, person: Infiltration, sharpness: float = 2.0) -> Infiltration:
    """The person with half of each muscle gone to fat, in one texture with fascicles from side to side."""
    shape = person.latent.shape
    textures = np.zeros((*shape, len(TEXTURES)))
    textures[..., TEXTURES.index(texture)] = 1
    flat = np.zeros(shape)
    return replace(
        person,
        textures=textures,
        latent=flat,
        slope=flat[0],
        sharpness=flat + sharpness,
        grain_mm=np.broadcast_to([1.9, 6.5], (*shape, 2)),
        bearings=flat,
        oedema=flat + 0.5,
    )


def field_of(texture: str, seed: int = 0) -> np.ndarray:
    """(120, 120) values of one texture as they underlie the fat."""
    codes, muscle = block(INDEX["semimembranosus"])
    rng = np.random.default_rng(seed)
    fat, _ = lesions(codes, muscle, 0.5, 0.8, only(texture, drawn("DMD", 1)[0]), rng)
    return ndtri(np.clip(fat, 1e-6, 1 - 1e-6)).reshape(120, 120) / 2


@pytest.mark.parametrize("texture", ["fine", "coarse", "fascicles", "net"])
def test_textures_are_standard_normal(texture):
    values = np.stack([field_of(texture, seed) for seed in range(30)])
    assert values.mean() == pytest.approx(0, abs=0.1)
    assert values.std() == pytest.approx(1, abs=0.08)


def test_texture_differs_in_grain_and_runs_along_the_fascicles():
    def likeness(texture: str, axis: int) -> float:
        """Correlation of values 3 pixels (2.4 mm) apart."""
        pairs = []
        for seed in range(8):
            values = np.moveaxis(field_of(texture, seed), axis, 0)
            pairs.append(np.corrcoef(values[3:].ravel(), values[:-3].ravel())[0, 1])
        return float(np.mean(pairs))

    assert likeness("coarse", 0) > likeness("fine", 0) + 0.2
    assert likeness("fascicles", 1) > likeness("fascicles", 0) + 0.3


def test_lesions_are_fractions_of_the_pixels_asked_for_and_the_same_each_time():
    person = drawn("BMD", 1)[0]
    codes, muscle = block(5)
    first, again = (lesions(codes, muscle, 0.3, 1.0, person, np.random.default_rng(7)) for _ in range(2))
    for values, others in zip(first, again, strict=True):
        assert values.dtype == np.float32
        assert values.shape == (muscle.sum(),)
        assert 0 <= values.min() <= values.max() <= 1
        np.testing.assert_array_equal(values, others)
    nothing = lesions(codes, np.zeros_like(muscle), 0.3, 1.0, person, np.random.default_rng(7))
    assert [len(values) for values in nothing] == [0, 0]


def test_each_leg_and_level_has_its_own_fat():
    person = drawn("FSHMD", 1)[0]
    latent = np.full((2, 13), -1.0)
    latent[1] = 1.0
    person = replace(person, latent=latent, slope=np.full(13, 2.0), sharpness=np.zeros((2, 13)))
    codes, muscle = block(9)
    codes[20:140, 80:140] += RIGHT - LEFT
    fat = np.zeros(codes.shape)
    for level in (0.4, 0.8):
        fat[muscle], _ = lesions(codes, muscle, level, 1.0, person, np.random.default_rng(0))
        assert fat[20:140, 20:80].mean() == pytest.approx(norm.cdf(-1 + 2 * (level - 0.4)), abs=1e-5)
        assert fat[20:140, 80:140].mean() == pytest.approx(norm.cdf(1 + 2 * (level - 0.4)), abs=1e-5)


def rim_minus_core(diagnosis: str, muscle: str) -> float:
    """Fat within 3 mm of the muscle's border less that deeper than 6 mm, mean of some left legs."""
    differences = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        person = Infiltration.drawn(rng, diagnosis, SHARES)
        body = Body.drawn(rng, person.bulk, 25, "F")
        left, _ = legs_at(body, np.array([0.55]), rng)[0]
        codes, _ = draw([left, None], left.skin.min(axis=0) - 5, 1.0, 256)
        fat = np.zeros(codes.shape)
        fat[codes > LEFT], _ = lesions(codes, codes > LEFT, 0.55, 1.0, person, rng)
        depth = ndimage.distance_transform_edt(codes == LEFT + 1 + INDEX[muscle])
        if 0.15 < person.fractions[0, INDEX[muscle]] < 0.85 and (depth > 6).sum() > 20:
            differences.append(fat[(depth > 0) & (depth < 3)].mean() - fat[depth > 6].mean())
    assert len(differences) > 5
    return float(np.mean(differences))


def test_bethlem_starts_at_the_rim_of_the_vasti_and_in_the_core_of_the_rectus():
    """Mercuri et al. 2005, Neuromuscul Disord 15:303; unlike dystrophinopathy."""
    assert rim_minus_core("Bethlem", "vastus lateralis") > 0.15
    assert rim_minus_core("Bethlem", "rectus femoris") < -0.15
    assert abs(rim_minus_core("DMD", "vastus lateralis")) < 0.08
