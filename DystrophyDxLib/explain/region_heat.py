"""Which regions of an atlas the model's evidence lies in: regions ranked by their mean heat."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..results import RegionHeat
from ..series.channels import why_apart
from ..series.image_files import read_image_file
from ..series.label_names import names_beside, read_label_names
from ..series.series import Series


def rank_regions(
    heatmap: np.ndarray, atlas: np.ndarray, names: Mapping[int, str], inside: np.ndarray
) -> tuple[RegionHeat, ...]:
    """Regions of an atlas in the order of their mean heat, the highest first.

    Args:
        heatmap: (z, y, x) float32, 0 to 1, see `Classification.heatmap`.
        atlas: (z, y, x) integers on the same grid, 0 or a key of `names`.
        names: of the regions.
        inside: (z, y, x) bool, what was classified; nothing else of a region counts.

    Raises:
        InputError: the atlas lies on another grid, or none of its regions within what was classified.
    """
    if atlas.shape != heatmap.shape:
        raise InputError("The atlas lies on another grid than the images; resample it on theirs.")
    count = max(names, default=0) + 1
    known = np.where(np.isin(atlas, list(names)), atlas, 0)
    voxels = np.bincount(known[inside], minlength=count)
    sums = np.bincount(known[inside], heatmap[inside], count)
    total = float(heatmap[inside].sum(dtype=np.float64))
    regions = [
        RegionHeat(
            region=name,
            voxels=int(voxels[value]),
            mean_heat=min(1.0, float(sums[value] / voxels[value])),
            share=min(1.0, float(sums[value]) / total) if total else 0.0,
        )
        for value, name in names.items()
        if value and voxels[value]
    ]
    if not regions:
        raise InputError("The atlas holds no region within what was classified; register it to these images.")
    return tuple(sorted(regions, key=lambda region: (-region.mean_heat, region.region)))


def read_atlas(path: Path, names: Path | None, series: Series) -> tuple[np.ndarray, dict[int, str]]:
    """Labels (z, y, x) of an atlas on the grid of `series`, and the names of its regions.

    Args:
        path: a label map: NIfTI, NRRD or MetaImage.
        names: see `label_names.read_label_names`; without it, and without such a table beside the atlas, regions are
            called by their numbers, such as "label 3".

    Raises:
        InputError: one of them cannot be read, or the atlas lies on another grid.
    """
    try:
        atlas = read_image_file(path)
    except OSError:
        raise InputError("The atlas cannot be opened; check its path and permissions.") from None
    except InputError as error:
        raise InputError(f"Atlas: {error}") from None
    apart = why_apart(series, atlas)
    if apart:
        raise InputError(f"The atlas {apart}; register it to the images and resample it on their grid.")
    labels = atlas.voxels.astype(np.int64)
    if (labels != atlas.voxels).any() or labels.min() < 0:
        raise InputError("The atlas holds other values than the whole numbers of its regions; give a label map.")
    known = names_beside(path) if names is None else read_label_names(names)
    return labels, known or {int(value): f"label {value}" for value in np.unique(labels) if value}
