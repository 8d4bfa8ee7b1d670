"""From a cohort table to the folder of a reader study."""

import csv
import dataclasses
import hashlib
import shutil

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from cohort_cases import rows_of, two_legs, write_series, write_table
from model_packages import make_package

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.phantom.dicom_series import write_dicom
from DystrophyDxLib.phantom.thigh import make_phantom
from DystrophyDxLib.readerstudy import creation
from DystrophyDxLib.readerstudy.creation import GREY_WINDOW, StudyPlan, create_study, read_readers
from DystrophyDxLib.readerstudy.protocol import Arm, Design, Reader
from DystrophyDxLib.readerstudy.questions import Questions
from DystrophyDxLib.series.reading import read_study

DIAGNOSES = ("DMD", "healthy", "BMD", "healthy", "FSHMD", "DMD")
NAME = "Zyxwander^Qwertina"
PLAN = StudyPlan(
    title="Readers beside the model",
    readers=(Reader(code="R1", role="radiologist", years=12), Reader(code="R2", role="resident", years=2.5)),
    arms=(Arm.UNAIDED, Arm.AIDED),
    design=Design.CROSSOVER,
    questions=Questions(),
    duplicates=1,
    washout_days=28,
    blocks=1,
    seed=3,
)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return ModelPackage.read(make_package(tmp_path_factory.mktemp("model") / "package", threshold=0.4))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Six patients, the first of them with a name in DICOM headers and in the path."""
    folder = tmp_path_factory.mktemp("cohort")
    rows = rows_of(DIAGNOSES)
    for n, row in enumerate(rows[1:], 1):
        write_series(two_legs(n), folder / str(row["path"]))
    named = folder / NAME
    write_dicom(make_phantom(97, "DMD", slices=3), named)
    for path in named.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = NAME, "MRN4711-0815", "19010203"
        dataset.SeriesDescription = "t1 axial boy with Duchenne"
        dataset.save_as(path)
    rows[0]["path"] = NAME
    return write_table(folder, rows)


def made(cohort, package, folder, **changes):
    return create_study(cohort, dataclasses.replace(PLAN, **changes), package, "cpu", folder, lambda *_: None)


@pytest.fixture(scope="module")
def study(cohort, package, tmp_path_factory):
    return made(cohort, package, tmp_path_factory.mktemp("study") / "study")


@pytest.fixture(scope="module")
def classification(cohort, package):
    return Classifier(package, "cpu").classify(read_study(cohort.parent / NAME))


@pytest.fixture
def quick(classification, monkeypatch):
    """Every series gets the answer of the first one, where the answer does not matter."""

    class Answered:
        def __init__(self, *_):
            self.classify = lambda series: classification

    monkeypatch.setattr(creation, "Classifier", Answered)


def table(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_study_has_every_file_of_its_layout(study):
    cases = study.protocol.cases
    assert sorted(cases) == [f"C00{n}" for n in range(1, 7)]
    assert {path.relative_to(study.folder).as_posix() for path in study.folder.rglob("*") if path.is_file()} == {
        "protocol.json", "protocol.html", "truth/truth.csv", "truth/key.csv", "answers/R1.sqlite", "answers/R2.sqlite",
        *(f"cases/{case}/mri.nrrd" for case in cases),
        *(f"model/{case}/{name}" for case in cases for name in ("answer.json", "heatmap.nrrd")),
    }  # fmt: skip
    assert (study.folder / "truth").stat().st_mode & 0o077 == 0


def test_no_identity_and_no_diagnosis_is_outside_the_truth(study):
    for path in study.folder.rglob("*"):
        if path.is_file():
            held = path.read_bytes().lower()
            for clue in (b"zyxwander", b"qwertina", b"mrn4711", b"19010203", b"duchenne", b"t1 axial"):
                assert clue not in held, path.name
            if path.parent.name != "truth" and path.suffix != ".html":
                for clue in (b"p000", b"p003", b"healthy", b"fshmd"):
                    assert clue not in held, path.name


def test_a_case_is_voxels_and_geometry_alone(study):
    for case in study.protocol.cases:
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(study.image(case)))
        reader.ReadImageInformation()
        assert {key for key in reader.GetMetaDataKeys() if not key.startswith("NRRD_")} <= {"ITK_InputFilterName"}
        assert reader.GetPixelID() == sitk.sitkInt16


def test_the_key_leads_from_each_code_back_to_its_series_and_truth(study, cohort):
    truth = {row["case"]: row for row in table(study.truth / "truth.csv")}
    rows = table(cohort)
    for row in table(study.truth / "key.csv"):
        original = rows[int(row["row"]) - 2]
        assert original["patient_id"] == row["patient_id"]
        assert truth[row["case"]]["diagnosis"] == original["diagnosis"]
        assert truth[row["case"]]["label"] == str(int(original["diagnosis"] in ("DMD", "BMD")))
        assert truth[row["case"]]["synthetic"] == str(int(original.get("synthetic") == "yes"))
        series, shown = read_study(cohort.parent / original["path"]), read_study(study.image(row["case"]))
        assert np.allclose(shown.geometry.ijk_to_lps, series.geometry.ijk_to_lps, atol=1e-4)
        scale = np.corrcoef(shown.voxels.ravel(), series.voxels.ravel())[0, 1]
        assert scale == pytest.approx(1, abs=1e-4)


def test_codes_do_not_follow_the_cohort_table(cohort, package, study, quick, tmp_path):
    order = [row["patient_id"] for row in table(study.truth / "key.csv")]
    assert order != sorted(order)
    other = made(cohort, package, tmp_path / "other", seed=4)
    assert [row["patient_id"] for row in table(other.truth / "key.csv")] != order


def test_every_case_fills_the_same_grey_window(study):
    for case in study.protocol.cases:
        voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(study.image(case))))
        background = voxels[0, 0, 0]
        low, high = np.percentile(voxels[voxels != background], [1, 99.5])
        assert (low, high) == pytest.approx(GREY_WINDOW, abs=30)
    assert study.protocol.grey_window == GREY_WINDOW


def test_the_models_answer_lies_beside_on_the_same_voxels(study, package):
    assert study.protocol.model.sha256 == package.sha256
    for case in study.protocol.cases:
        heatmap, image = (sitk.ReadImage(str(path)) for path in (study.heatmap(case), study.image(case)))
        assert heatmap.GetSize() == image.GetSize()
        assert heatmap.GetOrigin() == pytest.approx(image.GetOrigin())
        assert heatmap.GetDirection() == pytest.approx(image.GetDirection())
        heat = sitk.GetArrayFromImage(heatmap)
        assert heat.min() == 0
        assert heat.max() <= 1
        answer = study.model_answer(case)
        assert answer.ci95[0] <= answer.probability <= answer.ci95[1]
        assert any("say nothing about patients" in message for message in answer.warnings)


def test_without_an_aided_arm_there_is_no_heatmap_but_a_model_to_compare(cohort, package, quick, tmp_path):
    study = made(cohort, package, tmp_path / "study", arms=(Arm.UNAIDED,), design=Design.FULLY_CROSSED)
    assert not list(study.folder.rglob("heatmap.nrrd"))
    assert len(list(study.folder.rglob("answer.json"))) == 6


def test_blocks_of_a_split_plot_have_equal_shares_of_the_classes(cohort, package, quick, tmp_path):
    study = made(
        cohort, package, tmp_path / "study", arms=(Arm.UNAIDED,), design=Design.SPLIT_PLOT, blocks=3, duplicates=0,
        washout_days=0, readers=(*PLAN.readers, Reader(code="R3", role="resident", years=1)),
    )  # fmt: skip
    label = {row["case"]: int(row["label"]) for row in table(study.truth / "truth.csv")}
    assert [sorted(label[case] for case in block) for block in study.protocol.blocks] == [[0, 1]] * 3


def test_of_a_cohort_with_splits_the_test_split_is_read(cohort, package, quick, tmp_path):
    rows = [row | {"split": split} for row, split in zip(table(cohort), ["train", "test"] * 3, strict=True)]
    path = write_table(cohort.parent, rows)
    try:
        study = made(path, package, tmp_path / "study", duplicates=0)
        assert {row["patient_id"] for row in table(study.truth / "key.csv")} == {"P001", "P003", "P005"}
    finally:
        write_table(cohort.parent, table_without(rows, "split"))


def table_without(rows, column):
    return [{name: cell for name, cell in row.items() if name != column} for row in rows]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"patient_id": ["A", "A"]}, "patients with more than one series, of which a reader study takes one (A)"),
        ({"diagnosis": ["DMD", "Duchenne"]}, "a diagnosis that the recipe does not know"),
        ({"split": ["train", "train"]}, "no case in the test split"),
    ],
)
def test_a_cohort_that_cannot_be_read_is_refused_before_any_work(package, tmp_path, columns, told):
    rows = rows_of(["DMD", "DMD"], **columns)
    for row in rows:
        (tmp_path / str(row["path"])).touch()
    with pytest.raises(InputError) as refused:
        made(write_table(tmp_path, rows), package, tmp_path / "study", duplicates=0)
    assert told in str(refused.value)
    assert not (tmp_path / "study").exists()


def test_series_that_cannot_be_used_are_told_together_by_row_and_nothing_is_left(package, quick, tmp_path):
    rows = rows_of(["DMD", "healthy", "BMD"])
    write_series(two_legs(1), tmp_path / "series0.nii.gz")
    (tmp_path / "series1.nii.gz").write_bytes(b"cut off")
    series = two_legs(2)
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros_like(series.voxels)), str(tmp_path / "series2.nii.gz"))
    with pytest.raises(InputError) as refused:
        made(write_table(tmp_path, rows), package, tmp_path / "study", duplicates=0)
    assert "(row 3)" in str(refused.value)
    assert "(row 4)" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not [path for path in tmp_path.iterdir() if "study" in path.name]


def test_a_series_whose_sides_are_not_known_is_refused(package, quick, tmp_path):
    series = two_legs(1)
    write_series(series, tmp_path / "plain.nii")
    content = bytearray((tmp_path / "plain.nii").read_bytes())
    content[252:256] = bytes(4)  # qform_code and sform_code of the NIfTI header
    (tmp_path / "plain.nii").write_bytes(content)
    rows = rows_of(["DMD"], path=["plain.nii"])
    with pytest.raises(InputError, match=r"how the image lies in the patient.*\(row 2\)"):
        made(write_table(tmp_path, rows), package, tmp_path / "study", duplicates=0)


def test_cases_that_the_model_has_seen_are_refused(cohort, quick, tmp_path):
    """Its answers beside the image, and its place among the readers, would be too good."""
    second = table(cohort)[1]
    seen = (hashlib.sha256((cohort.parent / second["path"]).read_bytes()).hexdigest()[:16],)
    knowing = ModelPackage.read(make_package(tmp_path / "knowing", seen=seen))
    with pytest.raises(InputError, match=rf"patients that the model has seen in training.*\({second['patient_id']}\)"):
        made(cohort, knowing, tmp_path / "study", duplicates=0)
    assert not (tmp_path / "study").exists()


def test_the_same_images_under_two_patients_are_refused(package, quick, tmp_path):
    rows = rows_of(["DMD", "healthy", "BMD"])
    for n, row in enumerate(rows):
        write_series(two_legs(n), tmp_path / str(row["path"]))
    shutil.copy(tmp_path / str(rows[0]["path"]), tmp_path / str(rows[2]["path"]))
    with pytest.raises(InputError, match=r"the same images in two rows \(rows . and .\)") as refused:
        made(write_table(tmp_path, rows), package, tmp_path / "study", duplicates=0)
    assert {digit for digit in str(refused.value) if digit.isdigit()} == {"2", "4"}


def test_the_models_answers_are_kept_from_readers_who_never_see_them(cohort, package, quick, study, tmp_path):
    unaided = made(cohort, package, tmp_path / "study", arms=(Arm.UNAIDED,), design=Design.FULLY_CROSSED)
    assert (unaided.folder / "model").stat().st_mode & 0o077 == 0
    assert (study.folder / "model").stat().st_mode & 0o005 == 0o005


def test_the_digest_of_the_truth_does_not_tell_the_truth(cohort, package, quick, study, tmp_path):
    again = made(cohort, package, tmp_path / "again")
    labels = [[row["label"] for row in table(one.truth / "truth.csv")] for one in (study, again)]
    assert labels[0] == labels[1]
    assert study.protocol.files["truth/truth.csv"] != again.protocol.files["truth/truth.csv"]


def test_a_protocol_that_contradicts_itself_is_refused_with_the_reason(cohort, package, tmp_path):
    with pytest.raises(InputError, match="cannot be made like this: between two sessions lies a wash-out"):
        made(cohort, package, tmp_path / "study", washout_days=0)


def test_a_study_is_not_made_over_another(cohort, package, study):
    with pytest.raises(InputError, match="new or empty folder"):
        made(cohort, package, study.folder)


def test_readers_are_read_as_spreadsheets_write_them(tmp_path):
    path = tmp_path / "readers.csv"
    path.write_text(
        "\ufeffReader; Role;YEARS\r\nR1;Radiologist, neuro;12\r\n;;\r\nR2;resident;2,5\r\n", encoding="utf-8"
    )
    assert read_readers(path) == (
        Reader(code="R1", role="Radiologist, neuro", years=12),
        Reader(code="R2", role="resident", years=2.5),
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b"reader,role,years\nR1,radiologist,many\n",
            r"years is not a number from 0 to 80, or empty \(row 2\)",
        ),
        (
            b"reader,role,years\nR1,radiologist,12\nDr. Meier,radiologist,12\n",
            r"reader is not a code \(1 to 16 letters, digits, - or _, such as R1; never a name\) \(row 3\); correct",
        ),
        (
            b"reader,role,years\nR1,,12\nR 2,resident,x\nR3\n",
            r"cells than the header \(row 4\); role is not 1 to 60.*\(row 2\); reader.*\(row 3\); years.*row 3",
        ),
        (b"reader,role\nR1,radiologist\n", "lacks years; it has the columns reader, role, years"),
        (b"reader,role,years\n", "lacks rows"),
        (b"reader,role,years\nR\xf6,x,1\n", "UTF-8"),
    ],
)
def test_a_table_of_readers_that_is_none_is_refused(tmp_path, content, told):
    (tmp_path / "readers.csv").write_bytes(content)
    with pytest.raises(InputError, match=told):
        read_readers(tmp_path / "readers.csv")
    with pytest.raises(InputError, match=r"cannot be opened; check its path \(.*none.csv\)"):
        read_readers(tmp_path / "none.csv")


def test_years_that_are_not_told_stay_empty(tmp_path):
    (tmp_path / "readers.csv").write_text("reader,role,years\nR1,radiologist,\n")
    assert read_readers(tmp_path / "readers.csv") == (Reader(code="R1", role="radiologist", years=None),)
