"""The commands of README and docs, as a reader meets them: page after page, block after block.

A comment in front of a block says what is other when it is tried:

- `<!-- tried with: A as B; C as D -->`: small numbers in the place of long ones
- `<!-- not run: WHY -->`: what the tests cannot do
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md", "docs/classify.md", "docs/dicom.md", "docs/node.md", "docs/training.md", "docs/sister-systems.md",
    "docs/reader-studies.md", "docs/archive.md", "docs/phantoms.md", "docs/model-card.md",
    "docs/benchmarks.md", "docs/installing.md", "CONTRIBUTING.md",
)  # fmt: skip
"""In the order in which README's table of the rest names them."""
PROGRAM = ".venv/bin/dystrophydx"
BLOCK = re.compile(r"(?:<!-- (?P<how>[^>]*) -->\n)?^```(?:sh|powershell)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of commands.

    Attributes:
        lines: commands as they stand, each in one line.
        instead: what is tried in the place of a part of them.
        why_not: why they are not run; empty where they are.
    """

    page: str
    line: int
    lines: tuple[str, ...]
    instead: dict[str, str]
    why_not: str = ""

    @property
    def tried(self) -> list[list[str]]:
        """Words of each command that is run."""
        return [] if self.why_not else [shlex.split(self._with_small_numbers(line)) for line in self.lines]

    def _with_small_numbers(self, line: str) -> str:
        for long, small in self.instead.items():
            line = line.replace(long, small)
        return line


def blocks() -> list[Block]:
    """All blocks of commands, in the order in which they are met."""
    found = []
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            kind, _, how = " ".join((match["how"] or "").split()).partition(": ")
            lines = [re.sub(r"\s+#.*", "", line) for line in match["text"].replace("\\\n", " ").splitlines()]
            pairs = [pair.split(" as ") for pair in how.split("; ")] if kind == "tried with" else []
            instead = {long: small for long, small in pairs}
            commands = tuple(" ".join(line.split()) for line in lines if line)
            why_not = how if kind == "not run" else ""
            found.append(Block(page, text.count("\n", 0, match.start("text")), commands, instead, why_not))
    return found
