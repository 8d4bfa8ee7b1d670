"""The kinds of file that strangers give to the library: how some are made, and what reads them."""

from __future__ import annotations

import hashlib
import random
import shutil
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Testing" / "Python"))

from mutation import change_file  # noqa: E402

from DystrophyDxLib.series.reading import read_frames, read_study  # noqa: E402
from DystrophyDxLib.series.series import Series  # noqa: E402

SAMPLE = ROOT / "Resources" / "SampleStudy"
MODEL = ROOT / "Resources" / "EmbeddedModel"
_TYPES = {"a": np.int16, "b": np.float32, "c": np.uint8}
_LEGS_OF = 8
"""One in so many images that could be read is looked at for legs."""


class Kind:
    """A kind of input.

    Attributes:
        name: of the kind.
        weight: how often it is drawn.
    """

    name: str
    weight = 1

    def make(self, folder: Path) -> None:
        """Writes good inputs into `folder`: a file or a folder each."""
        raise NotImplementedError

    def read(self, path: Path, draw: random.Random) -> None:
        """Reads an input as the library does."""
        raise NotImplementedError

    def change(self, path: Path, draw: random.Random, seeds: list[Path]) -> None:
        """Changes one of the files of an input."""
        change_file(_one_file(path, draw), draw, [_one_file(draw.choice(seeds), draw)])


def _one_file(path: Path, draw: random.Random) -> Path:
    return draw.choice(sorted(file for file in path.rglob("*") if file.is_file())) if path.is_dir() else path


def _small_study() -> Series:
    """Three slices of the sample study with every fourth pixel."""
    whole = read_study(SAMPLE)
    i_mm, j_mm, k_mm = whole.geometry.spacing
    geometry = type(whole.geometry)(whole.geometry.origin, (4 * i_mm, 4 * j_mm, k_mm), whole.geometry.direction)
    return Series(np.ascontiguousarray(whole.voxels[4:7, ::4, ::4]), geometry)


def _image(dtype: type) -> sitk.Image:
    from DystrophyDxLib.series.image_files import as_image

    study = _small_study()
    return as_image(study.voxels.astype(dtype), study.geometry)


class Images(Kind):
    """Studies that are one image."""

    def read(self, path: Path, draw: random.Random) -> None:
        from DystrophyDxLib.regions.legs import find_legs

        if path.is_dir() and not any(file.suffix == ".dcm" for file in path.iterdir()):
            path = next(file for file in sorted(path.iterdir()) if file.suffix in (".nhdr", ".mhd"))
        if draw.random() < 0.2:
            read_frames(path)
            return
        series = read_study(path)
        if draw.randrange(_LEGS_OF) == 0:
            find_legs(series)


class Nifti(Images):
    name = "nifti"
    weight = 2

    def make(self, folder: Path) -> None:
        from nifti_headers import nifti_2

        for name, dtype in (("a.nii", np.int16), ("b.nii.gz", np.int16), ("c.nii", np.float32), ("d.nii.gz", np.uint8)):
            sitk.WriteImage(_image(dtype), str(folder / name))
        nifti_2(folder / "e.nii", _small_study().voxels, np.diag((5.0, 5.0, 15.0)))
        frames = sitk.JoinSeries([_image(np.int16)] * 2)
        sitk.WriteImage(frames, str(folder / "f.nii"))


class Nrrd(Images):
    name = "nrrd"
    weight = 2

    def make(self, folder: Path) -> None:
        from test_image_headers import nrrd

        for name, dtype, packed in (
            ("a.nrrd", np.int16, False),
            ("b.nrrd", np.float32, True),
            ("c.nrrd", np.uint8, True),
        ):
            sitk.WriteImage(_image(dtype), str(folder / name), useCompression=packed)
        (folder / "d").mkdir()
        sitk.WriteImage(_image(np.int16), str(folder / "d" / "d.nhdr"))
        sitk.WriteImage(sitk.JoinSeries([_image(np.int16)] * 2), str(folder / "e.nrrd"))
        text = " ".join(map(str, range(3 * 24 * 20))).encode()
        nrrd(folder / "f.nrrd", text, encoding="ascii", endian=None)
        (folder / "g").mkdir()
        for n in range(3):
            (folder / "g" / f"{n}.raw").write_bytes(bytes(range(240)) * 4)
        nrrd(folder / "g" / "g.nhdr", b"0.raw\n1.raw\n2.raw\n", data_file="LIST")


class MetaImage(Images):
    name = "metaimage"
    weight = 2

    def make(self, folder: Path) -> None:
        from test_image_headers import metaimage

        for name, dtype in _TYPES.items():
            sitk.WriteImage(_image(dtype), str(folder / f"{name}.mha"), useCompression=name != "a")
        for name, packed in (("d", False), ("e", True)):
            (folder / name).mkdir()
            sitk.WriteImage(_image(np.int16), str(folder / name / "a.mhd"), useCompression=packed)
        (folder / "f").mkdir()
        for n in range(1, 4):
            (folder / "f" / f"{n}.raw").write_bytes(bytes(range(240)) * 4)
        metaimage(folder / "f" / "a.mhd", b"", ElementDataFile="%d.raw 1 3 1")


class Dicom(Images):
    name = "dicom"
    weight = 3

    def make(self, folder: Path) -> None:
        from dicom_files import enhanced_dataset, series_datasets
        from pydicom.uid import RLELossless

        series = _small_study()
        voxels = series.voxels.astype(np.int16)
        for name, syntax in (("a", None), ("b", RLELossless)):
            (folder / name).mkdir()
            for n, dataset in enumerate(series_datasets(voxels, spacing=(5.8, 5.8, 15.0))):
                if syntax is not None:
                    dataset.compress(syntax, generate_instance_uid=False)
                dataset.save_as(folder / name / f"{n}.dcm", enforce_file_format=True)
        positions = np.array([[0.0, 0.0, 15.0 * n] for n in range(len(voxels))])
        (folder / "c").mkdir()
        enhanced_dataset(voxels, positions).save_as(folder / "c" / "0.dcm", enforce_file_format=True)
        (folder / "d").mkdir()
        for source in sorted(SAMPLE.iterdir())[:2]:
            shutil.copy(source, folder / "d")

    def change(self, path: Path, draw: random.Random, seeds: list[Path]) -> None:
        """Half of the changes are of the value of an element."""
        file = _one_file(path, draw)
        if draw.random() < 0.5 or not _with_other_element(file, draw):
            change_file(file, draw, [_one_file(draw.choice(seeds), draw)])


def _with_other_element(file: Path, draw: random.Random) -> bool:
    """Whether an element of a DICOM file could be given another value, or was removed or emptied."""
    import pydicom
    from mutation import NUMBERS, WORDS

    try:
        dataset = pydicom.dcmread(file)
        level = dataset
        while True:
            element = draw.choice(list(level))
            if element.VR != "SQ" or not element.value or draw.random() < 0.2:
                break
            level = draw.choice(list(element.value))
        how = draw.random()
        if how < 0.2:
            del level[element.tag]
        elif how < 0.3:
            element.value = None
        elif element.VR in ("US", "UL", "SS", "SL"):
            element.value = draw.choice((0, 1, 2, 16, 255, 65535))
        elif element.VR in ("OB", "OW"):
            element.value = bytes(element.value)[: draw.choice((0, 1, 100, 100_000))]
        elif element.VR in ("FD", "FL"):
            element.value = draw.choice((0.0, -1.0, 1e308, float("nan"), float("inf")))
        elif element.VR != "SQ":
            parts = str(element.value).strip("[]").replace("'", "").split(", ")
            parts[draw.randrange(len(parts))] = draw.choice(NUMBERS if element.VR in ("DS", "IS") else WORDS)[:16]
            element._value = parts if len(parts) > 1 else parts[0]
        dataset.save_as(file)
    except Exception:  # what cannot be written is no mutant
        return False
    return True


class Segmentations(Kind):
    name = "segmentation"
    weight = 2

    def __init__(self) -> None:
        self._volume = None

    def make(self, folder: Path) -> None:
        from DystrophyDxLib.mrml.segmentation import add_segmentation, write_segmentation
        from DystrophyDxLib.regions.legs import find_legs
        from DystrophyDxLib.series.image_files import as_image

        study = _small_study()
        labels = find_legs(study).labels
        if not labels.any():
            labels[:, 4:12, 4:12] = 1
        write_segmentation(add_segmentation(self._in_scene(), labels), folder / "a.seg.nrrd")
        node = add_segmentation(self._in_scene(), labels)
        node.GetSegmentation().SeparateSegmentLabelmap(node.GetSegmentation().GetNthSegmentID(0))
        write_segmentation(node, folder / "b.seg.nrrd")
        sitk.WriteImage(as_image(labels, study.geometry), str(folder / "c.nii.gz"))

    def read(self, path: Path, draw: random.Random) -> None:
        from DystrophyDxLib.models.recipe import Recipe
        from DystrophyDxLib.mrml.segmentation import labels_of_file, muscles_of_file
        from DystrophyDxLib.samples.kinds import region_of
        from DystrophyDxLib.series.segmentation_file import read_segmentation

        if draw.random() < 0.5:
            muscles_of_file(read_segmentation(path), self._in_scene())
            return
        region, study = region_of(Recipe.named("yang2021").sample), _small_study()
        file = read_segmentation(path)
        drawn = labels_of_file(file, self._in_scene(), lambda values: region.labels_of_map(study, values))
        region.from_labels(study, drawn.labels, drawn.overlapping)

    def _in_scene(self) -> object:
        if self._volume is None:
            import slicer

            from DystrophyDxLib.mrml.volumes import add_series

            self._scene = slicer.vtkMRMLScene()
            self._volume = add_series(self._scene, _small_study())
        return self._volume


class Packages(Kind):
    name = "package"

    def make(self, folder: Path) -> None:
        import torch
        from safetensors.torch import save

        own = folder / "a"
        own.mkdir()
        for name in ("card.json", "recipe.toml"):
            shutil.copy(MODEL / name, own)
        (own / "model.safetensors").write_bytes(
            save({"features.mean": torch.zeros(4), "head.weight": torch.ones(3, 2)})
        )
        _seal(own)
        shutil.make_archive(str(folder / "b"), "zip", own)

    def change(self, path: Path, draw: random.Random, seeds: list[Path]) -> None:
        super().change(path, draw, seeds)
        if path.is_dir() and draw.random() < 0.8:  # else nothing behind the checksums would be read
            _seal(path)

    def read(self, path: Path, draw: random.Random) -> None:
        from DystrophyDxLib.models.package import ModelPackage

        ModelPackage.read(path).tensors()


def _seal(package: Path) -> None:
    files = sorted(file for file in package.iterdir() if file.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (package / "SHA256SUMS").write_text("".join(lines))


class Recipes(Kind):
    name = "recipe"

    def make(self, folder: Path) -> None:
        for source in (ROOT / "DystrophyDxLib" / "models" / "recipes").glob("*.toml"):
            shutil.copy(source, folder)

    def read(self, path: Path, draw: random.Random) -> None:
        from DystrophyDxLib.cohort.options import chosen_recipe

        chosen_recipe(str(path), None, None)


class CohortTables(Kind):
    name = "cohort"

    def make(self, folder: Path) -> None:
        rows = [("P1", "a.nii", "DMD", "train", 7, "F"), ("P2", "b.nii", "healthy", "test", "", "M")]
        rows += [("P3", "c.nii", "FSHMD", "train", 31.5, "m"), ("P4", "d.nii", "BMD", "val", 12, "")]
        names = ("patient_id", "path", "diagnosis", "split", "age", "sex")
        for name, mark in (("a", ","), ("b", ";"), ("c", "\t")):
            own = folder / name
            own.mkdir()
            lines = [mark.join(map(str, row)) for row in (names, *rows)]
            (own / "cohort.csv").write_text("\n".join(lines) + "\n", "utf-8-sig" if name == "b" else "utf-8")
            for row in rows:
                (own / row[1]).touch()

    def change(self, path: Path, draw: random.Random, seeds: list[Path]) -> None:
        change_file(path / "cohort.csv", draw, [draw.choice(seeds) / "cohort.csv"])

    def read(self, path: Path, draw: random.Random) -> None:
        from DystrophyDxLib.cohort.splits import own
        from DystrophyDxLib.cohort.table import Cohort
        from DystrophyDxLib.models.recipe import Recipe

        cohort = Cohort.read(path / "cohort.csv", Recipe.named("yang2021"))
        if draw.random() < 0.2:
            own(cohort)


class SmallTables(Kind):
    name = "tables"

    def make(self, folder: Path) -> None:
        (folder / "readers.csv").write_text("reader,role,years\nR1,radiologist,12\nR2,resident,2\n")
        (folder / "names.csv").write_text("label,name\n1,sartorius\n2,gracilis\n", "utf-8-sig")

    def read(self, path: Path, draw: random.Random) -> None:
        from DystrophyDxLib.explain.region_heat import read_atlas
        from DystrophyDxLib.readerstudy.creation import read_readers

        if path.name.startswith("readers"):
            read_readers(path)
            return
        study = _small_study()
        atlas = path.with_name("atlas.nii")
        if not atlas.exists():
            sitk.WriteImage(_image(np.uint8) * 0 + 1, str(atlas))
        read_atlas(atlas, path, study)


class ReadTables(Kind):
    name = "reads"

    def make(self, folder: Path) -> None:
        from simulated_reads import simulated_reads

        for seed in (1, 2):
            simulated_reads(seed, readers=3, cases=12, duplicates=2).write(folder / f"{seed}")

    def read(self, path: Path, draw: random.Random) -> None:
        from DystrophyDxLib.readerstudy.analysis.agreement_tables import agreement_table
        from DystrophyDxLib.readerstudy.analysis.first_answers import FirstAnswers
        from DystrophyDxLib.readerstudy.analysis.performance_tables import performance_frame
        from DystrophyDxLib.readerstudy.reads import Reads

        answers = FirstAnswers.of(Reads.read(path))
        if draw.random() < 0.1:
            performance_frame(answers)
            agreement_table(answers)


class Answers(Kind):
    """A reader study's folder: protocol, answer files, truth and the model's answers."""

    name = "answers"
    weight = 2

    def make(self, folder: Path) -> None:
        from reader_studies import SetClock, items_until_the_end, make_protocol, make_study

        from DystrophyDxLib.readerstudy.questions import Answer
        from DystrophyDxLib.readerstudy.session import ReadingSession

        study = make_study(folder / "a", make_protocol(cases=4, duplicates=1))
        clock = SetClock()
        for reader in ("R1", "R2"):
            with ReadingSession(study, reader, clock) as session:
                for _ in items_until_the_end(session, clock):
                    clock.run(4)
                    session.submit(Answer(True, 80))

    def change(self, path: Path, draw: random.Random, seeds: list[Path]) -> None:
        names = ["protocol.json", "answers/R1.sqlite", "answers/R1.sqlite", "truth/truth.csv", "model/C001/answer.json"]
        change_file(path / draw.choice(names), draw, [])

    def read(self, path: Path, draw: random.Random) -> None:
        from DystrophyDxLib.readerstudy.export import reads_of, status
        from DystrophyDxLib.readerstudy.study import ReaderStudy

        study = ReaderStudy.open(path)
        _, unusable = status(study, datetime(2026, 6, 1, tzinfo=timezone.utc))
        assert len(unusable) < len(study.protocol.readers), "one damaged file of answers takes the others with it"
        reads_of(study)


KINDS: dict[str, Callable[[], Kind]] = {
    kind.name: kind
    for kind in (
        Dicom,
        Nifti,
        Nrrd,
        MetaImage,
        Segmentations,
        Packages,
        Recipes,
        CohortTables,
        SmallTables,
        ReadTables,
        Answers,
    )
}
