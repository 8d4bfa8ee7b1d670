"""DICOM objects are made of the images that were read, or it is said what these lack."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import IDENTITY, thigh_like, write_series
from exchange_cases import result_of, study_datasets, texts, write_all
from typer.testing import CliRunner

from DystrophyDxLib.commands.main import app
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.exchange.export import DicomExport
from DystrophyDxLib.exchange.node.thighs import ThighExport
from DystrophyDxLib.exchange.source import Source, Unreferable
from DystrophyDxLib.mrml import pipeline
from DystrophyDxLib.series.dicom_header import quiet_pydicom
from DystrophyDxLib.series.reading import read_study


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_a_source_without_what_dicom_needs_is_refused_by_name(keyword, tmp_path):
    without(keyword, tmp_path / "study")
    with pytest.raises(Unreferable, match=pydicom.datadict.dictionary_description(keyword)):
        Source.read(tmp_path / "study", read_study(tmp_path / "study"))
    with pytest.raises(InputError, match="cannot refer to them"):
        ThighExport(tmp_path / "study", ()).check(read_study(tmp_path / "study"))


def without(keyword: str, folder: Path) -> None:
    """Writes a study that lacks a UID."""
    datasets = study_datasets()
    for ds in datasets:
        delattr(ds, keyword)
        ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    folder.mkdir()
    for n, ds in enumerate(datasets):
        ds.save_as(folder / f"{n}.dcm")


def test_of_images_without_a_series_uid_all_but_the_objects_is_written_and_one_line_says_why(tmp_path, monkeypatch):
    without("SeriesInstanceUID", tmp_path / "study")
    series = read_study(tmp_path / "study")

    def classify(files, model, out, *, further, **_):
        out.mkdir()
        further.check(series)
        further.write(out, result_of(series), None, {})
        return result_of(series)

    monkeypatch.setattr(pipeline, "classify_into_folder", classify)
    asked = ["classify", str(tmp_path / "study"), "--out", str(tmp_path / "out"), "--dicom", "--json"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.exception
    assert done.stderr.splitlines()[-1] == (
        "There are no DICOM objects: The images have no Series Instance UID, without which a DICOM object cannot "
        "refer to them; export the study again with its full headers."
    )
    assert list((tmp_path / "out").iterdir()) == []


def test_of_images_without_a_frame_of_reference_report_and_overview_are_written(tmp_path):
    datasets = study_datasets()
    for ds in datasets:
        del ds.FrameOfReferenceUID
    written = write_all(tmp_path, datasets)
    assert {path.name for path in written.folder.iterdir()} == {"report.dcm", "overview.dcm"}
    assert "indeterminate" in texts(written.report)["Finding"][0]
    export = DicomExport(tmp_path / "study")
    export.check(read_study(tmp_path / "study"))
    assert "no Frame of Reference UID" in export.note
    several = study_datasets()
    several[1].FrameOfReferenceUID = "1.2.3"
    write_series(tmp_path / "several", several)
    with pytest.raises(InputError, match="more than one frame of reference"):
        Source.read(tmp_path / "several", read_study(tmp_path / "several"))


def test_a_source_that_has_changed_since_it_was_read_is_refused(tmp_path):
    paths = write_series(tmp_path / "study", study_datasets())
    series = read_study(tmp_path / "study")
    source = Source.read(tmp_path / "study", series)
    source.check_unchanged()
    ds = pydicom.dcmread(paths[1])
    ds.PixelData = thigh_like(1, seed=9)[0].tobytes() + b"\0\0"
    ds.save_as(paths[1])
    with pytest.raises(InputError, match="have changed"):
        source.check_unchanged()
    with pytest.raises(InputError, match="have changed"):
        Source.read(tmp_path / "study", series)


def test_an_image_file_is_refused(tmp_path):
    path = tmp_path / "thigh.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(thigh_like(4)), str(path))
    with pytest.raises(InputError, match="image file"):
        Source.read(path, read_study(path))


def test_the_command_refuses_an_image_file_before_anything_slow_is_loaded(tmp_path, monkeypatch):
    path = tmp_path / "thigh.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(thigh_like(4)), str(path))
    loaded = property(lambda self: pytest.fail("PyTorch was loaded"))
    monkeypatch.setattr(pipeline.ModelOnDevice, "classifier", loaded)
    refused = CliRunner().invoke(app, ["classify", str(path), "--out", str(tmp_path / "out"), "--dicom"])
    assert isinstance(refused.exception, InputError)
    assert "leave out --dicom" in str(refused.exception)
    assert not (tmp_path / "out").exists()


def test_values_that_would_make_an_object_invalid_are_left_out(tmp_path):
    datasets = study_datasets(PatientSex="female", StudyDate="2 May", PatientAge="young", StudyID="7" * 17)
    for ds in datasets:
        ds.PatientBirthDate = "1961"
    written = write_all(tmp_path, datasets)
    assert (written.seg.PatientSex, written.seg.StudyDate, written.seg.PatientBirthDate) == ("", "", "")
    assert written.seg.StudyID == ""
    assert "PatientAge" not in written.seg


def test_the_names_of_a_study_keep_their_letters_and_are_told_nowhere_else(tmp_path, caplog, capsys, recwarn):
    datasets = study_datasets()
    for ds in datasets:
        ds.SpecificCharacterSet = "ISO_IR 100"
        ds.PatientName = "Müller"  # one part, of which pydicom and highdicom warn
    written = write_all(tmp_path, datasets)
    assert str(written.report.PatientName) == "Müller"
    told = caplog.text + "".join(map(str, capsys.readouterr())) + "".join(str(w.message) for w in recwarn)
    assert not [word for word in ("Müller", *IDENTITY) if word in told]


def test_values_of_a_header_that_are_too_long_are_told_nowhere(tmp_path, recwarn):
    with quiet_pydicom():
        write_series(tmp_path / "study", study_datasets(AccessionNumber="12345678901234567890"))
    source = Source.read(tmp_path / "study", read_study(tmp_path / "study"))
    assert source.study.AccessionNumber == "12345678901234567890", "it leads to the patient's record"
    assert [str(w.message) for w in recwarn] == []
