"""A page of the panel that scrolls while a bar below it stays in sight."""

import qt

from DystrophyDxWidgets.helpers import makeTimer


class ScrolledPage:
    """Slicer's module panel scrolls a module as a whole; a page of this kind fits into it, and scrolls by itself.

    content: what scrolls.
    bar: what stays in sight.

    Attributes:
        widget: the page.
    """

    def __init__(self, content, bar=None):
        self.widget = qt.QWidget()
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        self._content = content
        self._area = qt.QScrollArea()
        self._area.frameShape = qt.QFrame.NoFrame
        self._area.widgetResizable = True
        self._area.setWidget(content)
        for widget in (content, self._area.viewport()):
            widget.autoFillBackground = False  # one colour with the bar
        self._sought = None
        self._timer = makeTimer(0, self.onSought)
        self._widthTimer = makeTimer(0, self.fit)
        self._area.horizontalScrollBar().connect("rangeChanged(int,int)", self.onWider)
        layout.addWidget(self._area, 1)
        if bar is not None:
            layout.addWidget(bar)

    def fit(self):
        """Makes the page as wide as what is shown on it needs; to be called when that may have changed."""
        self._area.minimumWidth = (
            self._content.minimumSizeHint.width() + self._area.verticalScrollBar().sizeHint.width()
        )

    def onWider(self, first, last):
        """What is shown has become wider than the page, as the segment editor does with the options of an effect."""
        if last > first:
            self._widthTimer.start()

    def bringIntoView(self, widget):
        """Scrolls so that a widget of the page begins at the page's top, or as near to it as can be; as soon as the
        page has taken its new size."""
        self._sought = widget
        self._timer.start()

    def onSought(self):
        self._area.verticalScrollBar().value = self._sought.mapTo(self._content, qt.QPoint(0, 0)).y()

    def cleanup(self):
        self._timer.stop()
        self._widthTimer.stop()
