"""The chart of the muscles of both legs, as in the report, in the colours of the panel."""

import qt
import slicer

from DystrophyDxWidgets.helpers import say

WIDTH = 440
"""Of the picture in the panel, which can be as narrow as that."""
KEY = 22
"""Height of a line of words below the legs."""


class LegPicture:
    """Paints a `LegChart` on a label, and writes below it what is seen.

    Attributes:
        chart: that is shown; None for none.
    """

    def __init__(self, label, caption):
        self._label, self._caption = label, caption
        self.chart = None
        slicer.app.connect("paletteChanged(QPalette)", self.onPaletteChanged)

    def show(self, chart):
        """chart: None for none, which takes no place."""
        self.chart = chart
        self._label.visible = chart is not None
        say(self._caption, chart.caption if chart is not None else "")
        if chart is not None:
            self._label.setPixmap(painted(chart))

    def onPaletteChanged(self, palette=None):
        self.show(self.chart)

    def cleanup(self):
        slicer.app.disconnect("paletteChanged(QPalette)", self.onPaletteChanged)


def painted(chart):
    """A picture (QPixmap) of a chart, transparent around the legs."""
    from DystrophyDxLib.reporting.muscle_fat import GRADES, INKS, SHADES

    palette, scale = slicer.app.palette(), WIDTH / chart.width
    ink, paper = palette.color(qt.QPalette.Text), palette.color(qt.QPalette.Base)
    bottom = round(scale * chart.height)
    picture = qt.QPixmap(WIDTH, bottom + 3 * KEY)
    picture.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter()
    painter.begin(picture)
    painter.setRenderHint(qt.QPainter.Antialiasing)

    font = painter.font()
    metrics = qt.QFontMetrics(font)

    def shape(outline, fill, border):
        painter.setPen(qt.QPen(qt.QColor(border)))
        painter.setBrush(qt.QBrush(qt.QColor(fill)))
        painter.drawPath(_path(outline, scale))

    def write(words, left, top, colour, around=None):
        """around: colour in which the words stand where a muscle is too thin for them."""
        path = qt.QPainterPath()
        path.addText(left, top + (KEY + metrics.ascent() - metrics.descent()) / 2, font, words)
        if around is not None:
            painter.strokePath(path, qt.QPen(qt.QBrush(qt.QColor(around)), 3))
        painter.fillPath(path, qt.QBrush(qt.QColor(colour)))

    def write_at(words, x, y, *colours):
        write(words, x - metrics.horizontalAdvance(words) / 2, y - KEY / 2, *colours)

    for leg in chart.legs:
        shape(leg.outline, paper, "#8b949e")
        write_at(leg.letter, scale * leg.x, bottom + KEY / 2, ink)
    for muscle in chart.shapes:
        shape(muscle.outline, SHADES[muscle.grade], "#1b1f24")
    for muscle in chart.shapes:
        x, y = (scale * place for place in muscle.outline.at)
        write_at(muscle.name, x, y, INKS[muscle.grade], SHADES[muscle.grade])
    for n, (grade, words) in enumerate(GRADES.items()):
        left, top = n % 3 * WIDTH / 3 + 2, bottom + (1 + n // 3) * KEY
        painter.fillRect(round(left), round(top) + 4, 14, 14, qt.QColor(SHADES[grade]))
        write(words, left + 20, top, ink)
    painter.end()
    return picture


def _path(outline, scale):
    """As Qt draws it: holes stay open."""
    path = qt.QPainterPath()
    path.setFillRule(qt.Qt.OddEvenFill)
    for loop in outline.loops:
        (x, y), *others = (scale * loop).tolist()
        path.moveTo(x, y)
        for x, y in others:
            path.lineTo(x, y)
        path.closeSubpath()
    return path
