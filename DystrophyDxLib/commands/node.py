"""`dystrophydx node`: takes studies by C-STORE, classifies them, sends the objects back."""

from __future__ import annotations

import contextlib
import ipaddress
import json as json_text
import logging
import signal
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .options import Device, Model

if TYPE_CHECKING:
    from ..exchange.node.node import Node
    from ..exchange.node.receiver import Receiver
    from ..models.recipe import SampleRecipe

DAY_S = 86400
WATCH_S = 1.0
"""How often a node looks whether what comes in is more than there is room for."""
TIDY_S = 60.0
"""How often it removes what was kept long enough."""


def node(
    folder: Annotated[
        Path, typer.Option(help="The node's own folder for images and what is done; it is made.", show_default=False)
    ],
    send_to: Annotated[
        str | None,
        typer.Option(
            help="Where the objects go: TITLE@host:port of a DICOM node, or a DICOMweb service, https://…",
            show_default=False,
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port for senders.")] = 11112,
    host: Annotated[str, typer.Option(help="Address for senders; 0.0.0.0 for all of this computer.")] = "127.0.0.1",
    title: Annotated[str, typer.Option(help="AE title of the node.")] = "DYSTROPHYDX",
    known: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            help="Who may send: TITLE, TITLE@address or TITLE@network; once for each.",
            show_default="anybody who reaches the port",
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            help="Certificate of the node (PEM); with it all is encrypted (TLS).", exists=True, dir_okay=False
        ),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Private key of the certificate (PEM).", exists=True, dir_okay=False)
    ] = None,
    authorities: Annotated[
        Path | None,
        typer.Option(
            help="Certificates (PEM) that vouch for senders, who then need one, and for the destination.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    send_tls: Annotated[bool, typer.Option("--send-tls", help="Send to a DICOM node by TLS.")] = False,
    quiet: Annotated[float, typer.Option(min=0.1, help="Seconds without a new image after which a study is whole.")] = (
        60.0
    ),
    disk: Annotated[float, typer.Option(min=0.01, help="Gigabytes that the folder may hold.")] = 20.0,
    keep_days: Annotated[float, typer.Option(min=0, help="Days for which a study is kept when it is done.")] = 7.0,
    model: Model = None,
    device: Device = "auto",
    status: Annotated[bool, typer.Option("--status", help="Tell what a node does, and end.")] = False,
    study: Annotated[str, typer.Option(help="Study Instance UID of the one study that --status tells.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the status for machines.")] = False,
) -> None:
    """Take studies as a DICOM node, classify them, and send the DICOM objects back."""
    if status or json or study:
        _tell_status(folder, study, json=json)
        return
    if send_to is None:
        raise InputError("Give --send-to with the destination of the objects, or --status to see what a node does.")
    from ..exchange.node.destinations import destination_of
    from ..exchange.node.files import NodeFiles
    from ..exchange.node.node import Node
    from ..exchange.node.receiver import Caller, Receiver, check_port, check_title
    from ..exchange.node.records import Records
    from ..exchange.node.tls import Certificates
    from ..exchange.node.worker import Stopped, Worker, WorkerDied
    from ..files.resources import embedded_model
    from ..models.package import ModelPackage
    from .node_worker import make_classify

    address = _address(host)
    check_title(title)
    callers = [Caller.of(text) for text in known or ()]
    certificates = Certificates(certificate, key, authorities)
    destination = destination_of(send_to, title, certificates.for_destination() if send_tls else None)
    encrypted = certificates.for_senders()
    check_sample(ModelPackage.read(model or embedded_model()).recipe.sample)
    check_port(host, port)
    log, stop = _log(), _stopping()
    with contextlib.ExitStack() as stack:
        files = stack.enter_context(contextlib.closing(NodeFiles(folder, round(disk * 1e9))))
        records = stack.enter_context(contextlib.closing(Records(files.database)))
        worker = Worker(partial(make_classify, model, device))
        working = Node(files, records, worker, destination, quiet, keep_days * DAY_S, stop=stop)
        stack.callback(working.stop)
        receiver = Receiver(files, title, callers)
        stack.callback(receiver.stop)
        log.info("loading the model")
        try:
            working.start()
        except Stopped:
            return
        except WorkerDied:
            raise InputError("The process that classifies ended while it loaded the model; check the memory.") from None
        receiver.start(host, port, encrypted)
        log.info("ready: %s at %s port %s%s", title, host, port, " by TLS" if encrypted else "")
        if not address.is_loopback and not callers and authorities is None:
            log.warning("anybody in the network may send; name those who may with --from, or use --authorities")
        _watch(working, receiver, stop, log)
    log.info("ended; what is not done is done after the next start")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        raise InputError("--host is an address of this computer in figures, such as 10.1.2.3.") from None


def check_sample(sample: SampleRecipe) -> None:
    """
    Args:
        sample: what a model sees.

    Raises:
        InputError: a node has nothing of that kind.
    """
    if not sample.of_t1_thighs or sample.further:
        raise InputError("The node classifies the thighs; give a model that takes one T1-weighted series of them.")


def _watch(working: Node, receiver: Receiver, stop: threading.Event, log: logging.Logger) -> None:
    """Looks after the disk until the node is to end."""
    tidied = told = float("-inf")
    while not stop.wait(WATCH_S):
        receiver.check_room()
        now = time.monotonic()
        if receiver.full and now - told > TIDY_S:
            log.warning("images are refused: the node's folder, or the disk, is full")
            receiver.full, told = False, now
        if now - tidied > TIDY_S:
            working.tidy()
            tidied = now


def _stopping() -> threading.Event:
    """Set by Ctrl-C and by what ends services."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _log() -> logging.Logger:
    log = logging.getLogger("dystrophydx.node")
    told = logging.StreamHandler()
    told.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.handlers, log.propagate = [told], False
    log.setLevel(logging.INFO)
    return log


def _tell_status(folder: Path, study: str, *, json: bool) -> None:
    from ..exchange.node.status import NodeStatus

    status = NodeStatus.read(folder, study)
    print(json_text.dumps(status.to_json(), indent=1) if json else "\n".join(status.lines()))
