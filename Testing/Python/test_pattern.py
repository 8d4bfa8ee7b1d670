"""The pattern of fat in the muscles as a second answer: what it rests on, what it cannot say, what it contradicts."""

from __future__ import annotations

import numpy as np
import pytest
from mrml_cases import result
from pattern_packages import SPARED, alike, make_pattern_package, muscle_fat

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.packages import read_package
from DystrophyDxLib.models.pattern import PatientFat, PatternModel, log_odds
from DystrophyDxLib.models.pattern_package import PatternPackage, PatternRecipe
from DystrophyDxLib.models.recipe import shipped_recipe
from DystrophyDxLib.muscles.structures import MUSCLES
from DystrophyDxLib.pattern_answer import answer, contradict, with_pattern
from DystrophyDxLib.reporting.case_report import caption, summary, write_report
from DystrophyDxLib.results import INDETERMINATE, CaseResult, FatSource, StudyResult, WarningCode

CLASSES = ("other", "dystrophinopathy")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return make_pattern_package(tmp_path_factory.mktemp("pattern") / "package")


def case(probability, low, high, label, threshold=0.5):
    return CaseResult(probability=probability, ci95=(low, high), label=label, threshold=threshold, reason="As is.")


def classified(of_network, fractions, package, before=None):
    """The result of a network with the fat of muscles, and the answer by their pattern."""
    found = before or result().model_copy(update={"case": of_network})
    found = found.model_copy(update={"muscles": muscle_fat(fractions), "fat": FatSource(source="Dixon")})
    return with_pattern(found, package)


def test_a_spared_muscle_speaks_for_the_disease_whatever_the_amount_of_fat(package):
    said = []
    for odds in (0.3, 1.0, 3.0):
        share, spared = odds / (1 + odds), odds / 5 / (1 + odds / 5)
        found = answer(package, muscle_fat(alike(share, adductor_longus=spared), margin=0), by_grey=False)
        assert found.case.label == "dystrophinopathy"
        assert (found.muscles[0].muscle, found.muscles[0].share > 0) == (SPARED, True)
        said.append(found.case.probability)
    np.testing.assert_allclose(said, said[0], atol=1e-6)
    replaced = answer(package, muscle_fat(alike(0.2, adductor_longus=0.7)), by_grey=False)
    assert replaced.case.label == "other"
    assert replaced.muscles[0].share < 0


def test_what_the_muscles_add_is_the_answer(package):
    fat = PatientFat.of(muscle_fat(alike(0.4, adductor_longus=0.1, gracilis=0.2), margin=0), by_grey=False)
    logits = package.model.logits(log_odds(fat.fractions[None]))
    np.testing.assert_allclose(package.model.shares(fat).sum(axis=1) + package.model.intercept, logits[0])


def width(found):
    return found.case.ci95[1] - found.case.ci95[0]


def test_the_interval_of_the_fat_goes_into_that_of_the_answer(package):
    fractions = alike(0.3, adductor_longus=0.25)
    known, vague = (answer(package, muscle_fat(fractions, margin), by_grey=False) for margin in (0.01, 0.12))
    by_grey = answer(package, muscle_fat(fractions, 0.12), by_grey=True)
    assert width(known) < width(by_grey) < width(vague), "what grey errs in is mostly common to all muscles"


def test_a_muscle_out_of_view_is_taken_as_it_may_be(package):
    fractions = alike(0.3, adductor_longus=0.3)
    seen = answer(package, muscle_fat(fractions), by_grey=False)
    del fractions[SPARED]
    unseen = answer(package, muscle_fat(fractions), by_grey=False)
    assert width(unseen) > 3 * width(seen)
    assert unseen.case.label == INDETERMINATE
    assert unseen.unseen == (SPARED,)
    assert SPARED not in {muscle.muscle for muscle in unseen.muscles}, "what is not seen is no evidence"
    assert not seen.unseen
    sliver = muscle_fat(fractions) + tuple(
        row.model_copy(update={"volume_ml": 0.2}) for row in muscle_fat({SPARED: 0.9})
    )
    assert answer(package, sliver, by_grey=False) == unseen, "a few voxels are no muscle"


def test_a_muscle_in_view_of_one_leg_is_in_view(package):
    """It is held against the muscles of its own leg, however much of the other leg is shown."""
    large = tuple(row.model_copy(update={"volume_ml": 500.0}) for row in muscle_fat(alike(0.3), sides=("left",)))
    small = [row.model_copy(update={"volume_ml": 30.0}) for row in muscle_fat(alike(0.3), sides=("right",))]
    rows = [row for row in large if row.muscle != SPARED] + small
    own = next(row for row in rows if row.muscle == SPARED)
    assert own.volume_ml < 0.01 * sum(row.volume_ml for row in rows)
    assert PatientFat.of(rows, by_grey=False).in_view.all()
    assert not answer(package, tuple(rows), by_grey=False).unseen
    sliver = [own.model_copy(update={"volume_ml": 1.0}) if row is own else row for row in rows]
    assert answer(package, tuple(sliver), by_grey=False).unseen == (SPARED,)


def test_what_is_hardly_in_view_is_named_apart(package, tmp_path):
    fractions = alike(0.3)
    del fractions[SPARED]
    found = classified(case(0.05, 0.02, 0.1, "other"), fractions, package)
    assert "Hardly or not in view: adductor longus." in summary(found)
    (tmp_path / "overview.png").write_bytes(b"")
    write_report(tmp_path / "report.html", found, {}, tmp_path / "overview.png")
    page = (tmp_path / "report.html").read_text()
    assert "Hardly or not in view: adductor longus; taken as those of the training patients" in page
    assert StudyResult.model_validate_json(found.to_json()) == found


def test_too_few_muscles_give_no_answer(package):
    found = answer(package, muscle_fat(dict.fromkeys(MUSCLES[:6], 0.3)), by_grey=False)
    assert found.case is None
    assert found.why == "The fat of 6 of 13 muscles can be told; the pattern needs 7."
    unsaid = tuple(row.model_copy(update={"fat_fraction": None, "fat_ci95": None}) for row in muscle_fat(alike(0.3)))
    assert answer(package, unsaid, by_grey=True, why_not="No fat is in view.").why == "No fat is in view."


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (case(0.9, 0.8, 0.95, "dystrophinopathy"), case(0.1, 0.05, 0.2, "other"), True),
        (case(0.9, 0.8, 0.95, "dystrophinopathy"), case(0.8, 0.6, 0.9, "dystrophinopathy"), False),
        (case(0.9, 0.8, 0.95, "dystrophinopathy"), case(0.3, 0.2, 0.45, INDETERMINATE), True),
        (case(0.9, 0.8, 0.95, "dystrophinopathy"), case(0.4, 0.2, 0.6, INDETERMINATE), False),
        (case(0.7, 0.6, 0.8, INDETERMINATE), case(0.3, 0.2, 0.45, INDETERMINATE), False),
        (case(0.45, 0.41, 0.5, INDETERMINATE, threshold=0.4), case(0.45, 0.3, 0.49, "other"), True),
    ],
)
def test_answers_contradict_each_other_where_one_is_sure_and_the_other_is_on_the_other_side(one, other, expected):
    assert contradict(one, other, CLASSES) is expected
    assert contradict(other, one, CLASSES) is expected


def test_a_contradiction_takes_the_label_until_the_map_is_corrected(package):
    of_network = case(0.05, 0.02, 0.1, "other")
    found = classified(of_network, alike(0.5, adductor_longus=0.06), package)
    assert found.case.label == INDETERMINATE
    assert found.case.reason == "The pattern of fat in the muscles says otherwise than the network."
    assert found.case.probability == 0.05, "figures stay"
    assert found.pattern.agrees is False
    assert [warning.code for warning in found.warnings].count(WarningCode.PATTERN_DISAGREES) == 1
    assert StudyResult.model_validate_json(found.to_json()) == found
    again = classified(of_network, alike(0.5, adductor_longus=0.06), package, before=found)
    assert again == found
    corrected = classified(of_network, alike(0.2, adductor_longus=0.6), package, before=found)
    assert corrected.case == of_network
    assert corrected.pattern.agrees
    assert WarningCode.PATTERN_DISAGREES not in {warning.code for warning in corrected.warnings}
    assert with_pattern(found, None).case == of_network


def test_a_case_without_a_label_says_of_a_contradiction_too(package):
    of_network = case(0.45, 0.3, 0.49, INDETERMINATE)
    found = classified(of_network, alike(0.5, adductor_longus=0.06), package)
    assert found.case.reason == "As is. The pattern of fat in the muscles says otherwise than the network."
    assert caption(found).startswith(f"{found.case.reason}  Probability 0.45")
    assert caption(classified(case(0.05, 0.02, 0.1, "other"), alike(0.2), package)).startswith("Probability 0.05")
    assert with_pattern(found, None).case == of_network


def test_models_that_tell_other_classes_apart_are_not_compared(package):
    facts = result().model.model_copy(update={"classes": ("normal", "DMD")})
    before = result().model_copy(update={"case": case(0.05, 0.02, 0.1, "normal"), "model": facts})
    found = classified(before.case, alike(0.5, adductor_longus=0.06), package, before=before)
    assert found.case.label == "normal"
    assert found.pattern.agrees is None
    assert "It tells other classes apart than the network." in summary(found)


def test_summary_and_report_show_both_answers_and_the_muscles_that_moved_the_second(package, tmp_path):
    found = classified(case(0.05, 0.02, 0.1, "other"), alike(0.5, adductor_longus=0.06), package)
    line = next(line for line in summary(found).splitlines() if line.startswith("Pattern of fat in the muscles"))
    assert "dystrophinopathy. Probability 0.99" in line
    assert "For dystrophinopathy: adductor longus (6 %)." in line
    assert "It contradicts the network." in line
    (tmp_path / "overview.png").write_bytes(b"")
    write_report(tmp_path / "report.html", found, {}, tmp_path / "overview.png")
    page = (tmp_path / "report.html").read_text()
    assert '<td>Network</td><td style="white-space: nowrap">other</td>' in page
    assert '<td>Fat of the muscles</td><td style="white-space: nowrap">dystrophinopathy</td>' in page
    assert "adductor longus, 6 %" in page
    assert "contradict each other" in page


def test_an_answer_that_cannot_be_given_is_told_with_the_reason(package):
    found = classified(case(0.05, 0.02, 0.1, "other"), dict.fromkeys(MUSCLES[:3], 0.3), package)
    assert found.case.label == "other"
    assert "Pattern of fat in the muscles: no answer. The fat of 3 of 13 muscles can be told" in summary(found)


def test_a_package_is_read_as_what_it_is_and_refused_where_it_is_damaged(package, tmp_path):
    make_pattern_package(tmp_path / "package")
    assert isinstance(read_package(tmp_path / "package"), PatternPackage)
    arrays = package.model.arrays()
    with pytest.raises(InputError, match="not those of its recipe"):
        PatternModel.of(arrays | {"mean": np.zeros(3)}, 1)
    with pytest.raises(InputError, match="not those of its recipe"):
        PatternModel.of(arrays | {"intercept": np.array([np.nan])}, 1)


def test_the_differential_takes_muscles_either_way():
    recipe = PatternRecipe.parse(shipped_recipe("pattern"))
    task = recipe.for_task("differential")
    assert len(task.classes) > 2
    assert not task.pattern.signs
    assert task.pattern.least_sure == 0.5, "no label that is less likely than all others together"
    assert task.class_of("LGMD2A") == task.classes.index("LGMD R1")
    assert PatternRecipe.parse(task.toml()) == task
    with pytest.raises(InputError, match="none of the muscles"):
        PatternRecipe.parse(shipped_recipe("pattern").replace("gracilis = -1", "soleus = -1"))
