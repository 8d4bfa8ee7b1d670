"""Widgets of the module's panel; Slicer takes every file beside DystrophyDx.py for a module, so they lie here."""
