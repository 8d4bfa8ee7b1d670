"""What pip said when an installation failed, and what to do about it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence

_CONFLICT = ("resolutionimpossible", "conflicting dependencies", "(constraint)")
_DISK = ("no space left", "errno 28", "disk quota")
_RIGHTS = ("permission denied", "errno 13", "winerror 5")
_NETWORK = ("retrying (", "connection", "timed out", "getaddrinfo", "name resolution", "proxyerror", "sslerror")

_ADVICE = (
    (
        _CONFLICT,
        "This is a conflict of versions, not the network: Slicer or another extension holds a package at a version "
        "that does not fit. Update Slicer and its extensions, or try in a Slicer without the extension that needs it.",
    ),
    (_DISK, "The disk is full: make room, then try again."),
    (_RIGHTS, "Slicer may not write there: install as the user who owns Slicer's folder, then try again."),
    (_NETWORK, "The network was not reached: check the connection and the proxy, then try again."),
)
_LOG = "The log has the details."
_MOST = 4
"""Lines of pip that are quoted at most."""


class _Tee:
    """A stream that keeps what is written to another one.

    Attributes:
        text: what was written.
    """

    def __init__(self, stream: object) -> None:
        self._stream = stream
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return self._stream.write(text)  # type: ignore[attr-defined,no-any-return]

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextlib.contextmanager
def heard() -> Iterator[list[str]]:
    """Lists, after the block, the lines that were printed in it, as all of Slicer's installers print what pip says."""
    lines: list[str] = []
    tee = _Tee(sys.stdout)
    try:
        with contextlib.redirect_stdout(tee):  # type: ignore[type-var]
            yield lines
    finally:
        lines += [line.strip() for line in tee.text.splitlines() if line.strip()]


def why_it_failed(lines: Sequence[str], error: Exception) -> str:
    """What pip said in its own words, and what to do.

    Args:
        lines: of pip, see `heard`.
        error: what was raised, which is told where pip said nothing.

    >>> why_it_failed(["ERROR: No space left"], RuntimeError())
    'pip says: No space left. The disk is full: make room, then try again. The log has the details.'
    """
    quoted = _errors(lines)
    told = f"pip says: {' '.join(quoted)}" if quoted else str(error)
    everything = "\n".join((*lines, told)).lower()
    advice = next((advice for signs, advice in _ADVICE if any(sign in everything for sign in signs)), "")
    return " ".join(filter(None, (told if told.endswith(".") else f"{told}.", advice, _LOG)))


def _errors(lines: Sequence[str]) -> list[str]:
    """pip's lines of error and, where it tells them, what conflicts."""
    found = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    if "The conflict is caused by:" in lines:
        first = lines.index("The conflict is caused by:") + 1
        causes = [
            line for line in lines[first : first + _MOST] if not line.startswith(("To fix", "ERROR:", "Additional"))
        ]
        found[1:] = [f"{'; '.join(causes)}."]
    return [line for line in dict.fromkeys(found) if line][:_MOST]
