"""The studies in a tree of folders: found by what the files say, each once, whatever lies beside them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from archive_cases import study_datasets, write_study

from DystrophyDxLib.archive.pseudonyms import Pseudonyms
from DystrophyDxLib.archive.studies import Files
from DystrophyDxLib.archive.tree import TreeScan
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.series.reading import read_study

KEY = Pseudonyms(b"sixteen letters!")


def scan(folder):
    return TreeScan(folder, KEY).run()


def kinds(found):
    return sorted(failure.kind for _, _, failure in found.failures)


def files_of(study):
    return sorted(f"{folder}/{name}" for folder, names in study.images.names.items() for name in names)


def test_studies_are_told_apart_by_their_headers_in_one_folder_or_in_many(tmp_path):
    first, second, third = (study_datasets(n) for n in (1, 2, 3))
    write_study(tmp_path / "all" / "in one", first, "a")
    write_study(tmp_path / "all" / "in one", second, "b")
    for n, ds in enumerate(third):
        write_study(tmp_path / f"disk {n}" / "deep" / "er", [ds])
    found = scan(tmp_path)
    assert sorted(len(files_of(study)) for study in found.studies) == [2, 2, 2]
    assert len({study.patient for study in found.studies}) == 3
    assert (found.files, found.passed_over, found.copies, found.failures) == (6, 0, 0, [])
    assert sorted(identity.patient_id for identity in found.identities) == ["4711-00001", "4711-00002", "4711-00003"]
    assert [study.study for study in scan(tmp_path).studies] == [study.study for study in found.studies]


def test_two_patients_with_one_study_uid_are_two_studies_and_no_uid_at_all_is_one_a_folder(tmp_path):
    write_study(tmp_path / "a", study_datasets(1, StudyInstanceUID="1.2.3.4"))
    write_study(tmp_path / "a", study_datasets(2, StudyInstanceUID="1.2.3.4"), "other")
    for folder in ("c", "d"):
        write_study(tmp_path / folder, study_datasets(3, StudyInstanceUID="", PatientID=""))
    found = scan(tmp_path)
    assert len(found.studies) == 4
    assert sum(study.patient is None for study in found.studies) == 2


def test_a_copy_of_a_study_is_the_same_study_and_a_copy_of_an_image_file_is_told(tmp_path):
    write_study(tmp_path / "a", study_datasets(1))
    shutil.copytree(tmp_path / "a", tmp_path / "backup" / "a")
    image = sitk.GetImageFromArray(np.random.default_rng(0).normal(100, 20, (3, 32, 32)).astype(np.float32))
    sitk.WriteImage(image, str(tmp_path / "x.nii.gz"))
    shutil.copy(tmp_path / "x.nii.gz", tmp_path / "again.nii.gz")
    found = scan(tmp_path)
    assert len(found.studies) == 2
    assert kinds(found) == ["copy"]
    assert found.copies == 3
    dicom = next(study for study in found.studies if isinstance(study.images, Files))
    with dicom.images.opened() as given:
        assert len(read_study(given.path).voxels) == 2


def test_what_is_damaged_goes_with_the_only_study_beside_it_or_is_told_by_itself(tmp_path):
    for n in (1, 2):
        write_study(tmp_path / "both", study_datasets(n), f"s{n}-")
    cut = write_study(tmp_path / "alone", study_datasets(3))[0]
    cut.write_bytes(cut.read_bytes()[:300])
    (tmp_path / "both" / "cut").write_bytes(cut.read_bytes())
    (tmp_path / "both" / "empty").write_bytes(bytes(500))
    found = scan(tmp_path)
    assert kinds(found) == ["file"]
    assert sorted(len(files_of(study)) for study in found.studies) == [2, 2, 2]
    damaged = next(study for study in found.studies if any("alone" in name for name in files_of(study)))
    with damaged.images.opened() as given, pytest.raises(InputError, match="1 DICOM file is damaged"):
        read_study(given.path)


def test_other_modalities_are_told_and_what_is_no_image_is_passed_over(tmp_path):
    write_study(tmp_path / "ct", study_datasets(1, Modality="CT"))
    write_study(tmp_path / "mr", study_datasets(2))
    write_study(tmp_path / "mr", study_datasets(2, Modality="SR")[:1], "report")
    (tmp_path / "mr" / "letter.txt").write_text("Dear colleague, " * 20)
    (tmp_path / "mr" / ".hidden").write_text("x")
    found = scan(tmp_path)
    assert [failure.reason for *_, failure in found.failures] == ["The study holds no MR images, only CT."]
    assert (len(found.studies), found.files, found.passed_over) == (1, 6, 1)


def test_the_folder_of_the_results_is_no_part_of_the_archive(tmp_path):
    write_study(tmp_path / "mr", study_datasets(1))
    write_study(tmp_path / "out" / "results", study_datasets(2))
    assert len(TreeScan(tmp_path, KEY, without=tmp_path / "out").run().studies) == 1


def test_only_the_begin_of_a_file_is_read(tmp_path):
    """A header pass over terabytes must not read pixels."""
    paths = write_study(tmp_path, study_datasets(1))
    for path in paths:
        content = path.read_bytes()
        path.write_bytes(content[:1500])  # past the study's UID, before the pixels
    found = scan(tmp_path)
    assert (len(found.studies), found.failures) == (1, [])


def test_a_key_is_made_for_the_user_alone_and_another_key_gives_other_names(tmp_path):
    one = Pseudonyms.with_key(tmp_path / "a.key", make=True)
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600
    assert one.study("x") == Pseudonyms.with_key(tmp_path / "a.key", make=False).study("x")
    other = Pseudonyms.with_key(tmp_path / "b.key", make=True)
    assert one.study("x") != other.study("x")
    assert one.fingerprint != other.fingerprint
    (tmp_path / "short.key").write_text("secret")
    with pytest.raises(InputError, match="shorter"):
        Pseudonyms.with_key(tmp_path / "short.key", make=True)
