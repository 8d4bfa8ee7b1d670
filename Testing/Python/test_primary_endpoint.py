"""What a reader study is to tell: chosen before the first read, told first, and in the words of the study."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from pydantic import ValidationError
from reader_studies import make_protocol
from simulated_reads import simulated_reads

from DystrophyDxLib.readerstudy.analysis.analyse import analyse
from DystrophyDxLib.readerstudy.analysis.comparison_tables import analyse_arms, arms_table
from DystrophyDxLib.readerstudy.analysis.figures import curves_figure
from DystrophyDxLib.readerstudy.analysis.first_answers import FirstAnswers
from DystrophyDxLib.readerstudy.analysis.pictures import curves_of
from DystrophyDxLib.readerstudy.endpoint import PrimaryEndpoint, default_comparison
from DystrophyDxLib.readerstudy.protocol import Protocol
from DystrophyDxLib.readerstudy.protocol_page import write_protocol_page
from DystrophyDxLib.readerstudy.reads import UNAIDED, Reads

SEQUENTIAL = {"arms": ["sequential"], "design": "fully-crossed", "washout_days": 0}
AUC_OF_ARMS = {"figure": "AUC", "compares": "aided minus unaided", "holds_for": "readers and cases"}


def declared(reads: Reads, asked: str = "PD", **primary: str) -> Reads:
    study = pd.DataFrame([{"asked": asked, **primary, "declared": "2026-01-31"}])
    return Reads(**{**vars(reads), "study": study})


@pytest.fixture(scope="module")
def reads() -> Reads:
    return simulated_reads(1, readers=4, cases=60)


@pytest.mark.parametrize(
    ("arms", "compares"),
    [
        (["unaided", "aided"], "aided minus unaided"),
        (["unaided"], "unaided minus model"),
        (["aided"], "aided minus model"),
    ],
)
def test_a_study_compares_its_arms_or_else_its_readers_with_the_model(arms, compares):
    protocol = make_protocol(arms=arms, design="fully-crossed")
    assert default_comparison(protocol.arms_of_answers) == compares
    assert default_comparison(make_protocol(**SEQUENTIAL).arms_of_answers) == "aided minus unaided"


def test_an_endpoint_of_an_arm_that_nobody_reads_is_refused():
    with pytest.raises(ValidationError, match="compares an arm that is not read"):
        make_protocol(arms=["unaided"], design="fully-crossed", primary=AUC_OF_ARMS)


def test_the_endpoint_is_in_the_protocol_and_its_page_and_cannot_be_changed(tmp_path):
    protocol = make_protocol(primary=AUC_OF_ARMS, asked="PD")
    protocol.write(tmp_path / "protocol.json")
    assert Protocol.read(tmp_path / "protocol.json") == protocol
    other = make_protocol(primary=AUC_OF_ARMS | {"figure": "accuracy"}, asked="PD")
    assert other.digest != protocol.digest
    write_protocol_page(protocol, tmp_path / "protocol.html")
    page = " ".join((tmp_path / "protocol.html").read_text(encoding="utf-8").split())
    assert "AUC, mean of the readers, aided minus unaided, for other readers and cases." in page
    assert "Is it PD? Yes or no." in page
    assert "dystrophinopathy" not in page.replace("DystrophyDx", "")


def test_a_protocol_of_an_earlier_version_is_still_what_it_was(tmp_path):
    """One that tells neither the condition nor an endpoint has the digest that it had."""
    protocol = make_protocol()
    assert protocol.digest == "bc312bfe25d66934ae435a544205c4de9599549d45934db229a4b6a692245599"
    protocol.write(tmp_path / "protocol.json")
    assert not {"asked", "primary"} & set(json.loads((tmp_path / "protocol.json").read_text())["protocol"])
    assert protocol.condition == "dystrophinopathy"


def test_the_tables_of_a_study_hold_what_its_protocol_declared(tmp_path, reads):
    declared(reads, **AUC_OF_ARMS).write(tmp_path)
    again = Reads.read(tmp_path)
    assert again.primary == PrimaryEndpoint.model_validate(AUC_OF_ARMS)
    assert (again.asked, again.declared) == ("PD", "2026-01-31")


def test_the_primary_result_is_told_first_and_all_others_are_secondary(reads, tmp_path):
    summary = analyse(declared(reads, **AUC_OF_ARMS), tmp_path / "out", overwrite=False)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert re.findall("<h2>(.*?)</h2>", page)[:2] == ["Primary result", "In brief"]
    assert "Declared in the protocol on 2026-01-31, before anybody read: AUC, mean of the readers" in page
    arms = pd.read_csv(tmp_path / "out" / "tables" / "mrmc_arms.csv")
    assert list(arms["Endpoint"]) == ["primary", *["secondary"] * (len(arms) - 1)]
    first = arms.iloc[0]
    assert (first["Figure"], first["Covariances"], first["Holds for other"]) == (
        "AUC",
        "jackknife",
        "readers and cases",
    )
    assert summary.primary.difference.value == pytest.approx(first["Difference, aided minus unaided"])
    assert summary.primary.p == pytest.approx(first["p"])
    assert f"aided minus unaided {first['Difference, aided minus unaided']:.3f} (" in summary.primary.told
    assert summary.primary.line in list(summary.lines())
    assert "dystrophinopathy" not in page
    assert "(30 PD, 30 other)" in page


def test_a_difference_from_the_model_can_be_the_endpoint(reads, tmp_path):
    endpoint = AUC_OF_ARMS | {"compares": "unaided minus model", "holds_for": "cases"}
    summary = analyse(declared(reads, **endpoint), tmp_path / "out", overwrite=False)
    row = pd.read_csv(tmp_path / "out" / "tables" / "mrmc_model.csv").iloc[0]
    assert (row["Endpoint"], row["Arm"], row["Holds for other"]) == ("primary", "unaided", "cases")
    assert summary.primary.difference.value == pytest.approx(row["Value, readers"] - row["Value, model"])


def test_without_an_endpoint_every_result_is_exploratory(reads, tmp_path):
    summary = analyse(reads, tmp_path / "out", overwrite=False)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert summary.primary is None
    assert "No primary endpoint was declared in a protocol before reading" in page
    assert set(pd.read_csv(tmp_path / "out" / "tables" / "mrmc_arms.csv")["Endpoint"]) == {"exploratory"}


def test_an_endpoint_that_cannot_be_told_is_said_so(tmp_path):
    alone = declared(simulated_reads(3, readers=1, cases=20), **AUC_OF_ARMS)
    summary = analyse(alone, tmp_path / "out", overwrite=False)
    assert summary.primary.difference.value is None
    assert "cannot be told: fewer than two readers" in summary.primary.told


def test_a_smaller_p_for_more_is_explained_where_it_happens_alone():
    told = {True: 0, False: 0}
    for seed in range(8):
        answers = FirstAnswers.of(simulated_reads(seed, readers=3, cases=40, aid=0.3, grades=False))
        analyses = analyse_arms(answers)
        smaller = any(found.tests[0].p < found.tests[1].p for found in analyses)
        assert ("p is smaller for other readers and cases" in arms_table(analyses, None).note) == smaller
        told[smaller] += 1
    assert all(told.values())


def test_every_reader_is_in_the_legend_of_the_curves():
    figure = curves_figure(curves_of(FirstAnswers.of(simulated_reads(1, readers=12, cases=40, grades=False))))
    FigureCanvasAgg(figure).draw()
    for axes in figure.axes[2:]:
        assert len(axes.get_legend().get_texts()) == 12
        box = axes.get_legend().get_window_extent()
        assert figure.bbox.y0 <= box.y0
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1


def test_a_reader_has_one_colour_in_every_arm(reads):
    table = reads.reads[(reads.reads["reader"] != "R1") | (reads.reads["arm"] != UNAIDED)]
    answers = FirstAnswers.of(Reads(**{**vars(reads), "reads": table, "mercuri": None}))
    figure = curves_figure(curves_of(answers))
    colours = [
        {line.get_label()[:2]: line.get_color() for line in axes.lines if line.get_label().startswith("R")}
        for axes in figure.axes[:2]
    ]
    assert [sorted(arm) for arm in colours] == [["R2", "R3", "R4"], ["R1", "R2", "R3", "R4"]]
    assert colours[0].items() <= colours[1].items()
    assert len(np.unique(list(colours[1].values()))) == 4
