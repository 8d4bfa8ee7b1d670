"""Slicer's application without Slicer: one scripted module over a real scene, with the widgets of `slicer_widgets`.

Names on `slicer.app` that the facts in `slicer_facts` do not list are refused with an AttributeError. What the desktop
itself does is tried in a real Slicer, by Testing/Slicer/run_in_slicer.py.
"""

from __future__ import annotations

import importlib
import sys
import types
import typing
import unittest
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import slicer
import slicer.util
import slicer_facts
import slicer_widgets
from packaging.requirements import Requirement
from PySide6 import QtCore, QtGui, QtWidgets
from slicer_widgets import Wrapped, unwrap, wrap


class Application:
    """`slicer.app`."""

    def __init__(self, folder: Path) -> None:
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
        QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, str(folder))
        self._qt = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        self._qt.setOrganizationName("DystrophyDx tests")
        self._started: list[typing.Callable] = []
        self._paused = 0
        self._window = QtWidgets.QMainWindow()
        self._window.setObjectName("qSlicerMainWindow")
        for kind, name in (
            (QtWidgets.QLabel, "LogoLabel"),
            (slicer_widgets.qSlicerModulePanel, "ModulePanel"),
            (slicer_widgets.ctkCollapsibleButton, "DataProbeCollapsibleWidget"),
        ):
            kind(self._window).setObjectName(name)
        self.temporaryPath = str(folder)

    def __getattribute__(self, name: str) -> object:
        if not name.startswith("_") and not slicer_facts.application_has("slicer.app", name):
            raise AttributeError(f"slicer.app has no {name} in Slicer")
        return object.__getattribute__(self, name)

    def processEvents(self) -> None:
        self._qt.processEvents()

    def setRenderPaused(self, paused: bool) -> None:
        self._paused += 1 if paused else -1

    def topLevelWidgets(self) -> list[Wrapped]:
        return [wrap(self._window)]

    def applicationLogic(self) -> ApplicationLogic:
        return ApplicationLogic()

    def clipboard(self) -> Wrapped:
        return wrap(self._qt.clipboard())

    def connect(self, signature: str, receiver: typing.Callable) -> bool:
        if signature == "startupCompleted()":
            self._started.append(receiver)
            return True
        return wrap(self._qt).connect(signature, receiver)

    def disconnect(self, signature: str, receiver: typing.Callable) -> bool:
        return wrap(self._qt).disconnect(signature, receiver)

    def palette(self) -> QtGui.QPalette:
        return self._qt.palette()


class ApplicationLogic:
    """What Slicer shows in all slice views: the active volume."""

    _active: str | None = None

    def GetSelectionNode(self) -> ApplicationLogic:
        return self

    def SetActiveVolumeID(self, volume: str) -> None:
        ApplicationLogic._active = volume

    def PropagateVolumeSelection(self) -> None:
        there = {node.GetLayoutName(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
        for name in {view.GetLayoutName() for view in slicer.util.getNodesByClass("vtkMRMLSliceNode")} - there.keys():
            there[name] = slicer.vtkMRMLSliceCompositeNode()
            there[name].SetLayoutName(name)
            slicer.mrmlScene.AddNode(there[name])
        for composite in there.values():
            composite.SetBackgroundVolumeID(ApplicationLogic._active)


class ModuleParent:
    """What a module describes itself to (`qSlicerScriptedLoadableModule`)."""

    def __setattr__(self, name: str, value: object) -> None:
        assert slicer_facts.has_name("qSlicerScriptedLoadableModule", name), name
        super().__setattr__(name, value)


class ScriptedLoadableModule:
    def __init__(self, parent: ModuleParent) -> None:
        self.parent, self.moduleName = parent, type(self).__name__


class ScriptedLoadableModuleWidget:
    def __init__(self, parent: Wrapped | None = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Widget")
        root = QtWidgets.QWidget()
        self.parent, self.layout = wrap(root), wrap(QtWidgets.QVBoxLayout(root))

    def setup(self) -> None:
        pass


class ScriptedLoadableModuleLogic:
    def __init__(self, parent: object = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self) -> object:
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(self.moduleName)
            node.SetName(self.moduleName)
            node = slicer.mrmlScene.AddNode(node)
        node.SetAttribute("ModuleName", self.moduleName)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def delayDisplay(self, message: str) -> None:
        slicer.app.processEvents()


class _Wrapper:
    """What `slicer.parameterNodeWrapper` makes of a class: nodes and bools over a parameter node, and widgets."""

    def __init__(self, node: object) -> None:
        self.parameterNode, self._guis, self._updating = node, {}, False

    def _read(self, name: str) -> object:
        if self._kinds[name] is bool:
            return (self.parameterNode.GetParameter(name) or str(self._defaults[name])) == "True"
        return self.parameterNode.GetNodeReference(name)

    def _write(self, name: str, value: object) -> None:
        if self._kinds[name] is bool:
            self.parameterNode.SetParameter(name, str(bool(value)))
        else:
            self.parameterNode.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def connectGui(self, ui: object) -> int:
        named = ((widget.property("SlicerParameterName"), widget) for widget in vars(ui).values())
        pairs = [(name, widget, self._follow(name, widget)) for name, widget in named if name]

        def update(*_: object) -> None:
            if self._updating:
                return
            self._updating = True
            for name, widget, _connected in pairs:
                if self._kinds[name] is bool:
                    widget.checked = self._read(name)
                else:
                    widget.setCurrentNode(self._read(name))
            self._updating = False

        update()
        tag = self.parameterNode.AddObserver("ModifiedEvent", update)
        self._guis[tag] = pairs
        return tag

    def _follow(self, name: str, widget: Wrapped) -> tuple[str, typing.Callable]:
        def changed(value: object) -> None:
            if not self._updating:
                self._write(name, value)

        signal = "toggled(bool)" if self._kinds[name] is bool else "currentNodeChanged(vtkMRMLNode*)"
        widget.connect(signal, changed)
        return signal, changed

    def disconnectGui(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)
        for _name, widget, connected in self._guis.pop(tag):
            widget.disconnect(*connected)


def parameterNodeWrapper(kind: type) -> type:
    kinds = typing.get_type_hints(kind)
    members = {"_kinds": kinds, "_defaults": {name: getattr(kind, name, None) for name in kinds}}
    for name in kinds:
        members[name] = property(
            lambda self, name=name: self._read(name), lambda self, value, name=name: self._write(name, value)
        )
    return type(kind.__name__, (_Wrapper,), members)


def load_requirements(path: Path) -> list[Requirement]:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pip_check(requirement: Requirement) -> bool:
    try:
        return version(requirement.name) in requirement.specifier
    except PackageNotFoundError:
        return False


class SampleDataLogic:
    sources: typing.ClassVar[list[dict]] = []

    @classmethod
    def registerCustomSampleDataSource(
        cls, category, sampleName, uris, fileNames, nodeNames, thumbnailFileName, customDownloader
    ) -> None:
        assert all(isinstance(part, str) for part in (sampleName, uris)), "as SampleDataSource needs them"
        cls.sources.append({"category": category, "name": sampleName, "load": customDownloader})


def _module(name: str, **members: object) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
    return module


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

    _ON_SLICER = ("app", "mrmlScene", "ScriptedLoadableModule", "parameterNodeWrapper", "i18n", "packaging")

    def __init__(self, scene: object, module: Path, folder: Path) -> None:
        self._name, self.widget = Path(module).stem, None
        sys.modules["qt"], sys.modules["ctk"] = slicer_widgets.Module("qt"), slicer_widgets.Module("ctk")
        self.app = Application(folder)
        slicer.app, slicer.mrmlScene = self.app, scene
        self._files = _file_managers(scene, folder)
        self._layouts = slicer.vtkMRMLLayoutLogic()
        self._layouts.SetMRMLScene(scene)
        for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceNode")):
            scene.GetNthNodeByClass(n, "vtkMRMLSliceNode").SetMappedInLayout(1)
        for name in ("qMRMLSegmentEditorWidget", "qMRMLPlotView", "qMRMLNodeComboBox"):
            setattr(slicer, name, slicer_widgets.Class(slicer_widgets.WIDGETS[name]))
        classes = {name: kind for name, kind in globals().items() if name.startswith("ScriptedLoadable")}
        slicer.ScriptedLoadableModule = _module("slicer.ScriptedLoadableModule", **classes)
        wrapper = _module("slicer.parameterNodeWrapper", parameterNodeWrapper=parameterNodeWrapper)
        slicer.parameterNodeWrapper = wrapper
        slicer.packaging = _module("slicer.packaging", load_requirements=load_requirements, pip_check=pip_check)
        slicer.i18n = _module("slicer.i18n", tr=lambda text: text, translate=lambda _context, text: text)
        self.samples = _module("SampleData", SampleDataLogic=SampleDataLogic).SampleDataLogic
        self.samples.sources.clear()
        sys.path[:] = [str(Path(module).parent), *(path for path in sys.path if path != str(Path(module).parent))]
        self.module = self._import()
        getattr(self.module, self._name)(ModuleParent())
        for receiver in self.app._started:
            receiver()

    def _import(self) -> types.ModuleType:
        sys.modules.pop(self._name, None)
        return importlib.import_module(self._name)

    def open(self) -> object:
        """Sets the panel up and enters it; returns the widget object of the module."""
        slicer.util.selectedModule = lambda: ""
        self._set_up()
        self.widget.enter()
        slicer.util.selectedModule = lambda: self._name
        self.app.processEvents()
        return self.widget

    def _set_up(self) -> None:
        self.widget = getattr(self.module, f"{self._name}Widget")(None)
        self.widget.setup()
        self.app._window.setCentralWidget(unwrap(self.widget.parent))
        self.app._window.resize(470, 1200)
        self.app._window.show()

    def unload(self) -> None:
        """What Slicer does to a module that is reloaded, before the new one is made."""
        self.widget.cleanup()
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
        self.wait(lambda: timer.elapsed() >= milliseconds, 10)
        self.app.processEvents()

    def press(self, key: str) -> None:
        """Presses a key sequence for which a shortcut is enabled."""
        for shortcut in self.app._window.findChildren(QtGui.QShortcut):
            if shortcut.key().toString() == key and shortcut.isEnabled():
                shortcut.activated.emit()
                return
        raise AssertionError(f"no shortcut {key}")

    def close(self) -> None:
        if self.widget is not None:
            self.unload()
        self.app._window.close()
        for name in self._ON_SLICER:
            delattr(slicer, name)


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
