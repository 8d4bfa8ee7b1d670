"""What a model sees of a volume of a scene: the volume, and further ones that were chosen as channels beside it."""

from __future__ import annotations

import dataclasses
from typing import Any

import slicer

from ..cohort.seen import told_if_seen
from ..models.package import ModelPackage
from ..models.recipe import SampleRecipe
from ..results import InputFacts, StudyResult
from ..series.channels import with_channels
from ..series.series import Acquisition, Series
from .volumes import FRAME, MIRRORED, files_of, ijk_to_world, series_from_volume

CHANNEL = "DystrophyDx.channel."
"""Beginning of the role of a further channel's volume; its name follows."""

InputState = tuple[tuple[int, ...], tuple[bytes, ...]]
"""Modified time of the voxels of all channels, and where they lie in the world."""


def series_as_read(volume: slicer.vtkMRMLScalarVolumeNode, told: InputFacts | None) -> Series:
    """A volume, with what the header of its files said where they were classified before.

    Args:
        told: of the result of that classification.

    Raises:
        InputError: as `series_from_volume`.
    """
    series = series_from_volume(volume)
    if told is None:
        return series
    # Whether a transform mirrors the volume is known of it as it is now, and not of what it was.
    for warning in told.warnings:
        if (warning.code, warning.message) != MIRRORED:
            series = series.warned(warning.code, warning.message)
    facts: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in told.acquisition.items()
    }
    return dataclasses.replace(
        series,
        acquisition=Acquisition(**facts),
        kind=told.kind,
        series_uid=told.series_uid,
        selection=told.selection,
        notes=told.notes,
        label=told.label or series.label,
    )


def model_input(
    volume: slicer.vtkMRMLScalarVolumeNode, series: Series, package: ModelPackage, told: StudyResult | None
) -> Series:
    """The series of a volume with the channels that a model needs, of those that were chosen.

    Which of them are frames of a cine is told in its `selection`; that the model was trained on it is a warning.

    Args:
        told: of the classification before, which may have known more of the files than the scene does.

    Raises:
        InputError: as `series_from_volume` and `with_channels`.
    """
    series = with_chosen_channels(volume, series, package.recipe.sample)
    if told is not None and told.model.sha256 == package.sha256:
        return series
    return told_if_seen(series, files_of(volume), package.card)


def with_chosen_channels(volume: slicer.vtkMRMLScalarVolumeNode, series: Series, sample: SampleRecipe) -> Series:
    """A series with the channels that a sample needs, of those that were chosen beside its volume."""
    chosen = {name: node for name in sample.further if (node := volume.GetNodeReference(CHANNEL + name)) is not None}
    inputs = {sample.channels[0].name: volume, **chosen}
    frames = [f"{name} is {words}." for name, node in inputs.items() if (words := node.GetAttribute(FRAME))]
    if frames:
        series = dataclasses.replace(series, selection=" ".join(("Chosen in the scene:", *frames)))
    return with_channels(series, {name: series_from_volume(node) for name, node in chosen.items()})


def input_state(volume: slicer.vtkMRMLScalarVolumeNode) -> InputState:
    """Changes with the voxels and the places of a volume and its channels.

    Raises:
        InputError: as `ijk_to_world`.
    """
    roles = [volume.GetNthNodeReferenceRole(n) for n in range(volume.GetNumberOfNodeReferenceRoles())]
    channels = [volume.GetNodeReference(role) for role in roles if role.startswith(CHANNEL)]
    volumes = [volume, *(node for node in channels if node is not None)]
    images = [node.GetImageData() for node in volumes]
    return (
        tuple(image.GetMTime() if image is not None else 0 for image in images),
        tuple(ijk_to_world(node).tobytes() for node in volumes),
    )
