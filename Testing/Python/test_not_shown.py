"""Models that are not shown to tell the classes apart are named in what a long command says."""

import pytest

from DystrophyDxLib.evaluation.summaries import CohortFacts, FoldsSummary, SummedFolds
from DystrophyDxLib.reporting.harness import Measure
from DystrophyDxLib.statistics.confusion import proportion


@pytest.mark.parametrize(("confusion", "named"), [(((2, 1), (1, 2)), True), (((28, 2), (3, 27)), False)])
def test_a_cross_validation_is_held_against_who_always_says_the_most_frequent_class(confusion, named):
    right, total = confusion[0][0] + confusion[1][1], sum(map(sum, confusion))
    accuracy = Measure.of(proportion(right, total))
    summed = SummedFolds(confusion=confusion, errors=total - right, total=total, accuracy=accuracy)
    cohort = CohortFacts(sha256="0" * 64, synthetic=True)
    facts = {"notices": (), "models": (), "classes": ("PD", "MSA"), "cohort": cohort, "series_failed": 0}
    summary = FoldsSummary(**facts, images=summed, patients=summed)
    assert any("reaches 0.500, which who always says" in line for line in summary.lines()) == named
