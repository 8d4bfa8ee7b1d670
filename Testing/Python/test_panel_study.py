"""The section "Study" of the panel: volume, model, first use and the run of a classification."""

import dataclasses
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("PySide6")

import numpy as np
import slicer
from model_packages import RECIPE, TWO_CHANNELS, make_package
from mrml_cases import add_cine
from panel_cases import MODULE, SLICES, Panel, foregrounds
from PySide6 import QtCore
from test_volumes import OF_MAPS

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.panel import dependencies
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.phantom.heart import make_heart

pytest_plugins = "panel_fixtures"


OPENING = """
import sys, time
import slicer
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from slicer_desktop import Desktop
scene = slicer.vtkMRMLScene()
layouts = slicer.vtkMRMLLayoutLogic()
layouts.SetMRMLScene(scene)
desktop = Desktop(scene, Path(sys.argv[2]), Path(sys.argv[3]))
before = set(sys.modules)
start = time.perf_counter()
desktop.open()
print(round(time.perf_counter() - start, 3), *({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def test_opening_the_panel_imports_no_heavy_package(tmp_path):
    code = [sys.executable, "-c", OPENING, str(Path(__file__).parent), str(MODULE), str(tmp_path)]
    done = subprocess.run(code, capture_output=True, text=True, check=True, timeout=120)
    seconds, *imported = done.stdout.split()
    assert not {"torch", "torchvision", "monai", "scipy", "SimpleITK", "pydantic"} & set(imported), imported
    assert float(seconds) < 5, "a machine that does something else, too, opens it in half a second"
    print(f"opening the panel took {seconds} s")


def test_nothing_can_be_pressed_without_a_volume(panel):
    ui = panel.ui
    for button in (ui.classifyButton, ui.reclassifyButton, ui.editButton, ui.excludeButton, ui.reportButton):
        assert not button.enabled
    assert ui.sampleButton.enabled
    assert "not for diagnosis" in ui.noticeLabel.text
    assert not ui.packagesFrame.visible


def test_the_sample_study_loads_from_the_panel_and_from_sample_data(desktop, panel):
    panel.ui.sampleButton.click()
    desktop.settle(20)
    volume = panel.ui.inputSelector.currentNode()
    assert "phantom" in volume.GetName()
    assert foregrounds() == {None}
    composite = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert composite.GetBackgroundVolumeID() == volume.GetID()
    (source,) = desktop.samples.sources
    assert source["category"] == "DystrophyDx"
    (loaded,) = source["load"](source)
    assert loaded.GetImageData().GetDimensions() == volume.GetImageData().GetDimensions()
    assert loaded is not volume


def test_the_likely_thigh_series_is_chosen_and_said_why(desktop, panel, series):
    noise = dataclasses.replace(series, voxels=np.random.default_rng(0).uniform(0, 1, series.voxels.shape).astype("f4"))
    add_series(slicer.mrmlScene, noise, "Noise")
    desktop.settle(50)
    assert "No volume of the scene shows legs" in panel.ui.suggestionLabel.text
    thighs = add_series(slicer.mrmlScene, series, "Thighs")
    desktop.settle(50)
    assert panel.ui.inputSelector.currentNode() is thighs
    assert "“Thighs” is the most likely of 2 volumes" in panel.ui.suggestionLabel.text
    add_series(slicer.mrmlScene, series, "One more")
    desktop.settle(20)
    assert panel.ui.suggestionLabel.text == "", "it was the most likely of others"
    panel.ui.inputSelector.setCurrentNode(slicer.mrmlScene.GetFirstNodeByName("Noise"))
    desktop.settle(50)
    assert panel.ui.inputSelector.currentNode().GetName() == "Noise", "what the user chose stays chosen"
    assert panel.ui.suggestionLabel.text == ""


def test_cancel_takes_effect_within_one_batch_and_leaves_everything_as_it_was(desktop, panel, volume, monkeypatch):
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    told = []
    progress = panel.page.bar.onProgress

    def cancelling(done, total):
        told.append((done, total))
        if done:
            QtCore.QTimer.singleShot(0, panel.ui.cancelButton.click)
        progress(done, total)

    monkeypatch.setattr(panel.page.bar, "onProgress", cancelling)
    panel.ui.classifyButton.click()
    batches = [done for done, total in told if total]
    assert len(batches) == 1
    assert batches[0] < told[-1][1], "there was more to do"
    assert panel.ui.messageLabel.text == "Stopped; everything is as it was."
    assert not panel.ui.progressFrame.visible
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    assert panel.ui.classifyButton.enabled
    monkeypatch.undo()
    panel.ui.classifyButton.click()
    assert SceneClassification(volume).result is not None


def test_while_it_classifies_only_cancel_can_be_pressed(panel, volume, monkeypatch):
    ui, seen = panel.ui, []
    process_events = slicer.app.processEvents

    def look():
        process_events()
        enabled = tuple(widget.enabled for widget in (ui.cancelButton, ui.classifyButton, ui.inputSelector))
        seen.append((*enabled, ui.progressBar.maximum))
        panel.page.bar.onClassify()  # a second one, by whatever way, is not begun

    monkeypatch.setattr(slicer.app, "processEvents", look)
    ui.classifyButton.click()
    assert len(seen) >= 2, "events were processed while the model was loaded and after each batch"
    assert all(state[:3] == (True, False, False) for state in seen)
    assert seen[-1][3] == len(SceneClassification(volume).result.images)


def test_a_scene_closed_amid_a_classification_ends_it(desktop, panel, volume, monkeypatch):
    process_events, done = slicer.app.processEvents, []

    def close():
        process_events()
        if not done:
            done.append(True)
            slicer.mrmlScene.Clear(0)

    monkeypatch.setattr(slicer.app, "processEvents", close)
    panel.ui.classifyButton.click()
    monkeypatch.undo()
    desktop.settle(20)
    assert slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode") is None
    assert panel.ui.imagesTable.rowCount == 0
    assert not panel.ui.classifyButton.enabled
    assert panel.ui.messageLabel.text == "The volume is no longer there; it was not classified to the end."


def test_what_cannot_be_classified_is_one_sentence_in_the_panel(desktop, panel):
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    panel.ui.inputSelector.setCurrentNode(empty)
    panel.ui.classifyButton.click()
    assert panel.ui.messageLabel.text == "The volume holds no image; choose a volume with voxels."
    assert panel.ui.messageLabel.visible


def test_a_surprise_is_one_sentence_in_the_panel_and_a_traceback_in_the_log(panel, volume, monkeypatch, caplog):
    def fail(*_):
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(SceneClassification, "classify", fail)
    with caplog.at_level(logging.ERROR):
        panel.ui.classifyButton.click()
    assert "Something unexpected went wrong" in panel.ui.messageLabel.text
    assert "Traceback" not in panel.ui.messageLabel.text
    assert "ZeroDivisionError: inside" in caplog.text


def test_model_packages_are_added_once_and_remembered(desktop, panel, volume, package):
    panel.add_model(package)
    panel.add_model(package)
    selector = panel.ui.modelSelector
    assert [selector.itemText(n) for n in range(selector.count)] == ["Demonstration model", package.name]
    panel.ui.cardButton.checked = True
    assert "tests" in panel.ui.cardBrowser.plainText
    panel.ui.classifyButton.click()
    assert SceneClassification(volume).result.model.version == "3"
    again = Panel(desktop.reload())
    assert again.ui.modelSelector.count == 2


def test_the_panel_asks_for_the_further_volumes_that_the_model_needs_and_for_nothing_else(
    desktop, panel, volume, tmp_path
):
    assert not panel.ui.channelsFrame.visible
    panel.add_model(make_package(tmp_path / "stir", recipe=TWO_CHANNELS))
    assert panel.ui.channelsFrame.visible
    (name,) = panel.inputs.channels
    assert name == "STIR"
    assert panel.ui.inputLabel.text == "T1:", "which of the two the first is"
    panel.ui.classifyButton.click()
    assert "needs STIR beside T1" in panel.ui.messageLabel.text
    phantom = make_phantom(3, "DMD", slices=SLICES, matrix=192, contrasts=("T1", "STIR"))
    stir = add_series(slicer.mrmlScene, phantom.images["STIR"], "STIR of the thighs")
    panel.inputs.channels[name].setCurrentNode(stir)
    assert SceneClassification(volume).channel("STIR") is stir
    panel.ui.classifyButton.click()
    assert panel.ui.messageLabel.text == ""
    assert SceneClassification(volume).result is not None
    panel.ui.modelSelector.currentIndex = 0
    assert not panel.ui.channelsFrame.visible
    assert not panel.inputs.channels
    assert panel.ui.inputLabel.text == "Thigh MRI:"


def test_maps_are_chosen_by_the_reader_and_not_taken_for_thighs(desktop, panel, tmp_path):
    panel.add_model(make_package(tmp_path / "maps", recipe=OF_MAPS))
    desktop.settle(20)
    thighs = make_phantom(1, "DMD", slices=SLICES, matrix=192).series
    add_series(slicer.mrmlScene, thighs, "Thighs")
    desktop.settle(20)
    assert (panel.ui.inputSelector.currentNode(), panel.ui.suggestionLabel.text) == (None, "")
    panel.ui.modelSelector.currentIndex = 0
    desktop.settle(20)
    assert panel.ui.inputSelector.currentNode().GetName() == "Thighs"
    assert panel.ui.suggestionLabel.text
    panel.add_model(make_package(tmp_path / "leg", recipe=RECIPE.replace("size = 224", 'size = 224\nexpects = "leg"')))
    assert panel.ui.suggestionLabel.text == "", "it is no T1-weighted thigh that this model takes"


def test_a_missing_map_is_named_before_pytorch_is_loaded(panel, maps, tmp_path, monkeypatch):
    panel.add_model(make_package(tmp_path / "maps", recipe=OF_MAPS))
    panel.ui.inputSelector.setCurrentNode(maps["GM"])
    loaded = []
    monkeypatch.setattr(panel.context.actions, "_load_pytorch", lambda: loaded.append(True))
    panel.ui.classifyButton.click()
    assert "needs MD beside GM" in panel.ui.messageLabel.text
    assert not loaded


@pytest.fixture(scope="module")
def frame_pairs(tmp_path_factory):
    """A model of end-diastole and end-systole on small squares."""
    facts = Recipe.named("germain2021").model_dump(mode="json", exclude_none=True)
    facts["sample"] |= {"size": 64, "region": {"kind": "square", "pixel_mm": 2.5}}
    facts["network"] |= {"weights": "none"}
    facts["training"]["stages"] = [stage | {"size": 64} for stage in facts["training"]["stages"]]
    recipe = Recipe.model_validate(facts)
    folder = tmp_path_factory.mktemp("models") / "hearts"
    return make_package(folder, recipe=recipe.toml(), classes=recipe.classes, threshold=None)


def test_of_a_cine_the_panel_asks_for_frames_and_classifies_those_chosen(desktop, panel, frame_pairs):
    heart = make_heart("HCM", seed=4, matrix=96, frames=14)
    cine = add_cine(slicer.mrmlScene, heart)
    panel.add_model(frame_pairs)
    panel.ui.inputSelector.setCurrentNode(cine)
    assert panel.ui.inputLabel.text == "Cine:"
    assert not panel.inputs.channels
    boxes = panel.inputs.frames
    assert boxes["SYSTOLE"].value == heart.systole
    assert boxes["DIASTOLE"].maximum == 13
    boxes["SYSTOLE"].value = 3
    assert np.array_equal(slicer.util.arrayFromVolume(cine), heart.voxels[3]), "the frame is seen when it is chosen"
    boxes["DIASTOLE"].value = 3
    panel.ui.classifyButton.click()
    assert "Frame 3 cannot be two inputs" in panel.ui.messageLabel.text
    boxes["DIASTOLE"].value = 1
    panel.ui.classifyButton.click()
    assert panel.ui.messageLabel.text == ""
    chosen = panel.ui.inputSelector.currentNode()
    assert (chosen.GetName(), panel.inputs.channels["SYSTOLE"].currentNode().GetName()) == (
        "cine frame 1",
        "cine frame 3",
    )
    assert not panel.inputs.frames
    assert panel.ui.inputLabel.text == "DIASTOLE:"
    told = "DIASTOLE is frame 1 of 14 (from 0). SYSTOLE is frame {} of 14 (from 0)."
    assert told.format(3) in SceneClassification(chosen).result.input.selection
    assert SceneClassification(cine).result is None
    panel.ui.inputSelector.setCurrentNode(cine)
    panel.inputs.frames["DIASTOLE"].value, panel.inputs.frames["SYSTOLE"].value = 1, 6
    panel.ui.classifyButton.click()
    assert panel.ui.inputSelector.currentNode() is chosen
    assert told.format(6) in SceneClassification(chosen).result.input.selection
    panel.ui.inputSelector.setCurrentNode(cine)
    assert set(panel.inputs.frames) == {"DIASTOLE", "SYSTOLE"}
    slicer.mrmlScene.Clear(0)
    desktop.settle(20)
    assert not panel.inputs.frames


def test_a_model_package_that_is_none_is_refused_in_one_sentence(panel, tmp_path):
    (tmp_path / "model.zip").write_bytes(b"no zip")
    panel.add_model(tmp_path / "model.zip")
    assert "get another copy" in panel.ui.refusalLabel.text, "beside the model"
    assert panel.ui.modelSelector.count == 1


def test_the_model_card_is_shown_in_the_panel(panel):
    panel.ui.cardButton.checked = True
    assert panel.ui.cardBrowser.visible
    card = json.loads((MODULE.parents[1] / "Resources" / "EmbeddedModel" / "card.json").read_text())
    text = panel.ui.cardBrowser.plainText
    assert card["name"] in text
    assert card["intended_use"].split(";")[0] in text
    panel.ui.cardButton.checked = False
    assert not panel.ui.cardBrowser.visible


def test_missing_packages_are_named_with_their_size_and_installed_on_the_users_word(desktop, monkeypatch):
    there = dependencies._installed()
    monkeypatch.setattr(dependencies, "_installed", lambda: there)
    monkeypatch.setattr(slicer.packaging, "pip_check", lambda requirement: requirement.name in there)
    safetensors = there.pop("safetensors")
    panel = Panel(desktop.open())
    assert panel.ui.packagesFrame.visible
    assert "safetensors" in panel.ui.packagesLabel.text
    assert "MB" in panel.ui.packagesLabel.text
    panel.ui.sampleButton.click()
    panel.ui.classifyButton.click()
    assert panel.ui.packagesFrame.visible, "where Classify was pressed"
    installed = []

    def pip_install(requirements, **_):
        installed.append(requirements)
        there["safetensors"] = safetensors

    monkeypatch.setattr(slicer.packaging, "pip_install", pip_install, raising=False)
    panel.ui.installButton.click()
    assert [["safetensors" in requirement for requirement in call] for call in installed] == [[True]]
    assert not panel.ui.packagesFrame.visible
    panel.ui.classifyButton.click()
    assert panel.context.result is not None


def test_a_broken_pytorch_gives_instructions(panel, volume, monkeypatch):
    def broken():
        raise InputError("PyTorch is there but does not start: reinstall it.")

    monkeypatch.setattr(panel.context.actions, "_load_pytorch", broken)
    panel.ui.classifyButton.click()
    assert panel.ui.messageLabel.text == "PyTorch is there but does not start: reinstall it."


def test_the_device_list_is_that_of_the_library(panel):
    from DystrophyDxLib.devices import DEVICES

    selector = panel.ui.deviceSelector
    assert tuple(selector.itemText(n) for n in range(selector.count)) == DEVICES


def backgrounds():
    return {view.GetBackgroundVolumeID() for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}


def test_the_sample_study_is_shown_even_where_packages_are_missing(desktop, monkeypatch):
    read = []

    def load_volume(path, properties):
        read.append((path, properties))
        return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", properties["name"])

    for name in ("mrml.volumes", "mrml.classification_view"):
        monkeypatch.setitem(sys.modules, f"DystrophyDxLib.{name}", None)
    monkeypatch.setattr(slicer.util, "loadVolume", load_volume, raising=False)
    panel = Panel(desktop.open())
    panel.ui.sampleButton.click()
    ((path, properties),) = read
    assert Path(path).name == "0001.dcm"
    assert not properties["singleFile"], "the whole series"
    (volume,) = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert panel.ui.inputSelector.currentNode() is volume
    assert backgrounds() == {volume.GetID()}


def test_sample_data_shows_the_volume(desktop, panel):
    (source,) = desktop.samples.sources
    (volume,) = source["load"](source)
    assert backgrounds() == {volume.GetID()}
