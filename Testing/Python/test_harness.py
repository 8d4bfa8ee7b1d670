"""What every long command leaves behind: all of its files or none, and figures that any reader of JSON understands."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from DystrophyDxLib import reporting
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.reporting.figures import RocLine, confusion_figure, roc_figure
from DystrophyDxLib.reporting.harness import PAGE, Measure, Number, Report, Summary, in_words
from DystrophyDxLib.reporting.pages import Section
from DystrophyDxLib.reporting.tables import Table
from DystrophyDxLib.statistics.estimate import Estimate

REPORT = Report("trial", "trial.json", ("rows.csv", "others.csv"))


class TrialSummary(Summary):
    schema_: Literal["trial/1"] = "trial/1"
    figures: dict[str, Measure]
    ratio: Number


SUMMARY = TrialSummary(
    notices=("Mind the notice.",),
    figures={"AUC": Measure.of(Estimate(0.5, float("nan"), 1.0))},
    ratio=float("inf"),
)


def section(folder):
    (folder / "figures" / "drawn.svg").write_text("<svg/>")
    return [Section("Told", ("A paragraph.",), (), (Table("told", "Title", pd.DataFrame({"Who": ["a"]})),))]


def test_all_files_are_written_with_the_notices_on_the_page(tmp_path):
    REPORT.write(tmp_path / "out", SUMMARY, "Title", section, {"rows.csv": pd.DataFrame({"n": [1]})}, overwrite=False)
    written = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert written == {PAGE, "trial.json", "rows.csv", "tables/told.csv", "tables/told.md", "figures/drawn.svg"}
    assert "Mind the notice." in (tmp_path / "out" / PAGE).read_text(encoding="utf-8")


@pytest.mark.filterwarnings("error")
def test_a_confusion_matrix_has_room_for_long_names():
    names = ["normal", "hypertrophic cardiomyopathy with outflow obstruction", "dilated cardiomyopathy of any cause"]
    for classes in (names, [f"{name} {n}" for n in range(5) for name in names]):
        figure = confusion_figure(np.eye(len(classes), dtype=int), classes)
        FigureCanvasAgg(figure).draw()
        (axes,) = figure.axes
        for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            box = label.get_window_extent()
            assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
            assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
        assert axes.get_window_extent().height > 20 * len(classes)


def test_a_roc_legend_has_room_for_long_names():
    rates = np.array([0.0, 1.0])
    label = "densenet201_trained_on_two_centres: AUC 0.496 (0.299, 0.694), n = 84 + 65"
    figure = roc_figure([RocLine(label, rates, rates)] * 5)
    FigureCanvasAgg(figure).draw()
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert figure.bbox.y0 <= box.y0


def test_pages_speak_of_the_recipes_classes_and_of_no_disease_of_their_own():
    for template in (Path(reporting.__file__).parent / "templates").glob("*.html"):
        assert "dystrophinopath" not in template.read_text(encoding="utf-8").casefold(), template.name


def test_what_is_no_finite_number_is_null_and_the_schema_comes_first():
    told = json.loads(SUMMARY.to_json(), parse_constant=pytest.fail)
    assert list(told)[:3] == ["schema", "program", "notices"]
    assert told["schema"] == "trial/1"
    assert told["figures"]["AUC"] == {"value": 0.5, "ci95": [None, 1.0]}
    assert told["ratio"] is None
    assert in_words(0.5, told["figures"]["AUC"]["ci95"]) == "0.500"


def test_a_section_that_fails_leaves_nothing_behind_and_an_earlier_report_as_it_was(tmp_path):
    REPORT.write(tmp_path / "out", SUMMARY, "First", section, overwrite=False)

    def fails(folder):
        section(folder)
        raise InputError("no")

    with pytest.raises(InputError, match="earlier results"):
        REPORT.check(tmp_path / "out", overwrite=False)
    with pytest.raises(InputError, match="no"):
        REPORT.write(tmp_path / "out", SUMMARY, "Second", fails, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert "First" in (tmp_path / "out" / PAGE).read_text(encoding="utf-8")
