"""`Cine`: a sequence of volumes, of which Slicer shows one frame at a time, and volumes made of its frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import slicer

from ..errors import InputError
from ..models.recipe import SampleRecipe
from ..series.cine import automatic_frames
from .nodes import nodes_of_class
from .volumes import FRAME, add_series, series_from_volume

_CINE = "DystrophyDx.cine"


@dataclass(frozen=True)
class Cine:
    """A sequence of volumes in a scene. Its frames are numbered from 0, as on the command line.

    Attributes:
        volume: shows one frame at a time.
        browser: says which.
        sequence: holds the frames.
    """

    volume: slicer.vtkMRMLScalarVolumeNode
    browser: slicer.vtkMRMLSequenceBrowserNode
    sequence: slicer.vtkMRMLSequenceNode

    @classmethod
    def of(cls, volume: slicer.vtkMRMLScalarVolumeNode) -> Cine | None:
        """The cine of which `volume` shows a frame; None of a volume on its own."""
        for browser in nodes_of_class(volume.GetScene(), "vtkMRMLSequenceBrowserNode"):
            sequence = browser.GetSequenceNode(volume)
            if sequence is not None and sequence.GetNumberOfDataNodes() > 1:
                return cls(volume, browser, sequence)
        return None

    def __len__(self) -> int:
        return self.sequence.GetNumberOfDataNodes()

    def show(self, number: int) -> None:
        """Shows a frame in the views."""
        self.browser.SetSelectedItemByIndexValue(self.sequence.GetNthIndexValue(number))

    def proposed(self, sample: SampleRecipe) -> dict[str, int]:
        """Number of the frame that each input of a model is likely to be; see `cine.automatic_frames`.

        Raises:
            InputError: as `series_from_volume` and `find_squares`.
        """
        frames = [series_from_volume(self.sequence.GetNthDataNode(n)) for n in range(len(self))]
        return automatic_frames(frames, sample)

    def take(self, numbers: Mapping[str, int]) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
        """Makes volumes of frames, beside the cine; those that were made before are used again.

        Args:
            numbers: of the frame that each input of a model is, by its name.

        Returns:
            The volume of each.

        Raises:
            InputError: one frame is two inputs, or as `series_from_volume`.
        """
        if len(set(numbers.values())) < len(numbers):
            number = next(iter(numbers.values()))
            raise InputError(f"Frame {number} cannot be two inputs; give another one for one of them.")
        return {name: self._frame(number) for name, number in numbers.items()}

    def _frame(self, number: int) -> slicer.vtkMRMLScalarVolumeNode:
        scene, words = self.volume.GetScene(), f"frame {number} of {len(self)} (from 0)"
        for node in nodes_of_class(scene, "vtkMRMLScalarVolumeNode"):
            if node.GetNodeReference(_CINE) is self.sequence and node.GetAttribute(FRAME) == words:
                return node
        series = series_from_volume(self.sequence.GetNthDataNode(number))
        node = add_series(scene, series, f"{self.volume.GetName()} frame {number}")
        node.SetAndObserveTransformNodeID(self.volume.GetTransformNodeID())
        node.SetNodeReferenceID(_CINE, self.sequence.GetID())
        node.SetAttribute(FRAME, words)
        return node
