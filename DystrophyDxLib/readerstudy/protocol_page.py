"""The protocol as one page to be printed and signed. Readers may see it: it says nothing of the truth."""

from __future__ import annotations

from pathlib import Path

from ..reporting.case_report import DEMONSTRATION_MODEL, RESEARCH_ONLY
from ..reporting.rendering import rendered
from .protocol import Arm, Design, Protocol, Reader, arms_of, block_of, session_order
from .questions import GRADES

_ARMS = {
    Arm.UNAIDED: "The MRI alone.",
    Arm.AIDED: "The MRI beside the same with the model's heatmap; the model's probability and warnings are shown.",
    Arm.SEQUENTIAL: "Each case first unaided; when that answer is locked, the same case aided.",
    Arm.RE_READ: "The MRI alone once more, for the agreement of each reader with himself or herself.",
}
_DESIGNS = {
    Design.FULLY_CROSSED: "Fully crossed: every reader reads every case in every arm, in this order of the arms.",
    Design.CROSSOVER: "Crossover: every reader reads every case in every arm; half of the readers, drawn by the seed, "
    "begin with the second arm.",
    Design.SPLIT_PLOT: "Split-plot: the cases are divided into blocks with equal shares of each class; every reader "
    "reads one block, in every arm.",
}


def write_protocol_page(protocol: Protocol, path: Path) -> None:
    """Writes the page as HTML that points nowhere outside."""
    page = rendered(
        "reader_protocol.html",
        protocol=protocol,
        notices=(*((DEMONSTRATION_MODEL,) if protocol.model.demonstration else ()), RESEARCH_ONLY),
        design=_DESIGNS[protocol.design],
        arms=[(arm.value, _ARMS[arm]) for arm in protocol.arms],
        grades=GRADES,
        readers=[_reader(protocol, reader) for reader in protocol.readers],
        sessions=range(1, len(protocol.arms) + 1),
    )
    path.write_text(page, encoding="utf-8")


def _reader(protocol: Protocol, reader: Reader) -> dict[str, object]:
    return {
        "code": reader.code,
        "role": reader.role,
        "years": "" if reader.years is None else f"{reader.years:g}",
        "block": block_of(protocol, reader) + 1,
        "sessions": [
            f"{arm.value}, {len(session_order(protocol, reader, session))} cases"
            for session, arm in enumerate(arms_of(protocol, reader), 1)
        ],
    }
