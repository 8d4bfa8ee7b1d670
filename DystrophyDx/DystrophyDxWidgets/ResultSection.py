"""The section "Answer": the answer, its images and their probabilities along the thigh."""

import qt
from slicer.i18n import tr as _

from DystrophyDxWidgets.Chart import Chart
from DystrophyDxWidgets.helpers import loadWidget, quiet, say


class ResultSection:
    """Says the answer in words, and leads from an image in table or chart to the views."""

    def __init__(self, context):
        self._context = context
        self.widget, self.ui = loadWidget("ResultSection")
        self.chart = Chart(self.ui.chartFrame, self.onPointSelected)
        self.ui.previousButton.connect("clicked()", self.onPreviousImage)
        self.ui.nextButton.connect("clicked()", self.onNextImage)
        self.ui.showButton.connect("clicked()", self.onShow)
        self.ui.imagesTable.connect("itemSelectionChanged()", self.onRowSelected)
        context.changed.connect(self.onChanged)
        context.viewsChanged.connect(self.onViewsChanged)
        context.enabling.connect(self.onEnabling)

    def onRowSelected(self):
        items = self.ui.imagesTable.selectedItems()
        if items and self._context.result is not None:
            self._context.view.go_to(self._context.classification.images[self._imageOfRow(items[0].row())])

    def onNextImage(self):
        if self._context.result is not None:
            self.select(self._context.view.next_image())

    def onPreviousImage(self):
        if self._context.result is not None:
            self.select(self._context.view.previous_image())

    def onPointSelected(self, point):
        """A point of the chart was clicked, which is a row of the scene's table."""
        if self._context.result is not None:
            self.select(self._context.classification.images[point])

    def select(self, image):
        """Selects the row of an image, which shows it; nothing for None."""
        if image is None:
            return
        self.ui.imagesTable.selectRow(self._rowOf(image))

    def onShow(self):
        """Brings the study of the answer back into the views."""
        with self._context.reporting():
            self._context.view.show(self._context.classification)
        self._context.changed()

    def _rowOf(self, image):
        number = self._context.classification.images.index(image)
        return next(row for row in range(self.ui.imagesTable.rowCount) if self._imageOfRow(row) == number)

    def _imageOfRow(self, row):
        return self.ui.imagesTable.item(row, 0).data(qt.Qt.UserRole)

    def onSceneClosing(self):
        self.chart.close()

    def cleanup(self):
        self.chart.cleanup()

    def onChanged(self):
        classification = self._context.classification
        self._showAnswer(classification)
        self._showImages(classification)
        self.chart.show(classification.chart if classification is not None else None)
        self.onViewsChanged()

    def onViewsChanged(self):
        """The answer names its study and says where the views show another one; the table goes with the views."""
        ui, classification = self.ui, self._context.classification
        ui.elsewhereFrame.visible = False
        say(ui.studyLabel, "")
        if classification is None:
            return
        from DystrophyDxLib.mrml.layers import shown_instead
        from DystrophyDxLib.panel.study_name import study_name

        study, other = study_name(classification.volume), shown_instead(classification)
        say(ui.studyLabel, study)
        if other is not None:
            ui.elsewhereFrame.visible = True
            words = _("The views show {other}, which is another study than that of this answer.")
            ui.elsewhereLabel.text = words.format(other=study_name(other))
            ui.showButton.text = _("Show {study}").format(study=study)
        elif self._context.view.slice is not None and ui.imagesTable.rowCount:
            self._showRow(self._context.view.image)

    def _showRow(self, image):
        table = self.ui.imagesTable
        with quiet(table):  # the views are there already
            if image is None:
                table.clearSelection()
            elif self._rowOf(image) != table.currentRow() or not table.selectedItems():
                table.selectRow(self._rowOf(image))

    def _showAnswer(self, classification):
        ui, result = self.ui, self._context.result
        labels = (
            ui.answerLabel,
            ui.barLabel,
            ui.figuresLabel,
            ui.patternLabel,
            ui.cautionsLabel,
            ui.differenceLabel,
            ui.warningsLabel,
        )
        for section in (ui.warningsSection, ui.imagesSection):
            section.visible = result is not None
        if result is None:
            for label, text in zip(labels, (_("Not classified yet."), *6 * ("",)), strict=True):
                say(label, text)
            return
        from DystrophyDxLib.panel import rich_text

        before = classification.result_before
        texts = (
            rich_text.answer_html(result),
            rich_text.bar_html(result),
            rich_text.figures(result),
            rich_text.pattern_html(result),
            rich_text.cautions_html(result),
            rich_text.difference(result, before) if before is not None else "",
            rich_text.warnings_html(result),
        )
        for label, text in zip(labels, texts, strict=True):
            say(label, text)
        ui.warningsSection.visible = bool(result.warnings)

    def _showImages(self, classification):
        """Fills the table from the scene's table node, empty where that was deleted. Slicer's own view of such a node
        makes texts of all values, so that slice 10 would come before slice 2 and a probability would have all its
        digits."""
        node = classification.images_table if classification is not None and self._context.result is not None else None
        table = self.ui.imagesTable
        with quiet(table):
            table.setSortingEnabled(False)
            table.setRowCount(node.GetTable().GetNumberOfRows() if node is not None else 0)
            for column in range(table.columnCount if node is not None else 0):
                values = node.GetTable().GetColumn(column)
                for row in range(table.rowCount):
                    value = values.GetValue(row)
                    item = qt.QTableWidgetItem()
                    item.setData(qt.Qt.DisplayRole, f"{value:.3f}" if isinstance(value, float) else value)
                    item.setData(qt.Qt.UserRole, row)
                    table.setItem(row, column, item)
            table.setSortingEnabled(True)
            table.resizeColumnsToContents()

    def onEnabling(self, possible):
        for widget in (self.ui.imagesTable, self.ui.previousButton, self.ui.nextButton):
            widget.enabled = possible.use_result
