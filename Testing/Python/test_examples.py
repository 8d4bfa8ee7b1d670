"""The examples in the library's docstrings come out as they say."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "DystrophyDxLib").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]
"""Those with examples; found by their text, so that no other is imported for it."""


@pytest.mark.parametrize("module", MODULES)
def test_examples_come_out_as_they_say(module):
    outcome = doctest.testmod(importlib.import_module(module))
    assert outcome.attempted > 0
    assert outcome.failed == 0
