"""The studies in a tree of folders: found by what the files say, each once, whatever lies beside them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from archive_cases import study_datasets, write_study
from crews import Elsewhere

from DystrophyDxLib.archive import tree
from DystrophyDxLib.archive.crew import OWN_PROCESS, Cluster, OwnProcesses
from DystrophyDxLib.archive.pseudonyms import Pseudonyms
from DystrophyDxLib.archive.studies import Files
from DystrophyDxLib.archive.tree import TreeScan, crew_for
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
    (tmp_path / "both" / "zeros").write_bytes(bytes(500))
    (tmp_path / "both" / "empty").touch()
    found = scan(tmp_path)
    assert (kinds(found), found.passed_over) == (["file", "file"], 1)
    assert sum("nothing but zeros" in failure.reason for *_, failure in found.failures) == 1
    assert sorted(len(files_of(study)) for study in found.studies) == [2, 2, 2]
    damaged = next(study for study in found.studies if any("alone" in name for name in files_of(study)))
    with damaged.images.opened() as given, pytest.raises(InputError, match="1 DICOM file is damaged"):
        read_study(given.path)


def test_a_damaged_file_beside_copies_of_a_study_that_is_whole_elsewhere_is_told_by_itself(tmp_path):
    paths = write_study(tmp_path / "whole", study_datasets(1))
    shutil.copytree(tmp_path / "whole", tmp_path / "backup")
    lost = study_datasets(2)[0]
    lost.save_as(tmp_path / "backup" / "lost", enforce_file_format=True)
    (tmp_path / "backup" / "lost").write_bytes((tmp_path / "backup" / "lost").read_bytes()[:300])
    found = scan(tmp_path)
    assert (kinds(found), found.copies) == (["file"], 2)
    (study,) = found.studies
    assert len(files_of(study)) == 4
    with study.images.opened() as given:
        assert len(read_study(given.path).voxels) == 2
    # What is damaged in both places, or lies nowhere else, may be an image that the study lacks.
    shutil.copy(tmp_path / "backup" / "lost", tmp_path / "whole" / "lost")
    assert kinds(scan(tmp_path)) == []
    (tmp_path / "whole" / "lost").unlink()
    paths[1].unlink()
    assert kinds(scan(tmp_path)) == []


def test_several_processes_find_what_one_finds(tmp_path, monkeypatch):
    """Files of all kinds, in batches that end in the middle of a study."""
    for n in range(3):
        write_study(tmp_path / "all", study_datasets(n), f"{n}-")
    write_study(tmp_path / "again", study_datasets(0))
    write_study(tmp_path / "ct", study_datasets(9, Modality="CT"))
    (tmp_path / "ct" / "cut").write_bytes((tmp_path / "ct" / "IM0").read_bytes()[:300])
    (tmp_path / "all" / "letter.txt").write_text("Dear colleague, " * 20)
    (tmp_path / "all" / "empty").write_bytes(bytes(500))
    for name in ("x.nii.gz", "y.nii.gz", "z.mhd"):
        (tmp_path / name).write_bytes(b"ElementDataFile = gone.raw")
    monkeypatch.setattr(tree, "_BATCH", 3)
    one = scan(tmp_path)
    for crew in (OwnProcesses(2), Elsewhere(tmp_path)):
        assert TreeScan(tmp_path, KEY, crew=lambda files, crew=crew: crew).run() == one
    assert (len(one.studies), kinds(one), one.copies) == (4, ["copy", "file", "file", "file", "no MR"], 3)


def test_processes_are_begun_for_many_files_alone():
    assert crew_for(19_999, "head:6379", 2) == OWN_PROCESS
    assert crew_for(20_000, None, 2) == crew_for(99_999, "head:6379", 2) == OwnProcesses(2)
    assert crew_for(100_000, "head:6379", 2) == Cluster("head:6379")


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
