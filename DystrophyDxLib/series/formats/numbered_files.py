"""The files that the voxels of one header lie in, one or several slices each."""

from __future__ import annotations

import re
from pathlib import Path

from .stored import MAX_DATA_FILES, DamagedFile, beside

_PATTERN = re.compile(r"([^%]*)%(0?\d{0,2})[diu]([^%]*)")


def numbered_files(header: Path, named: str, listed: list[str], sizes: list[int]) -> tuple[Path, ...]:
    """Paths of the data files of a header: one file, those of a list, or those of a pattern and its numbers.

    Args:
        named: "NAME", "LIST" or "PATTERN FIRST LAST STEP" as of printf; the last two may end with the number of axes
            that each file holds.
        listed: names of a list.
        sizes: voxels along each axis.

    Raises:
        InputError: a file would lie in another folder, the pattern takes another form, or there are more files than
            slices.
    """
    words = named.split()
    if words and words[0] == "LIST":
        names = [name.strip() for name in listed if name.strip()]
    elif "%" in named and len(words) in (4, 5):
        names = _of_pattern(words)
    elif named:
        return (beside(header, named),)
    else:
        names = []
    planes = 1
    for size in sizes[2:]:
        planes *= size
    if not 0 < len(names) <= min(planes, MAX_DATA_FILES):
        raise DamagedFile(f"its header names {len(names) or 'no'} data files for {planes} slices")
    return tuple(beside(header, name) for name in names)


def _of_pattern(words: list[str]) -> list[str]:
    form = _PATTERN.fullmatch(words[0])
    first, last, step = (int(word) for word in words[1:4])
    if form is None or step == 0:
        raise DamagedFile("its header names data files in a form that is not known")
    numbers = range(first, last + (1 if step > 0 else -1), step)
    if len(numbers) > MAX_DATA_FILES:
        raise DamagedFile(f"its header names {len(numbers)} data files")
    return [f"{form[1]}{number:{form[2] + 'd'}}{form[3]}" for number in numbers]
