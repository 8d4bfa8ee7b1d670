"""Samples of a cohort are made once, are those that classification sees, and are trusted only when whole."""

import dataclasses
import re
import shutil

import numpy as np
import pytest
import torch
from cohort_cases import RECIPE, legs_cohort, rows_of, two_legs, write_series, write_table
from model_packages import RECIPE as SMALL
from model_packages import make_package

from DystrophyDxLib.archive.crew import OWN_PROCESS
from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.evaluation.predictions import predict
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.models.recipe import Recipe, SampleRecipe
from DystrophyDxLib.phantom.cohort import Patient, write_cohort
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.samples.quality import judge_images, thigh_images
from DystrophyDxLib.samples.slice_samples import BRIGHTEST, make_samples
from DystrophyDxLib.series.channels import with_channels
from DystrophyDxLib.series.reading import read_study
from DystrophyDxLib.training import sample_store
from DystrophyDxLib.training.sample_store import SampleStore, restored, stored

SIZE = 112


def quiet(what, done, total):
    pass


def store_of(cohort, folder, crew=OWN_PROCESS):
    return SampleStore.of(cohort, SampleRecipe(size=SIZE), folder, crew, quiet)


def refusal(cohort, folder) -> str:
    with pytest.raises(InputError) as refused:
        store_of(cohort, folder)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return legs_cohort(tmp_path_factory.mktemp("cohort"), ["DMD", "BMD", "GNE", "healthy"])


@pytest.fixture(scope="module")
def made(cohort, tmp_path_factory):
    """The folder of a store of `cohort`."""
    folder = tmp_path_factory.mktemp("made")
    store_of(cohort, folder)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy of the folder, to be damaged."""
    return shutil.copytree(made, tmp_path / "store")


@pytest.fixture
def count_made(monkeypatch):
    """The paths whose samples were made and not taken from the store."""
    paths, samples = [], sample_store._samples

    def counted(path, size):
        paths.append(path[0])
        return samples(path, size)

    preprocessing = sample_store._preprocessing()
    monkeypatch.setattr(sample_store, "_samples", counted)
    monkeypatch.setattr(sample_store, "_preprocessing", lambda: preprocessing)
    return paths


def two_channels(folder):
    """The table of three patients with T1 and STIR, and the recipe that needs both."""
    patients = [Patient(n, "DMD", "train", "A", 2, "both") for n in (1, 2, 3)]
    table = write_cohort(patients, folder, seed=4, contrasts=("T1", "STIR"))
    return table, Recipe.named("yang2021_stir")


def test_samples_of_two_channels_are_those_of_classification(tmp_path):
    table, recipe = two_channels(tmp_path / "cohort")
    cohort = Cohort.read(table, recipe)
    sample = recipe.sample.model_copy(update={"size": SIZE})
    store = SampleStore.of(cohort, sample, tmp_path / "store", OWN_PROCESS, quiet)
    assert store.pixels.shape[1:] == (2, SIZE, SIZE)
    case = cohort.cases[0]
    series = with_channels(read_study(case.path), {"STIR": read_study(case.further["STIR"])})
    batch = make_samples(series, find_legs(series).windows, SIZE, sample.channels[1:])
    np.testing.assert_array_equal(store.pixels[store.case == 0], stored(batch.pixels).numpy())


def test_channels_on_grids_that_differ_are_told_with_their_row(tmp_path):
    table, recipe = two_channels(tmp_path / "cohort")
    short = read_study(tmp_path / "cohort" / "P0002" / "STIR.nii.gz")
    write_series(dataclasses.replace(short, voxels=short.voxels[:1]), tmp_path / "cohort" / "P0002" / "STIR.nii.gz")
    with pytest.raises(InputError, match=r"STIR has \d+ × \d+ × 1 voxels .*\(row 3 of patient P0002\)"):
        SampleStore.of(Cohort.read(table, recipe), recipe.sample, tmp_path / "store", OWN_PROCESS, quiet)


def test_stored_samples_are_those_of_classification(cohort, made):
    store = store_of(cohort, made)
    for n, case in enumerate(cohort.cases):
        series = read_study(case.path)
        batch = make_samples(series, find_legs(series).windows, SIZE)
        shown = thigh_images(batch.windows, judge_images(series, batch))
        pixels = restored(torch.from_numpy(store.pixels[store.case == n]))
        torch.testing.assert_close(pixels, batch.pixels[torch.tensor(shown)], atol=0.51 * BRIGHTEST / 255, rtol=0)
        windows = [window for window, thigh in zip(batch.windows, shown, strict=True) if thigh]
        assert store.slice[store.case == n].tolist() == [window.slice for window in windows]
        assert store.side[store.case == n].tolist() == [window.side.value for window in windows]


def test_every_stored_value_comes_back_as_it_was():
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(stored(restored(values)), values)


def test_images_are_read_in_any_order_and_number(cohort, made):
    pixels = store_of(cohort, made).pixels
    everything = pixels[:]
    assert everything.shape == pixels.shape == (16, 1, SIZE, SIZE)
    assert everything.dtype == pixels.dtype == np.uint8
    index = np.random.default_rng(0).integers(0, len(pixels), 50)
    np.testing.assert_array_equal(pixels[index], everything[index])
    np.testing.assert_array_equal(pixels[torch.from_numpy(index)], everything[index])
    np.testing.assert_array_equal(pixels[np.arange(16) % 3 == 0], everything[::3])
    assert pixels[np.array([], int)].shape == (0, 1, SIZE, SIZE)


def test_samples_are_made_once(cohort, folder, count_made):
    store = store_of(cohort, folder)
    assert count_made == []
    assert len(store.pixels) == 16


def test_another_size_is_made_anew(cohort, folder, count_made):
    SampleStore.of(cohort, SampleRecipe(size=224), folder, OWN_PROCESS, quiet)
    assert len(count_made) == 4


def test_other_code_between_file_and_sample_makes_them_anew(cohort, folder, count_made, monkeypatch):
    monkeypatch.setattr(sample_store, "_preprocessing", lambda: "another digest")
    store_of(cohort, folder)
    assert len(count_made) == 4


def test_a_series_that_changed_is_made_anew_and_one_that_moved_is_not(cohort, folder, count_made, tmp_path):
    rows = rows_of(["DMD", "GNE"], path=["moved.nii.gz", "changed.nii.gz"])
    shutil.copy(cohort.cases[0].path, tmp_path / "moved.nii.gz")
    write_series(two_legs(50), tmp_path / "changed.nii.gz")
    store_of(Cohort.read(write_table(tmp_path, rows), RECIPE), folder)
    assert [path.name for path in count_made] == ["changed.nii.gz"]


def damage_image(folder):
    path = sorted(folder.glob("*.u8"))[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_image(folder):
    path = sorted(folder.glob("*.u8"))[1]
    path.write_bytes(path.read_bytes()[:-5000])


def remove_image(folder):
    sorted(folder.glob("*.u8"))[1].unlink()


def damage_facts(folder):
    path = sorted(folder.glob("*.json"))[1]
    path.write_text(path.read_text().replace("left", "lift"))


def empty_facts(folder):
    sorted(folder.glob("*.json"))[1].write_bytes(b"")


@pytest.mark.parametrize("damage", [damage_image, cut_image, remove_image, damage_facts, empty_facts])
def test_a_damaged_entry_is_noticed_and_made_anew(cohort, folder, count_made, damage):
    before = store_of(cohort, folder).pixels[:]
    damage(folder)
    store = store_of(cohort, folder)
    assert len(count_made) == 1
    np.testing.assert_array_equal(store.pixels[:], before)
    assert set(store.side) == {"left", "right"}


def test_a_run_killed_between_the_two_files_leaves_nothing_that_is_trusted(cohort, tmp_path, monkeypatch, count_made):
    put = sample_store._put

    def killed_at_facts(path, content):
        if path.suffix == ".json":
            raise KeyboardInterrupt
        put(path, content)

    monkeypatch.setattr(sample_store, "_put", killed_at_facts)
    with pytest.raises(KeyboardInterrupt):
        store_of(cohort, tmp_path)
    monkeypatch.setattr(sample_store, "_put", put)
    store_of(cohort, tmp_path)
    assert len(count_made) == 1 + 4


def test_a_full_disk_is_told_in_one_line_and_leaves_no_partial_file(cohort, tmp_path, monkeypatch):
    def full(handle, mode):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sample_store.os, "fdopen", full)
    assert "free space" in refusal(cohort, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(cohort, tmp_path):
    (tmp_path / "file").touch()
    assert "cannot be made" in refusal(cohort, tmp_path / "file" / "store")


def test_progress_counts_the_series(cohort, made):
    told = []
    SampleStore.of(cohort, SampleRecipe(size=SIZE), made, OWN_PROCESS, lambda *news: told.append(news))
    assert told == [("Making samples", n, 4) for n in (1, 2, 3, 4)]


def test_unreadable_series_are_all_told_at_once(tmp_path):
    cohort = legs_cohort(tmp_path, ["DMD", "GNE", "BMD"])
    for case in cohort.cases[::2]:
        case.path.write_bytes(case.path.read_bytes()[:2000])
    message = refusal(cohort, tmp_path / "store")
    assert "cut off" in message
    assert "(row 2 of patient P000, row 4 of patient P002)" in message


def test_the_same_images_in_two_rows_are_refused(tmp_path):
    cohort = legs_cohort(tmp_path, ["DMD", "GNE", "BMD"])
    write_series(read_study(cohort.cases[0].path), tmp_path / "copy.nrrd")
    rows = rows_of(["DMD", "GNE", "BMD"], path=["series0.nii.gz", "series1.nii.gz", "copy.nrrd"])
    message = refusal(Cohort.read(write_table(tmp_path, rows), RECIPE), tmp_path / "store")
    assert "the same images in two rows (row 2 of patient P000 and row 4 of patient P002)" in message


@pytest.fixture
def partly_unsuitable(tmp_path):
    """Two examinations of patient A, the second with fat as dark as fat suppression leaves it."""
    cohort = legs_cohort(tmp_path, ["DMD", "DMD", "GNE"], patient_id=["A", "A", "B"])
    t1 = read_study(cohort.cases[1].path)
    dark_fat = np.where(t1.voxels > 350, 30, t1.voxels).astype(np.float32)
    write_series(dataclasses.replace(t1, voxels=dark_fat), cohort.cases[1].path)
    return cohort


def test_a_series_of_another_contrast_gives_no_sample_and_is_named(partly_unsuitable, tmp_path, count_made):
    for _ in range(2):
        store = store_of(partly_unsuitable, tmp_path / "store")
        assert [case.patient_id for case in store.cohort.cases] == ["A", "B"]
        assert set(store.case) == {0, 1}
        (warning,) = store.warnings
        assert re.fullmatch(
            r"row 3 of patient A gives no image: Fat is only \d\.\d times as bright as the \w+ tissue\.", warning
        )
    assert len(count_made) == 3


def test_training_and_evaluation_count_the_same_patients(partly_unsuitable, tmp_path):
    cohort = partly_unsuitable.with_splits({"A": "test", "B": "test"})
    package = make_package(tmp_path / "package", recipe=SMALL)
    store = store_of(cohort, tmp_path / "store")
    found = predict(Classifier(ModelPackage.read(package), "cpu"), cohort, quiet)
    assert sorted(set(found.images["row"])) == [case.row for case in store.cohort.cases] == [2, 4]
    assert len(found.images) == len(store.pixels)
    (left_out,) = found.failures.to_dict("records")
    assert f"row {left_out['row']} of patient A gives no image: {left_out['reason']}" == store.warnings[0]


def test_a_cohort_in_which_hardly_a_patient_has_an_image_is_refused(partly_unsuitable, tmp_path):
    rows = rows_of(["DMD"], path=["series1.nii.gz"])
    message = refusal(Cohort.read(write_table(tmp_path, rows), RECIPE), tmp_path / "store")
    assert "patients without an image that can be used (P000: row 2, Fat is only" in message


def test_a_series_without_a_leg_says_so(tmp_path):
    cohort = legs_cohort(tmp_path, ["DMD", "DMD"], patient_id=["A", "A"])
    legs = read_study(cohort.cases[1].path)
    noise = np.random.default_rng(0).rayleigh(10, legs.voxels.shape).astype(np.float32)
    write_series(dataclasses.replace(legs, voxels=noise), cohort.cases[1].path)
    (warning,) = store_of(cohort, tmp_path / "store").warnings
    assert warning == "row 3 of patient A gives no image: No leg was found in any slice."


def test_samples_removed_while_they_are_used_are_told(cohort, folder):
    store = store_of(cohort, folder)
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="start again"):
        store.pixels[:]


def test_the_data_file_of_a_header_counts_as_content(tmp_path, count_made):
    cohort = legs_cohort(tmp_path, ["DMD"], path=["a.mhd"])
    store_of(cohort, tmp_path / "store")
    write_series(two_legs(9), tmp_path / "a.mhd")
    store_of(cohort, tmp_path / "store")
    assert len(count_made) == 2
