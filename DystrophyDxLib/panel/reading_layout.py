"""`ReadingLayout`: how the views are arranged while an answer is read, and how the reader had them before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import slicer

from ..mrml.classification_view import ClassificationView
from ..mrml.layouts import Layout
from ..mrml.legs_in_view import look_through_a_leg, place_legend

OWN = "own"
"""What is kept where the reader wants the views as they are."""

Settle = Callable[[], None]


class ReadingLayout:
    """Suits the views to axial reading after a classification, and gives the reader's own arrangement back when the
    page is left. What the reader chooses, here or by Slicer's own means, is kept.

    Args:
        read: gives what was kept last; nothing before the first choice.
        keep: keeps a text until the next session.
    """

    def __init__(self, read: Callable[[], str | None], keep: Callable[[str], None]) -> None:
        self._read, self._keep = read, keep
        self._own: int | None = None
        """Slicer's number of the reader's own arrangement, while another one takes its place."""
        self._lent: Layout | None = None
        self._away: Layout | None = None
        self._acting = False

    def after_classification(self, view: ClassificationView, settle: Settle) -> None:
        """Arranges the views for an answer, unless the reader wants them as they are. A whole volume is seen in any
        plane, so that its views stay."""
        shown, chosen = view.classification, self._read()
        if shown is None or shown.result is None:
            return
        wanted = Layout(chosen) if chosen and chosen != OWN else Layout.OVERLAY
        if chosen != OWN and not all(image.slices for image in shown.result.images) and view.layout is not wanted:
            self._arrange(view, wanted, settle)
        look_through_a_leg(shown)

    def choose(self, view: ClassificationView, layout: Layout | None, settle: Settle) -> None:
        """The reader has chosen an arrangement of the page's, or with None the own one."""
        self._keep(layout.value if layout is not None else OWN)
        if layout is not None:
            self._arrange(view, layout, settle)
        elif self._lent is not None:
            self._give_back(view)

    def follow(self, view: ClassificationView) -> None:
        """The views may have been arranged by Slicer's own means: then this is what the reader wants."""
        if self._acting or self._lent is None or view.layout is self._lent:
            return
        self._keep(view.layout.value if view.layout is not None else OWN)
        self._lent = view.layout

    def enter(self, view: ClassificationView, settle: Settle) -> None:
        """The page is shown again: the views are arranged as they were when it was left."""
        away, self._away = self._away, None
        if away is not None and view.layout is not away and view.classification is not None:
            self._arrange(view, away, settle)

    def leave(self, view: ClassificationView) -> None:
        """The page is left: the reader's own arrangement comes back."""
        self._away = None
        if self._lent is not None and view.layout is self._lent:
            self._away = self._lent
            self._give_back(view)

    def _arrange(self, view: ClassificationView, layout: Layout, settle: Settle) -> None:
        if self._lent is None or view.layout is not self._lent:  # as after a scene was closed
            self._own = _node(view).GetViewArrangement()
        with self._by_itself():
            view.arrange(layout, settle)
            if view.classification is not None:
                place_legend(view.classification, make_room=True)
        self._lent = layout if layout.number != self._own else None

    def _give_back(self, view: ClassificationView) -> None:
        with self._by_itself():
            _node(view).SetViewArrangement(self._own)
        self._lent = None

    @contextmanager
    def _by_itself(self) -> Iterator[None]:
        self._acting = True
        try:
            yield
        finally:
            self._acting = False


def _node(view: ClassificationView) -> slicer.vtkMRMLLayoutNode:
    return view.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
