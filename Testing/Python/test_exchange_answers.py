"""Answers of several kinds in the structured report."""

from __future__ import annotations

from exchange_cases import Written, study_datasets, texts, write_all
from highdicom.sr import srread
from mrml_cases import image, result

from DystrophyDxLib.peak import with_peak
from DystrophyDxLib.results import CaseResult, ModelFacts, NetworkLabel, PatternMuscle, PatternResult, RankedClass

NETWORK = ModelFacts(
    name="demo", version="2", sha256="ab" * 32, trained_on="phantoms", classes=("CMD", "DMD", "normal")
)


def answers(written: Written) -> list:
    """The groups of the report that are of no muscle."""
    return srread(written.folder / "report.dcm").content.get_image_measurement_groups()


def probabilities(group) -> dict[str, float]:
    """By the class that each is of."""
    return {
        item.TextValue: measured.value
        for measured in group.get_measurements()
        for item in measured[0].get("ContentSequence", ())
        if item.ValueType == "TEXT"
    }


def test_of_more_classes_each_has_its_probability_and_the_heatmap_is_of_the_told_one(tmp_path):
    ranked = tuple(
        RankedClass(name=name, probability=p, ci95=(p - 0.125, p + 0.125))
        for name, p in (("DMD", 0.5), ("CMD", 0.25), ("normal", 0.25))
    )
    case = CaseResult(probability=0.5, ci95=(0.375, 0.625), label="DMD", reason="It leads.", differential=ranked)
    written = write_all(tmp_path, study_datasets(), model=NETWORK, case=case)
    (group,) = answers(written)
    assert probabilities(group) == {"DMD": 50, "CMD": 25, "normal": 25}
    assert texts(written.report)["Finding"] == ["DMD: It leads."]
    mapping = written.heatmap.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert "DMD" in mapping.LUTExplanation


def test_the_answer_by_the_pattern_of_fat_is_a_group_of_its_own_with_its_own_model(tmp_path):
    model = ModelFacts(name="fat", version="5", sha256="cd" * 32, trained_on="people", classes=("other", "DMD"))
    case = CaseResult(probability=0.75, ci95=(0.5625, 0.875), label="DMD", threshold=0.5, reason="It lies above.")
    muscle = PatternMuscle(muscle="gracilis", fat_fraction=0.0625, share=0.5)
    network = NetworkLabel(label="DMD", reason="It lies above.")
    pattern = PatternResult(case=case, told_class="DMD", muscles=(muscle,), model=model, network=network, agrees=True)
    written = write_all(tmp_path, study_datasets(), pattern=pattern)
    _, group = answers(written)
    assert group.tracking_identifier == "Answer by the pattern of fat in the muscles"
    assert probabilities(group) == {"DMD": 75}
    assert any("cd" * 32 in text for text in texts(group[0])["Algorithm Parameters"])
    assert any(text.startswith("Pattern of fat in the muscles: DMD.") for text in texts(written.report)["Comment"])
    silent = pattern.model_copy(update={"case": None, "why": "Too few muscles."})
    without = write_all(tmp_path / "silent", study_datasets(), pattern=silent)
    assert len(answers(without)) == 1
    assert any("no answer. Too few muscles." in text for text in texts(without.report)["Comment"])


def test_a_part_of_the_images_that_contradicts_the_case_is_a_warning_of_result_and_report(tmp_path):
    found = with_peak(result([image(k, "right", 0.85) for k in range(2)]))
    told = "In slices 0-1 of the right leg 2 images lie above the threshold of 0.50, the highest with 0.85 in slice 0"
    assert [told in text for text in found.to_json().splitlines()].count(True) == 1
    written = write_all(tmp_path, study_datasets(), case=found.case, images=found.images, warnings=found.warnings)
    assert any(text.startswith("PART_ABOVE_THRESHOLD: ") and told in text for text in texts(written.report)["Warning"])
