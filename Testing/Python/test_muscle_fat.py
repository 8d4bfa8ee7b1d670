"""Fat of the muscles as it is told: the leg as a chart, the table of the report, muscles.csv, a line of text."""

from __future__ import annotations

import csv
import dataclasses
import re

import numpy as np
import pytest
from mrml_cases import DIRECTIONS, result
from pattern_packages import alike, make_pattern_package, muscle_fat

from DystrophyDxLib.classify import Classification, with_muscle_fat
from DystrophyDxLib.explain.heat import Heat, HeatDrawing
from DystrophyDxLib.models.cells import CellGrid
from DystrophyDxLib.models.recipe import SampleRecipe
from DystrophyDxLib.muscles.infiltration import FatScale, Undecided, _graded
from DystrophyDxLib.muscles.muscle_map import MuscleMap
from DystrophyDxLib.muscles.structures import MUSCLES, SUBCUTANEOUS_FAT
from DystrophyDxLib.panel.muscle_words import fat_table_html, muscles_notes, muscles_title
from DystrophyDxLib.phantom.thigh import make_phantom
from DystrophyDxLib.regions.windows import Regions
from DystrophyDxLib.reporting.case_report import summary, write_report
from DystrophyDxLib.reporting.leg_chart import LegChart
from DystrophyDxLib.reporting.muscle_fat import COLUMNS, SHADES, source_words, summary_line, told, write_muscles_csv
from DystrophyDxLib.results import FatSource, MuscleFat, MuscleTexture, ResultWarning, StudyResult, gravest_first
from DystrophyDxLib.series.series import Geometry

VASTUS = MUSCLES.index("vastus lateralis") + 1


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(11, "BMD", 3, 96, ("T1", "DIXON_FAT", "DIXON_WATER"), legs="both")


def classified(phantom, contrast="T1", muscles=(), warnings=(), empty=False, source="edited", pattern=None):
    series = phantom.images[contrast]
    heat = np.where(phantom.muscles == VASTUS, 1, 0).astype(np.float32)
    drawing = HeatDrawing(CellGrid(0, 32), SampleRecipe(size=224), 1.0, series.geometry, heat.shape)
    answer = result(muscles=muscles).model_copy(update={"warnings": warnings})
    regions = Regions(phantom.legs, ())
    none = np.zeros_like(phantom.structures)
    drawn = MuscleMap(none, none, "auto", ()) if empty else MuscleMap.drawn(phantom.structures, regions)
    drawn = dataclasses.replace(drawn, source="auto" if empty else source)
    found = Classification(answer, regions, (), (), Heat(heat, 1.0, (), 1), drawing, drawn, pattern)
    return with_muscle_fat(found, series).result


def test_the_result_has_a_row_a_muscle_and_side_with_its_texture_score(phantom):
    tumour = MuscleTexture(muscle="tumour", voxels=9, under_heat=3, score=1 / 3)
    before = MuscleTexture(muscle="Left vastus lateralis", voxels=9, under_heat=9, score=1)
    found = classified(phantom, muscles=(before, tumour))
    assert StudyResult.model_validate_json(found.to_json()) == found
    rows = {(row.side, row.muscle): row for row in found.muscle_fat}
    assert {side for side, _ in rows} == {"left", "right"}
    assert rows["left", "vastus lateralis"].score == 1
    assert rows["left", "gracilis"].score == 0
    assert [row for row in found.muscles if not isinstance(row, MuscleFat)] == [tumour]
    assert found.fat.source == "T1-weighted"
    assert {"side", "muscle", "volume_ml", "fat_fraction", "mercuri", "slices"} <= set(
        found.model_dump(mode="json")["muscles"][0]
    )


def test_images_of_water_alone_tell_no_more_than_volumes(phantom):
    found = classified(phantom, "DIXON_WATER")
    assert found.fat.source is None
    assert all(row.fat_fraction is None and row.volume_ml > 0 for row in found.muscle_fat)
    assert "Fat in the muscles: not decidable. " in summary(found)


@pytest.mark.parametrize(
    ("code", "said"), [("NOT_T1_WEIGHTED", "not T1-weighted"), ("NOT_THIGH", "no thigh"), ("MOSTLY_OUT_OF_VIEW", "out")]
)
def test_grey_tells_no_fat_in_images_it_is_not_meant_for(phantom, code, said):
    warned = (ResultWarning(code=code, message="See for yourself."),)
    found = classified(phantom, warnings=warned)
    assert found.fat.source is None
    assert said in found.fat.note
    assert found.fat.note.startswith("Grey tells the fat only in axial T1-weighted images of whole thighs.")
    assert all(row.fat_fraction is None and row.mercuri is None and row.volume_ml > 0 for row in found.muscle_fat)


@pytest.mark.parametrize(
    ("code", "source", "doubt"),
    [
        ("MUSCLES_UNLIKE", "edited", "The given muscles are hardly those of these images"),
        ("MUSCLES_UNLIKE", "given", "The given muscles are hardly those of these images"),
        ("MUSCLES_UNLIKE", "auto", ""),
        ("MASS_POSSIBLE", "auto", "A mass may be counted as muscle: do not use fat, grades and volumes"),
        ("MASS_POSSIBLE", "edited", ""),
    ],
)
def test_muscles_of_another_patient_or_a_mass_show_no_sign_and_no_pattern(phantom, tmp_path, code, source, doubt):
    package = make_pattern_package(tmp_path / "package")
    warned = (ResultWarning(code=code, message="See for yourself."),)
    found = classified(phantom, warnings=warned, source=source, pattern=package)
    assert all(row.fat_fraction is not None for row in found.muscle_fat)
    assert (found.pattern.case is None, all(sign.present is None for sign in found.signs)) == (bool(doubt),) * 2
    assert found.fat.doubt.startswith(doubt)
    if doubt:
        assert {found.pattern.why, *(sign.why for sign in found.signs)} == {found.fat.doubt}
        assert source_words(found).startswith(doubt)
        assert f"\n{found.fat.doubt} Fat in the muscles (T1-weighted): right" in summary(found)
        assert "%" not in muscles_title(found)
    else:
        assert found.fat.doubt == ""
    assert StudyResult.model_validate_json(found.to_json()) == found


def test_what_makes_figures_those_of_something_else_is_told_first():
    codes = ["DEMONSTRATION_MODEL", "SIDE_CONTRADICTED", "NOT_THIGH", "MASS_POSSIBLE", "MUSCLES_UNLIKE"]
    told = gravest_first(ResultWarning(code=code, message="") for code in codes)
    assert [warning.code.value for warning in told] == [
        "MUSCLES_UNLIKE", "MASS_POSSIBLE", "SIDE_CONTRADICTED", "DEMONSTRATION_MODEL", "NOT_THIGH",
    ]  # fmt: skip


def test_a_network_s_map_without_a_healthy_muscle_tells_no_fat():
    scale = FatScale("T1-weighted", np.zeros((1, 1, 1)), None, "No muscle looks healthy.", compared=False)
    assert isinstance(scale.trusted(by_network=True, unlike=None), Undecided)
    assert scale.trusted(by_network=False, unlike=None) is scale
    dixon = dataclasses.replace(scale, source="Dixon")
    assert dixon.trusted(by_network=True, unlike="The images are not T1-weighted.") is dixon


def test_the_line_tells_each_leg_and_the_muscles_with_most_and_least(phantom):
    line = next(line for line in summary(classified(phantom)).splitlines() if line.startswith("Fat in the muscles"))
    assert re.fullmatch(
        r"Fat in the muscles \(T1-weighted\): right \d+ %, left \d+ %; most (left|right) [\w ]+ \d+ % \(grade .*\), "
        r"least (left|right) [\w ]+ \d+ % \(grade .*\)\. Map of the muscles: Drawn or corrected by a "
        r"person\.",
        line,
    )
    assert re.search(r"\(grade (1, normal|2, mild|3, moderate|4, severe)[;)]", line)
    assert "Fat in the muscles" not in summary(result())


@pytest.mark.parametrize(
    ("fat", "grade", "cell", "words"),
    [
        ((0.13, 0.0, 0.25), 2, "2 or 1", "13 % (grade 2, mild; perhaps 1, normal)"),
        ((0.55, 0.45, 0.62), 3, "3 or 4", "55 % (grade 3, moderate; perhaps 4, severe)"),
        ((0.2, 0.1, 0.29), 2, "2", "20 % (grade 2, mild)"),
        ((0.2, 0.05, 0.35), None, "?", "20 % (several grades possible)"),
    ],
)
def test_a_grade_is_told_with_the_other_one_that_the_interval_reaches_into(fat, grade, cell, words, tmp_path):
    graded = _graded(fat, "")
    (row,) = muscle_fat({"gracilis": 0.5})[:1]
    row = row.model_copy(update={"fat_fraction": fat[0], "fat_ci95": fat[1:], **graded})
    found = result(muscles=(row,)).model_copy(update={"fat": FatSource(source="T1-weighted")})
    assert graded["mercuri"] == grade
    assert told(row).endswith(words)
    assert f">{cell.replace(' ', '&nbsp;')}</font>" in fat_table_html(found)
    (tmp_path / "overview.png").write_bytes(b"")
    write_report(tmp_path / "report.html", found, {}, tmp_path / "overview.png")
    page = (tmp_path / "report.html").read_text()
    assert f'<td class="number">{cell}</td>' in page
    assert "reaches into one other grade, that is told too (2 or 1); where it reaches into more, no grade" in page


def test_a_sliver_of_a_muscle_is_not_named_as_the_one_with_most_fat():
    rows = [*muscle_fat(alike(0.3, sartorius=0.1)), *muscle_fat({"gluteus maximus": 0.9})]
    rows = [row.model_copy(update={"volume_ml": 1.0}) if row.fat_fraction == 0.9 else row for row in rows]
    rows = [row for row in rows if row.muscle != "gluteus maximus" or row.volume_ml == 1.0]
    line = summary_line(result(muscles=tuple(rows)))
    assert "gluteus maximus" not in line
    assert "least left sartorius 10 %" in line


def test_where_no_thigh_is_mapped_that_is_said_in_a_line(phantom, tmp_path):
    found = classified(phantom, empty=True)
    said = "No thigh is shown whose muscles could be mapped, so their fat, signs and pattern are not told."
    assert [line for line in summary(found).splitlines() if "pattern" in line.lower()] == [said]
    assert said in muscles_notes(found)
    assert StudyResult.model_validate_json(found.to_json()) == found
    (tmp_path / "overview.png").write_bytes(b"")
    write_report(tmp_path / "report.html", found, {}, tmp_path / "overview.png")
    assert said in (tmp_path / "report.html").read_text()


def test_muscles_csv_has_the_figures_of_the_result(phantom, tmp_path):
    found = classified(phantom)
    write_muscles_csv(tmp_path / "muscles.csv", found)
    with (tmp_path / "muscles.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["side"], row["muscle"]) for row in rows] == [(row.side, row.muscle) for row in found.muscle_fat]
    assert [float(row["fat_fraction"]) for row in rows] == [row.fat_fraction for row in found.muscle_fat]
    assert [row["mercuri"] for row in rows] == [str(row.mercuri or "") for row in found.muscle_fat]


def legs(direction):
    """Two square legs as stored in a direction, each with a muscle, and the result on them; the right one is larger."""
    labels, sides = np.zeros((3, 40, 60), np.uint8), np.zeros((3, 40, 60), np.uint8)
    sides[:, 5:35, 2:30], sides[:, 10:30, 34:56] = 2, 1
    labels[1, 10:30, 8:24], labels[:, 15:25, 40:50] = VASTUS, VASTUS
    canonical = {"head first": np.eye(3)}
    flip = 1 if direction in canonical else -1
    return labels[:, :, ::flip], sides[:, :, ::flip], Geometry((0.0, 0.0, 0.0), (2.0, 2.0, 9.0), DIRECTIONS[direction])


@pytest.mark.parametrize("direction", ["head first", "flipped columns"])
def test_the_right_leg_is_on_the_left_of_the_chart_however_it_is_stored(direction):
    labels, sides, geometry = legs(direction)
    common = {"muscle": "vastus lateralis", "voxels": 1, "under_heat": 0, "score": 0, "volume_ml": 1.0, "slices": ()}
    rows = [
        MuscleFat(**common, side=side, fat_fraction=0.5, fat_ci95=(0.4, 0.6), mercuri=3) for side in ("left", "right")
    ]
    chart = LegChart.of(labels, np.where(labels > 0, sides, 0), sides, geometry, rows)
    assert chart.slice == 1, "both muscles are there"
    x = {leg.letter: leg.x for leg in chart.legs}
    assert x["R"] < chart.width / 2 < x["L"]
    at = {shape.muscle.side: shape.outline.at for shape in chart.shapes}
    assert at["right"][0] < chart.width / 2 < at["left"][0]
    corners = {
        shape.muscle.side: np.array(re.findall(r"([\d.]+),([\d.]+)", shape.outline.path), float)
        for shape in chart.shapes
    }
    pixel = chart.width / 56
    for side, size in (("right", (16, 20)), ("left", (10, 10))):
        np.testing.assert_allclose(np.ptp(corners[side], axis=0), np.array(size) * pixel, atol=pixel)


def test_the_chart_is_of_the_level_at_which_most_of_the_muscles_is_in_view():
    """Near the groin slivers of all muscles are in view, in the middle of the thigh all of most."""
    labels, sides = np.zeros((5, 40, 60), np.uint8), np.zeros((5, 40, 60), np.uint8)
    sides[:, 2:38, 2:58] = 1
    for n in range(6):
        labels[:, 3:33, 4 + 9 * n : 11 + 9 * n] = n + 1
    labels[3:, 6:33] = 0
    labels[4, 34:37, 4:58] = 7
    geometry = Geometry((0.0, 0.0, 0.0), (2.0, 2.0, 9.0), np.eye(3))
    common = {"voxels": 1, "under_heat": 0, "score": 0, "volume_ml": 1.0, "slices": (), "mercuri": None}
    rows = [MuscleFat(**common, muscle=name, side="left", fat_fraction=None, fat_ci95=None) for name in MUSCLES[:7]]
    assert LegChart.of(labels, sides, sides, geometry, rows).slice < 3


def test_a_map_without_muscles_has_no_chart():
    labels, sides, geometry = legs("head first")
    labels = np.where(labels > 0, SUBCUTANEOUS_FAT, 0)
    assert LegChart.of(labels, np.where(labels > 0, sides, 0), sides, geometry, ()) is None


def test_a_hole_in_a_muscle_and_two_parts_are_drawn():
    labels, sides, geometry = legs("head first")
    labels[1, 14:26, 12:20] = 0
    labels[1, 12:16, 28:30] = VASTUS
    row = MuscleFat(
        muscle="vastus lateralis", voxels=1, under_heat=0, score=0, volume_ml=1.0, slices=(), side="right",
        fat_fraction=None, fat_ci95=None, mercuri=None,
    )  # fmt: skip
    (shape,) = LegChart.of(labels, np.where(labels > 0, sides, 0), sides, geometry, [row]).shapes
    assert shape.outline.path.count("M") == shape.outline.path.count("Z") == len(shape.outline.loops) == 3


def test_the_report_shows_table_and_chart(phantom, tmp_path):
    found = classified(phantom)
    sides = np.where(phantom.structures > 0, phantom.legs, 0)
    chart = LegChart.of(phantom.structures, sides, phantom.legs, phantom.series.geometry, found.muscle_fat)
    (tmp_path / "overview.png").write_bytes(b"")
    write_report(tmp_path / "report.html", found, {}, tmp_path / "overview.png", chart)
    page = (tmp_path / "report.html").read_text()
    assert page.count("<title>") == 1 + len(chart.shapes)
    grade = chart.shapes[0].muscle.mercuri or 0
    assert page.count(f"stroke: {SHADES[grade]}") == sum((shape.muscle.mercuri or 0) == grade for shape in chart.shapes)
    assert page.rindex("<path") < page.index('class="on-shade"'), "no muscle lies over a name"
    row = found.muscle_fat[0]
    assert f"{100 * row.fat_fraction:.0f} %" in page
    assert "Grades of Mercuri et al. 2002" in page
    assert "Map of the muscles: Drawn or corrected by a person." in page
    write_report(tmp_path / "report.html", result(), {}, tmp_path / "overview.png")
    assert "Fat in the muscles" not in (tmp_path / "report.html").read_text()
