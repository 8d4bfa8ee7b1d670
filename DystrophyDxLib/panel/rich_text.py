"""An answer as the panel says it: small pieces of rich text, and the bar of the case's probability."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkIOImage import vtkPNGWriter

from ..models.decision import Binary, decision_of
from ..models.package import ModelCard
from ..reporting.case_report import (
    DEMONSTRATION_MODEL,
    RESEARCH_ONLY,
    WARNINGS,
    figures,
    finding,
    notices,
    reservations,
)
from ..reporting.muscle_heat import heat_line
from ..reporting.pattern_words import beside_network
from ..results import INDETERMINATE, CaseResult, ImageResult, MuscleTexture, StudyResult

if TYPE_CHECKING:
    from ..readerstudy.protocol import StudyModel
    from ..readerstudy.study import ModelAnswer

BAR = (360, 24)
"""Width and height of the bar in pixels of the screen."""

# Seen on a light and on a dark panel.
_TRACK, _FILLED, _INTERVAL = (176, 176, 176, 255), (66, 133, 212, 255), (20, 40, 80, 255)
_THRESHOLD, _HALO = (0, 0, 0, 255), (255, 255, 255, 255)
_FINE = 2  # pixels of the picture for one of the screen


def answer_html(result: StudyResult) -> str:
    """The case in words, why, what must stand beside every figure, and the differential where classes are ranked."""
    return (
        f"<b>{escape(finding(result))}</b><br>{escape(' '.join((result.case.reason, *reservations(result))))}<br>"
        f"<b>{escape(' '.join(notices(result)))}</b>" + _differential_html(result.case)
    )


def _differential_html(case: CaseResult) -> str:
    """All classes as ranked, with intervals; nothing for two classes."""
    if not case.differential:
        return ""
    rows = "".join(
        f"<tr><td>{rank}.&nbsp;</td><td>{escape(ranked.name)}&nbsp;</td><td>{ranked.probability:.2f}&nbsp;</td>"
        f"<td>{f'({ranked.ci95[0]:.2f} to {ranked.ci95[1]:.2f})' if case.has_interval else ''}</td></tr>"
        for rank, ranked in enumerate(case.differential, 1)
    )
    return f"<table>{rows}</table>"


def bar_html(result: StudyResult) -> str:
    """The case's probability as a bar; see `bar`."""
    return _bar_html(result.case, decision_of(result).marks)


def _bar_html(case: CaseResult, marks: Sequence[float]) -> str:
    """The probability from 0 to 1 as a bar, the 95 % interval as a bracket where there is one, and the
    `Decision.marks` as lines."""
    width, height = BAR
    picture = base64.b64encode(_png(bar(case, marks))).decode()
    return f'<img src="data:image/png;base64,{picture}" width="{width}" height="{height}">'


def bar(case: CaseResult, marks: Sequence[float]) -> np.ndarray:
    """Picture of the bar: (rows, columns, 4) uint8 RGBA, top row first."""
    columns, rows = (size * _FINE for size in BAR)
    picture = np.zeros((rows, columns, 4), np.uint8)
    picture[rows // 6 : -rows // 6] = _TRACK
    picture[rows // 6 : -rows // 6, : _column(case.probability, columns) + 1] = _FILLED
    if case.has_interval:
        low, high = (_column(value, columns) for value in case.ci95)
        middle = rows // 2
        picture[middle - _FINE : middle + _FINE, low : high + 1] = _INTERVAL
        for end in (low, high):
            picture[rows // 3 : -rows // 3, max(0, end - _FINE) : end + _FINE] = _INTERVAL
    for mark in marks:
        threshold = _column(mark, columns)
        picture[:, max(0, threshold - 2 * _FINE) : threshold + 2 * _FINE] = _HALO
        picture[:, max(0, threshold - _FINE) : threshold + _FINE] = _THRESHOLD
    return picture


def pattern_html(result: StudyResult) -> str:
    """The second answer, by the pattern of fat in the muscles, in two short lines, and how it stands to the network's;
    nothing where the muscles were not mapped."""
    pattern = result.pattern
    if pattern is None:
        return ""
    if pattern.case is None:
        return escape(f"Pattern of fat in the muscles: no answer. {pattern.why}")
    case = pattern.case
    told = f"{case.probability:.2f}, 95 % interval {case.ci95[0]:.2f} to {case.ci95[1]:.2f}. {beside_network(pattern)}"
    return f"<b>By the fat of the muscles: {escape(case.label)}</b><br>{escape(told)}"


def muscles_html(scores: Sequence[MuscleTexture]) -> str:
    """Texture score of each muscle."""
    rows = "".join(
        f"<tr><td>{escape(score.muscle)}&nbsp;</td><td>{score.score:.2f}&nbsp;</td>"
        f"<td>({score.under_heat} of {score.voxels} voxels)</td></tr>"
        for score in scores
    )
    return f"<table>{rows}</table>"


def cautions_html(result: StudyResult) -> str:
    """What each warning is, a line each, unless `answer_html` says so; `warnings_html` has the details."""
    meanings = dict.fromkeys(WARNINGS[warning.code][0] for warning in result.warnings)
    return "<br>".join(f"<b>{escape(meaning)}</b>" for meaning in meanings if meaning not in notices(result))


def warnings_html(result: StudyResult) -> str:
    """Each warning in plain words: what it is, unless `answer_html` says so, the details of this case, what to do."""
    items = []
    for warning in result.warnings:
        meaning, advice = WARNINGS[warning.code]
        heading = "" if meaning in notices(result) else f"<b>{escape(meaning)}</b> "
        details = "" if warning.message == meaning else f"{escape(warning.message)} "
        items.append(f"<p>{heading}{details}<i>{escape(advice)}</i></p>")
    return "".join(items)


def aided_html(answer: ModelAnswer, model: StudyModel, condition: str) -> str:
    """What the reader of a study sees of the model's answer in the aided arm.

    Args:
        condition: what every case is asked for; the answer is in its words, whatever the model calls its classes.
    """
    asked = (f"no {condition}", condition)
    decision = Binary(asked, model.threshold)
    label = answer.label if answer.label == INDETERMINATE else asked[answer.probability >= model.threshold]
    case = CaseResult(
        probability=answer.probability, ci95=answer.ci95, label=label, threshold=model.threshold, reason=""
    )
    warnings = "".join(f"<br>{escape(message)}" for message in answer.warnings)
    notice = f"{DEMONSTRATION_MODEL} {RESEARCH_ONLY}" if model.demonstration else RESEARCH_ONLY
    return (
        f"<p><b>Model: {escape(_uncapitalised(decision.finding(case)))}</b><br>{escape(decision.figures(case))}</p>"
        f"{_bar_html(case, decision.marks)}"
        f"<p>{escape(notice)}{warnings}</p>"
    )


def _uncapitalised(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def difference(result: StudyResult, before: StudyResult) -> str:
    """What a re-classification changed: the case, and the image that changed most."""
    lines = [f"Before: {finding(before)}, probability {before.case.probability:.2f}"]
    if finding(result) == finding(before):
        change = round(result.case.probability, 2) - round(before.case.probability, 2)  # of the figures as written
        lines[0] += f"; now the same with {result.case.probability:.2f} ({change:+.2f})."
    else:
        lines[0] += f"; now: {finding(result)}, {result.case.probability:.2f}."
    then, now = ({_place(image): image.probability for image in answer.images} for answer in (before, result))
    changed = {place: now[place] - then[place] for place in then.keys() & now.keys() if now[place] != then[place]}
    if changed and _told_class(result) == _told_class(before):
        place = max(sorted(changed), key=lambda place: abs(changed[place]))
        lines.append(
            f"{len(changed)} {'image' if len(changed) == 1 else 'images'} changed, most {_words(*place)}: "
            f"{then[place]:.2f} → {now[place]:.2f}."
        )
    for gone, words in ((then.keys() - now.keys(), "left out"), (now.keys() - then.keys(), "new")):
        if gone:
            lines.append(f"{len(gone)} {'image' if len(gone) == 1 else 'images'} {words}.")
    return " ".join(lines)


def _told_class(result: StudyResult) -> str:
    return decision_of(result).told_class(result.case)


def _place(image: ImageResult) -> tuple[int | None, str]:
    """What an image is of in any answer: a slice, or a volume whose slices may change, and the side."""
    return None if image.slices else image.slice, image.side


def _words(k: int | None, side: str) -> str:
    if k is None:
        return {"none": "the volume", "unknown": "the leg of unknown side"}.get(side, f"the {side} leg")
    return f"slice {k}" if side == "none" else f"slice {k} {side}"


def summary_in_two_lines(result: StudyResult, study: str) -> str:
    """For the clipboard: the study, the answer with its figures; the model, the warnings and what must stand beside."""
    meanings = [WARNINGS[warning.code][0] for warning in result.warnings]
    warnings = "; ".join(meaning.rstrip(".") for meaning in meanings) or "none"
    unsaid = " ".join(notice for notice in notices(result) if notice not in meanings)
    model = f"{result.model.name} {result.model.version}"
    why = " ".join(filter(None, (result.case.reason, *reservations(result), heat_line(result))))
    answer = f"{finding(result)}. {figures(result)}. {why}"
    return f"{study}: {answer}\nModel: {model}. Warnings: {warnings}. {unsaid}"


def card_html(card: ModelCard) -> str:
    """A model card."""
    rows = [
        ("Version", card.version),
        ("Classes", ", ".join(card.classes)),
        ("Trained on", card.trained_on),
        *([("Tried on", " ".join(card.tried_on))] if card.tried_on else []),
        ("Intended use", card.intended_use),
        ("Licence", card.licence),
    ]
    rows += [("Threshold", f"{mark:.2f}") for mark in card.decision.marks]
    rows += [
        (
            name[:1].upper() + name[1:].replace("_", " "),
            f"{metric.value:.3f} (95 % interval {metric.ci95[0]:.3f} to {metric.ci95[1]:.3f}), {metric.measured_on}",
        )
        for name, metric in card.metrics.items()
    ]
    lines = "".join(f"<tr><td><b>{escape(name)}</b>&nbsp;</td><td>{escape(text)}</td></tr>" for name, text in rows)
    return f"<h3>{escape(card.name)}</h3><table>{lines}</table>"


def _column(value: float, columns: int) -> int:
    return round(value * (columns - 1))


def _png(picture: np.ndarray) -> bytes:
    rows, columns, _ = picture.shape
    image = vtkImageData()
    image.SetDimensions(columns, rows, 1)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(picture[::-1]).reshape(-1, 4), deep=True))
    writer = vtkPNGWriter()
    writer.SetInputData(image)
    writer.WriteToMemoryOn()
    writer.Write()
    return vtk_to_numpy(writer.GetResult()).tobytes()
