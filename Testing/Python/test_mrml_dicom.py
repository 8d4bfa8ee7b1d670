"""A classification in a scene becomes DICOM objects of the images that its volume was loaded from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import slicer
from dicom_files import thigh_like, write_series
from exchange_cases import BRIGHT, frames, lps, result_of, same_points, source_planes, study_datasets
from mrml_cases import image

from DystrophyDxLib.classify import Classification
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.explain.heat import Heat, HeatDrawing
from DystrophyDxLib.models.cells import CellGrid
from DystrophyDxLib.models.recipe import SampleRecipe
from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.dicom_database import INSTANCES, write_dicom
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.muscles.muscle_map import MuscleMap
from DystrophyDxLib.regions.windows import Regions
from DystrophyDxLib.series.reading import read_study


class Database:
    """Slicer's, as far as it is asked."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = {pydicom.dcmread(path).SOPInstanceUID: str(path) for path in paths}

    def fileForInstance(self, uid: str) -> str:
        return self._paths.get(uid, "")

    @property
    def uids(self) -> str:
        return " ".join(self._paths)


@pytest.fixture
def loaded(tmp_path):
    """A volume of a scene with an answer, the database that it is from, and the files."""
    paths = write_series(tmp_path / "study", study_datasets(thigh_like(4, 48, 60)))
    series = read_study(tmp_path / "study")
    database = Database(paths)
    shape = series.voxels.shape
    legs = np.zeros(shape, np.uint8)
    legs[:, 4:44, 32:56], legs[:, 4:44, 4:28] = 1, 2
    labels = np.where((series.voxels > BRIGHT) & (legs > 0), 1, 0).astype(np.uint8)
    muscles = MuscleMap(labels, np.where(labels > 0, legs, 0).astype(np.uint8))
    scene = slicer.vtkMRMLScene()
    found = SceneClassification(add_series(scene, series, "T1"))
    found.volume.SetAttribute(INSTANCES, database.uids)
    drawing = HeatDrawing(CellGrid(0, 32), SampleRecipe(size=224), 1.0, series.geometry, shape)
    heat = Heat((legs > 0) * series.voxels / np.float32(4096), 1.0, (), 1)
    answer = result_of(series, images=tuple(image(k, side, 0.6) for k in range(4) for side in ("left", "right")))
    found.put(Classification(answer, Regions(legs, ()), (), (), heat, drawing, muscles))
    yield found, database, paths
    scene.Clear(0)


def test_the_objects_lie_on_the_images_that_the_volume_was_loaded_from(loaded, tmp_path):
    found, database, paths = loaded
    written = write_dicom(found, {}, database, tmp_path / "out")
    assert [path.name for path in written] == ["seg.dcm", "heatmap.dcm", "report.dcm", "overview.dcm"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["dicom"]
    seg = pydicom.dcmread(written[0])
    muscles = {item.SegmentNumber for item in seg.SegmentSequence if item.SegmentLabel.endswith("sartorius")}
    assert {item.SegmentAlgorithmType for item in seg.SegmentSequence} == {"AUTOMATIC"}
    points = np.concatenate(
        [
            lps(plane, place)
            for place, groups, plane in frames(seg)
            if groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber in muscles
        ]
    )
    inside = np.zeros((48, 60), bool)
    inside[4:44, 32:56] = inside[4:44, 4:28] = True
    expected = [lps((plane > BRIGHT) & inside, place) for place, _, _, plane in source_planes(paths)]
    assert same_points(points, np.concatenate(expected))


def test_a_volume_that_is_not_from_the_database_or_was_changed_is_refused(loaded, tmp_path):
    found, database, paths = loaded
    x, y, z = found.volume.GetOrigin()
    found.volume.SetOrigin(x + 1, y, z)
    with pytest.raises(InputError, match="moved"):
        write_dicom(found, {}, database, tmp_path / "out")
    found.volume.SetOrigin(x, y, z)
    slicer.util.arrayFromVolume(found.volume)[0, 0, 0] += 1
    with pytest.raises(InputError, match="have changed"):
        write_dicom(found, {}, database, tmp_path / "out")
    paths[0].unlink()
    with pytest.raises(InputError, match="any more"):
        write_dicom(found, {}, database, tmp_path / "out")
    found.volume.RemoveAttribute(INSTANCES)
    with pytest.raises(InputError, match="not loaded from Slicer's DICOM database"):
        write_dicom(found, {}, database, tmp_path / "out")
