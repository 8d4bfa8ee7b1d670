"""Fixtures of the tests of the panel: `pytest_plugins = "panel_fixtures"`."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from model_packages import make_package
from panel_cases import MODULE, SLICES, Panel
from slicer_desktop import Desktop
from vtkmodules.vtkCommonCore import vtkObject

from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.scenes import new_scene
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.phantom.brain_maps import make_maps
from DystrophyDxLib.series.series import Geometry, Series


@pytest.fixture(scope="session")
def series():
    return make_phantom(3, "DMD", slices=SLICES, matrix=192).series


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    return make_package(tmp_path_factory.mktemp("models") / "other", bias=0.3, name="other", version="3")


@pytest.fixture
def desktop(tmp_path):
    vtkObject.GlobalWarningDisplayOff()
    desktop = Desktop(new_scene(), MODULE, tmp_path / "settings")
    yield desktop
    desktop.close()


@pytest.fixture
def panel(desktop):
    return Panel(desktop.open())


@pytest.fixture
def volume(desktop, panel, series):
    """A thigh MRI in the scene, chosen in the panel."""
    node = add_series(slicer.mrmlScene, series, "Thighs")
    panel.ui.inputSelector.setCurrentNode(node)
    desktop.settle(20)
    return node


@pytest.fixture
def classification(desktop, panel, volume):
    """That volume, classified."""
    panel.ui.classifyButton.click()
    desktop.settle(20)
    assert SceneClassification(volume).result is not None, panel.ui.messageLabel.text
    return SceneClassification(volume)


@pytest.fixture
def maps(panel):
    """Grey-matter density and mean diffusivity of a brain in the scene, none chosen."""
    made = make_maps(1, "MSA-C", 1.0)
    geometry = Geometry((0, 0, 0), (4, 4, 4), np.eye(3))
    named = {"GM": made.density, "MD": made.diffusivity}
    return {name: add_series(slicer.mrmlScene, Series(voxels, geometry), name) for name, voxels in named.items()}
