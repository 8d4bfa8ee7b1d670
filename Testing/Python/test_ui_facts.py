"""The .ui files of the panel's pages and the module's sources name only what exists in a running Slicer."""

import ast
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest.importorskip("PySide6")

import list_slicer_facts
import slicer
import slicer_facts
from PySide6 import QtCore, QtGui, QtWidgets

FOLDER = Path(__file__).resolve().parents[2] / "DystrophyDx"
SHARED_FACTS = Path(__file__).resolve().parents[2].parent / "shared" / "slicer_api"
SOURCES_OF = {
    "StudySection": ("StudySection", "InputsForm"),
    "ResultSection": ("ResultSection",),
    "HeatmapSection": ("HeatmapSection",),
    "MusclesSection": ("MusclesSection",),
    "RegionSection": ("RegionSection",),
    "ReportSection": ("ReportSection",),
    "ActionBar": ("ActionBar", "FirstUse"),
    "ReaderStudy": ("ReaderStudyPage", "ReadingView", "AnswerForm", "NewStudyForm"),
}
"""By the .ui file whose widgets they use."""
PLACES = ("slicer.app", "slicer.util")


class Source:
    """Python sources: the nodes of all their syntax trees."""

    def __init__(self, *paths):
        trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
        self.nodes = [node for tree in trees for node in ast.walk(tree)]

    def chains(self):
        """Dotted names of the sources, each as long as it is written."""
        inner = {id(node.value) for node in self.nodes if isinstance(node, ast.Attribute)}
        for node in self.nodes:
            if isinstance(node, ast.Attribute) and id(node) not in inner and dotted(node):
                yield dotted(node)


class Page(Source):
    """A .ui file and the sources that use its widgets.

    Attributes:
        widgets: class of each, by name.
    """

    def __init__(self, name):
        super().__init__(*(FOLDER / "DystrophyDxWidgets" / f"{source}.py" for source in SOURCES_OF[name]))
        self.tree = ElementTree.parse(FOLDER / "Resources" / "UI" / f"{name}.ui").getroot()
        self.widgets = {widget.get("name"): widget.get("class") for widget in self.tree.iter("widget")}

    def of_widgets(self):
        """(widget name, attributes) of every use of a widget of the page."""
        for chain in self.chains():
            if chain[:2] == ("self", "ui") and len(chain) > 2:
                yield chain[2], chain[3:]
            elif chain[0] == "ui" and len(chain) > 1:
                yield chain[1], chain[2:]


PAGES = {name: Page(name) for name in SOURCES_OF}


@pytest.fixture(params=SOURCES_OF)
def page(request):
    return PAGES[request.param]


def of_qt(kind):
    """(signals, properties) that Qt's own class has, or the Qt class below one of Slicer's."""
    name = slicer_facts.qt_base(kind)
    meta = next(
        getattr(module, name) for module in (QtWidgets, QtGui, QtCore) if hasattr(module, name)
    ).staticMetaObject
    signals = {meta.method(n).methodSignature().data().decode() for n in range(meta.methodCount())}
    return signals, {meta.property(n).name() for n in range(meta.propertyCount())}


KINDS = {"QTimer", "QShortcut", "QTabWidget"}.union(*(page.widgets.values() for page in PAGES.values()))
# Here, while no widget lives: PySide6 loses a class's description with the last object of it.
OF_QT = {kind: of_qt(kind) for kind in KINDS}


def has_signal(kind, signature):
    return slicer_facts.declares(kind, "signals", signature) or signature.replace(" ", "") in OF_QT[kind][0]


def dotted(node):
    """("slicer", "app", "connect") of slicer.app.connect; None for what does not start with a name."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else None


def test_every_widget_class_of_the_panel_exists(page):
    for name, kind in page.widgets.items():
        assert slicer_facts.is_widget_class(kind) or hasattr(QtWidgets, kind), f"{name}: {kind}"
        assert slicer_facts.is_class(kind), f"{name}: Python does not see {kind}"


def test_every_property_in_the_panel_exists(page):
    for widget in page.tree.iter("widget"):
        kind = widget.get("class")
        for item in widget.findall("property"):
            name = item.get("name")
            if item.get("stdset") == "0":
                assert name == "SlicerParameterName"
                continue
            known = slicer_facts.declares(kind, "properties", name) or name in OF_QT[kind][1]
            assert known, f"{widget.get('name')}: {kind} has no {name}"


def test_words_that_wrap_lie_in_no_form(page):
    """Qt's form layout gives a label over both of its columns too little height for a second line."""
    for form in page.tree.iterfind(".//layout[@class='QFormLayout']"):
        over_both = form.iterfind("item[@colspan]/widget/property[@name='wordWrap']/../..")
        assert not [item.find("widget").get("name") for item in over_both]


def test_every_connection_in_the_panel_exists(page):
    for wire in page.tree.iter("connection"):
        sender, receiver = (page.widgets[wire.findtext(end)] for end in ("sender", "receiver"))
        assert has_signal(sender, wire.findtext("signal"))
        assert slicer_facts.declares(receiver, "slots", wire.findtext("slot"))


def test_every_widget_that_is_used_is_in_the_panel(page):
    used = {name for name, _ in page.of_widgets()}
    assert used - set(page.widgets) == set()
    assert len(used) >= 5


def test_everything_that_can_be_touched_has_a_tooltip_and_no_style_is_set(page):
    touched = (
        "QPushButton", "QCheckBox", "QComboBox", "QTableWidget", "QProgressBar", "QTextBrowser",
        "QRadioButton", "QSlider", "QSpinBox", "QLineEdit", "QPlainTextEdit", "ctkComboBox", "ctkSliderWidget",
        "ctkPathLineEdit", "qMRMLNodeComboBox",
    )  # fmt: skip
    for widget in page.tree.iter("widget"):
        names = {item.get("name") for item in widget.findall("property")}
        assert "styleSheet" not in names
        if widget.get("class") in touched:
            assert "toolTip" in names, widget.get("name")


def test_every_attribute_of_a_widget_in_the_source_exists(page):
    for name, attributes in page.of_widgets():
        if attributes:
            assert slicer_facts.has_name(page.widgets[name], attributes[0]), f"{name}.{attributes[0]}"


def test_every_signal_that_the_source_connects_exists(page):
    connected = 0
    for call in page.nodes:
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "connect"):
            continue
        if len(call.args) == 1:
            continue  # a signal of our own
        signature = call.args[0].value
        assert re.fullmatch(r"\w+\(.*\)", signature), "by its C++ signature"
        chain = dotted(call.func)
        connected += 1
        if chain[0] == "ui" or chain[:2] == ("self", "ui"):
            name = chain[1] if chain[0] == "ui" else chain[2]
            assert has_signal(page.widgets[name], signature), f"{name}: {signature}"
        else:  # of a widget in a loop, or of one that is made here
            assert any(has_signal(kind, signature) for kind in KINDS), signature
    assert connected >= 2
    assert has_signal("QPushButton", "clicked()")
    assert has_signal("QTimer", "timeout()")
    assert has_signal("QShortcut", "activated()")
    assert has_signal("QTabWidget", "currentChanged(int)")
    assert slicer_facts.declares("qMRMLPlotView", "signals", "dataSelected(vtkStringArray*,vtkCollection*)")


def test_every_name_of_slicer_qt_and_ctk_in_the_sources_exists():
    for chain in Source(*FOLDER.rglob("*.py")).chains():
        module, *rest = chain
        if module in ("qt", "ctk"):
            if rest[0] == "Qt":
                continue
            assert slicer_facts.module_of(rest[0]) == module, ".".join(chain)
            for name in rest[1:2]:
                assert slicer_facts.has_name(rest[0], name), ".".join(chain)
        elif module == "slicer":
            place = ".".join(chain[:2])
            if place in PLACES:
                for name in chain[2:3]:
                    assert slicer_facts.application_has(place, name), ".".join(chain)
            else:
                known = chain[1] == "mrmlScene" or hasattr(slicer, chain[1]) or slicer_facts.module_of(chain[1])
                assert known, ".".join(chain)


def test_the_facts_are_those_of_the_classes_that_the_panel_uses():
    used = list_slicer_facts.used_classes(FOLDER)
    of_qt = {kind for kind in used if any(hasattr(module, kind) for module in (QtWidgets, QtGui, QtCore))}
    assert not [kind for kind in of_qt if not slicer_facts.is_class(kind)], "run Tools/list_slicer_facts.py"


@pytest.mark.skipif(not SHARED_FACTS.is_dir(), reason="the facts about all of Slicer are not beside this checkout")
def test_the_facts_are_up_to_date():
    found = list_slicer_facts.text(list_slicer_facts.facts(SHARED_FACTS))
    assert list_slicer_facts.FACTS.read_text(encoding="utf-8") == found, "run Tools/list_slicer_facts.py"
