"""NRRD and MetaImage files from anywhere: nothing that a header says is believed unless the file bears it out."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from dicom_files import thigh_like
from series_cases import refusal

from DystrophyDxLib.results import WarningCode
from DystrophyDxLib.series.reading import read_frames, read_study

VOXELS = thigh_like(3)
SLICES, ROWS, COLUMNS = VOXELS.shape
NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": f"{COLUMNS} {ROWS} {SLICES}",
    "space directions": "(1.5,0,0) (0,1.2,0) (0,0,6)",
    "space origin": "(-10,20,30)",
    "encoding": "raw",
    "endian": "little",
}
META = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "-10 20 30",
    "ElementSpacing": "1.5 1.2 6",
    "DimSize": f"{COLUMNS} {ROWS} {SLICES}",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}


def nrrd(path: Path, stored: bytes = VOXELS.tobytes(), more: str = "", **changed: str | None) -> Path:
    fields = NRRD | {name.replace("_", " "): value for name, value in changed.items()}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    path.write_bytes("\n".join(["NRRD0005", more, *lines, "", ""]).replace("\n\n", "\n", not more).encode() + stored)
    return path


def metaimage(path: Path, stored: bytes = VOXELS.tobytes(), **changed: str | None) -> Path:
    fields = META | changed
    fields["ElementDataFile"] = fields.pop("ElementDataFile")  # the last line
    lines = [f"{name} = {value}" for name, value in fields.items() if value is not None]
    path.write_bytes(("\n".join(lines) + "\n").encode() + stored)
    return path


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"NDims": "-1"}, "how many voxels"),
        ({"NDims": "1", "DimSize": "4096"}, "how many voxels"),
        ({"DimSize": f"{COLUMNS} {ROWS}"}, "how many voxels"),
        ({"DimSize": f"{COLUMNS} {ROWS} 0"}, "how many voxels"),
        ({"DimSize": f"{COLUMNS} {ROWS} 4"}, "cut off"),
        ({"DimSize": f"{COLUMNS} {ROWS} 2"}, "more slices"),
        ({"DimSize": f"{COLUMNS} {ROWS} 99999999"}, "too many for memory"),
        ({"DimSize": "9" * 5000}, "no numbers"),
        ({"ElementType": "MET_OTHER"}, "type that is not known"),
        ({"ElementNumberOfChannels": "3"}, "several numbers"),
        ({"ElementSpacing": "1.5 -1.2 6"}, "not positive"),
        ({"ElementSpacing": "1e-6 1e-6 6"}, "millimetres"),
        ({"Offset": "1e30 0 0"}, "where the image lies"),
        ({"TransformMatrix": "1 0 0 1"}, "where the image lies"),
        ({"TransformMatrix": "nan 0 0 0 1 0 0 0 1"}, "where the image lies"),
        ({"ElementDataFile": "f%s%s%s%n.raw 1 3 1"}, "form that is not known"),
        ({"ElementDataFile": "f%09999999d.raw 1 3 1"}, "form that is not known"),
        ({"ElementDataFile": "f%d.raw 1 999999999 1"}, "data files"),
        ({"ElementDataFile": "f%d.raw 1 3 0"}, "form that is not known"),
        ({"ElementDataFile": "../outside.raw"}, "another folder"),
        ({"ElementDataFile": "/etc/hostname"}, "another folder"),
        ({"ElementDataFile": "absent.raw"}, "lacks its data file"),
        ({"HeaderSize": "-2"}, "damaged"),
    ],
)
def test_a_metaimage_header_that_the_file_does_not_bear_out_is_refused(tmp_path, changed, said):
    assert said in refusal(metaimage(tmp_path / "image.mha", **changed))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"space": "x" * 5000}, "space that is not known"),
        ({"more": "x" * 5000}, "damaged"),
        ({"more": "type: short"}, "damaged"),
        ({"dimension": "-3"}, "how many voxels"),
        ({"sizes": f"{COLUMNS} {ROWS} 99999999999"}, "too many for memory"),
        ({"sizes": f"{COLUMNS} {ROWS} {'9' * 400}"}, "how many voxels"),
        ({"sizes": f"{COLUMNS} {ROWS} 4"}, "cut off"),
        ({"sizes": f"{COLUMNS} {ROWS} 2"}, "more slices"),
        ({"sizes": f"{COLUMNS} {ROWS} x"}, "no numbers"),
        ({"encoding": "zip"}, "packed in a way"),
        ({"encoding": "gzip"}, "cut off, damaged"),
        ({"encoding": "bzip2"}, "cut off, damaged"),
        ({"encoding": "ascii"}, "cut off, damaged"),
        ({"encoding": "hex"}, "cut off, damaged"),
        ({"endian": None}, "order its bytes"),
        ({"byte_skip": "-7"}, "damaged"),
        ({"byte_skip": "999999999999999"}, "cut off"),
        ({"line_skip": "999999999999999"}, "cut off"),
        ({"space_directions": "(1e-30,0,0) (0,1e-30,0) (0,0,5)"}, "millimetres"),
        ({"space_directions": "(1,0,0) (1,0,0) (0,0,5)"}, "not perpendicular"),
        ({"space_directions": "(1,0,0) (0,1,0)"}, "how long its axes"),
        ({"space_origin": "(1,2)x(3"}, ""),
        ({"data_file": "../outside.raw"}, "another folder"),
        ({"data_file": "/etc/hostname"}, "another folder"),
        ({"data_file": "f%s%n.raw 1 3 1"}, "form that is not known"),
        ({"kinds": "RGB-color domain domain"}, "several numbers"),
    ],
)
def test_a_nrrd_header_that_the_file_does_not_bear_out_is_refused(tmp_path, changed, said):
    path = nrrd(tmp_path / "image.nrrd", **changed)
    if said:
        assert said in refusal(path)
    else:
        np.testing.assert_array_equal(read_study(path).voxels, VOXELS)


def test_blank_lines_and_comments_of_a_metaimage_header_are_passed_over(tmp_path):
    path = metaimage(tmp_path / "image.mha", Comment="one\nComment = two\n\nNDims = 3")
    np.testing.assert_array_equal(read_study(path).voxels, VOXELS)


def test_a_header_of_endless_numbered_files_costs_no_time(tmp_path):
    names = "\n".join(f"{n}.raw" for n in range(50_000))
    assert "50000 data files for 3 slices" in refusal(nrrd(tmp_path / "image.nhdr", names.encode(), data_file="LIST"))


@pytest.mark.parametrize("size", ["stated", "half", "0", None])
def test_packed_metaimage_voxels_must_be_as_long_as_stated(tmp_path, size):
    stored = zlib.compress(VOXELS.tobytes())
    stated = {"stated": str(len(stored)), "half": str(len(stored) // 2)}.get(size, size)
    path = metaimage(tmp_path / "image.mha", stored, CompressedData="True", CompressedDataSize=stated)
    if size == "stated":
        np.testing.assert_array_equal(read_study(path).voxels, VOXELS)
    else:
        refusal(path)


def test_a_packed_file_is_unpacked_only_as_far_as_its_header_says(tmp_path):
    stored = zlib.compress(bytes(1 << 28), 9)  # a quarter of a megabyte
    path = nrrd(tmp_path / "image.nrrd", stored, encoding="gzip")
    assert "cut off, damaged" in refusal(path)


@pytest.mark.parametrize("form", ["pattern", "list", "list of two-slice files"])
def test_voxels_in_numbered_files_are_read(tmp_path, form):
    voxels = thigh_like(4)
    share = 2 if "two" in form else 1
    names = [f"f{n:03d}.raw" for n in range(1, 4 // share + 1)]
    for n, name in enumerate(names):
        (tmp_path / name).write_bytes(voxels[n * share : (n + 1) * share].tobytes())
    listed = "\n".join(names).encode() if form != "pattern" else b""
    named = "f%03d.raw 1 4 1" if form == "pattern" else "LIST"
    sizes = f"{COLUMNS} {ROWS} 4"
    for path in (
        nrrd(tmp_path / "image.nhdr", listed, sizes=sizes, data_file=named),
        metaimage(tmp_path / "image.mhd", listed, DimSize=sizes, ElementDataFile=named),
    ):
        if form == "pattern":
            path.write_bytes(path.read_bytes().replace(b"\n\n", b"\n"))
        np.testing.assert_array_equal(read_study(path).voxels, voxels)


@pytest.mark.parametrize("encoding", ["ascii", "hex", "bzip2", "line skip", "at the end", "big"])
def test_nrrd_voxels_are_read_however_they_are_stored(tmp_path, encoding):
    import bz2

    path, raw = tmp_path / "image.nrrd", VOXELS.tobytes()
    written = {
        "ascii": lambda: nrrd(path, " ".join(map(str, VOXELS.ravel())).encode(), encoding="ascii", endian=None),
        "hex": lambda: nrrd(path, raw.hex().encode(), encoding="hex"),
        "bzip2": lambda: nrrd(path, bz2.compress(raw), encoding="bzip2"),
        "line skip": lambda: nrrd(path, b"one\ntwo\n" + zlib.compress(raw), encoding="gzip", line_skip="2"),
        "at the end": lambda: nrrd(path, b"anything" + raw, byte_skip="-1"),
        "big": lambda: nrrd(path, VOXELS.astype(">i2").tobytes(), endian="big"),
    }[encoding]()
    series = read_study(written)
    np.testing.assert_array_equal(series.voxels, VOXELS)
    assert series.geometry.origin == (-10, 20, 30)


@pytest.mark.parametrize("none", ["none", "(nan,nan,nan)"])
@pytest.mark.parametrize("axis", ["first", "last"])
def test_volumes_along_an_axis_of_time_are_frames(tmp_path, axis, none):
    voxels = np.stack([VOXELS, VOXELS + 1])
    kinds, steps = ["domain"] * 3, NRRD["space directions"]
    stored, place = (voxels, 3) if axis == "last" else (np.moveaxis(voxels, 0, -1), 0)
    kinds.insert(place, "list")
    path = nrrd(
        tmp_path / "image.nrrd",
        np.ascontiguousarray(stored).tobytes(),
        dimension="4",
        sizes=" ".join(map(str, stored.shape[::-1])),
        kinds=" ".join(kinds),
        space_directions=f"{steps} {none}" if place else f"{none} {steps}",
    )
    frames = read_frames(path)
    np.testing.assert_array_equal(np.stack([frame.voxels for frame in frames]), voxels)
    assert frames[0].geometry.spacing == (1.5, 1.2, 6)


@pytest.mark.parametrize("letters", ["RAI", "LAI"])
def test_metaimage_letters_that_exchange_the_matrix_sides_leave_them_unknown(tmp_path, letters):
    series = read_study(metaimage(tmp_path / "image.mha", AnatomicalOrientation=letters))
    codes = [warning.code for warning in series.warnings]
    assert codes == ([] if letters == "RAI" else [WarningCode.SIDE_CONTRADICTED])
    assert series.orientation_known == (letters == "RAI")


@pytest.mark.parametrize("order", [(2, 0, 1), (0, 2, 1), (1, 2, 0), (1, 0, 2)])
def test_axial_slices_stored_in_another_order_of_axes_are_slices_again(tmp_path, order):
    voxels = thigh_like(5)
    steps = np.array(["(1.5,0,0)", "(0,1.2,0)", "(0,0,6)"])[list(order)]
    stored = voxels.transpose([2 - axis for axis in reversed(order)])
    sizes = " ".join(map(str, stored.shape[::-1]))
    path = nrrd(
        tmp_path / "image.nrrd", np.ascontiguousarray(stored).tobytes(), sizes=sizes, space_directions=" ".join(steps)
    )
    series = read_study(path)
    assert series.geometry.is_axial
    assert len(series.voxels) == 5
    assert series.geometry.spacing[2] == 6
    assert bool(series.notes) == (order != (1, 0, 2))
    affine = series.geometry.ijk_to_lps
    for place in ([0, 0, 0], [3, 2, 1], [19, 23, 4]):  # i, j, k of the slices as they were taken
        lps = np.array([-10, 20, 30]) + np.multiply(place, (1.5, 1.2, 6))
        i, j, k = np.rint(np.linalg.solve(affine, [*lps, 1])[:3]).astype(int)
        assert series.voxels[k, j, i] == voxels[place[2], place[1], place[0]]


def test_sagittal_slices_stay_sagittal(tmp_path):
    path = nrrd(tmp_path / "image.nrrd", space_directions="(0,1.2,0) (0,0,-1.2) (6,0,0)")
    series = read_study(path)
    assert not series.geometry.is_axial
    assert series.notes == ()


def with_nan(path: Path, where: tuple) -> Path:
    voxels = VOXELS.astype(np.float32)
    voxels[where] = np.nan
    return nrrd(path, voxels.tobytes(), type="float")


def test_nan_around_the_body_is_background(tmp_path):
    series = read_study(with_nan(tmp_path / "image.nrrd", np.s_[:, :4]))
    np.testing.assert_array_equal(series.voxels[:, 4:], VOXELS[:, 4:])
    assert not series.voxels[:, :4].any()
    assert "around the body" in series.notes[0]


def test_a_cut_by_brightness_takes_some_dark_voxels_of_the_body_too(tmp_path):
    voxels = VOXELS.astype(np.float32)
    voxels[:, :4] = np.nan
    voxels[1, 10:12, 10:12] = np.nan
    series = read_study(nrrd(tmp_path / "image.nrrd", voxels.tobytes(), type="float"))
    np.testing.assert_array_equal(series.voxels, np.nan_to_num(voxels))
    assert "and so were 4 within it" in series.notes[0]
    voxels[:, 8:14, 8:12] = np.nan
    assert "not numbers" in refusal(nrrd(tmp_path / "image.nrrd", voxels.tobytes(), type="float"))


def test_a_slice_of_nan_is_a_missing_slice(tmp_path):
    series = read_study(with_nan(tmp_path / "image.nrrd", np.s_[1]))
    assert series.missing_slices == (1,)
    assert [warning.code for warning in series.warnings] == [WarningCode.SLICES_MISSING]


def test_nan_within_the_body_is_refused(tmp_path):
    assert "not numbers" in refusal(with_nan(tmp_path / "image.nrrd", np.s_[:]))
    assert "not numbers" in refusal(with_nan(tmp_path / "image.nrrd", np.s_[1, 8:10, 8:10]))


@pytest.mark.parametrize("name", ["image.nii", "image.nrrd", "folder-like"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert "pipe" in refusal(tmp_path / name)


def test_a_pipe_as_data_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "voxels.raw")
    refusal(nrrd(tmp_path / "image.nhdr", b"", data_file="voxels.raw"))
    refusal(metaimage(tmp_path / "image.mhd", b"", ElementDataFile="voxels.raw"))


def test_a_path_that_is_no_utf8_is_read(tmp_path):
    folder = tmp_path / os.fsdecode(b"M\xfcller")
    folder.mkdir()
    np.testing.assert_array_equal(read_study(nrrd(folder / "image.nrrd")).voxels, VOXELS)
    (folder / os.fsdecode(b"v\xf6xel.raw")).write_bytes(VOXELS.tobytes())
    header = metaimage(folder / "image.mhd", b"", ElementDataFile="HERE")
    header.write_bytes(header.read_bytes().replace(b"HERE", b"v\xf6xel.raw"))
    np.testing.assert_array_equal(read_study(header).voxels, VOXELS)
