"""A PACS by DICOMweb (PS3.18): studies are found, one series is retrieved, objects are stored.

Credentials come from the environment or the user's netrc file, never from an address; certificates are checked. What
the libraries log quotes addresses with the UIDs in them, and is not shown.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import urlsplit

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset

from ..errors import InputError
from ..series.dicom_header import quiet_pydicom
from ..series.dicom_inventory import Frame, first_frame
from ..series.dicom_stacks import Stack
from ..series.standard_terms import standard_uid
from ..series.words import suitability

USER, PASSWORD = "DYSTROPHYDX_PACS_USER", "DYSTROPHYDX_PACS_PASSWORD"
"""Environment variables of the credentials."""
_TIMEOUT_S = 60.0
_NOT_TAKEN = (400, 409, 413, 415)
"""HTTP statuses by which a service says that it will not take an object later, either (PS3.18, 10.5.3)."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SHOWN = ("StudyDate", "StudyDescription", "ModalitiesInStudy", "NumberOfStudyRelatedInstances", "StudyInstanceUID")


class NotTaken(InputError):
    """A service refuses an object for good."""


@dataclass(frozen=True)
class Pacs:
    """A DICOMweb service.

    Args:
        url: its address, such as https://pacs.hospital.example/dicom-web.

    Raises:
        InputError: it is no such address, holds credentials, or credentials would go unencrypted over a network.
    """

    url: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError("The address of the PACS is no URL; give that of its DICOMweb service (https://…).")
        if parts.username or parts.password:
            raise InputError(
                f"The address of the PACS holds credentials; give them as {USER} and {PASSWORD} in the environment, or "
                "in a netrc file."
            )
        if os.environ.get(USER) and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise InputError("Credentials would go over the network unencrypted; give an https address of the PACS.")

    def studies(
        self, patient: str = "", date: str = "", description: str = "", *, with_patients: bool = False
    ) -> list[dict[str, str]]:
        """The studies that fit all that is given, newest first; what is told of each tells no patient, unless that is
        asked for.

        Args:
            patient: Patient ID.
            date: day (20260131) or days (20260101-20260131).
            description: of the study, in upper or lower case; * stands for anything. It is compared here, as not every
                service compares it.
            with_patients: tell the Patient ID of each, too.

        Raises:
            InputError: neither patient nor date is given, or the service cannot be reached, or refuses.
        """
        if not (patient or date):
            raise InputError("A PACS holds too many studies to list all; give --patient or --date.")
        asked = {"PatientID": patient, "StudyDate": date}
        filters = {keyword: value for keyword, value in asked.items() if value}
        shown = [*_SHOWN, "PatientID"] if with_patients else [*_SHOWN]
        with _told():
            found = self._client.search_for_studies(search_filters=filters, fields=shown, get_remaining=True)
            rows = [{keyword: _text(Dataset.from_json(item), keyword) for keyword in shown} for item in found]
        if description:
            rows = [row for row in rows if fnmatchcase(row["StudyDescription"].lower(), description.lower())]
        return sorted(rows, key=lambda row: row["StudyDate"], reverse=True)

    def best_series(self, study_uid: str) -> str:
        """The MR series of a study that suits best by its number of images and the header of one of them.

        Raises:
            InputError: as `studies`; there is no such study, or it has no MR series.
        """
        with _told():
            found = self._client.search_for_series(
                _uid(study_uid), search_filters={"Modality": "MR"}, fields=["NumberOfSeriesRelatedInstances"]
            )
            series = [Dataset.from_json(item) for item in found]
            suited = [(self._suits(study_uid, ds), str(ds.SeriesInstanceUID)) for ds in series]
        if not suited:
            raise InputError("The PACS has no MR series of this study; check its UID and the PACS.")
        return max(suited)[1]

    def retrieve(
        self, study_uid: str, series_uid: str, folder: Path, advance: Callable[[int], None] | None = None
    ) -> int:
        """Writes the images of a series into a folder, one at a time.

        Args:
            advance: told how many have come.

        Returns:
            Their number.

        Raises:
            InputError: as `studies`; there is no such series, or it did not come whole, or cannot be written.
        """
        count = 0
        with _told():
            whole = self._client.search_for_instances(_uid(study_uid), _uid(series_uid), get_remaining=True)
            for count, ds in enumerate(self._client.iter_series(study_uid, series_uid), 1):
                _write(ds, folder / f"{count:05d}.dcm")
                if advance:
                    advance(count)
        if count == 0:
            raise InputError("The PACS has no image of this series; check the UIDs of study and series.")
        if count < len(whole):
            raise InputError(f"Only {count} of {len(whole)} images of the series came; try again.")
        return count

    def store(self, paths: Sequence[Path]) -> None:
        """Stores objects, one after the other.

        Raises:
            NotTaken: an object was refused.
            InputError: as `studies`.
        """
        for path in paths:
            refused = NotTaken(f"The PACS did not take {path.name}; the objects lie in {path.parent}.")
            with _told(), quiet_pydicom():
                try:
                    answer = self._client.store_instances([pydicom.dcmread(path)])
                except requests.HTTPError as error:
                    if error.response is not None and error.response.status_code in _NOT_TAKEN:
                        raise refused from None
                    raise
            if answer.get("FailedSOPSequence"):
                raise refused

    def _suits(self, study_uid: str, series: Dataset) -> float:
        uid = str(series.SeriesInstanceUID)
        first = Dataset.from_json(self._client.search_for_instances(study_uid, uid, limit=1)[0])
        header = self._client.retrieve_instance_metadata(study_uid, uid, str(first.SOPInstanceUID))
        frame = first_frame(_without_bulk(header))
        if frame is None:
            return float("-inf")
        images = int(series.get("NumberOfSeriesRelatedInstances") or 1) * frame.of_frames
        return _points(frame, images)

    @cached_property
    def _client(self) -> DICOMwebClient:
        session = requests.Session()  # takes a netrc file's credentials by itself
        if os.environ.get(USER):
            session.auth = (os.environ[USER], os.environ.get(PASSWORD, ""))
        client = DICOMwebClient(self.url, session=session, timeout=_TIMEOUT_S)
        client.set_http_retry_params(max_attempts=3)
        return client


@dataclass(frozen=True)
class PacsStudy:
    """A study in a PACS, whose series are retrieved one by one.

    Attributes:
        uid: Study Instance UID.
        folder: that gets a folder a series.
        advance: told how many images of a series have come.
    """

    service: Pacs
    uid: str
    folder: Path
    advance: Callable[[int], None]

    def series(self, uid: str | None = None) -> tuple[Path, str]:
        """Retrieves a series: the one that is asked for or, where none is, that which suits best.

        Returns:
            Its folder, and its UID.

        Raises:
            InputError: as `Pacs.best_series` and `Pacs.retrieve`.
        """
        chosen = uid or self.service.best_series(self.uid)
        folder = Path(mkdtemp(dir=self.folder))
        self.service.retrieve(self.uid, chosen, folder, self.advance)
        return folder, chosen


def _write(ds: Dataset, path: Path) -> None:
    try:
        ds.save_as(path, enforce_file_format=True)
    except OSError:
        raise InputError("The images cannot be written into the temporary folder; check the space there.") from None


def _points(frame: Frame, images: int) -> float:
    stack = Stack([frame])
    return suitability(frame.is_placed and stack.plane == "axial", images, stack.acquisition, frame.text)


def _without_bulk(header: Mapping[str, Any]) -> Dataset:
    """The dataset of a header in JSON; what lies elsewhere, as pixels do, is left out."""
    return Dataset.from_json({tag: item for tag, item in header.items() if "BulkDataURI" not in item})


def _uid(text: str) -> str:
    if standard_uid(text) is None:
        raise InputError(f"{text!r} is no UID; give that of a study or series, such as 1.2.840.113619.2.1.")
    return text


def _text(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    return "" if value is None else str(value) if isinstance(value, (str, int)) else "\\".join(map(str, value))


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong with the service, in one line without an address."""
    try:
        yield
    except InputError:
        raise
    except requests.exceptions.SSLError:
        raise InputError(
            "The certificate of the PACS is not trusted; set REQUESTS_CA_BUNDLE to the certificates of your hospital."
        ) from None
    except (requests.ConnectionError, requests.Timeout):
        raise InputError("The PACS cannot be reached; check its address and the network.") from None
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        raise InputError(_REFUSED.get(status, f"The PACS answers with an error (HTTP status {status}).")) from None
    except (OSError, ValueError, KeyError, AttributeError):
        raise InputError("The answer of the PACS is not DICOMweb; check the address of its service.") from None


_REFUSED = {
    401: f"The PACS wants credentials; give them as {USER} and {PASSWORD} in the environment, or in a netrc file.",
    403: "The PACS does not allow this with these credentials.",
    404: "The PACS has no such study, series or service; check the address and the UIDs.",
}
