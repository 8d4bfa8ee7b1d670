"""Slicer's widgets over PySide6, as PythonQt shows them: enough to run the panel without Slicer.

Only what exists in Slicer exists here: a class, property, signal or method that the facts in `slicer_facts` do not list
is refused with an AttributeError or ValueError. As in PythonQt, Qt properties are attributes and signals are connected
by their C++ signature.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import types
import typing
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import slicer
import slicer_facts

if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import vtkmodules.all as vtk
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

# ---------------------------------------------------------------------------------------------------------- PythonQt


class Wrapped:
    """A Qt object as PythonQt shows it."""

    def __init__(self, instance: object) -> None:
        object.__setattr__(self, "_qt", instance)

    def __getattr__(self, name: str) -> object:
        instance = self._qt
        if name == "name" and isinstance(instance, QtCore.QObject):
            return instance.objectName()
        _require(type(instance), name)
        if _property(instance, name):
            return wrap(instance.property(name))
        member = getattr(instance, name)
        return _called(member) if callable(member) else wrap(member)

    def __setattr__(self, name: str, value: object) -> None:
        _require(type(self._qt), name)
        found = _property(self._qt, name)
        if found is None or not found.isWritable():
            raise AttributeError(f"{type(self._qt).__name__}.{name} cannot be set")
        if not self._qt.setProperty(name, unwrap(value)):
            raise TypeError(f"{type(self._qt).__name__}.{name} = {value!r}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wrapped) and self._qt is other._qt

    def __hash__(self) -> int:
        return hash(self._qt)

    def connect(self, signature: str, receiver: typing.Callable) -> bool:
        """Passes as many arguments as the signature has and the receiver takes."""
        arguments = len([kind for kind in signature.split("(")[1][:-1].split(",") if kind])
        code = getattr(receiver, "__code__", None) or getattr(getattr(receiver, "__func__", None), "__code__", None)
        if code is not None:
            arguments = min(arguments, code.co_argcount - (1 if hasattr(receiver, "__self__") else 0))

        def slot(*values: object) -> None:
            receiver(*map(wrap, values[:arguments]))

        name = _signal_name(self._qt, signature)
        vars(self._qt).setdefault("_receivers", {})[name, receiver] = slot
        getattr(self._qt, name).connect(slot)
        return True

    def disconnect(self, signature: str, receiver: typing.Callable) -> bool:
        name = _signal_name(self._qt, signature)
        return bool(getattr(self._qt, name).disconnect(vars(self._qt)["_receivers"].pop((name, receiver))))

    def className(self) -> str:
        return type(self._qt).__name__

    def children(self) -> list[Wrapped]:
        return wrap(self._qt.children())

    def property(self, name: str) -> object:
        return wrap(self._qt.property(name))


class Class:
    """A class of the module `qt`, `ctk` or `slicer`: makes wrapped objects, has static methods and enumerators."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def __call__(self, *arguments: object) -> Wrapped:
        return Wrapped(self._kind(*map(unwrap, arguments)))

    def __getattr__(self, name: str) -> object:
        _require(self._kind, name)
        member = getattr(self._kind, name)
        return _called(member) if callable(member) and not isinstance(member, type) else member


def wrap(value: object) -> object:
    if isinstance(value, (QtCore.QObject, QtWidgets.QTableWidgetItem, QtCore.QUrl)):
        return Wrapped(value)
    return type(value)(map(wrap, value)) if isinstance(value, (list, tuple)) else value


def unwrap(value: object) -> object:
    if isinstance(value, Wrapped):
        return value._qt
    return type(value)(map(unwrap, value)) if isinstance(value, (list, tuple)) else value


def _called(function: typing.Callable) -> typing.Callable:
    return lambda *arguments: wrap(function(*map(unwrap, arguments)))


def _property(instance: object, name: str) -> QtCore.QMetaProperty | None:
    if not isinstance(instance, QtCore.QObject):
        return None
    index = instance.metaObject().indexOfProperty(name)
    return instance.metaObject().property(index) if index >= 0 else None


def _require(kind: type, name: str) -> None:
    """Refuses a name that the class does not have in Slicer."""
    known = next((base.__name__ for base in kind.__mro__ if slicer_facts.is_class(base.__name__)), None)
    if known is None or not slicer_facts.has_name(known, name):
        raise AttributeError(f"{kind.__name__} has no {name} in Slicer, or Tools/list_slicer_facts.py lists none")


def _signal_name(instance: QtCore.QObject, signature: str) -> str:
    normalized = bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()
    if instance.metaObject().indexOfSignal(normalized) < 0 and not any(
        slicer_facts.declares(base.__name__, "signals", signature) for base in type(instance).__mro__
    ):
        raise ValueError(f"{type(instance).__name__} has no signal {signature}")
    return signature.split("(")[0]


class Module(types.ModuleType):
    """`qt` or `ctk`."""

    def __getattr__(self, name: str) -> object:
        if name == "Qt":
            return QtCore.Qt
        if name.startswith("__") or slicer_facts.module_of(name) != self.__name__:
            raise AttributeError(f"module {self.__name__} has no {name} in Slicer, or no need of it is known")
        if name in WIDGETS:
            return Class(WIDGETS[name])
        return Class(next(getattr(m, name) for m in (QtWidgets, QtGui, QtCore, QtUiTools) if hasattr(m, name)))


# ----------------------------------------------------------------------------------------------------------- widgets

_keys = itertools.count()


def _plain(kind: str, default: object) -> QtCore.Property:
    """A property that only keeps its value."""
    key = f"_plain{next(_keys)}"
    return QtCore.Property(
        kind, lambda self: vars(self).get(key, default), lambda self, value: vars(self).__setitem__(key, value)
    )


class qMRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = QtCore.Signal(object)

    def setMRMLScene(self, scene: object) -> None:
        self.mrmlSceneChanged.emit(scene)


class qMRMLSortFilterProxyModel(QtCore.QObject):
    changed = QtCore.Signal()
    _hidden: typing.ClassVar[list[str]] = []

    def _hide(self, ids: list[str]) -> None:
        self._hidden = list(ids)
        self.changed.emit()

    hiddenNodeIDs = QtCore.Property("QStringList", lambda self: self._hidden, _hide)


class qMRMLNodeComboBox(QtWidgets.QComboBox):
    currentNodeChanged = QtCore.Signal(object)
    nodeTypes = _plain("QStringList", [])
    addEnabled, removeEnabled, renameEnabled = _plain("bool", True), _plain("bool", True), _plain("bool", False)
    showChildNodeTypes, noneEnabled = _plain("bool", True), _plain("bool", False)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene, self._current, self._filter = None, "", qMRMLSortFilterProxyModel(self)
        self._filter.changed.connect(self._update)
        self.currentIndexChanged.connect(lambda _: self._choose(self.currentData()))

    def setMRMLScene(self, scene: object) -> None:
        self._scene = scene
        events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent, scene.EndImportEvent)
        tags = [scene.AddObserver(event, self._update) for event in events]
        self.destroyed.connect(lambda: [scene.RemoveObserver(tag) for tag in tags])
        self._update()

    def _update(self, *_: object) -> None:
        kinds = self.nodeTypes
        nodes = [
            node
            for node in (self._scene.GetNthNode(n) for n in range(self._scene.GetNumberOfNodes()))
            if (any(map(node.IsA, kinds)) if self.showChildNodeTypes else node.GetClassName() in kinds)
            and not node.GetHideFromEditors()
            and node.GetID() not in self._filter.hiddenNodeIDs
        ]
        was = self._current
        self.blockSignals(True)
        self.clear()
        for node in nodes:
            self.addItem(node.GetName(), node.GetID())
        if self.noneEnabled:
            self.addItem("None", "")
        self.setCurrentIndex(max(self.findData(was), self.findData("") if self.findData(was) < 0 else 0))
        self.blockSignals(False)
        self._choose(self.currentData() or "")

    def _choose(self, node_id: str) -> None:
        if node_id != self._current:
            self._current = node_id
            self.currentNodeChanged.emit(self.currentNode())

    def currentNode(self) -> object:
        return self._scene.GetNodeByID(self._current) if self._scene and self._current else None

    def setCurrentNode(self, node: object) -> None:
        index = self.findData(node.GetID() if node is not None else "")
        if index >= 0:
            self.setCurrentIndex(index)
            self._choose(self.currentData())  # where signals are blocked, too

    def offered(self) -> list[str]:
        """IDs of the nodes that can be chosen, for tests."""
        return [self.itemData(n) for n in range(self.count())]

    def sortFilterProxyModel(self) -> QtCore.QObject:
        return self._filter


class ctkCollapsibleButton(QtWidgets.QGroupBox):
    text = QtCore.Property("QString", QtWidgets.QGroupBox.title, QtWidgets.QGroupBox.setTitle)
    contentsCollapsed = QtCore.Signal(bool)
    collapsedHeight = _plain("int", 10)
    _collapsed = False

    def _collapse(self, collapsed: bool) -> None:
        if collapsed != self._collapsed:
            self._collapsed = collapsed
            self.setMaximumHeight(20 if collapsed else 16777215)
            self.contentsCollapsed.emit(collapsed)

    collapsed = QtCore.Property("bool", lambda self: self._collapsed, _collapse)


class ctkComboBox(QtWidgets.QComboBox):
    NeverScroll, AlwaysScroll = 0, 1
    scrollWheelEffect = _plain("int", AlwaysScroll)

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        if self.scrollWheelEffect == self.AlwaysScroll:
            super().wheelEvent(event)


class ctkSliderWidget(QtWidgets.QDoubleSpinBox):
    pageStep = _plain("double", 0.1)


class ctkPathLineEdit(QtWidgets.QLineEdit):
    Dirs, Files = 1, 2
    settingKey, filters = _plain("QString", ""), _plain("int", 0)
    currentPath = QtCore.Property("QString", QtWidgets.QLineEdit.text, QtWidgets.QLineEdit.setText)

    def addCurrentPathToHistory(self) -> None:
        pass


class qSlicerModulePanel(QtWidgets.QWidget):
    helpAndAcknowledgmentVisible = _plain("bool", True)


class qMRMLSegmentEditorWidget(qMRMLWidget):
    """Slicer's segment editor without its effects: what it is told is kept.

    Attributes:
        told: the last argument of each method, by its name.
        shortcuts: whether the keys of the editor are at work.
        saved: how often a state was saved.
    """

    undoEnabled, unorderedEffectsVisible = _plain("bool", True), _plain("bool", True)
    segmentationNodeSelectorVisible, sourceVolumeNodeSelectorVisible = _plain("bool", True), _plain("bool", True)
    switchToSegmentationsButtonVisible, maximumNumberOfUndoStates = _plain("bool", True), _plain("int", 10)
    shortcuts, saved = False, 0

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumHeight(300)
        self.told: dict[str, object] = {}

    def installKeyboardShortcuts(self) -> None:
        self.shortcuts = True

    def uninstallKeyboardShortcuts(self) -> None:
        self.shortcuts = False

    def saveStateForUndo(self) -> None:
        self.saved += 1

    def setupViewObservations(self) -> None:
        pass

    def removeViewObservations(self) -> None:
        pass


def _keeping(name: str) -> typing.Callable:
    return lambda self, value: self.told.__setitem__(name, value)


for _name in ("EffectNameOrder", "MRMLSegmentEditorNode", "SegmentationNode", "SourceVolumeNode", "ActiveEffect"):
    setattr(qMRMLSegmentEditorWidget, f"set{_name}", _keeping(_name))


class qMRMLPlotView(qMRMLWidget):
    """Plots that can be selected, of the chart of its view node; nothing is drawn.

    Attributes:
        told: how often a selection was told.
        crashed: whether that was so while the view had no node, which ends Slicer.
    """

    told, crashed = 0, False
    dataSelected = QtCore.Signal(object, object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._chart, self._node, self._view = vtk.vtkChartXY(), None, vtk.vtkContextView()

    def setMRMLPlotViewNode(self, node: object) -> None:
        self._node = node
        self._chart.ClearPlots()
        chart = slicer.mrmlScene.GetNodeByID(node.GetPlotChartNodeID() or "") if node is not None else None
        for n in range(chart.GetNumberOfPlotSeriesNodes() if chart is not None else 0):
            self._chart.AddPlot(vtk.vtkChart.LINE).SetLabel(chart.GetNthPlotSeriesNode(n).GetName())

    def mrmlPlotViewNode(self) -> object:
        return self._node

    def chart(self) -> vtk.vtkChartXY:
        return self._chart

    def scene(self) -> vtk.vtkContextScene:
        return self._view.GetScene()

    def RemovePlotSelections(self) -> None:
        """As in Slicer, this is told as a selection, and ends the program where no chart is shown."""
        for n in range(self._chart.GetNumberOfPlots()):
            self._chart.GetPlot(n).SetSelection(vtk.vtkIdTypeArray())
        self._tell()

    def _tell(self) -> None:
        if self._node is None:
            self.crashed = True
        self.told += 1
        self.dataSelected.emit(vtk.vtkStringArray(), vtk.vtkCollection())

    def click(self, series_name: str, point: int) -> None:
        """Clicks a point; as in Slicer, this is told before the point is in the selection."""
        self._tell()
        plots = [self._chart.GetPlot(n) for n in range(self._chart.GetNumberOfPlots())]
        selection = vtk.vtkIdTypeArray()
        selection.InsertNextValue(point)
        next(plot for plot in plots if plot.GetLabel() == series_name).SetSelection(selection)


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


class QUiLoader(QtUiTools.QUiLoader):
    def load(self, file: QtCore.QFile) -> QtWidgets.QWidget:
        for kind in WIDGETS.values():
            self.registerCustomWidget(kind)
        text = Path(file.fileName()).read_text(encoding="utf-8")
        file.close()
        plain = QtCore.QBuffer()
        plain.setData(re.sub(r"<connections>.*?</connections>", "", text, flags=re.DOTALL).encode())
        plain.open(QtCore.QIODevice.ReadOnly)
        root = super().load(plain)
        # Signals with MRML arguments are Python's here.
        for wire in ElementTree.fromstring(text).iter("connection"):
            receiver = root.findChild(QtWidgets.QWidget, wire.findtext("receiver"))
            root.mrmlSceneChanged.connect(getattr(receiver, wire.findtext("slot").split("(")[0]))
        return root


WIDGETS["QUiLoader"] = QUiLoader
