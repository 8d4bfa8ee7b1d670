"""RTSTRUCT as regions and muscles: contours lie where they were drawn, with their holes."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from dicom_files import write_series
from exchange_cases import FRAME_OF_REFERENCE, study_datasets, write_all
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.mrml.pipeline import StudyFiles
from DystrophyDxLib.mrml.segmentation import labels_of_file
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.series.dicom_contours import read_contours
from DystrophyDxLib.series.reading import read_study
from DystrophyDxLib.series.segmentation_file import read_segmentation
from DystrophyDxLib.series.series import Geometry

DIRECTIONS = {
    "axial": np.eye(3),
    "feet first": np.diag([1.0, -1.0, -1.0]),
    "oblique": Rotation.from_euler("xz", [20, 12], degrees=True).as_matrix(),
}
SHAPE = (3, 60, 50)


def geometry(direction=DIRECTIONS["axial"]) -> Geometry:
    return Geometry((-30.0, 20.0, 100.0), (1.5, 1.2, 6.0), direction)


def circle(i: float, j: float, k: float, mm: float, on: Geometry, points: int = 720) -> np.ndarray:
    """(points, 3) LPS mm of a circle in a slice."""
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    i_mm, j_mm, _ = on.spacing
    places = [i + mm * np.cos(angles) / i_mm, j + mm * np.sin(angles) / j_mm, np.full(points, k), np.ones(points)]
    return (on.ijk_to_lps @ np.array(places))[:3].T


def disc(i: float, j: float, mm: float, on: Geometry) -> np.ndarray:
    """(y, x) voxels whose centres lie within a circle, by their distance alone."""
    y, x = np.indices(SHAPE[1:])
    return np.hypot((x - i) * on.spacing[0], (y - j) * on.spacing[1]) < mm


def write_structures(path, structures: dict[str, list[np.ndarray]], kind: str = "CLOSED_PLANAR", **attributes):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = meta.MediaStorageSOPClassUID
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.StructureSetROISequence, ds.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(structures.items(), 1):
        named, drawn = Dataset(), Dataset()
        named.ROINumber, named.ROIName = number, name
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for corners in contours:
            contour = Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = kind, len(corners)
            contour.ContourData = [f"{x:.8g}" for x in corners.ravel()]
            drawn.ContourSequence.append(contour)
        ds.StructureSetROISequence.append(named)
        ds.ROIContourSequence.append(drawn)
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    ds.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_circles_and_holes_are_the_voxels_within_them(direction, kind, tmp_path):
    on = geometry(direction)
    ring = [circle(24.3, 30.2, 1, 20, on), circle(22.1, 29.7, 1, 9, on)]
    path = write_structures(tmp_path / "rt.dcm", {"ring": ring, "over it": [circle(20, 30, 1.2, 12, on)]}, kind)
    found = read_contours(path, on, SHAPE)
    masks = {name: found.layers[layer] == value for name, layer, value in found.segments}
    assert not masks["ring"][[0, 2]].any()
    expected = disc(24.3, 30.2, 20, on) & ~disc(22.1, 29.7, 9, on)
    assert (masks["ring"][1] != expected).sum() <= 2, "but for polygons being no circles"
    assert (masks["over it"][1] != disc(20, 30, 12, on)).sum() <= 2
    assert len(found.layers) == 2, "what overlaps is kept apart"


def test_a_keyhole_is_a_hole_and_corners_beside_the_image_are_no_matter(tmp_path):
    on = geometry()
    outer = [(-5, -5), (30, -5), (30, 40), (-5, 40)]
    inner = [(10, 10), (10, 20), (20, 20), (20, 10)]
    path = [*outer, outer[0], *inner, inner[0]]  # there and back on the same line
    corners = (on.ijk_to_lps @ np.array([(i + 0.5, j + 0.5, 1, 1) for i, j in path], float).T)[:3].T
    (layer,) = read_contours(write_structures(tmp_path / "rt.dcm", {"x": [corners]}), on, SHAPE).layers
    expected = np.zeros(SHAPE[1:], bool)
    expected[:41, :31] = True
    expected[11:21, 11:21] = False
    np.testing.assert_array_equal(layer[1] > 0, expected)


def test_a_region_from_an_rtstruct_lies_on_the_images(tmp_path):
    write_series(tmp_path / "s", study_datasets())
    series = read_study(tmp_path / "s")
    left = [(14.5, 5.5), (18.5, 5.5), (18.5, 15.5), (14.5, 15.5)]
    corners = (series.geometry.ijk_to_lps @ np.array([(i, j, 2, 1) for i, j in left], float).T)[:3].T
    region = write_structures(
        tmp_path / "rt.dcm", {"Left leg": [corners]}, FrameOfReferenceUID=FRAME_OF_REFERENCE, PatientID="4711-0815"
    )
    file, _ = StudyFiles(tmp_path / "s", region=region).drawn_on(series)
    volume = add_series(slicer.vtkMRMLScene(), series)
    labels = labels_of_file(file, volume, lambda drawn: drawn).labels
    assert np.argwhere(labels == 1)[[0, -1]].tolist() == [[2, 6, 15], [2, 15, 18]]
    assert (labels > 0).sum() == 40


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"PatientID": "another"}, "patient is another"),
        ({"FrameOfReferenceUID": "1.2.3.4.6"}, "frame of reference is another"),
    ],
)
def test_what_is_of_another_patient_is_refused_even_on_the_same_grid(attributes, words, tmp_path):
    written = write_all(tmp_path, study_datasets())
    series = read_study(tmp_path / "study")
    own = written.folder / "seg.dcm"
    StudyFiles(tmp_path / "study", region=own).drawn_on(series)
    ds = written.seg
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    ds.save_as(tmp_path / "other.dcm")
    with pytest.raises(InputError, match=words):
        StudyFiles(tmp_path / "study", region=tmp_path / "other.dcm").drawn_on(series)


def test_what_cannot_be_drawn_is_refused_in_one_line(tmp_path):
    on = geometry()
    with pytest.raises(InputError, match="no closed contour"):
        read_contours(write_structures(tmp_path / "a.dcm", {"x": []}), on, SHAPE)
    with pytest.raises(InputError, match="no closed contour"):
        read_contours(write_structures(tmp_path / "b.dcm", {"x": [circle(9, 9, 1, 5, on)]}, "OPEN_PLANAR"), on, SHAPE)
    across = circle(9, 9, 1, 5, geometry(DIRECTIONS["oblique"]))
    with pytest.raises(InputError, match="do not lie in the slices"):
        read_contours(write_structures(tmp_path / "c.dcm", {"x": [across]}), on, SHAPE)
    with pytest.raises(InputError, match="needs the images"):
        read_segmentation(tmp_path / "a.dcm")
    whole = write_structures(tmp_path / "d.dcm", {"x": [circle(9, 9, 1, 5, on)]}).read_bytes()
    for cut in (400, len(whole) - 30):
        (tmp_path / "e.dcm").write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"damaged|no closed contour"):
            read_contours(tmp_path / "e.dcm", on, SHAPE)
