"""Heat by muscle: which muscles the evidence lies in, in the result, the report, the copied summary and muscles.csv."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from mrml_cases import result

from DystrophyDxLib.explain.muscle_heat import heat_of_muscles
from DystrophyDxLib.muscles.muscle_voxels import MuscleVoxels
from DystrophyDxLib.muscles.structures import FEMUR, MUSCLES
from DystrophyDxLib.panel.rich_text import summary_in_two_lines
from DystrophyDxLib.reporting.case_report import summary, write_report
from DystrophyDxLib.reporting.muscle_fat import write_muscles_csv
from DystrophyDxLib.reporting.muscle_heat import heat_line, heat_rows
from DystrophyDxLib.results import MuscleFat, MuscleHeat, StudyResult

SARTORIUS, GRACILIS = (MUSCLES.index(name) + 1 for name in ("sartorius", "gracilis"))


def heated(heat=(1.0, 0.5, 0.25, 0.0, 0.25, 0.0, 0.0)):
    """A left sartorius of 2 voxels with heat 1 and 0.5, a right one without, a left gracilis with 0.25 in one of 2
    voxels, and a femur with 0.25."""
    labels = np.array([[[SARTORIUS, SARTORIUS, GRACILIS, GRACILIS, FEMUR, SARTORIUS, 0]]], np.uint8)
    sides = np.array([[[1, 1, 1, 1, 1, 2, 0]]], np.uint8)
    heat, voxels = np.array(heat, np.float32), MuscleVoxels.of(labels, sides, 1.0)
    return heat_of_muscles(voxels, heat[voxels.index], float(heat.sum()))


def row(side, muscle, share, mean):
    return MuscleHeat(side=side, muscle=muscle, share=share, mean_heat=mean)


def test_muscles_are_ranked_by_their_share_of_all_heat_in_the_legs():
    assert heated() == (
        row("left", "sartorius", 0.75, 0.75),
        row("left", "gracilis", 0.125, 0.125),
        row("right", "sartorius", 0.0, 0.0),
    )


def test_a_case_without_heat_says_so():
    cold = heated(np.zeros(7))
    found = result(muscle_heat=cold)
    assert row("left", "sartorius", 0.0, 0.0) in cold
    assert heat_line(found) == "Heat in the muscles: none."
    assert heat_rows(found) == []


def test_shares_of_hardly_any_heat_are_not_ranked():
    faint = result(muscle_heat=heated((0.02, 0.01, 0.005, 0.0, 0.005, 0.0, 0.0)))
    assert heat_line(faint) == "Heat in the muscles: hardly any, so the muscles are not ranked by it."
    assert heat_rows(faint) == []
    assert heat_rows(result(muscle_heat=heated((0.2, 0.1, 0.05, 0.0, 0.05, 0.0, 0.0))))


def test_without_a_map_nothing_is_said():
    assert heat_line(result()) == ""
    assert heat_rows(result()) == []
    assert "muscle_heat" not in result().to_json()


def test_a_sentence_names_the_muscles_with_most_of_the_heat():
    found = result(muscle_heat=heated())
    assert heat_line(found) == "Heat in the muscles: 88 % of all; most in left sartorius 75 %, left gracilis 12 %."
    assert heat_line(found) in summary(found).splitlines()
    assert heat_line(found) in summary_in_two_lines(found, "Thighs")
    assert StudyResult.model_validate_json(found.to_json()) == found


def test_the_rows_of_the_table_add_up_to_all_heat():
    rows = heat_rows(result(muscle_heat=heated()))
    assert [name for name, *_ in rows] == ["left sartorius", "left gracilis", "other muscles", "outside the muscles"]
    assert sum(share for _, share, _ in rows) == pytest.approx(1)
    assert rows[-1][1:] == (0.125, None)


def test_the_report_lists_the_muscles(tmp_path):
    picture = tmp_path / "overview.png"
    picture.write_bytes(b"")
    card = {"tried_on": ["Two real patients: 0.9.", "No accuracy."]}
    write_report(tmp_path / "report.html", result(muscle_heat=heated()), card, picture)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h2>Heat in the muscles</h2>" in page
    assert "Two real patients: 0.9. No accuracy." in page
    assert '<td>Left sartorius</td><td class="number">75 %</td>' in page


def test_muscles_csv_has_the_heat_of_each_muscle(tmp_path):
    facts = {"voxels": 2, "under_heat": 2, "score": 1.0, "volume_ml": 0.1, "fat_fraction": None, "fat_ci95": None}
    fat = MuscleFat(side="left", muscle="sartorius", mercuri=None, slices=(), **facts)
    write_muscles_csv(tmp_path / "muscles.csv", result(muscle_heat=heated(), muscles=(fat,)))
    with (tmp_path / "muscles.csv").open(encoding="utf-8", newline="") as file:
        (written,) = csv.DictReader(file)
    assert (written["heat_share"], written["mean_heat"]) == ("0.75", "0.75")
