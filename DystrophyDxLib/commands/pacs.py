"""`dystrophydx pacs`: the studies of a PACS, to find the one to classify."""

from __future__ import annotations

import json as json_text
from typing import Annotated

import typer

Address = Annotated[str, typer.Argument(help="DICOMweb service, https://…", show_default=False)]


def pacs(
    url: Address,
    patient: Annotated[str, typer.Option(help="Patient ID.", show_default="any")] = "",
    date: Annotated[str, typer.Option(help="Day, 20260131, or days, 20260101-20260131.", show_default="any")] = "",
    description: Annotated[
        str,
        typer.Option(help="Description of the study; * stands for anything; beside the others.", show_default="any"),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print a list for machines.")] = False,
) -> None:
    """List studies of a PACS (DICOMweb), newest first, by date, description and UID."""
    from ..exchange.pacs import Pacs

    studies = Pacs(url).studies(patient, date, description)
    if json:
        print(json_text.dumps(studies, indent=1))
        return
    for study in studies:
        images = f"{study['NumberOfStudyRelatedInstances'] or '?'} images"
        told = (study["StudyDate"], study["ModalitiesInStudy"].replace("\\", " "), images, study["StudyDescription"])
        print("  ".join(filter(None, (*told, study["StudyInstanceUID"]))))
    if not studies:
        print("The PACS has no such study.")
