"""A small stand-in of Slicer's desktop over PySide6: enough to run the panel without Slicer and to take its picture.

MRML below it is real. Above it only exists what exists in Slicer: a class, property, signal or method that neither Qt
nor the facts in `slicer_facts` know is refused with an AttributeError or ValueError, as are those that Slicer knows
and this stand-in does not need yet. As in PythonQt, Qt properties are attributes and signals are connected by their
C++ signature.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import types
import typing
import unittest
import xml.etree.ElementTree as ElementTree
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import slicer
import slicer_facts

if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    os.environ.setdefault("EGL_LOG_LEVEL", "fatal")

import slicer.util
import vtkmodules.all as vtk
from packaging.requirements import Requirement
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets
from shiboken6 import Shiboken
from vtkmodules.util.numpy_support import vtk_to_numpy

_QT_MODULES = (QtCore, QtGui, QtWidgets, QtUiTools)


# ---------------------------------------------------------------------------------------------------------- PythonQt


class Wrapped:
    """A Qt object as PythonQt shows it."""

    def __init__(self, instance: object) -> None:
        object.__setattr__(self, "_qt", instance)

    def __getattr__(self, name: str) -> object:
        instance = self._qt
        if name == "name" and isinstance(instance, QtCore.QObject):
            return instance.objectName()
        if name.startswith("_"):
            raise AttributeError(name)
        _require(type(instance), name)
        if _property(instance, name):
            return wrap(instance.property(name))
        member = getattr(instance, "exec" if name == "exec_" else name)
        if isinstance(member, QtCore.SignalInstance):
            return _Signal(instance, name)
        return _call(member) if callable(member) else wrap(member)

    def __setattr__(self, name: str, value: object) -> None:
        _require(type(self._qt), name)
        found = _property(self._qt, name)
        if found is None:
            raise AttributeError(f"{type(self._qt).__name__} has no property {name}")
        if not found.isWritable():
            raise AttributeError(f"{type(self._qt).__name__}.{name} is read-only")
        if not self._qt.setProperty(name, unwrap(value)):
            raise TypeError(f"{type(self._qt).__name__}.{name} = {value!r}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wrapped) and self._qt is other._qt

    def __hash__(self) -> int:
        return hash(self._qt)

    def connect(self, signature: str, receiver: typing.Callable) -> bool:
        return _Signal(self._qt, _signal_name(self._qt, signature), signature).connect(receiver)

    def disconnect(self, signature: str, receiver: typing.Callable) -> bool:
        return _Signal(self._qt, _signal_name(self._qt, signature), signature).disconnect(receiver)

    def className(self) -> str:
        return type(self._qt).__name__

    def children(self) -> list[Wrapped]:
        return [wrap(child) for child in self._qt.children()]

    def property(self, name: str) -> object:
        return wrap(self._qt.property(name))


class _Signal:
    def __init__(self, instance: QtCore.QObject, name: str, signature: str | None = None) -> None:
        self._instance, self._name = instance, name
        # PythonQt passes as many arguments as the signature has and the receiver takes.
        self._arguments = len([a for a in signature.split("(")[1][:-1].split(",") if a]) if signature else None

    def connect(self, receiver: typing.Callable) -> bool:
        receiver = unwrap(receiver)
        slots = self._instance.__dict__.setdefault("_receivers", {})
        slot = _slot(receiver, self._arguments)
        slots[self._name, receiver] = slot
        getattr(self._instance, self._name).connect(slot)
        return True

    def disconnect(self, receiver: typing.Callable) -> bool:
        slot = self._instance.__dict__.get("_receivers", {}).pop((self._name, unwrap(receiver)), None)
        return slot is not None and bool(getattr(self._instance, self._name).disconnect(slot))


def _slot(receiver: typing.Callable, arguments: int | None) -> typing.Callable:
    code = getattr(receiver, "__code__", None) or getattr(getattr(receiver, "__func__", None), "__code__", None)
    takes = 99
    if code is not None and not code.co_flags & 0x04:
        takes = code.co_argcount - (1 if hasattr(receiver, "__self__") else 0)
    given = takes if arguments is None else min(takes, arguments)
    return lambda *values: receiver(*map(wrap, values[:given]))


class _Class:
    """A class of the module `qt`, `ctk` or `slicer`: makes wrapped objects, has static methods and enumerators."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def __call__(self, *arguments: object) -> Wrapped:
        return Wrapped(self._kind(*map(unwrap, arguments)))

    def __getattr__(self, name: str) -> object:
        _require(self._kind, name)
        member = getattr(self._kind, name)
        return _call(member) if callable(member) and not isinstance(member, type) else member


def wrap(value: object) -> object:
    if isinstance(value, (QtCore.QObject, QtWidgets.QTableWidgetItem, QtCore.QUrl, QtGui.QPixmap, QtCore.QMimeData)):
        return Wrapped(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(wrap, value))
    return value


def unwrap(value: object) -> object:
    if isinstance(value, Wrapped):
        return value._qt
    if isinstance(value, _Class):
        return value._kind
    if isinstance(value, (list, tuple)):
        return type(value)(map(unwrap, value))
    return value


def _call(function: typing.Callable) -> typing.Callable:
    return lambda *arguments: wrap(function(*map(unwrap, arguments)))


def _property(instance: object, name: str) -> QtCore.QMetaProperty | None:
    if not isinstance(instance, QtCore.QObject):
        return None
    meta = instance.metaObject()
    index = meta.indexOfProperty(name)
    return meta.property(index) if index >= 0 else None


def _require(kind: type, name: str) -> None:
    """Refuses a name that the class does not have in Slicer."""
    for base in kind.__mro__:
        if slicer_facts.is_class(base.__name__):
            if not slicer_facts.has_name(base.__name__, name):
                raise AttributeError(f"{base.__name__} has no {name} in Slicer")
            return


def _signal_name(instance: QtCore.QObject, signature: str) -> str:
    meta = instance.metaObject()
    name = signature.split("(")[0]
    own = [base.__name__ for base in type(instance).__mro__ if slicer_facts.is_widget_class(base.__name__)]
    known = any(slicer_facts.has_signal(kind, signature) for kind in own)
    normalized = bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()
    known = known or meta.indexOfSignal(normalized) >= 0
    if not known and not (
        type(instance).__module__ == __name__ and not slicer_facts.AVAILABLE and hasattr(instance, name)
    ):
        raise ValueError(f"{type(instance).__name__} has no signal {signature}")
    return name


class _Module(types.ModuleType):
    """`qt` or `ctk`."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        if slicer_facts.AVAILABLE and name != "Qt" and slicer_facts.module_of(name) != self.__name__:
            raise AttributeError(f"module {self.__name__} has no {name} in Slicer")
        if name in WIDGETS:
            return _Class(WIDGETS[name])
        if self.__name__ == "qt":
            for module in _QT_MODULES:
                if hasattr(module, name):
                    kind = getattr(module, name)
                    return kind if name == "Qt" else _Class(_UiLoader if name == "QUiLoader" else kind)
        raise AttributeError(f"the stand-in has no {self.__name__}.{name}")


# ----------------------------------------------------------------------------------------------------------- widgets


class _Scene:
    """Follows a scene in which a widget lives; observers go with the widget or the scene."""

    def __init__(self) -> None:
        self._observed: list[tuple[vtk.vtkObject, int]] = []

    def observe(self, node: vtk.vtkObject, events: typing.Iterable[object], react: typing.Callable) -> None:
        for event in events:
            self._observed.append((node, node.AddObserver(event, react)))

    def forget(self) -> None:
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed.clear()


class qMRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = QtCore.Signal(object)
    _scene = None

    def setMRMLScene(self, scene: object) -> None:
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self) -> object:
        return self._scene


class _NodeFilter(QtCore.QObject):
    changed = QtCore.Signal()

    def __init__(self, parent: QtCore.QObject) -> None:
        super().__init__(parent)
        self._hidden: list[str] = []

    def _get(self) -> list[str]:
        return self._hidden

    def _set(self, ids: list[str]) -> None:
        self._hidden = list(ids)
        self.changed.emit()

    hiddenNodeIDs = QtCore.Property("QStringList", _get, _set)


_NodeFilter.__name__ = "qMRMLSortFilterProxyModel"


def _plain(kind: str, default: object) -> QtCore.Property:
    """A property that only keeps its value."""
    key = f"_plain_{id(object())}_{kind}_{len(_PLAIN)}"
    _PLAIN.append(key)
    return QtCore.Property(
        kind, lambda self: self.__dict__.get(key, default), lambda self, value: self.__dict__.__setitem__(key, value)
    )


_PLAIN: list[str] = []


class qMRMLNodeComboBox(QtWidgets.QWidget):
    currentNodeChanged = QtCore.Signal(object)
    nodeTypes = _plain("QStringList", [])
    addEnabled = _plain("bool", True)
    removeEnabled = _plain("bool", True)
    renameEnabled = _plain("bool", False)
    showChildNodeTypes = _plain("bool", True)
    noneEnabled = _plain("bool", False)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._box, self._events, self._ids, self._scene = QtWidgets.QComboBox(self), _Scene(), [], None
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.currentIndexChanged.connect(lambda _: self._choose(self._box.currentData()))
        self._filter, self._current = _NodeFilter(self), ""
        self._filter.changed.connect(self._update)

    def setMRMLScene(self, scene: object) -> None:
        self._events.forget()
        self._scene = scene
        events = ("NodeAddedEvent", "NodeRemovedEvent", "EndCloseEvent", "EndImportEvent")
        self._events.observe(scene, [getattr(scene, event) for event in events], self._update)
        self._update()

    def _update(self, *_: object) -> None:
        nodes = []
        for kind in self.nodeTypes:
            found = [self._scene.GetNthNodeByClass(n, kind) for n in range(self._scene.GetNumberOfNodesByClass(kind))]
            nodes += [node for node in found if self.showChildNodeTypes or node.GetClassName() == kind]
        nodes = [n for n in nodes if not n.GetHideFromEditors() and n.GetID() not in self._filter.hiddenNodeIDs]
        was = self._current
        self._box.blockSignals(True)
        self._box.clear()
        for node in nodes:
            self._box.addItem(node.GetName(), node.GetID())
            if not node.HasObserver("ModifiedEvent") or node.GetID() not in self._ids:
                self._events.observe(node, ["ModifiedEvent"], self._rename)
        self._ids = [node.GetID() for node in nodes]
        if self.noneEnabled:
            self._box.addItem("None", "")
        index = self._box.findData(was)
        self._box.setCurrentIndex(index if index >= 0 else self._box.findData("") if self.noneEnabled else 0)
        self._box.blockSignals(False)
        self._choose(self._box.currentData() or "")

    def _rename(self, node: object, _event: str) -> None:
        index = self._box.findData(node.GetID())
        if index >= 0:
            self._box.setItemText(index, node.GetName())

    def _choose(self, node_id: str) -> None:
        if node_id != self._current:
            self._current = node_id
            self.currentNodeChanged.emit(self.currentNode())

    def currentNode(self) -> object:
        return self._scene.GetNodeByID(self._current) if self._scene and self._current else None

    def setCurrentNode(self, node: object) -> None:
        index = self._box.findData(node.GetID() if node is not None else "")
        if index >= 0:
            self._box.setCurrentIndex(index)

    def sortFilterProxyModel(self) -> _NodeFilter:
        return self._filter


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    contentsCollapsed = QtCore.Signal(bool)
    _HEADER = 24

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._collapsed = False
        self.setContentsMargins(0, self._HEADER, 0, 0)
        self.setSizePolicy(QtWidgets.QSizePolicy.Preferred, QtWidgets.QSizePolicy.Fixed)
        self.clicked.connect(lambda: self._set(not self._collapsed))

    def _set(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        for child in self.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindDirectChildrenOnly):
            if collapsed:
                child.setProperty("_shown", not child.isHidden())
                child.hide()
            else:
                child.setVisible(child.property("_shown") is not False)
        self.setMaximumHeight(self._HEADER if collapsed else 16777215)
        self.contentsCollapsed.emit(collapsed)

    collapsed = QtCore.Property("bool", lambda self: self._collapsed, _set)

    def sizeHint(self) -> QtCore.QSize:
        if self._collapsed or self.layout() is None:
            return QtCore.QSize(100, self._HEADER)
        return self.layout().totalSizeHint()

    def hasHeightForWidth(self) -> bool:
        return not self._collapsed and self.layout() is not None and self.layout().hasHeightForWidth()

    def heightForWidth(self, width: int) -> int:
        return self.layout().totalHeightForWidth(width) if self.hasHeightForWidth() else -1

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        box = QtCore.QRect(0, 0, self.width(), self._HEADER - 2)
        painter.fillRect(box, self.palette().button().color().darker(108))
        painter.drawText(
            box.adjusted(6, 0, 0, 0), QtCore.Qt.AlignVCenter, ("▸ " if self._collapsed else "▾ ") + self.text()
        )


class ctkComboBox(QtWidgets.QComboBox):
    NeverScroll, AlwaysScroll = 0, 1
    scrollWheelEffect = _plain("int", AlwaysScroll)

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        if self.scrollWheelEffect == self.AlwaysScroll:
            super().wheelEvent(event)
        else:
            event.ignore()


class ctkSliderWidget(QtWidgets.QWidget):
    valueChanged = QtCore.Signal(float)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider, self._spin = QtWidgets.QSlider(QtCore.Qt.Horizontal), QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._spin)
        self._slider.setRange(0, 1000)
        self._slider.valueChanged.connect(self._slid)
        self._spin.valueChanged.connect(self._changed)

    def _slid(self, position: int) -> None:
        low, high = self._spin.minimum(), self._spin.maximum()
        self._spin.setValue(low + (high - low) * position / 1000)

    def _changed(self, value: float) -> None:
        low, high = self._spin.minimum(), self._spin.maximum()
        self._slider.blockSignals(True)
        self._slider.setValue(round(1000 * (value - low) / max(high - low, 1e-9)))
        self._slider.blockSignals(False)
        self.valueChanged.emit(value)

    value = QtCore.Property("double", lambda self: self._spin.value(), lambda self, v: self._spin.setValue(v))
    minimum = QtCore.Property("double", lambda self: self._spin.minimum(), lambda self, v: self._spin.setMinimum(v))
    maximum = QtCore.Property("double", lambda self: self._spin.maximum(), lambda self, v: self._spin.setMaximum(v))
    decimals = QtCore.Property("int", lambda self: self._spin.decimals(), lambda self, v: self._spin.setDecimals(v))
    singleStep = QtCore.Property(
        "double", lambda self: self._spin.singleStep(), lambda self, v: self._spin.setSingleStep(v)
    )
    pageStep = _plain("double", 0.1)


class ctkPathLineEdit(QtWidgets.QWidget):
    currentPathChanged = QtCore.Signal(str)
    settingKey = _plain("QString", "")

    filters = _plain("int", 0)
    Dirs, Files = 1, 2

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._line = QtWidgets.QLineEdit()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._line)
        self._line.textChanged.connect(self.currentPathChanged)

    currentPath = QtCore.Property(
        "QString", lambda self: self._line.text(), lambda self, path: self._line.setText(path)
    )

    def addCurrentPathToHistory(self) -> None:
        pass


class qSlicerModulePanel(QtWidgets.QWidget):
    helpAndAcknowledgmentVisible = _plain("bool", True)


class qMRMLSegmentEditorWidget(qMRMLWidget):
    """Slicer's segment editor without its effects: what it is told is kept, and drawn as a row of buttons."""

    undoEnabled = _plain("bool", True)
    unorderedEffectsVisible = _plain("bool", True)
    segmentationNodeSelectorVisible = _plain("bool", True)
    sourceVolumeNodeSelectorVisible = _plain("bool", True)
    switchToSegmentationsButtonVisible = _plain("bool", True)
    specifyGeometryButtonVisible = _plain("bool", True)
    show3DButtonVisible = _plain("bool", True)
    addRemoveSegmentButtonsVisible = _plain("bool", True)
    maskingSectionVisible = _plain("bool", True)
    autoShowSourceVolumeNode = _plain("bool", True)
    jumpToSelectedSegmentEnabled = _plain("bool", False)
    maximumNumberOfUndoStates = _plain("int", 10)
    effectColumnCount = _plain("int", 2)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._nodes: dict[str, object] = {}
        self._active, self.shortcuts = "", False
        self._bar = QtWidgets.QHBoxLayout(self)

    def setEffectNameOrder(self, names: list[str]) -> None:
        self._names = list(names)
        for name in names:
            button = QtWidgets.QToolButton(self)
            button.setText(name)
            self._bar.addWidget(button)

    def effectNameOrder(self) -> list[str]:
        return self._names

    def setMRMLSegmentEditorNode(self, node: object) -> None:
        self._nodes["editor"] = node

    def mrmlSegmentEditorNode(self) -> object:
        return self._nodes.get("editor")

    def setSegmentationNode(self, node: object) -> None:
        self._nodes["segmentation"] = node

    def segmentationNode(self) -> object:
        return self._nodes.get("segmentation")

    def setSourceVolumeNode(self, node: object) -> None:
        self._nodes["volume"] = node

    def sourceVolumeNode(self) -> object:
        return self._nodes.get("volume")

    def setActiveEffectByName(self, name: str) -> None:
        self._active = name

    def setActiveEffect(self, effect: object) -> None:
        self._active = "" if effect is None else effect

    def installKeyboardShortcuts(self, _parent: object = None) -> None:
        self.shortcuts = True

    def uninstallKeyboardShortcuts(self) -> None:
        self.shortcuts = False

    def setupViewObservations(self) -> None:
        self._viewed = True

    def removeViewObservations(self) -> None:
        self._viewed = False

    def saveStateForUndo(self) -> None:
        self.saved = getattr(self, "saved", 0) + 1

    def updateWidgetFromMRML(self) -> None:
        pass


class qMRMLPlotView(QtWidgets.QWidget):
    """Draws the chart node of its view node with VTK, offscreen; a click selects the point there, as in Slicer."""

    dataSelected = QtCore.Signal(object, object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._view, self._chart = vtk.vtkContextView(), vtk.vtkChartXY()
        self._view.GetRenderWindow().SetOffScreenRendering(True)
        self._view.GetScene().AddItem(self._chart)
        self._view.GetRenderer().SetBackground(1, 1, 1)
        self._chart.SetClickActionToButton(vtk.vtkChart.SELECT, vtk.vtkContextMouseEvent.LEFT_BUTTON)
        self._chart.AddObserver("SelectionChangedEvent", self._emit)
        self._scene, self._node, self._events, self._plots = None, None, _Scene(), {}

    def setMRMLScene(self, scene: object) -> None:
        self._scene = scene

    def setMRMLPlotViewNode(self, node: object) -> None:
        self._events.forget()
        self._node = node
        if node is not None:
            self._events.observe(node, ["ModifiedEvent", node.PlotChartNodeChangedEvent], lambda *_: self._show())
        self._show()

    def mrmlPlotViewNode(self) -> object:
        return self._node

    def chart(self) -> vtk.vtkChartXY:
        return self._chart

    def RemovePlotSelections(self) -> None:
        self._chart.RemovePlotSelections()

    def fitToContent(self) -> None:
        self._chart.RecalculateBounds()

    def _show(self) -> None:
        self._chart.ClearPlots()
        self._plots = {}
        chart = self._scene.GetNodeByID(self._node.GetPlotChartNodeID() or "") if self._node is not None else None
        for n in range(chart.GetNumberOfPlotSeriesNodes() if chart is not None else 0):
            series = chart.GetNthPlotSeriesNode(n)
            table = series.GetTableNode().GetTable()
            plot = self._chart.AddPlot(vtk.vtkChart.LINE)
            plot.SetInputData(table, series.GetXColumnName(), series.GetYColumnName())
            plot.SetColorF(*series.GetColor())
            plot.SetMarkerStyle(vtk.vtkPlotLine.CIRCLE)
            plot.SetLabel(series.GetName())
            self._plots[plot] = series
        if chart is not None:
            self._chart.SetShowLegend(True)
            for axis, title in ((vtk.vtkAxis.BOTTOM, chart.GetXAxisTitle()), (vtk.vtkAxis.LEFT, chart.GetYAxisTitle())):
                self._chart.GetAxis(axis).SetTitle(title or "")
            if not chart.GetYAxisRangeAuto():
                self._chart.GetAxis(vtk.vtkAxis.LEFT).SetBehavior(vtk.vtkAxis.FIXED)
                self._chart.GetAxis(vtk.vtkAxis.LEFT).SetRange(*chart.GetYAxisRange())
        self.update()

    def _emit(self, *_: object) -> None:
        ids, selections = vtk.vtkStringArray(), vtk.vtkCollection()
        for plot, series in self._plots.items():
            if plot.GetSelection() is not None and plot.GetSelection().GetNumberOfValues():
                ids.InsertNextValue(series.GetID())
                selections.AddItem(plot.GetSelection())
        self.dataSelected.emit(ids, selections)

    def click(self, series_name: str, point: int) -> None:
        """Clicks a point of the chart, for tests."""
        self._render()
        plot = next(plot for plot, series in self._plots.items() if series.GetName() == series_name)
        table = plot.GetInput()
        place = []
        for column, axis in ((0, vtk.vtkAxis.BOTTOM), (1, vtk.vtkAxis.LEFT)):
            axis = self._chart.GetAxis(axis)
            value = table.GetValue(point, column).ToDouble()
            share = (value - axis.GetMinimum()) / (axis.GetMaximum() - axis.GetMinimum())
            start, stop = axis.GetPoint1()[column], axis.GetPoint2()[column]
            place.append(round(start + share * (stop - start)))
        interactor = self._view.GetInteractor()
        interactor.SetEventInformation(*place, 0, 0)
        interactor.InvokeEvent("LeftButtonPressEvent")
        interactor.InvokeEvent("LeftButtonReleaseEvent")

    def _render(self) -> np.ndarray:
        window = self._view.GetRenderWindow()
        window.SetSize(max(self.width(), 50), max(self.height(), 50))
        self._view.Render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(window)
        grabber.ReadFrontBufferOff()
        grabber.Update()
        image = grabber.GetOutput()
        width, height, _ = image.GetDimensions()
        pixels = vtk_to_numpy(image.GetPointData().GetScalars())
        return np.ascontiguousarray(pixels.reshape(height, width, -1)[::-1, :, :3])

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        pixels = self._render()
        height, width, _ = pixels.shape
        image = QtGui.QImage(pixels.data, width, height, 3 * width, QtGui.QImage.Format_RGB888)
        QtGui.QPainter(self).drawImage(0, 0, image)


WIDGETS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        qMRMLWidget,
        qMRMLNodeComboBox,
        qMRMLSegmentEditorWidget,
        qMRMLPlotView,
        ctkCollapsibleButton,
        ctkComboBox,
        ctkSliderWidget,
        ctkPathLineEdit,
    )
}


class _UiLoader(QtUiTools.QUiLoader):
    def load(self, file: QtCore.QFile) -> QtWidgets.QWidget:
        for kind in WIDGETS.values():
            self.registerCustomWidget(kind)
        path = file.fileName()
        file.close()
        text = Path(path).read_text(encoding="utf-8")
        tree = ElementTree.fromstring(text)
        # Signals with MRML arguments are Python's here, so they are connected below.
        connections = tree.find("connections")
        wired = [{part.tag: part.text for part in item} for item in connections] if connections is not None else []
        plain = QtCore.QBuffer()
        plain.setData(re.sub(r"<connections>.*?</connections>", "", text, flags=re.DOTALL).encode())
        plain.open(QtCore.QIODevice.ReadOnly)
        root = super().load(plain)
        for wire in wired:
            sender, receiver = (
                root if root.objectName() == wire[end] else root.findChild(QtWidgets.QWidget, wire[end])
                for end in ("sender", "receiver")
            )
            signal = getattr(sender, _signal_name(sender, wire["signal"]))
            signal.connect(getattr(receiver, wire["slot"].split("(")[0]))
        return root


# ------------------------------------------------------------------------------------------------------- application


class _Names:
    """An object of Slicer's application; names that are not among its facts are refused."""

    _facts = ""

    def __getattribute__(self, name: str) -> object:
        if not name.startswith("_") and slicer_facts.AVAILABLE and not slicer_facts.application_has(self._facts, name):
            raise AttributeError(f"{self._facts} has no {name} in Slicer")
        return object.__getattribute__(self, name)


class Application(_Names):
    """`slicer.app`."""

    _facts = "slicer.app"

    def __init__(self, folder: Path) -> None:
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
        QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, str(folder))
        self._qt = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        self._qt.setOrganizationName("DystrophyDx tests")
        self._started: list[typing.Callable] = []
        self._window = QtWidgets.QMainWindow()
        self._window.setObjectName("qSlicerMainWindow")
        for kind, name in (
            (QtWidgets.QLabel, "LogoLabel"),
            (qSlicerModulePanel, "ModulePanel"),
            (ctkCollapsibleButton, "DataProbeCollapsibleWidget"),
        ):
            kind(self._window).setObjectName(name)
        self._manager = _ModuleManager()
        self.temporaryPath = str(folder)

    def processEvents(self) -> None:
        self._qt.processEvents()

    def topLevelWidgets(self) -> list[Wrapped]:
        return [wrap(self._window)]

    def clipboard(self) -> Wrapped:
        return wrap(self._qt.clipboard())

    def moduleManager(self) -> object:
        return self._manager

    def connect(self, signature: str, receiver: typing.Callable) -> bool:
        if signature != "startupCompleted()":
            raise ValueError(signature)
        self._started.append(receiver)
        return True

    def userSettings(self) -> Wrapped:
        return Wrapped(QtCore.QSettings())

    def translate(self, _context: str, text: str) -> str:
        return text


class _ModuleManager:
    def __init__(self) -> None:
        self.receivers: list[typing.Callable] = []

    def connect(self, signature: str, receiver: typing.Callable) -> None:
        assert signature == "moduleAboutToBeUnloaded(QString)"
        self.receivers.append(receiver)

    def disconnect(self, signature: str, receiver: typing.Callable) -> None:
        self.receivers.remove(receiver)


class ModuleParent:
    """What a module describes itself to (`qSlicerScriptedLoadableModule`)."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __setattr__(self, name: str, value: object) -> None:
        if slicer_facts.AVAILABLE and name != "path":
            assert slicer_facts.has_name("qSlicerScriptedLoadableModule", name), name
        super().__setattr__(name, value)


def _base_classes() -> types.ModuleType:
    """`slicer.ScriptedLoadableModule`."""

    class ScriptedLoadableModule:
        def __init__(self, parent: ModuleParent) -> None:
            self.parent, self.moduleName = parent, type(self).__name__

        def resourcePath(self, name: str) -> str:
            return str(Path(self.parent.path).parent / "Resources" / name)

    class ScriptedLoadableModuleWidget:
        def __init__(self, parent: Wrapped | None = None) -> None:
            self.moduleName = type(self).__name__.removesuffix("Widget")
            self.developerMode = False
            if parent is None:
                parent = Wrapped(qMRMLWidget())
                QtWidgets.QVBoxLayout(parent._qt)
                parent.setMRMLScene(slicer.mrmlScene)
            self.parent = parent
            self.layout = parent.layout()
            slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._unloaded)

        def resourcePath(self, name: str) -> str:
            return str(Path(slicer.modules._paths[self.moduleName]).parent / "Resources" / name)

        def setup(self) -> None:
            pass

        def cleanup(self) -> None:
            pass

        def _unloaded(self, name: str) -> None:
            if name == self.moduleName:
                self.cleanup()
                slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._unloaded)

    class ScriptedLoadableModuleLogic:
        def __init__(self, parent: object = None) -> None:
            self.moduleName = type(self).__name__.removesuffix("Logic")

        def getParameterNode(self) -> object:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node is None:
                node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
                node.UnRegister(None)
                node.SetSingletonTag(self.moduleName)
                node.SetName(self.moduleName)
                node = slicer.mrmlScene.AddNode(node)
            node.SetAttribute("ModuleName", self.moduleName)
            return node

    class ScriptedLoadableModuleTest(unittest.TestCase):
        def delayDisplay(self, message: str, *_: object) -> None:
            slicer.app.processEvents()

    return _module("slicer.ScriptedLoadableModule", **{k: v for k, v in locals().items() if k.startswith("Scripted")})


def _parameter_node_wrapper() -> types.ModuleType:
    """`slicer.parameterNodeWrapper`: typed properties over a node, for nodes and bool, with widgets connected."""

    def accessors(name: str, kind: object, default: object) -> property:
        is_node = "vtkMRML" in str(kind)
        if not is_node and kind is not bool:
            raise TypeError(f"the stand-in has no parameter of {kind}")

        def read(self: object) -> object:
            if is_node:
                return self.parameterNode.GetNodeReference(name)
            text = self.parameterNode.GetParameter(name)
            return text == "True" if text else default

        def write(self: object, value: object) -> None:
            if is_node:
                self.parameterNode.SetNodeReferenceID(name, value.GetID() if value is not None else None)
            else:
                self.parameterNode.SetParameter(name, str(bool(value)))

        return property(read, write)

    def parameterNodeWrapper(kind: type) -> type:
        hints = typing.get_type_hints(kind)
        for name, hint in hints.items():
            setattr(kind, name, accessors(name, hint, getattr(kind, name, None)))

        def initialize(self: object, node: object) -> None:
            self.parameterNode, self._guis, self._tags, self._updating = node, {}, {}, False

        def connect_gui(self: object, ui: object) -> int:
            pairs = []
            for widget in vars(ui).values():
                name = widget.property("SlicerParameterName")
                if name:
                    assert name in hints, name
                    pairs.append((name, widget))
            connections = []
            for name, widget in pairs:
                node_box = widget.className() == "qMRMLNodeComboBox"
                signal = "currentNodeChanged(vtkMRMLNode*)" if node_box else "toggled(bool)"

                def changed(value: object, name: str = name) -> None:
                    if not self._updating:
                        setattr(self, name, value)

                widget.connect(signal, changed)
                connections.append((widget, signal, changed))

            def update(*_: object) -> None:
                if self._updating:
                    return
                self._updating = True
                for name, widget in pairs:
                    if widget.className() == "qMRMLNodeComboBox":
                        widget.setCurrentNode(getattr(self, name))
                    else:
                        widget.checked = getattr(self, name)
                self._updating = False

            update()
            tag = self.parameterNode.AddObserver("ModifiedEvent", update)
            self._guis[tag] = connections
            return tag

        def disconnect_gui(self: object, tag: int) -> None:
            self.parameterNode.RemoveObserver(tag)
            for widget, signal, changed in self._guis.pop(tag):
                widget.disconnect(signal, changed)

        kind.__init__, kind.connectGui, kind.disconnectGui = initialize, connect_gui, disconnect_gui
        kind.AddObserver = lambda self, event, react, priority=0.0: self.parameterNode.AddObserver(
            event, react, priority
        )
        kind.RemoveObserver = lambda self, tag: self.parameterNode.RemoveObserver(tag)
        return kind

    return _module("slicer.parameterNodeWrapper", parameterNodeWrapper=parameterNodeWrapper)


def _packaging() -> types.ModuleType:
    """`slicer.packaging`, as far as it reads and checks; nothing is installed."""

    def load_requirements(path: Path) -> list[Requirement]:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        return [Requirement(line) for line in lines if line and not line.startswith("#")]

    def pip_check(requirement: Requirement) -> bool:
        try:
            return version(requirement.name) in requirement.specifier
        except PackageNotFoundError:
            return False

    return _module("slicer.packaging", load_requirements=load_requirements, pip_check=pip_check)


def _sample_data() -> types.ModuleType:
    class SampleDataLogic:
        sources: typing.ClassVar[list[dict]] = []

        @classmethod
        def registerCustomSampleDataSource(
            cls, category="Custom", sampleName=None, uris=None, fileNames=None, nodeNames=None, customDownloader=None,
            thumbnailFileName=None, loadFileTypes=None, loadFiles=None, loadFileProperties=None, checksums=None,
        ) -> None:  # fmt: skip
            assert all(isinstance(part, str) for part in (sampleName, uris)), "as SampleDataSource needs them"
            cls.sources.append(dict(category=category, name=sampleName, load=customDownloader))

    return _module("SampleData", SampleDataLogic=SampleDataLogic)


def _module(name: str, **members: object) -> types.ModuleType:
    module = sys.modules.get(name) or types.ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
    return module


def _file_managers(scene: object, folder: Path) -> object:
    """What a scene needs to be read from a .mrb file."""
    (folder / "cache").mkdir(parents=True, exist_ok=True)
    files, cache = slicer.vtkDataIOManager(), slicer.vtkCacheManager()
    cache.SetRemoteCacheDirectory(str(folder / "cache"))
    cache.SetMRMLScene(scene)
    files.SetCacheManager(cache)
    scene.SetDataIOManager(files)
    scene.SetCacheManager(cache)
    return files, cache


class Desktop:
    """Slicer with one scripted module in it.

    Args:
        scene: an MRML scene with slice views; becomes `slicer.mrmlScene`.
        module: path of the module's .py file.
        folder: an empty folder for settings and temporary files.

    Attributes:
        module: the imported Python module.
        widget: the module's widget, set up; None before `open`.
    """

    def __init__(self, scene: object, module: Path, folder: Path) -> None:
        self._path, self.widget = Path(module), None
        sys.modules["qt"], sys.modules["ctk"] = _Module("qt"), _Module("ctk")
        self.app = Application(folder)
        slicer.app, slicer.mrmlScene = self.app, scene
        self._files = _file_managers(scene, folder)
        self._layouts = slicer.vtkMRMLLayoutLogic()
        self._layouts.SetMRMLScene(scene)
        slicer.modules = types.SimpleNamespace(_paths={self._path.stem: str(self._path)})
        for name in ("qMRMLSegmentEditorWidget", "qMRMLPlotView", "qMRMLNodeComboBox", "qMRMLWidget"):
            setattr(slicer, name, _Class(WIDGETS[name]))
        slicer.ScriptedLoadableModule = _base_classes()
        slicer.parameterNodeWrapper = _parameter_node_wrapper()
        slicer.packaging = _packaging()
        slicer.i18n = _module("slicer.i18n", tr=lambda text: text, translate=lambda _context, text: text)
        self.samples = _sample_data().SampleDataLogic
        self.samples.sources.clear()
        self.module = self._import()
        self.description = ModuleParent(self._path)
        getattr(self.module, self._path.stem)(self.description)
        for receiver in self.app._started:
            receiver()

    def _import(self) -> types.ModuleType:
        sys.modules.pop(self._path.stem, None)
        if str(self._path.parent) not in sys.path:
            sys.path.insert(0, str(self._path.parent))
        return importlib.import_module(self._path.stem)

    def open(self) -> object:
        """Sets the panel up and enters it; returns the widget object of the module."""
        slicer.util.selectedModule = lambda: ""
        self._set_up()
        self.widget.enter()
        slicer.util.selectedModule = lambda: self._path.stem
        self.app.processEvents()
        return self.widget

    def _set_up(self) -> None:
        self.widget = getattr(self.module, f"{self._path.stem}Widget")(None)
        self.widget.setup()
        self.app._window.setCentralWidget(unwrap(self.widget.parent))
        self.app._window.resize(470, 1200)
        self.app._window.show()

    def leave(self) -> None:
        self.widget.exit()

    def unload(self) -> None:
        """What Slicer does to a module that is reloaded, before the new one is made."""
        for receiver in list(self.app._manager.receivers):
            receiver(self._path.stem)
        unwrap(self.widget.parent).deleteLater()
        self.widget = None
        self.app.processEvents()

    def reload(self) -> object:
        """`slicer.util.reloadScriptedModule`, which does not enter the new widget."""
        self.unload()
        self.module = self._import()
        self._set_up()
        self.app.processEvents()
        return self.widget

    def wait(self, until: typing.Callable[[], bool], seconds: float = 5.0) -> None:
        """Lets timers and events run until something has happened."""
        timer = QtCore.QElapsedTimer()
        timer.start()
        while not until():
            assert timer.elapsed() < 1000 * seconds, "it did not happen"
            QtCore.QThread.msleep(5)
            self.app.processEvents()

    def settle(self, milliseconds: int = 300) -> None:
        """Lets pending timers run."""
        timer = QtCore.QElapsedTimer()
        timer.start()
        while timer.elapsed() < milliseconds:
            self.app.processEvents()
            QtCore.QThread.msleep(5)

    def press(self, key: str) -> None:
        """Presses a key sequence for which a shortcut is enabled."""
        shortcuts = self.app._window.findChildren(QtGui.QShortcut)
        for shortcut in shortcuts:
            if shortcut.key().toString() == key and shortcut.isEnabled():
                shortcut.activated.emit()
                return
        raise AssertionError(f"no shortcut {key}")

    def picture(self, path: Path) -> QtGui.QImage:
        """Takes a picture of the panel as it is shown."""
        self.app.processEvents()
        image = unwrap(self.widget.parent).grab().toImage()
        image.save(str(path))
        return image

    def close(self) -> None:
        if self.widget is not None:
            self.unload()
        self.app._window.close()
        for name in (
            "app",
            "mrmlScene",
            "modules",
            "ScriptedLoadableModule",
            "parameterNodeWrapper",
            "i18n",
            "packaging",
        ):
            if hasattr(slicer, name):
                delattr(slicer, name)


def deleted(wrapped: Wrapped) -> bool:
    return not Shiboken.isValid(wrapped._qt)
