"""Names of labels, from the tables of the programs by which muscles are drawn."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.series.label_names import read_label_names
from DystrophyDxLib.series.segmentation_file import read_segmentation

NAMES = {1: "sartorius", 3: "vastus lateralis"}
SNAP = """################################################
# ITK-SnAP Label Description File
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "sartorius"
    3     0  255    0      0.5  1  1    "vastus lateralis"
"""
COLOURS = "# Color table file\n0 Background 0 0 0 0\n1 sartorius 255 0 0 255\n3 vastus_lateralis 0 255 0 255\n"
SLICER = "LabelValue,Name,Color_R,Color_G,Color_B\n1,sartorius,1,2,3\n3,vastus lateralis,4,5,6\n"
NNUNET = {"background": 0, "sartorius": 1, "vastus lateralis": 3}
TABLES = {
    "a.csv": "label,name\n1,sartorius\n3,vastus lateralis\n",
    "semicolons.csv": "Label;Name\n1;sartorius\n3;vastus lateralis\n",
    "slicer.csv": SLICER,
    "snap.txt": SNAP,
    "snap.label": SNAP,
    "slicer.ctbl": COLOURS,
    "dataset.json": json.dumps({"labels": NNUNET, "file_ending": ".nii.gz"}),
    "by_label.json": json.dumps({"1": "sartorius", "3": "vastus lateralis"}),
    "list.json": json.dumps({"labels": [{"value": 1, "name": "sartorius"}, {"value": 3, "name": "vastus lateralis"}]}),
}


@pytest.mark.parametrize("name", TABLES)
def test_names_are_read_as_each_program_writes_them(tmp_path, name):
    (tmp_path / name).write_text(TABLES[name], encoding="utf-8")
    assert read_label_names(tmp_path / name) == NAMES


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "number,region\n1,pons\n"), ("a.json", "{broken"), ("a.json", '{"EchoTime": 0.01}'), ("a.txt", "")],
)
def test_a_table_without_names_is_told_with_what_to_give(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=rf"{name} holds no names .* columns label and name"):
        read_label_names(tmp_path / name)
    with pytest.raises(InputError, match=r"none\.csv"):
        read_label_names(tmp_path / "none.csv")


@pytest.fixture
def label_map(tmp_path):
    labels = np.zeros((3, 20, 24), np.uint8)
    labels[1, 4:8, 4:8], labels[2, 4:8, 4:8] = 1, 3
    sitk.WriteImage(sitk.GetImageFromArray(labels), tmp_path / "muscles.nii.gz")
    return tmp_path / "muscles.nii.gz"


def names_of(*arguments):
    return [segment.name for segment in read_segmentation(*arguments).segments]


def test_labels_are_called_by_their_names_where_a_table_tells_them(label_map):
    assert names_of(label_map) == ["label 1", "label 3"], "which is all that is known"
    sidecar = label_map.with_name("muscles.json")
    sidecar.write_text('{"EchoTime": 0.01}')
    assert names_of(label_map) == ["label 1", "label 3"], "what lies beside it may be of something else"
    sidecar.write_text(TABLES["dataset.json"])
    assert names_of(label_map) == ["sartorius", "vastus lateralis"]
    given = label_map.with_name("own.csv")
    given.write_text("label,name\n3,VL\n")
    assert names_of(label_map, given) == ["label 1", "VL"]
