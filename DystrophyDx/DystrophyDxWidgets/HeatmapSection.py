"""The section "Why": how the evidence is seen over the MRI."""

import qt
import slicer
from slicer.i18n import tr as _

from DystrophyDxWidgets.helpers import loadWidget, quiet

VIEWS_SETTING = "DystrophyDx/Views"


class HeatmapSection:
    """Opacity, threshold, legend, class and layout of the heatmap; all of it lies in nodes of the scene."""

    def __init__(self, context):
        self._context = context
        self.widget, self.ui = loadWidget("HeatmapSection")
        self.widget.setMRMLScene(slicer.mrmlScene)
        ui = self.ui
        ui.layoutSelector.addItems([_("Your own layout"), _("Heatmap over the MRI"), _("MRI beside the heatmap")])
        self._readingLayout = None
        ui.heatmapCheckBox.connect("toggled(bool)", self.onToggled)
        ui.legendCheckBox.connect("toggled(bool)", self.onLegendToggled)
        ui.opacitySlider.connect("valueChanged(double)", self.onOpacityChanged)
        ui.thresholdSlider.connect("valueChanged(double)", self.onThresholdChanged)
        ui.classSelector.connect("currentIndexChanged(int)", self.onClassChanged)
        ui.layoutSelector.connect("currentIndexChanged(int)", self.onLayoutChanged)
        context.changed.connect(self.onChanged)
        context.classified.connect(self.onClassified)
        context.enabling.connect(self.onEnabling)

    def onToggled(self, shown):
        if self._context.view is not None:
            self._context.view.overlay = shown
        self._context.enable()

    def onOpacityChanged(self, value):
        if self._context.view is not None:
            self._context.view.opacity = value

    def onThresholdChanged(self, value):
        if self._context.heatmap is not None:
            self._context.heatmap.threshold = value

    def onLegendToggled(self, shown):
        if self._context.heatmap is not None:
            self._context.heatmap.legend = shown
            self.placeLegend()

    def placeLegend(self):
        """The legend lies beside the legs that are seen."""
        if self._context.view is not None and self._context.view.classification is not None:
            from DystrophyDxLib.mrml.legs_in_view import place_legend

            place_legend(self._context.view.classification)

    def onClassChanged(self, index):
        if self._context.heatmap is not None and index >= 0:
            with self._context.reporting():
                self._context.view.shown_class = index
            self._showHeatmap()
            self._context.heatChanged()

    def onLayoutChanged(self, index):
        if self._context.load():
            self._reading().choose(self._context.view, self._layouts()[index], slicer.app.processEvents)
            self.showLayout()

    def onLayoutChangedElsewhere(self):
        """Slicer's own means may have arranged the views."""
        if self._context.view is not None:
            self._reading().follow(self._context.view)

    def onClassified(self):
        self._reading().after_classification(self._context.view, slicer.app.processEvents)

    def onEnter(self):
        if self._context.view is not None:
            self._reading().enter(self._context.view, slicer.app.processEvents)

    def onExit(self):
        """The reader's own layout comes back."""
        if self._context.view is not None:
            self._reading().leave(self._context.view)

    def _reading(self):
        """`ReadingLayout`; made late, as its library may lack packages."""
        if self._readingLayout is None:
            from DystrophyDxLib.panel.reading_layout import ReadingLayout

            self._readingLayout = ReadingLayout(
                lambda: qt.QSettings().value(VIEWS_SETTING), lambda text: qt.QSettings().setValue(VIEWS_SETTING, text)
            )
        return self._readingLayout

    def onChanged(self):
        self._showHeatmap()
        self.showLayout()

    def _showHeatmap(self):
        heatmap, view, ui = self._context.heatmap, self._context.view, self.ui
        if heatmap is None:
            return
        with quiet(ui.heatmapCheckBox, ui.legendCheckBox, ui.classSelector, ui.opacitySlider, ui.thresholdSlider):
            ui.opacitySlider.value = view.opacity
            ui.thresholdSlider.value = heatmap.threshold
            ui.heatmapCheckBox.checked = view.overlay
            ui.legendCheckBox.checked = heatmap.legend
            ui.classSelector.clear()
            ui.classSelector.addItems(list(view.classes))
            ui.classSelector.currentIndex = view.shown_class

    def showLayout(self):
        """How the views are arranged; Slicer's own means arrange them, too."""
        if self._context.view is not None:
            with quiet(self.ui.layoutSelector):
                self.ui.layoutSelector.currentIndex = self._layouts().index(self._context.view.layout)

    def _layouts(self):
        from DystrophyDxLib.mrml.classification_view import Layout

        return [None, Layout.OVERLAY, Layout.SIDE_BY_SIDE]

    def onEnabling(self, possible):
        ui = self.ui
        ui.heatmapCheckBox.enabled = possible.heatmap
        for widget in (ui.legendCheckBox, ui.opacitySlider, ui.thresholdSlider, ui.classSelector):
            widget.enabled = possible.adjust_heatmap
        ui.layoutSelector.enabled = possible.volume
