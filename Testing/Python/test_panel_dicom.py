"""*Save as DICOM* in the panel hands the objects to Slicer's DICOM database, or says why there are none."""

from __future__ import annotations

import importlib
import re
import sys
import types
from pathlib import Path

import pytest
import slicer
import slicer_desktop

from DystrophyDxLib.panel.actions import Actions

pytest_plugins = "panel_fixtures"


@pytest.fixture
def imported(desktop, monkeypatch):
    """Slicer's database, and what was imported into it: names of the files, and whether they are copied."""
    found = []

    def import_dicom(folder, database, copy):
        found.append((database, sorted(path.name for path in Path(folder).iterdir()), copy))
        return True

    utils = types.SimpleNamespace(importDicom=import_dicom)
    monkeypatch.setitem(sys.modules, "DICOMLib", types.SimpleNamespace(DICOMUtils=utils))
    monkeypatch.setattr(desktop.app, "dicomDatabase", lambda: "the database", raising=False)
    return found


def test_the_objects_are_copied_into_the_database_and_nothing_else(panel, classification, imported, monkeypatch):
    def write(self, shown, models, database, folder):
        assert shown.volume is classification.volume
        assert database == "the database"
        folder.mkdir()
        (folder / "report.dcm").write_bytes(b"x")
        return folder

    monkeypatch.setattr(Actions, "write_dicom", write)
    panel.ui.dicomButton.click()
    assert imported == [("the database", ["report.dcm"], True)]
    assert panel.ui.reportLabel.text.startswith("Saved in Slicer's DICOM database")
    assert panel.ui.messageLabel.text == ""


def test_a_volume_from_a_file_is_not_saved_and_says_why(panel, classification, imported):
    panel.ui.dicomButton.click()
    assert "not loaded from Slicer's DICOM database" in panel.ui.messageLabel.text
    assert imported == []


def test_a_slicer_without_dicom_says_so(panel, classification):
    panel.ui.dicomButton.click()
    assert panel.ui.messageLabel.text == "This Slicer has no DICOM database; write the report instead."


def test_highdicom_is_installed_on_the_user_s_word_alone(panel, classification, imported, monkeypatch):
    monkeypatch.setattr(slicer.packaging, "pip_check", lambda requirement: requirement.name != "highdicom")
    there = importlib.import_module("DystrophyDxLib.panel.dependencies")._installed()
    monkeypatch.setattr(
        "DystrophyDxLib.panel.dependencies._installed", lambda: {k: v for k, v in there.items() if k != "highdicom"}
    )
    asked = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda question, *_: asked.append(question))
    panel.ui.dicomButton.click()
    assert "needs highdicom" in asked[0]
    assert imported == []
    assert panel.ui.messageLabel.text == ""


def test_what_slicer_ships_is_enough_and_the_library_asks_for_the_same():
    root = Path(__file__).parents[2]
    shipped = (Path(__file__).with_name("slicer_versions.txt")).read_text(encoding="utf-8")
    version = re.search(r"^highdicom==(.*)$", shipped, re.MULTILINE)[1]
    needed = slicer_desktop.load_requirements(root / "DystrophyDx/Resources/requirements-dicom.txt")
    assert [requirement.name for requirement in needed] == ["highdicom"]
    assert version in needed[0].specifier
    line = (root / "DystrophyDx/Resources/requirements-dicom.txt").read_text(encoding="utf-8").splitlines()[-1]
    assert f'"{line}"' in (root / "pyproject.toml").read_text(encoding="utf-8")
