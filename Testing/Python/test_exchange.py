"""DICOM objects of a result lie on the voxels they came from, say what the result says, and are valid."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import AXIAL, enhanced_dataset, thigh_like
from exchange_cases import (
    BRIGHT,
    FRAME_OF_REFERENCE,
    Written,
    findings_on,
    frames,
    lps,
    same_points,
    source_planes,
    study_datasets,
    texts,
    write_all,
)
from highdicom.sr import srread
from scipy.spatial.transform import Rotation

from DystrophyDxLib.exchange.folder import write_objects
from DystrophyDxLib.exchange.report import PRIVATE, SCHEME
from DystrophyDxLib.exchange.source import Source
from DystrophyDxLib.muscles.muscle_map import OWNERS, TOLD
from DystrophyDxLib.muscles.structures import CODES
from DystrophyDxLib.results import FatSource
from DystrophyDxLib.series.reading import read_study

OBLIQUE = Rotation.from_euler("xz", [20, 12], degrees=True).as_matrix()
FEET_FIRST, PRONE = np.diag([1.0, -1.0, -1.0]), np.diag([-1.0, -1.0, 1.0])


def multi_frame():
    voxels, order = thigh_like(5), [3, 0, 4, 1, 2]
    positions = np.array([-110.0, -85.0, 40.0]) + np.outer(order, 6.0 * AXIAL[:, 2])
    return [enhanced_dataset(voxels[order], positions, FrameOfReferenceUID=FRAME_OF_REFERENCE, InstanceNumber=1)]


def missing_slices():
    datasets = study_datasets(thigh_like(7))
    return [datasets[k] for k in (0, 1, 4, 5, 6)]


def fields_side_by_side():
    right = study_datasets(thigh_like(4, seed=2), origin=(-25.0, -85.0, 40.0))
    datasets = study_datasets(thigh_like(4, seed=1), origin=(5.0, -85.0, 40.0)) + right
    for number, ds in enumerate(datasets, 1):
        ds.InstanceNumber = number
    return datasets


STUDIES = {
    "axial": study_datasets,
    "oblique": lambda: study_datasets(direction=OBLIQUE),
    "feet first": lambda: study_datasets(direction=FEET_FIRST),
    "prone": lambda: study_datasets(direction=PRONE),
    "from the hip down": lambda: study_datasets()[::-1],
    "missing slices": missing_slices,
    "enhanced multi-frame": multi_frame,
    "a field a leg": fields_side_by_side,
}


@pytest.fixture(scope="module")
def all_written(tmp_path_factory) -> Callable[[str], Written]:
    """Gives each of the studies, written once."""
    return functools.cache(lambda name: write_all(tmp_path_factory.mktemp("study"), STUDIES[name]()))


@pytest.fixture
def axial(all_written) -> Written:
    return all_written("axial")


@pytest.mark.parametrize("name", STUDIES)
def test_the_objects_lie_on_the_voxels_of_the_images_that_they_refer_to(name, all_written):
    written = all_written(name)
    planes = list(source_planes(written.sources))
    bright = np.concatenate([lps(plane > BRIGHT, place) for place, _, _, plane in planes])
    muscles = [item.SegmentNumber for item in written.seg.SegmentSequence if "leg" not in item.SegmentLabel]
    found = []
    for place, groups, plane in frames(written.seg):
        if groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber in muscles:
            found.append(lps(plane, place))
        check_references(groups, plane, place, planes)
    assert same_points(np.concatenate(found), bright)
    heights = [height_of(place) for place, _, _ in frames(written.heatmap)]
    assert heights == sorted(heights), "some readers take frames as they come"
    points, values = [], []
    for place, groups, plane in frames(written.heatmap):
        check_references(groups, plane, place, planes)
        points.append(lps(np.ones_like(plane), place))
        values.append(plane.ravel())
    grey = dict(zip(map(tuple, np.round(np.concatenate(points), 1) + 0.0), np.concatenate(values), strict=True))
    for place, _, _, plane in planes:
        there = [grey[tuple(point)] for point in np.round(lps(np.ones_like(plane), place), 1) + 0.0]
        np.testing.assert_array_equal(there, plane.ravel() / np.float32(2048))


def height_of(place) -> float:
    """Where a slice lies along its normal, mm."""
    normal = np.cross(*np.array(place.ImageOrientationPatient, float).reshape(2, 3))
    return float(normal @ np.array(place.ImagePositionPatient, float))


def check_references(groups, plane, place, planes):
    """A frame refers to those images of the study that show its voxels."""
    items = groups.DerivationImageSequence[0].SourceImageSequence
    referred = {(item.ReferencedSOPInstanceUID, item.get("ReferencedFrameNumber")) for item in items}
    height = height_of(place)
    shown = {(uid, number) for own, uid, number, _ in planes if abs(height_of(own) - height) < 0.1}
    assert referred == shown != set()


def test_the_numbers_of_the_report_are_those_of_the_result(axial):
    report = srread(axial.folder / "report.dcm")
    case, *muscles = report.content.get_image_measurement_groups() + list(
        report.content.get_volumetric_roi_measurement_groups()
    )
    figures = {(m.name.meaning): m for m in case.get_measurements()}
    assert (figures["Probability"].value, figures["Probability"].unit.value) == (62.5, "%")
    assert interval_of(figures["Probability"]) == pytest.approx((37.5, 75))
    assert figures["Threshold Value"].value == 50
    left, right = muscles
    fat = {m.name.meaning: m for m in left.get_measurements()}
    assert (fat["Volume"].value, fat["Volume"].unit.value) == (12.5, "mL")
    assert (fat["Fat fraction"].value, fat["Fat fraction"].unit.value) == (43.75, "%")
    assert interval_of(fat["Fat fraction"]) == pytest.approx((37.5, 56.25))
    assert fat["Mercuri grade, 1 normal to 4 severe"].value == 3
    assert [m.name.meaning for m in right.get_measurements()] == ["Volume"]
    segments = {item.SegmentNumber: item for item in axial.seg.SegmentSequence}
    for group, label in ((left, "Left sartorius"), (right, "Right gracilis")):
        item = next(item for item in group[0].ContentSequence if item.ValueType == "IMAGE")
        referenced = item.ReferencedSOPSequence[0]
        assert referenced.ReferencedSOPInstanceUID == axial.seg.SOPInstanceUID
        segment = segments[referenced.ReferencedSegmentNumber]
        assert segment.SegmentLabel == group.tracking_identifier == label
        assert segment.TrackingUID == group.tracking_uid


def interval_of(measured) -> tuple[float, float]:
    """The 95 % interval of a measurement, from the uncertainties beside it."""
    own = {
        item.ConceptNameCodeSequence[0].CodeMeaning[0]: float(item.MeasuredValueSequence[0].NumericValue)
        for item in measured[0].ContentSequence
        if item.ValueType == "NUM"
    }
    units = {
        item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue
        for item in (measured[0], *(i for i in measured[0].ContentSequence if i.ValueType == "NUM"))
    }
    assert len(units) == 1
    return measured.value - own["-"], measured.value + own["+"]


def test_the_report_says_label_reason_warnings_correction_and_model(axial):
    said = texts(axial.report)
    assert said["Finding"] == ["indeterminate: The interval crosses the threshold."]
    assert "The interval crosses the threshold." in said["Summary"][0]
    assert "Probability 0.62, 95 % interval 0.38 to 0.75" in said["Summary"][0]
    assert "Research only, not for diagnosis." in said["Comment"]
    assert "Fat: right gracilis not decidable. Nothing tells fat." in said["Comment"]
    assert "Fat: left sartorius 44 % (grade 3, moderate), 95 % interval 38 to 56 %." in said["Comment"]
    assert any(words.startswith("Fat in the muscles (Dixon): left 44 %") for words in said["Comment"])
    assert said["Warning"][0].startswith("LEGS_TOUCHING: ")
    assert "The legs touch in slice 1." in said["Warning"][0]
    assert "slice 1" in said["Reader's correction"][0]
    assert said["Sign of the thigh's muscles"] == ["Trefoil (DMD), left: not decidable. No gracilis."]
    assert any("ab" * 32 in text for text in said["Model"])
    assert any("AUC: 0.900" in text for text in said["Model"])


def test_what_a_person_drew_is_said_to_be_so(tmp_path, axial):
    automatic = {item.SegmentLabel: item for item in axial.seg.SegmentSequence}
    assert automatic["Left leg"].SegmentAlgorithmType == "SEMIAUTOMATIC"  # slice 1 was corrected
    assert automatic["Left leg"].SegmentDescription == "Drawn, corrected or given by the user"
    assert automatic["Left sartorius"].SegmentAlgorithmType == "AUTOMATIC"
    images = axial.findings.result.images[:2]
    edited = write_all(tmp_path, study_datasets(), source="edited", images=images)
    segments = {item.SegmentLabel: item for item in edited.seg.SegmentSequence}
    assert segments["Left leg"].SegmentAlgorithmType == "AUTOMATIC"
    assert segments["Left sartorius"].SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert segments["Left sartorius"].SegmentDescription == "Drawn or corrected by a person"
    assert any("muscles" in text for text in texts(edited.report)["Reader's correction"])


def test_a_given_map_is_nobody_s_work_and_no_algorithm_s(tmp_path):
    fat = FatSource(source="Dixon", map=TOLD["given"])
    given = write_all(tmp_path, study_datasets(), source="given", fat=fat)
    muscle = next(item for item in given.seg.SegmentSequence if item.SegmentLabel == "Left sartorius")
    assert (muscle.SegmentDescription, muscle.SegmentAlgorithmType) == (OWNERS["given"], "MANUAL")
    assert not {"SegmentAlgorithmName", "SegmentationAlgorithmIdentificationSequence"} & {e.keyword for e in muscle}
    said = texts(given.report)
    assert any(OWNERS["given"] in text for text in said["Comment"])
    assert not any("muscles" in text for text in said["Reader's correction"])


def test_segments_are_coded_with_their_side(axial):
    for item in axial.seg.SegmentSequence:
        kind = item.SegmentedPropertyTypeCodeSequence[0]
        side = kind.SegmentedPropertyTypeModifierCodeSequence[0]
        assert side.CodeMeaning == item.SegmentLabel.split()[0]
        assert (side.CodingSchemeDesignator, side.CodeValue) == (
            "SCT",
            {"Left": "7771000", "Right": "24028007"}[side.CodeMeaning],
        )
    assert len({kind for _, kind in CODES}) == len(CODES)


def test_objects_are_of_the_study_and_name_what_made_them(axial):
    source = pydicom.dcmread(axial.sources[0])
    series = set()
    for ds in (axial.seg, axial.heatmap, axial.report, axial.overview):
        assert ds.StudyInstanceUID == source.StudyInstanceUID
        assert (str(ds.PatientName), ds.PatientID) == (str(source.PatientName), source.PatientID)
        assert ds.SeriesDescription.startswith("RESEARCH ONLY")
        assert ds.SoftwareVersions == "DystrophyDx 0.1.0"
        assert ds.DeviceSerialNumber == "ab" * 32
        series.add(ds.SeriesInstanceUID)
    assert len(series) == 4
    assert axial.seg.FrameOfReferenceUID == axial.heatmap.FrameOfReferenceUID == FRAME_OF_REFERENCE
    sources = {pydicom.dcmread(path).SOPInstanceUID for path in axial.sources}
    for ds in (axial.seg, axial.heatmap):
        referred = ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence
        assert {item.ReferencedSOPInstanceUID for item in referred} == sources
    evidence = [
        item.ReferencedSOPInstanceUID
        for name in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in axial.report.get(name, ())
        for one in study.ReferencedSeriesSequence
        for item in one.ReferencedSOPSequence
    ]
    assert set(evidence) == sources | {axial.seg.SOPInstanceUID}
    algorithm = axial.seg.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert "ab" * 32 in algorithm.AlgorithmParameters


def test_the_heatmap_says_what_its_values_are(axial):
    groups = axial.heatmap.SharedFunctionalGroupsSequence[0]
    mapping = groups.RealWorldValueMappingSequence[0]
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"
    anatomy = groups.FrameAnatomySequence[0]
    assert (anatomy.AnatomicRegionSequence[0].CodeMeaning, anatomy.FrameLaterality) == ("Lower limb", "B")
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeMeaning == "Class activation"


def test_the_overview_is_the_picture(axial):
    picture = sitk.GetArrayFromImage(sitk.ReadImage(str(axial.folder.parent / "overview.png")))
    np.testing.assert_array_equal(axial.overview.pixel_array, picture)


def test_the_same_result_is_the_same_objects_and_another_one_is_not(tmp_path, axial):
    study = axial.folder.parent / "study"
    series = read_study(study)
    source, png = Source.read(study, series), axial.folder.parent / "overview.png"
    again = write_objects(source, axial.findings, png, tmp_path / "again")
    assert [path.read_bytes() for path in again] == [(axial.folder / path.name).read_bytes() for path in again]
    other = findings_on(series, warnings=())
    changed = write_objects(source, other, png, tmp_path / "other")
    uids = {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in changed}
    assert not uids & {ds.SOPInstanceUID for ds in (axial.seg, axial.heatmap, axial.report, axial.overview)}


def test_nothing_random_or_private_but_what_is_listed(axial):
    page = (Path(__file__).parents[2] / "docs" / "dicom.md").read_text(encoding="utf-8")
    private = {concept.value for concept in PRIVATE}
    for code in private:
        assert f"`{code}`" in page

    def schemes(ds):
        for element in ds:
            if element.VR == "SQ":
                for item in element.value:
                    yield from schemes(item)
        if "CodingSchemeDesignator" in ds:
            yield ds.CodingSchemeDesignator, ds.get("CodeValue")

    for ds in (axial.seg, axial.heatmap, axial.report):
        found = set(schemes(ds))
        assert {scheme for scheme, _ in found} <= {"SCT", "DCM", "UCUM", "LN", "FMA", "RFC5646", "99DYSTROPHYDX"}
        assert {value for scheme, value in found if scheme == SCHEME} <= private


def test_the_heatmap_of_a_study_is_not_taken_for_one_of_its_images(tmp_path, axial):
    folder = tmp_path / "all"
    shutil.copytree(axial.folder.parent / "study", folder)
    before = read_study(folder)
    shutil.copytree(axial.folder, folder / "dicom")
    for modality in (None, "MR"):
        series = read_study(folder, modality=modality)
        np.testing.assert_array_equal(series.voxels, before.voxels)
        assert "1 of 1" in series.selection


@pytest.mark.parametrize("name", ["axial", "missing slices", "enhanced multi-frame", "a field a leg"])
def test_dciodvfy_finds_no_error(name, all_written):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed: apt-get install dicom3tools")
    written = all_written(name)
    for path in sorted(written.folder.iterdir()):
        run = subprocess.run(["dciodvfy", path], capture_output=True, text=True)
        errors = [line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")]
        assert errors == [], path.name


@pytest.mark.parametrize("name", ["axial", "oblique", "from the hip down", "enhanced multi-frame"])
def test_dcmqi_reads_legs_and_heat_where_the_series_has_them(name, all_written, tmp_path):
    programs = [
        shutil.which(p, path=str(Path(sys.executable).parent)) for p in ("segimage2itkimage", "paramap2itkimage")
    ]
    if None in programs:
        pytest.skip("dcmqi is not installed: pip install dcmqi")
    written, images = all_written(name), []
    for program, of in zip(programs, ("seg", "heatmap"), strict=True):
        (tmp_path / of).mkdir()
        asked = [program, "--inputDICOM", written.folder / f"{of}.dcm", "--outputDirectory", tmp_path / of]
        subprocess.run(asked, check=True, capture_output=True)
        images.append(sitk.ReadImage(str(tmp_path / of / {"seg": "1.nrrd", "heatmap": "pmap.nrrd"}[of])))
    series, findings = read_study(written.folder.parent / "study"), written.findings
    for image, expected in zip(images, (findings.legs == 1, findings.heat), strict=True):
        np.testing.assert_allclose(image.GetOrigin(), series.geometry.origin, atol=1e-3)
        np.testing.assert_allclose(np.reshape(image.GetDirection(), (3, 3)), series.geometry.direction, atol=1e-6)
        np.testing.assert_allclose(image.GetSpacing(), series.geometry.spacing, atol=1e-3)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), expected)


def test_dsrdump_reads_the_report_to_the_same_numbers(axial):
    if shutil.which("dsrdump") is None:
        pytest.skip("dsrdump is not installed: apt-get install dcmtk")
    run = subprocess.run(["dsrdump", "+Pl", axial.folder / "report.dcm"], capture_output=True, text=True, check=True)
    for told in (
        '"Probability")="62.5" (%,UCUM',
        '"Fat fraction")="43.75" (%,UCUM',
        '="3" ({grade},UCUM',
        "Research only",
    ):
        assert told in run.stdout
