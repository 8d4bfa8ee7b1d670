"""Which sections of the classification page are open."""

from __future__ import annotations


class Folding:
    """Opens what the work needs next, until the user opens or folds a section; then that section stays so.

    >>> folding = Folding()
    >>> folding.open("study", classified=False), folding.open("study", classified=True)
    (True, False)
    >>> folding.choose("study", True)
    >>> folding.open("study", classified=True)
    True
    """

    def __init__(self) -> None:
        self._chosen: dict[str, bool] = {}

    def choose(self, section: str, opened: bool) -> None:
        """The user has opened a section, or folded it."""
        self._chosen[section] = opened

    def open(self, section: str, classified: bool) -> bool:
        """Whether a section is open.

        Args:
            section: "study", "answer", "muscles", which is opened by the user alone, or another one, which has
                something to show after a classification only.
            classified: whether there is an answer.
        """
        suggested = {"study": not classified, "answer": True, "muscles": False}.get(section, classified)
        return self._chosen.get(section, suggested)


LOW_WINDOW = 900
"""Height in pixels below which the data probe takes the place that an answer needs."""


class ProbeFolding:
    """Folds Slicer's data probe on a low window while the page is shown, unless the user wants it open.

    >>> probe = ProbeFolding()
    >>> probe.enter(768, opened=True), probe.leave(opened=False)
    (True, True)
    >>> probe.enter(768, opened=True), probe.leave(opened=True), probe.enter(768, opened=True)
    (True, False, False)
    """

    def __init__(self) -> None:
        self._folded = self._wanted = False

    def enter(self, height: int, opened: bool) -> bool:
        """Whether to fold it now that the page is shown.

        Args:
            height: of the window, in pixels.
            opened: whether it is open.
        """
        fold = opened and height < LOW_WINDOW and not self._wanted
        self._folded = self._folded or fold
        return fold

    def leave(self, opened: bool) -> bool:
        """Whether to open it again now that the page is left; where the user has done so, it is not folded again."""
        folded, self._folded = self._folded, False
        self._wanted = self._wanted or (folded and opened)
        return folded and not opened
