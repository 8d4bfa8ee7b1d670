"""Objects are the files that pydicom writes, with less work."""

from __future__ import annotations

from collections import Counter

import pydicom
import pytest
from dicom_files import write_series
from exchange_cases import findings_on, study_datasets

from DystrophyDxLib.exchange import writing
from DystrophyDxLib.exchange.heatmap import make_heatmap
from DystrophyDxLib.exchange.making import Making
from DystrophyDxLib.exchange.segmentation import make_segmentation
from DystrophyDxLib.exchange.source import Source
from DystrophyDxLib.series.reading import read_study


@pytest.fixture
def making(tmp_path) -> Making:
    write_series(tmp_path / "study", study_datasets(PatientName="Müller^Änne", SpecificCharacterSet="ISO_IR 192"))
    series = read_study(tmp_path / "study")
    return Making(Source.read(tmp_path / "study", series), findings_on(series))


@pytest.mark.parametrize("make", [make_segmentation, make_heatmap])
def test_a_file_is_byte_by_byte_what_pydicom_writes(make, making, tmp_path):
    make(making).save_as(tmp_path / "by pydicom.dcm", enforce_file_format=True)
    ds = make(making)
    writing.write_object(ds, tmp_path / "own.dcm")
    assert (tmp_path / "own.dcm").read_bytes() == (tmp_path / "by pydicom.dcm").read_bytes()
    read = pydicom.dcmread(tmp_path / "own.dcm")
    assert ds.PerFrameFunctionalGroupsSequence == read.PerFrameFunctionalGroupsSequence, "in memory, too"


def test_what_frames_of_a_slice_share_is_encoded_once(making, tmp_path, monkeypatch):
    encoded, write = Counter(), writing.write_data_element

    def counting(stream, group, *rest):
        encoded[group.keyword] += 1
        write(stream, group, *rest)

    monkeypatch.setattr(writing, "write_data_element", counting)
    ds = make_segmentation(making)
    writing.write_object(ds, tmp_path / "seg.dcm")
    slices = len(making.source.slices)
    assert len(ds.PerFrameFunctionalGroupsSequence) > slices
    assert encoded["DerivationImageSequence"] == encoded["PlanePositionSequence"] == slices
