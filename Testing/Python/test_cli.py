"""The command line: all files or none, one line for bad input."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from command_line import dystrophydx
from model_packages import TWO_CHANNELS, make_package
from typer.testing import CliRunner

import DystrophyDxLib
from DystrophyDxLib.commands.classify import times
from DystrophyDxLib.commands.main import app
from DystrophyDxLib.commands.progress import LOADING
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.files.resources import muscle_model
from DystrophyDxLib.phantom import make_phantom, write_dicom
from DystrophyDxLib.reporting.output_folder import FILES
from DystrophyDxLib.results import StudyResult


def in_a_process_of_its_own(*arguments, code: str = "", **options) -> subprocess.CompletedProcess:
    """`dystrophydx` as a user starts it, after `code` has run."""
    return subprocess.run(
        [sys.executable, "-c", f"{code}\nfrom DystrophyDxLib.commands.main import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_package(tmp_path_factory.mktemp("models") / "package", bias=8.0)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "series"
    write_dicom(make_phantom(97, "DMD"), folder)
    return folder


@pytest.fixture(scope="module")
def classified(tmp_path_factory, study, model):
    """A study of a patient with a name, classified."""
    named = tmp_path_factory.mktemp("named") / "Zyxwander^Qwertina" / "1"
    named.mkdir(parents=True)
    for path in study.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PatientName, dataset.PatientID = "Zyxwander^Qwertina", "MRN4711-0815"
        dataset.PatientBirthDate = "19010203"
        dataset.save_as(named / path.name)
    out = tmp_path_factory.mktemp("out") / "result"
    run = in_a_process_of_its_own(
        "classify", named.parent, "--out", out, "--model", model, "--label", " Case  7 ", "--json"
    )
    assert run.returncode == 0, run.stderr
    return out, run


def refusal(*arguments) -> str:
    """The one line that a refused call writes."""
    run = dystrophydx(*arguments)
    assert run.returncode == 2, run.stdout + run.stderr
    assert run.stdout == ""
    return one_line(run.stderr)


def one_line(stderr: str) -> str:
    """What a call says in the end, after the steps that it told."""
    *steps, line = stderr.splitlines()
    assert line.startswith("dystrophydx: "), stderr
    assert not [step for step in steps if step.startswith("dystrophydx: ")], stderr
    return line


def test_a_further_input_is_given_by_name_and_missed_before_anything_is_read(tmp_path):
    phantom = make_phantom(97, "DMD", slices=2, contrasts=("T1", "STIR"))
    for contrast in phantom.images:
        write_dicom(phantom, tmp_path / contrast, contrast)
    model = make_package(tmp_path / "model", recipe=TWO_CHANNELS)
    told = ["classify", str(tmp_path / "T1"), "--out", str(tmp_path / "out"), "--model", str(model)]
    for given, said in (
        ([], "needs STIR beside T1"),
        (["--channel", "T2=x"], "--channel cannot be 'T2=x'; give NAME=PATH with NAME one of STIR"),
        (["--channel", "STIR=x", "--channel", "stir=y"], "--channel names STIR twice; give it once"),
        (["--channel", f"STIR={tmp_path / 'T1'}"], "first channel's series once more"),
    ):
        refused = CliRunner().invoke(app, told + given)
        assert isinstance(refused.exception, InputError)
        assert said in str(refused.exception)
    assert not (tmp_path / "out").exists()
    run = dystrophydx(*told, "--channel", f"stir={tmp_path / 'STIR'}", "--json")
    assert run.returncode == 0, run.stderr
    assert len(StudyResult.model_validate_json(run.stdout).images) > 0


def test_the_share_of_each_muscle_under_the_heat_is_told(classified, study, tmp_path):
    """Legs stand for muscles: any segments do, and the muscles that are found stay beside them. The shipped model finds
    evidence in this phantom."""
    earlier, _ = classified
    drawn = earlier / "roi.seg.nrrd"
    run = dystrophydx("classify", study, "--out", tmp_path / "out", "--muscles", drawn, "--json")
    assert run.returncode == 0, run.stderr
    result, own = (
        StudyResult.model_validate_json(text) for text in (run.stdout, (earlier / "result.json").read_text())
    )
    in_view = {f"{image.side.capitalize()} leg" for image in result.images}
    found = {score.muscle: score for score in result.muscles if score.muscle in in_view}
    assert set(found) == in_view
    assert result.fat == own.fat
    assert [muscle.fat_fraction for muscle in result.muscle_fat] == [muscle.fat_fraction for muscle in own.muscle_fat]
    assert [image.counted for image in result.images] == [image.counted for image in own.images]
    heat = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "heatmap.nrrd")))
    assert sum(score.under_heat for score in found.values()) == np.count_nonzero(heat >= 0.5) > 0
    assert "Texture score of the muscles" in (tmp_path / "out" / "report.html").read_text()
    assert ('"muscles"' in (earlier / "result.json").read_text()) == (muscle_model() is not None)
    refused = CliRunner().invoke(
        app, ["classify", str(study), "--out", str(tmp_path / "b"), "--muscles", "none.seg.nrrd"]
    )
    assert "--muscles none.seg.nrrd: " in str(refused.exception)


def test_all_files_of_the_contract_are_written(classified):
    out, run = classified
    of_muscles = set() if muscle_model() else {"muscles.seg.nrrd", "muscles.csv"}
    assert {path.name for path in out.iterdir()} == set(FILES) - of_muscles
    result = StudyResult.model_validate_json((out / "result.json").read_text())
    assert StudyResult.model_validate_json(run.stdout) == result
    assert result.case.label == "dystrophinopathy"
    assert {"read", "load", "roi", "network", "muscles", "write", "total"} == set(result.timing_s)
    assert result.timing_s["total"] >= result.timing_s["network"]


def test_heatmap_and_region_lie_on_the_input(classified, study):
    out, _ = classified
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(study))
    image = sitk.ReadImage(names)
    heatmap, region = sitk.ReadImage(str(out / "heatmap.nrrd")), sitk.ReadImage(str(out / "roi.seg.nrrd"))
    for written in (heatmap, region):
        assert written.GetSize() == image.GetSize()
        np.testing.assert_allclose(written.GetOrigin(), image.GetOrigin(), atol=1e-3)
        np.testing.assert_allclose(written.GetSpacing(), image.GetSpacing(), atol=1e-3)
        np.testing.assert_allclose(written.GetDirection(), image.GetDirection(), atol=1e-6)
    names = [region.GetMetaData(key) for key in region.GetMetaDataKeys() if key.endswith("_Name")]
    assert sorted(names) == ["Left leg", "Right leg"]


def test_nothing_that_is_written_names_the_patient(classified):
    out, run = classified
    for secret in (b"Zyxwander", b"Qwertina", b"MRN4711", b"19010203"):
        assert secret not in run.stdout.encode() + run.stderr.encode()
        for path in out.iterdir():
            assert secret not in path.read_bytes(), (secret, path.name)


def test_what_the_user_calls_the_study_is_in_all_results(classified):
    out, run = classified
    assert json.loads(run.stdout)["input"]["label"] == "Case 7"
    assert "<title>DystrophyDx: Case 7: " in (out / "report.html").read_text(encoding="utf-8")
    with zipfile.ZipFile(out / "scene.mrb") as scene:
        assert [name for name in scene.namelist() if name.endswith("Case 7 heatmap.nrrd")]


def test_results_are_never_overwritten_or_mixed(classified, study, model, tmp_path):
    out = shutil.copytree(classified[0], tmp_path / "result")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert "add --overwrite" in refusal("classify", study, "--out", out, "--model", model)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    (out / "mine.txt").write_text("keep")
    assert "other files" in refusal("classify", study, "--out", out, "--model", model, "--overwrite")
    assert (out / "mine.txt").read_text() == "keep"
    (out / "mine.txt").unlink()
    run = dystrophydx("classify", study, "--out", out, "--model", model, "--overwrite", "--json")
    assert run.returncode == 0, run.stderr
    assert (out / "result.json").read_bytes() != before["result.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_corrected_region_is_used_and_named(classified, study, model, tmp_path):
    region = sitk.ReadImage(str(classified[0] / "roi.seg.nrrd"))
    labels = sitk.GetArrayFromImage(region)
    labels[:2] = 0
    edited = sitk.GetImageFromArray(labels)
    edited.CopyInformation(region)
    for key in region.GetMetaDataKeys():
        edited.SetMetaData(key, region.GetMetaData(key))
    sitk.WriteImage(edited, str(tmp_path / "edited.seg.nrrd"))
    run = dystrophydx(
        "classify", study, "--out", tmp_path / "out", "--model", model, "--roi", tmp_path / "edited.seg.nrrd", "--json"
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert {image["slice"] for image in result["images"]} == {2, 3}
    assert {image["roi"] for image in result["images"]} == {"edited"}


def bad_inputs(folder: Path, study: Path) -> dict[str, Path]:
    """An input of each bad kind."""
    made = {name: folder / name for name in ("empty", "no image", "cut", "no pixels", "ct")}
    for path in made.values():
        path.mkdir()
    (made["no image"] / "notes.txt").write_text("nothing here")
    first, *others = sorted(study.iterdir())
    for name in ("cut", "no pixels", "ct"):
        for path in (first, *others):
            shutil.copy(path, made[name])
    cut = made["cut"] / first.name
    cut.write_bytes(cut.read_bytes()[:-20000])
    for path in made["no pixels"].iterdir():
        dataset = pydicom.dcmread(path)
        del dataset.PixelData
        dataset.save_as(path)
    for path in made["ct"].iterdir():
        dataset = pydicom.dcmread(path)
        dataset.Modality, dataset.SOPClassUID = "CT", "1.2.840.10008.5.1.4.1.1.2"
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.save_as(path)
    images = {
        "4D": np.ones((2, 3, 32, 32), np.float32).cumsum(3),
        "one pixel": np.ones((4, 1, 1), np.float32),
        "zeros": np.zeros((4, 32, 32), np.float32),
        "NaN": np.where(np.eye(32)[None] > 0, np.nan, np.ones((4, 32, 32), np.float32)),
    }
    for name, voxels in images.items():
        made[name] = folder / f"{name}.nrrd"
        sitk.WriteImage(sitk.GetImageFromArray(voxels.astype(np.float32), isVector=False), str(made[name]))
    made["damaged"] = folder / "damaged.nii.gz"
    made["damaged"].write_bytes(b"\x1f\x8b broken")
    made["absent"] = folder / "absent"
    return made


def test_bad_input_gets_one_line_and_leaves_nothing(tmp_path, study, model):
    inputs = bad_inputs(tmp_path, study)
    messages = {}
    for name, path in inputs.items():
        messages[name] = refusal("classify", path, "--out", tmp_path / "out", "--model", model)
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.glob(".out*"))
    assert len(set(messages.values())) >= 9, messages
    for name, path in inputs.items():
        assert str(path) in messages[name]
    assert "Files: 0001.dcm." in messages["cut"]


def test_bad_usage_gets_one_line(tmp_path, study, model):
    assert "'--out'" in refusal("classify")
    assert "Give either a study" in refusal("classify", "--out", tmp_path / "out")
    assert "--nope" in refusal("classify", study, "--out", tmp_path / "out", "--nope")
    assert "none.zip' does not exist" in refusal(
        "classify", study, "--out", tmp_path / "out", "--model", tmp_path / "none.zip"
    )
    unknown = refusal("classify", study, "--out", tmp_path / "out", "--series", "1.2.3", "--model", model)
    assert "series" in unknown.lower()
    assert "device" in refusal("classify", study, "--out", tmp_path / "out", "--device", "abacus", "--model", model)


def test_a_place_that_cannot_be_written_is_refused(tmp_path, study, model):
    (tmp_path / "file").write_text("not a folder")
    refusal("classify", study, "--out", tmp_path / "file", "--model", model)
    refusal("classify", study, "--out", tmp_path / "file" / "below", "--model", model)
    full = Path("/dev/full")
    if full.exists():
        refusal("classify", study, "--out", full, "--model", model)


@pytest.mark.skipif(not Path("/dev/shm").is_dir() or not hasattr(os, "geteuid"), reason="needs a RAM disk")
def test_a_full_disk_leaves_nothing_half_written(tmp_path, study, model, monkeypatch):
    """Writing stops when a file may grow no further: the folder does not appear."""
    import resource

    out = tmp_path / "out"
    run = in_a_process_of_its_own(
        *("classify", study, "--out", out, "--model", model),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert run.returncode == 2
    assert "free space" in one_line(run.stderr)
    assert list(tmp_path.iterdir()) == []


INTERRUPTION = """
import contextlib, os, signal
from DystrophyDxLib.series import reading

read = reading.read_channels

def interrupted(*arguments):
    with contextlib.{}(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    return read(*arguments)

reading.read_channels = interrupted
"""


@pytest.mark.parametrize("lost_in_a_callback", [False, True])
def test_an_interrupted_run_says_so_and_leaves_nothing(tmp_path, study, model, lost_in_a_callback):
    code = INTERRUPTION.format("suppress" if lost_in_a_callback else "nullcontext")
    asked = ("classify", study, "--out", tmp_path / "out", "--model", model)
    run = in_a_process_of_its_own(*asked, code=code, timeout=120)
    assert run.returncode == 2
    assert one_line(run.stderr) == "dystrophydx: Interrupted; nothing was written."
    assert list(tmp_path.iterdir()) == []


def test_a_slip_of_the_pen_is_answered_once():
    assert refusal("classfy", "x").count("Did you mean 'classify'?") == 1


def test_the_times_that_are_told_add_up():
    assert times({"load": 2.0, "total": 2.5}) == "load 2.00 s, start and other 0.50 s, total 2.50 s"


def test_a_place_that_holds_earlier_results_is_told_before_anything_slow(tmp_path, model):
    table, study, out = tmp_path / "cohort.csv", tmp_path / "study", tmp_path / "out"
    table.write_text("patient_id,path,diagnosis\n")
    study.mkdir()
    for command, place in (
        (("evaluate", model, table), "evaluation.json"),
        (("texture", table), "texture.json"),
        (("readers", "analyse", study), "analysis.json"),
    ):
        (out / place).parent.mkdir()
        (out / place).touch()
        run = dystrophydx(*command, "--out", out)
        assert (run.returncode, run.stdout) == (2, "")
        assert "holds earlier results; give another folder, or add --overwrite" in one_line(run.stderr)
        assert LOADING not in run.stderr
        shutil.rmtree(out)


def test_a_region_of_another_study_is_refused(classified, model, tmp_path):
    other = tmp_path / "other.nrrd"
    voxels = make_phantom(5, "healthy").series.voxels
    image = sitk.GetImageFromArray(voxels)
    image.SetOrigin((5000.0, 0.0, 0.0))
    sitk.WriteImage(image, str(other))
    region = classified[0] / "roi.seg.nrrd"
    message = refusal("classify", other, "--out", tmp_path / "out", "--model", model, "--roi", region)
    assert message.startswith("dystrophydx: --roi ")
    assert "beside the images, as of another patient" in message


WITHOUT_PACKAGES = """
import sys
sys.modules["sklearn"] = sys.modules["torch"] = None
from DystrophyDxLib.commands.main import main

for command in ("phantom", "train", "evaluate", "compare", "texture", "readers"):
    for argument, status in (("x", 2), ("--help", 0)):
        sys.argv = ["dystrophydx", command, argument]
        try:
            main()
        except SystemExit as end:
            assert end.code == status, (command, argument, end.code)
"""


def test_a_package_that_is_missing_is_named_with_what_to_install_before_anything_slow():
    run = subprocess.run([sys.executable, "-c", WITHOUT_PACKAGES], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    told = run.stderr.splitlines()
    assert len(told) == 6
    for line in told:
        assert "The package sklearn is missing" in line
        assert 'pip install -e ".[train]"' in line


def test_a_table_with_too_few_patients_of_a_class_is_told_without_pytorch(tmp_path):
    rows = [f"P{n},{n}.nii,{disease}" for n, disease in enumerate(["DMD", "healthy", "healthy", "healthy"] * 2)]
    for n in range(len(rows)):
        (tmp_path / f"{n}.nii").touch()
    (tmp_path / "cohort.csv").write_text("\n".join(["patient_id,path,diagnosis", *rows]) + "\n")
    asked = ("train", "embedded", tmp_path / "cohort.csv", "--out", tmp_path / "model")
    run = in_a_process_of_its_own(*asked, code="import sys; sys.modules['torch'] = None")
    assert run.returncode == 2
    assert "2 patients of class 'dystrophinopathy'" in run.stderr
    assert "Training and validation need at least 2 of each class" in run.stderr


def test_the_version_is_told():
    run = dystrophydx("--version")
    assert (run.returncode, run.stdout) == (0, f"DystrophyDx {DystrophyDxLib.__version__}\n")


def test_importing_the_library_is_light():
    heavy = ["torch", "torchvision", "slicer", "SimpleITK", "pydicom", "matplotlib", "vtk"]
    code = f"import sys, DystrophyDxLib; assert not set({heavy!r}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_real_study_end_to_end(shared, tmp_path):
    run = dystrophydx("classify", shared("t1_thigh_dicom/STS_045"), "--out", tmp_path / "out", "--json")
    assert run.returncode == 0, run.stderr
    result = StudyResult.model_validate_json(run.stdout)
    assert len(result.images) + len(result.skipped) == result.input.slices == 70
    assert {image.side for image in result.images} == {"left"}
