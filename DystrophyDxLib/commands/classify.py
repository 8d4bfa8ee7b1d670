"""`dystrophydx classify`: one study, one answer, one folder."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from ..errors import InputError
from .extras import lacking_extra
from .options import (
    AtlasNames,
    Device,
    Model,
    MuscleMap,
    NoPattern,
    Pattern,
    ResultsFolder,
    atlas_with_names,
    by_name,
)
from .progress import progress

if TYPE_CHECKING:
    from ..exchange.export import DicomExport
    from ..exchange.pacs import PacsStudy
    from ..models.recipe import SampleRecipe
    from ..mrml.pipeline import StudyFiles
    from ..reporting.progress import Advance

Study = Annotated[
    Path | None,
    typer.Argument(help="DICOM folder or file, NIfTI, NRRD or MetaImage; none with --pacs.", show_default=False),
]


def classify(
    out: ResultsFolder,
    study: Study = None,
    model: Model = None,
    roi: Annotated[
        Path | None,
        typer.Option(
            help="Segmentation instead of the automatic region: segments 'Left leg' and 'Right leg', or of a model of "
            "another region a segment 'Region' around whose middle it lies."
        ),
    ] = None,
    muscles: Annotated[
        Path | None,
        typer.Option(
            help="Segmentation with a segment a muscle, instead of the muscles that are found, for the share of each "
            "that lies under the heat."
        ),
    ] = None,
    label_names: Annotated[
        Path | None,
        typer.Option(
            help="Names of the labels of --muscles and --roi, where they are label maps: CSV (label, name), label file "
            "of ITK-SNAP, colour table of Slicer, or JSON.",
            show_default="a table of the label map's own name beside it",
        ),
    ] = None,
    muscle_map: MuscleMap = True,
    pattern: Pattern = None,
    differential: Annotated[
        bool,
        typer.Option("--differential", help="By the fat of the muscles, rank ten diseases and health instead."),
    ] = False,
    no_pattern: NoPattern = False,
    atlas: Annotated[
        Path | None,
        typer.Option(
            help="Label map on the images' grid, for its regions ranked by the heat in them.",
            show_default="the muscles",
        ),
    ] = None,
    atlas_names: AtlasNames = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            help="Further input of a model that needs one, as NAME=PATH, or with --pacs NAME=UID of its series; once "
            "for each.",
            show_default="none",
        ),
    ] = None,
    frame: Annotated[
        list[str] | None,
        typer.Option(
            help="Frame of a cine that is an input, as NAME=NUMBER from 0; once for each.",
            show_default="those with the largest and smallest cavity",
        ),
    ] = None,
    series: Annotated[str | None, typer.Option(help="Series Instance UID to take, of several in the folder.")] = None,
    modality: Annotated[
        Literal["MR"] | None,
        typer.Option(
            help="Take DICOM images for MR whatever their header calls them: what Slicer exports is called CT unless "
            "one chooses otherwise.",
            show_default=False,
        ),
    ] = None,
    label: Annotated[
        str,
        typer.Option(
            help="Name of the study in all results; no name of a patient.",
            show_default="one that tells no identity",
        ),
    ] = "",
    device: Device = "auto",
    dicom: Annotated[
        bool,
        typer.Option(
            "--dicom",
            help="Write the result as DICOM objects of the patient's study, too: segmentation, heatmap, report and "
            "overview.",
        ),
    ] = False,
    pacs: Annotated[
        str | None, typer.Option(help="Take the study from a PACS: its DICOMweb service, https://…", show_default=False)
    ] = None,
    study_uid: Annotated[
        str | None, typer.Option("--study", help="Study Instance UID of the study in the PACS.", show_default=False)
    ] = None,
    send: Annotated[bool, typer.Option("--send", help="Store the DICOM objects in the PACS; makes them, too.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier results in the folder.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print result.json, and nothing else.")] = False,
) -> None:
    """Classify a thigh MRI: probability of each image and of the case, with a heatmap."""
    started = time.perf_counter()
    dicom |= send
    if (dicom and (lack := lacking_extra("dicom"))) or (pacs and (lack := lacking_extra("pacs"))):
        raise InputError(lack)
    if (study is None) != (pacs is not None) or (pacs is None) != (study_uid is None) or (send and pacs is None):
        raise InputError("Give either a study, or --pacs URL with --study UID; --send goes with --pacs.")
    if sum((pattern is not None, differential, no_pattern)) > 1:
        raise InputError("Give one of --pattern, --differential and --no-pattern.")
    with contextlib.ExitStack() as stack, progress(json) as advance:
        advance("Loading the model", 0, 0)
        from ..files.resources import embedded_model, muscle_model, pattern_model
        from ..models.package import ModelPackage
        from ..mrml.pipeline import ModelOnDevice, Stopwatch, StudyFiles, classify_into_folder

        watch = Stopwatch(started)
        with watch.stage("load"):
            package = ModelPackage.read(model or embedded_model())
        sample = package.recipe.sample
        given, in_pacs = _by_channel(channel or [], sample), None
        if pacs is not None and study_uid is not None:
            in_pacs = _study_in_pacs(pacs, study_uid, stack, out, advance, overwrite=overwrite)
            study, series = in_pacs.series(series)
        assert study is not None
        files = StudyFiles(
            study,
            series,
            channels={name: _channel(text, in_pacs) for name, text in given.items()},
            frames=_frames(frame or [], sample),
            region=roi,
            muscles=muscles,
            label_names=label_names,
            atlas=atlas_with_names(atlas, atlas_names),
            modality=modality,
            label=" ".join(label.split()),
        )
        further = _dicom_export(files, sample) if dicom else None
        maps = muscle_model() if muscle_map else None
        chosen_pattern = None if no_pattern else pattern or pattern_model(differential=differential)
        on_device = ModelOnDevice(package, device, maps, chosen_pattern)
        result = classify_into_folder(
            files, on_device, out, overwrite=overwrite, watch=watch, advance=advance, further=further
        )
        is_sent = send and (out / "dicom").is_dir()
        if is_sent and pacs is not None:
            advance("Sending the DICOM objects", 0, 0)
            _send(pacs, out / "dicom")
    if further is not None and further.note:
        print(further.note, file=sys.stderr)
    if json:
        print(result.to_json())
        return
    from ..reporting.case_report import extent, summary

    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(summary(result))
    console.print(" ".join((extent(result), result.input.selection, *result.input.notes)).strip())
    console.print(f"Time: {times(result.timing_s)}")
    console.print(f"Results: {out}{'; sent to the PACS' if is_sent else ''}")


def times(timing_s: dict[str, float]) -> str:
    """Seconds of each stage, of what lies between them (above all the start of the program), and of all.

    >>> times({"load": 2.0, "read": 1.0, "total": 3.5})
    'load 2.00 s, read 1.00 s, start and other 0.50 s, total 3.50 s'
    """
    stages = {stage: seconds for stage, seconds in timing_s.items() if stage != "total"}
    total = timing_s.get("total", sum(stages.values()))
    told = stages | {"start and other": max(total - sum(stages.values()), 0.0), "total": total}
    return ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in told.items())


def _study_in_pacs(
    url: str, study_uid: str, stack: contextlib.ExitStack, out: Path, advance: Advance, *, overwrite: bool
) -> PacsStudy:
    """A study in a PACS; what is retrieved of it lies there as long as the stack is open.

    Raises:
        InputError: as `Pacs`; results cannot be written.
    """
    from ..exchange.pacs import Pacs, PacsStudy
    from ..reporting.output_folder import check_output_folder

    check_output_folder(out, overwrite=overwrite)
    advance("Looking into the PACS", 0, 0)
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="dystrophydx")))
    return PacsStudy(Pacs(url), study_uid, folder, lambda count: advance("Retrieving images", count, 0))


def _send(url: str, folder: Path) -> None:
    from ..exchange.pacs import Pacs

    Pacs(url).store(sorted(folder.iterdir()))


def _dicom_export(files: StudyFiles, sample: SampleRecipe) -> DicomExport:
    """What writes the DICOM objects.

    Raises:
        InputError: the model takes frames of a cine, of which a slice has several.
    """
    if sample.of_cine and not files.channels:
        raise InputError("--dicom needs a study of slices, and the model takes frames of a cine; leave it out.")
    from ..exchange.export import DicomExport

    return DicomExport(files.images, files.series_uid, files.modality)


def _by_channel(given: list[str], sample: SampleRecipe) -> dict[str, str]:
    """Where a model's further channels are, by name, from NAME=PATH or NAME=UID.

    Raises:
        InputError: a channel that the model does not have, is given twice, or is lacking.
    """
    texts = by_name("--channel", given, sample.further, "PATH", bool, "this model has one input")
    if texts or not sample.of_cine:
        sample.check_further(texts)
    return texts


def _channel(text: str, in_pacs: PacsStudy | None) -> Path:
    """A path, or of a series in the PACS the folder that it is retrieved into."""
    from ..series.standard_terms import standard_uid

    return in_pacs.series(text)[0] if in_pacs is not None and standard_uid(text) else Path(text)


def _frames(given: list[str], sample: SampleRecipe) -> dict[str, int]:
    """Numbers of a cine's frames by the name of the input that they are, from NAME=NUMBER.

    Raises:
        InputError: an input that the model does not have or take from a cine, or is given twice, or no number.
    """
    names = [channel.name for channel in sample.channels if channel.frame]
    texts = by_name("--frame", given, names, "NUMBER", str.isdecimal, "the model takes no cine")
    return {name: int(text) for name, text in texts.items()}
