"""The pattern model that ships with the extension, where it does."""

from __future__ import annotations

import pytest
from mrml_cases import result
from pattern_packages import alike, muscle_fat
from typer.testing import CliRunner

from DystrophyDxLib.commands.main import app
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.files.resources import pattern_model
from DystrophyDxLib.models.pattern_package import PatternPackage
from DystrophyDxLib.pattern_answer import answer, with_pattern
from DystrophyDxLib.reporting.case_report import summary
from DystrophyDxLib.results import FatSource

pytestmark = pytest.mark.skipif(pattern_model() is None, reason="the pattern model was left out")
TREFOIL = alike(
    0.7, sartorius=0.08, gracilis=0.08, adductor_longus=0.12, semitendinosus=0.3, semimembranosus=0.5,
    rectus_femoris=0.5, biceps_femoris_short_head=0.45,
)  # fmt: skip
"""Fat of a late dystrophinopathy: a trefoil with a single fruit."""
POSTERIOR = alike(
    0.12, adductor_magnus=0.8, biceps_femoris_long_head=0.75, semimembranosus=0.8, semitendinosus=0.65,
    adductor_longus=0.6, vastus_intermedius=0.3,
)  # fmt: skip
"""Of LGMD R1: adductors and the back of the thigh, the front spared."""


@pytest.fixture(scope="module")
def package():
    return PatternPackage.read(pattern_model())


def test_it_says_what_textbooks_say(package):
    sick, posterior = (answer(package, muscle_fat(fat, 0.08), by_grey=True).case for fat in (TREFOIL, POSTERIOR))
    assert sick.label == "dystrophinopathy"
    assert posterior.label == "other"


def test_healthy_muscle_is_no_dystrophinopathy(package):
    for fraction in (0.05, 0.08):
        assert answer(package, muscle_fat(alike(fraction), 0.05), by_grey=True).case.label != "dystrophinopathy"


@pytest.fixture(scope="module")
def differential():
    model = pattern_model(differential=True)
    if model is None:
        pytest.skip("the model of the differential was left out")
    return PatternPackage.read(model)


def test_the_differential_ranks_what_textbooks_say(differential):
    first = {}
    for name, fat in (("trefoil", TREFOIL), ("posterior", POSTERIOR)):
        ranked = answer(differential, muscle_fat(fat, 0.08), by_grey=True).case.differential
        assert {row.name for row in ranked} == set(differential.card.classes)
        first[name] = [row.name for row in ranked]
    assert first["trefoil"].index("dystrophinopathy") < 3
    assert first["trefoil"].index("dystrophinopathy") < first["posterior"].index("dystrophinopathy")
    assert first["posterior"].index("LGMD R1") < 3


def test_the_differential_and_the_network_tell_other_classes_apart(differential):
    before = result().model_copy(update={"muscles": muscle_fat(TREFOIL), "fat": FatSource(source="Dixon")})
    found = with_pattern(before, differential)
    assert found.pattern.agrees is None
    assert found.case == before.case
    assert "Ranked: " in summary(found)
    assert "It tells other classes apart than the network." in summary(found)


def test_one_answer_by_the_pattern_is_asked_for_at_a_time(tmp_path):
    asked = ["classify", str(tmp_path), "--out", str(tmp_path / "out"), "--differential", "--no-pattern"]
    with pytest.raises(InputError, match="Give one of --pattern, --differential and --no-pattern"):
        CliRunner().invoke(app, asked, catch_exceptions=False)


def test_its_card_says_what_it_has_seen_and_what_it_rests_on(package):
    card = package.card
    assert card.demonstration
    assert "phantoms" in card.trained_on
    assert card.metrics["AUC, case"].ci95[0] > 0.5
    known = package.recipe.pattern.signs
    weights = card.coefficients["dystrophinopathy"]
    assert all(weight * known.get(name, weight) > 0 for name, weight in weights.items())
