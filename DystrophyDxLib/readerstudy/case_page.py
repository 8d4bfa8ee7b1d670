"""A case of a reader study as a page, for readers without Slicer: its slices and, in the aided arm, the model's answer.

The page says no more of the case than a reading session does: neither its code nor that it comes twice.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from ..explain.colours import THRESHOLD, painted
from ..reporting.case_report import DEMONSTRATION_MODEL, RESEARCH_ONLY
from ..reporting.rendering import rendered
from ..series.image_files import as_image, read_image_file
from ..series.series import plane_of
from .protocol import Arm, Presentation
from .study import ReaderStudy


def write_case_page(study: ReaderStudy, shown: Presentation, positions: int, path: Path) -> None:
    """Writes the page of a case as a reader is to see it for one answer, as HTML that stands alone.

    Args:
        positions: number of cases of the session.

    Raises:
        InputError: a file of the case is missing or was changed.
    """
    aided = shown.arm is Arm.AIDED
    mri, plane, numbers = _upright(study.image(shown.case))
    heat = _upright(study.heatmap(shown.case))[0] if aided else None
    low, high = study.protocol.grey_window
    greys = np.clip((sitk.GetArrayFromImage(mri) - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
    pictures = [[_picture(plane_of_greys, mri)] for plane_of_greys in greys]
    if heat is not None:
        for own, grey, evidence in zip(pictures, greys, sitk.GetArrayFromImage(heat), strict=True):
            own.append(_picture(painted(grey, evidence), mri))
    page = rendered(
        "reader_case.html",
        shown=shown,
        positions=positions,
        condition=study.protocol.condition,
        notices=(*((DEMONSTRATION_MODEL,) if study.protocol.model.demonstration else ()), RESEARCH_ONLY),
        pictures=list(zip(numbers, pictures, strict=True)),
        last=max(numbers),
        axial=plane == "axial",
        answer=study.model_answer(shown.case) if aided else None,
        model=study.protocol.model,
        least_heat=THRESHOLD,
    )
    path.write_text(page, encoding="utf-8")


def _upright(path: Path) -> tuple[sitk.Image, str, range]:
    """An image, its plane, and the numbers of its slices in the file, from 0; axial slices from the lowest on, the
    patient's right on the left, front on top."""
    series = read_image_file(path)
    image, plane = as_image(series.voxels, series.geometry), plane_of(series.geometry.direction)
    numbers = range(len(series.voxels))
    if plane != "axial":
        return image, plane, numbers
    upwards = series.geometry.direction[2, 2] > 0
    return sitk.DICOMOrient(image, "LPS"), plane, numbers if upwards else numbers[::-1]


def _picture(pixels: np.ndarray, image: sitk.Image) -> str:
    """A slice as PNG in base64, with square pixels."""
    i_mm, j_mm, _ = image.GetSpacing()
    picture, finest = Image.fromarray(pixels), min(i_mm, j_mm)
    size = (round(picture.width * i_mm / finest), round(picture.height * j_mm / finest))
    file = io.BytesIO()
    (picture if size == picture.size else picture.resize(size, Image.Resampling.BILINEAR)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
