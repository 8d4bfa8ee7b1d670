"""What ends work early: an input that cannot be used, or the user."""

from __future__ import annotations

from collections.abc import Sequence


class InputError(Exception):
    """An input, option or place for output that cannot be used.

    The message is one line in plain words that ends with what to do. It never holds a patient's identity. A path stands
    in it only where the user gave it and no report takes the message over.

    Attributes:
        files: names of the files in the input that it is about. They may tell an identity and are for the user alone.
    """

    def __init__(self, message: str = "", files: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.files = tuple(files)


class Cancelled(Exception):
    """The user stopped the work; nothing of it is left behind."""
