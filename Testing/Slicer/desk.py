"""The panel in the desktop of a real Slicer, as its user works at it: what the scripts beside this one share."""

import contextlib
import time

import slicer
import vtk


def settle(seconds=0.3):
    """Lets events and timers run."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        slicer.app.processEvents()


def until(condition, seconds=20):
    """Lets events and timers run until something has happened."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        slicer.app.processEvents()


class Desk:
    """The module, with an empty scene and the page Classification in front.

    Attributes:
        module: the module's widget object.
        page: its page Classification.
        reader: its page Reader study.
        ui: the widgets of the page Classification by their names, in whatever section they lie.
    """

    def __init__(self):
        slicer.mrmlScene.Clear()
        slicer.util.selectModule("DystrophyDx")
        self.module = slicer.util.getModuleWidget("DystrophyDx")
        self.module.pages.currentIndex = 0
        self.page, self.reader = self.module.classification, self.module.readerStudy
        self.ui = type("", (), {})()
        for part in (*self.page.sections, self.page.bar):
            vars(self.ui).update(vars(part.ui))
        self.ui.modelSelector.currentIndex = 0
        assert not self.ui.packagesLabel.text, self.ui.packagesLabel.text
        settle()

    @property
    def context(self):
        return self.page.context

    @property
    def classification(self):
        return self.page.context.classification

    @property
    def view(self):
        return self.page.context.view

    @property
    def editor(self):
        """Slicer's segment editor; None before a region was edited."""
        return self.page.region.editor.widget

    def classify(self):
        """Loads the sample study and classifies it; returns its classification."""
        self.ui.sampleButton.click()
        self.ui.classifyButton.click()
        settle()
        assert self.context.result is not None, self.ui.messageLabel.text
        return self.classification

    @contextlib.contextmanager
    def during(self, act):
        """Lets `act` happen amid a classification, each time that some images are done."""
        onProgress = self.page.bar.onProgress

        def progress(done, total):
            if done:
                act()
            onProgress(done, total)

        self.page.bar.onProgress = progress
        try:
            yield
        finally:
            del self.page.bar.onProgress

    def exclude(self):
        """Takes both legs of the slice that is shown out of the region; returns the slice."""
        k = self.view.slice
        self.ui.excludeButton.click()
        self.told_as_edited(k)
        return k

    def told_as_edited(self, k):
        """Waits until one slice is told as edited, and no other."""
        until(lambda: self.ui.pendingLabel.text.startswith(f"Edited since the result: slice {k}."))

    def column(self, number):
        """Texts of a column of the table of images."""
        table = self.ui.imagesTable
        return [table.item(row, number).text() for row in range(table.rowCount)]

    def select(self, k):
        """Selects the first image of a slice in the table."""
        self.ui.imagesTable.selectRow(self.column(0).index(str(k)))

    def click_point(self, number, plot=0):
        """Clicks a point of the chart; returns the side whose probabilities the plot is of."""
        chart = self.page.result.chart.view.chart()
        plot = chart.GetPlot(plot)
        selection = plot.GetSelection() or vtk.vtkIdTypeArray()
        selection.InsertNextValue(number)
        plot.SetSelection(selection)
        chart.InvokeEvent("SelectionChangedEvent")
        settle()
        return {"Left leg": "left", "Right leg": "right"}[plot.GetLabel()]


def composite(name="Red"):
    """Volumes of a slice view."""
    return slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode()


def names():
    """Names of all nodes of the scene."""
    return [node.GetName() or "" for node in slicer.util.getNodesByClass("vtkMRMLNode")]
