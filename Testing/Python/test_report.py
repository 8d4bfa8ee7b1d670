import base64
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from mrml_cases import image, result
from PIL import Image
from pydantic import ValidationError

from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.panel.rich_text import answer_html, summary_in_two_lines
from DystrophyDxLib.reporting.case_report import (
    DEMONSTRATION_MODEL,
    INTERVAL,
    RESEARCH_ONLY,
    WARNINGS,
    extent,
    finding,
    notices,
    summary,
    write_report,
)
from DystrophyDxLib.results import CaseResult, RankedClass, ResultWarning, SkippedImage, WarningCode

CARD = {
    "name": "demo",
    "trained_on": "2000 synthetic thighs",
    "intended_use": "demonstration",
    "licence": "Apache-2.0",
    "training_cohort": {"cases": 2000, "classes": {"dystrophinopathy": 600, "other": 1400}},
    "metrics": {"case_auc": {"value": 0.971, "ci95": [0.95, 0.985], "measured_on": "200 synthetic thighs"}},
    "temperature": 1.3,
}


class Page(HTMLParser):
    """Tags with attributes, and the text of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self._text = [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.text = " ".join(" ".join(self._text).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self._text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def page(tmp_path):
    picture = tmp_path / "overview.png"
    Image.fromarray(np.arange(3 * 8 * 8, dtype=np.uint8).reshape(8, 8, 3)).save(picture)

    def write(study, card=CARD):
        write_report(tmp_path / "report.html", study, card, picture)
        return Page(tmp_path / "report.html")

    write.picture = picture
    return write


def case(label, probability, ci95):
    return CaseResult(probability=probability, ci95=ci95, label=label, threshold=0.5, reason="Why it is so.")


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("dystrophinopathy", "Images suggest dystrophinopathy"),
        ("other", "Images do not suggest dystrophinopathy"),
        ("indeterminate", "Indeterminate"),
    ],
)
def test_the_case_is_said_in_words_with_its_figures_and_reason(page, label, words):
    study = result(case=case(label, 0.62, (0.41, 0.83)))
    assert finding(study) == words
    text = page(study).text
    assert words in text
    assert "Why it is so." in text
    assert "Probability of dystrophinopathy: 0.62 , 95 % interval 0.41 to 0.83; threshold 0.50." in text


def test_a_case_without_an_interval_is_said_to_have_none(page):
    study = result(case=case("other", 0.2, (0.0, 1.0)))
    told = page(study)
    assert "Probability of dystrophinopathy: 0.20 , no 95 % interval; threshold 0.50." in told.text
    assert "over the slices" not in told.text
    assert "Probability 0.20, no 95 % interval, threshold 0.50" in summary(study)


def test_a_case_of_many_classes_is_told_as_ranked(page):
    ranked = tuple(
        RankedClass(name=name, probability=probability, ci95=(probability / 2, probability))
        for name, probability in (("FSHMD", 0.6), ("DMD", 0.3), ("CMD", 0.1))
    )
    facts = {"probability": 0.6, "ci95": (0.3, 0.6), "label": "FSHMD", "reason": "It leads.", "differential": ranked}
    model = result().model.model_copy(update={"classes": ("CMD", "DMD", "FSHMD")})
    study = result([image(2, "left", 0.7)], case=CaseResult(**facts), model=model)
    text = page(study).text
    assert "Images most like FSHMD" in text
    assert "Probability of FSHMD: 0.60 , 95 % interval 0.30 to 0.60." in text
    assert "1 FSHMD 0.60 0.30 to 0.60 2 DMD 0.30 0.15 to 0.30 3 CMD 0.10 0.05 to 0.10" in text
    assert "threshold 0" not in text
    assert "Dashed" not in text
    assert "Ranked: FSHMD 0.60, DMD 0.30, CMD 0.10; 95 % interval of the first 0.30 to 0.60. It leads." in summary(
        study
    )
    with pytest.raises(ValidationError, match="a differential"):
        CaseResult(**facts | {"differential": ()})


@pytest.mark.parametrize("recipe", ["germain2021", "mattia2025", "cai2019"])
def test_a_report_speaks_of_the_classes_of_its_recipe(page, recipe):
    classes = Recipe.named(recipe).classes
    ranked = tuple(RankedClass(name=name, probability=1 / len(classes), ci95=(0.0, 1.0)) for name in classes)
    facts = {"probability": 1 / len(classes), "ci95": (0.0, 1.0), "label": classes[0], "reason": "It leads."}
    told = CaseResult(**facts, **({"differential": ranked} if len(classes) > 2 else {"threshold": 0.5}))
    study = result([image(2, "none", 0.7)], case=told, model=result().model.model_copy(update={"classes": classes}))
    text = page(study, card={}).text.casefold()
    assert all(name.casefold() in text for name in classes)
    assert "dystrophinopath" not in text


def test_research_only_is_always_said_and_a_demonstration_model_where_it_is_one(page):
    assert notices(result()) == [DEMONSTRATION_MODEL, RESEARCH_ONLY]
    assert notices(result(warnings=())) == [RESEARCH_ONLY]
    assert f"{DEMONSTRATION_MODEL} {RESEARCH_ONLY}" in page(result()).text
    text = page(result(warnings=())).text
    assert RESEARCH_ONLY in text
    assert "Demonstration" not in text


def test_every_warning_says_what_it_means_and_what_to_do(page):
    assert set(WARNINGS) == set(WarningCode)
    study = result(warnings=tuple(ResultWarning(code=code, message=f"About {code.value}.") for code in WarningCode))
    text = page(study).text
    for code, (meaning, action) in WARNINGS.items():
        assert f"{meaning} About {code.value}. What to do: {action}" in text


def test_the_page_is_self_contained(page):
    written = page(result([image(2, "left", 0.3)]))
    assert not written.all("script")
    assert not written.all("link")
    (picture,) = written.all("img")
    assert picture["src"] == "data:image/png;base64," + base64.b64encode(page.picture.read_bytes()).decode()
    assert not re.search(r"https?:|url\(|@import", written.source)


def test_hostile_text_stays_text(page):
    bad = """</td><script>alert(1)</script><img src=x onerror="alert(1)">'"""
    study = result(
        skipped=(SkippedImage(slice=1, side="left", reason=bad),),
        warnings=(ResultWarning(code="LEGS_TOUCHING", message=bad),),
        model=result().model.model_copy(update={"name": bad, "classes": (bad, bad + "2")}),
        input=result().input.model_copy(update={"notes": (bad,), "selection": bad, "acquisition": {bad: bad}}),
    )
    card = {"licence": bad, "training_cohort": {bad: [bad]}, "metrics": {bad: CARD["metrics"]["case_auc"]}, bad: bad}
    written = page(study, card)
    assert not written.all("script")
    assert len(written.all("img")) == 1
    assert not [name for _, attrs in written.tags for name in attrs if name.startswith("on")]
    assert written.text.count("alert(1)") >= 14


def test_the_chart_places_each_image_by_slice_side_and_probability(page):
    images = [
        image(0, "left", 0.0),
        image(3, "left", 0.5),
        image(6, "left", 1.0),
        image(6, "right", 0.25, counted=False),
    ]
    written = page(result(images))
    circles = [(float(c["cx"]), float(c["cy"]), c["class"]) for c in written.all("circle")]
    (x0, y0, _), (x3, y3, _), (x6, y6, _), _key = circles
    assert (y0 + y6) / 2 == pytest.approx(y3)
    assert (x0 + x6) / 2 == pytest.approx(x3)
    assert y6 < y3 < y0
    assert x0 < x3 < x6
    right = next(rect for rect in written.all("rect") if rect.get("class") == "uncounted")
    assert float(right["x"]) + 3.5 == pytest.approx(x6)
    assert float(right["y"]) + 3.5 == pytest.approx(y0 + (y6 - y0) / 4)
    lines = written.all("polyline")
    assert len(lines) == 2
    threshold = [line for line in written.all("line") if line.get("class") == "threshold"][-1]
    assert float(threshold["y1"]) == pytest.approx(y3)


def test_volumes_have_one_probability_each_and_no_chart_of_slices(page):
    legs = [
        image(15, side, probability).model_copy(update={"slices": (3, 28)})
        for side, probability in (("right", 0.25), ("left", 0.75))
    ]
    written = page(result(legs, case=case("other", 0.5, (0.0, 1.0))))
    assert not written.all("polyline")
    assert "Right leg, slices 3 to 27 0.25" in written.text
    assert "Left leg, slices 3 to 27 0.75" in written.text


@pytest.mark.parametrize("slices", [1, 2, 31, 2000])
def test_slice_axis_has_few_round_ticks(page, slices):
    study = result([image(0, "unknown", 0.5)], input=result().input.model_copy(update={"slices": slices}))
    written = page(study)
    chart = written.source.split("along the thigh")[1]
    ticks = [int(text) for text in re.findall(r'text-anchor="middle">(\d+)</text>', chart)]
    assert re.findall(r'text-anchor="end">([\d.]+)</text>', chart) == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert ticks[0] == 0
    assert len(ticks) <= 12
    assert all(tick < max(slices, 2) for tick in ticks)


def test_images_skipped_slices_model_and_acquisition_are_listed(page):
    text = page(result([image(4, "right", 0.25)])).text
    assert "4 right 0.25 10 to 29, 8 to 39 automatic thigh yes" in text
    assert "0 whole slice no leg found" in text
    assert "Field strength 3 T" in text
    assert "Body part" not in text
    assert "case auc 0.971 0.950 to 0.985 200 synthetic thighs" in text
    assert "dystrophinopathy: 600; other: 1400" in text


def test_a_study_without_images_and_a_bare_card_are_reported_too(page):
    text = page(result(), {}).text
    assert "No image could be classified." in text
    assert "Measured performance" not in text


def test_reporting_needs_neither_slicer_nor_torch():
    code = "import sys, DystrophyDxLib.reporting.case_report; "
    code += "print([m for m in ('slicer', 'torch', 'vtkmodules') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_tells_between_which_probabilities_there_is_no_label(page):
    study = result()
    told = page(study.model_copy(update={"case": study.case.model_copy(update={"no_label": (0.35, 0.62)})})).text
    assert "no label from 0.35 to 0.62, where validation shows" in told


def test_one_line_tells_which_legs_and_slices_count():
    shown = [image(0, "left", 0.2), image(1, "left", 0.3), image(1, "right", 0.9, counted=False)]
    assert extent(result(images=shown)).startswith("Images that count: 2 of 3 (left 2); slices: ")
    mirrored = result(images=shown, warnings=(ResultWarning(code="SIDE_MIRRORED", message="Exchanged."),))
    assert "2 of 3 (left 2; by their muscles the other way round); slices: " in extent(mirrored)


def test_a_report_of_a_heart_speaks_of_no_legs(page):
    heart = result([image(k, "none", 0.3).model_copy(update={"anatomy": "not judged"}) for k in range(3)])
    assert extent(heart).startswith("Images that count: 3 of 3; slices: 7, slices without an image: 1")
    bare = page(heart, {})
    assert not re.search(r"thigh|\bleg", bare.text.replace("no leg found", ""), re.IGNORECASE)
    assert not any(re.search("thigh|legs", attrs.get("alt", "")) for attrs in bare.all("img"))
    assert "classification of an MRI" in bare.text
    assert "Probability by slice" in bare.text
    assert "classification of a thigh MRI" in page(result([image(0, "left", 0.3)])).text


@pytest.mark.parametrize(
    ("first", "told"),
    [("inferior", "from 0 at the knee to 6 at the hip"), ("superior", "from 0 at the hip to 6 at the knee")],
)
def test_slices_are_told_with_the_end_of_the_thigh_at_which_they_begin(page, first, told):
    given = result().input.model_copy(update={"first_slice": first})
    study = result([image(2, "left", 0.7)], input=given)
    assert f"Slices are numbered {told}." in extent(study)
    written = page(study)
    assert written.text.count(f"Slices are numbered {told}.") == 2, "at the pictures and at the table of images"
    ends = told.removeprefix("from 0 at the ").split(" to 6 at the ")
    assert f"slice: 0 at the {ends[0]}, 6 at the {ends[1]}" in written.text
    shin = image(2, "left", 0.7).model_copy(update={"anatomy": "other"})
    assert "knee" not in extent(result([shin], input=given)), "the lower end of a calf is no knee"


def test_nothing_is_said_of_ends_that_geometry_does_not_tell(page):
    study = result([image(2, "left", 0.7)])
    assert study.ends is None
    assert "numbered" not in page(study).text + extent(study)


def test_the_name_of_the_study_heads_everything_that_is_said(page):
    study = result(input=result().input.model_copy(update={"label": "Case 7 <b>"}))
    assert summary(study).startswith("Case 7 <b>: Images do not suggest")
    written = page(study)
    assert "Case 7 <b>: Images do not suggest dystrophinopathy" in written.text
    assert "Name Case 7 <b>" in written.text


def test_what_no_header_told_stands_beside_the_probability_wherever_that_is_told(page):
    note = "Judged by grey."
    study = result(input=result().input.model_copy(update={"contrast_note": note}))
    caption = page(study).text.partition("Black bar: probability")[2][:250]
    copied = summary_in_two_lines(study, "Thighs")
    assert [text.count(note) for text in (caption, summary(study), answer_html(study), copied)] == [1, 1, 1, 1]
    assert INTERVAL in copied


@pytest.mark.parametrize(
    ("no_label", "told"),
    [
        ((0.0, 1.0), "threshold 0.50; no label at any probability, where validation shows"),
        ((0.496, 0.503), "threshold 0.500; no label from 0.496 to 0.503, where validation shows"),
    ],
)
def test_threshold_and_probabilities_without_a_label_can_be_told_apart(page, no_label, told):
    study = result()
    assert told in page(study.model_copy(update={"case": study.case.model_copy(update={"no_label": no_label})})).text
