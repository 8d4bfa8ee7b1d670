"""Examples in docstrings as blocks of code: an extension of griffe, which reads the library for the site."""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
"""From its first prompt to the next empty line."""


class ExamplesAsCode(griffe.Extension):
    """Markdown would take `>>>` for a quotation, and lists in an example's result for links."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
