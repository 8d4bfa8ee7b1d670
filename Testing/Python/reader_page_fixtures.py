"""Fixtures of the tests of the page "Reader study", beside those of the panel: `pytest_plugins`."""

from __future__ import annotations

import pytest
from reader_studies import quick_folder


@pytest.fixture
def folder():
    with quick_folder() as folder:
        yield folder / "study"


@pytest.fixture
def page(desktop):
    panel = desktop.open()
    panel.pages.currentIndex = 1
    return panel.readerStudy
