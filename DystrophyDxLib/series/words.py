"""A series in words: what a technologist's words say that it suits, and how a reader is told of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .series import Acquisition

# Points for what a technologist wrote about a series; only ever used to choose, never shown.
_WORDS = tuple(
    (re.compile(rf"(?<![a-z])(?:{words})"), points)
    for words, points in (
        (r"t1", 10),
        (r"t2|stir|tirm|flair|pdw?(?![a-z])|dwi|diff|adc", -20),
        (r"fs(?![a-z])|fat.?s(at|up)|spair|spir", -10),
        (r"loc(?![a-z])|locali[sz]er|scout|survey|smartbrain|calib", -40),
        (r"water|wasser|opp|out.?(of.?)?phase|fat.?frac|ff(?![a-z])|mip|sub(?![a-z])|subtr", -15),
        (r"gd(?![a-z])|gado|post(?![a-z])|km(?![a-z])|contrast", -4),
        (r"thigh|femur|upper.?leg|oberschenkel|cuisse|coscia|muslo", 12),
        (r"legs?(?![a-z])|lower.?ext|extremity", 4),
        (r"calf|calves|lower.?leg|unterschenkel|tibia|knee|ankle|foot|hip(?![a-z])|pelvis|spine|brain|head|arm", -10),
        (r"ax(?![a-z])|axial|tra(?![a-z])|transv", 4),
    )
)


def suitability(axial: bool, slices: int, acquisition: Acquisition, words: str) -> float:
    """Points for how well a series suits the models: axial T1-weighted slices of the thighs.

    Args:
        words: what a technologist wrote about it, in lower case, with blanks for underscores.
    """
    points = 40.0 * axial
    points += {True: 20, False: -20, None: 0}[acquisition.t1_weighted]
    points += 5 * ("SE" in acquisition.scanning_sequence)
    points -= 10 * acquisition.fat_suppressed
    points -= 40 * ("LOCALIZER" in acquisition.image_type)
    points -= 4 * ("SECONDARY" in acquisition.image_type)
    points += 10 * min(slices, 20) / 20
    return points + sum(weight for pattern, weight in _WORDS if pattern.search(words))


def described(plane: str, slices: int, acquisition: Acquisition) -> str:
    """Plane, slices and timing in words."""
    parts = [plane, counted(slices, "slice")]
    if acquisition.repetition_time_ms:
        parts.append(f"TR {acquisition.repetition_time_ms:.4g} ms")
    if acquisition.echo_time_ms:
        parts.append(f"TE {acquisition.echo_time_ms:.3g} ms")
    names = {"SE": "spin echo", "GR": "gradient echo", "IR": "inversion recovery", "EP": "echo planar"}
    parts += [name for code, name in names.items() if code in acquisition.scanning_sequence]
    if acquisition.fat_suppressed:
        parts.append("fat-suppressed")
    return ", ".join(parts)


def counted(number: int, noun: str) -> str:
    """
    >>> counted(1, "slice"), counted(3, "slice")
    ('1 slice', '3 slices')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def are(number: int, noun: str, of: str = "") -> str:
    """
    >>> are(1, "slice"), are(2, "file", " of the input")
    ('1 slice is', '2 files of the input are')
    """
    return f"{counted(number, noun)}{of} {'is' if number == 1 else 'are'}"


def listed(slices: Iterable[int]) -> str:
    """Slices with their runs, in their order.

    >>> listed([3, 4, 5, 9]), listed([2])
    ('slices 3-5, 9', 'slice 2')
    """
    runs: list[list[int]] = []
    for k in slices:
        if runs and k == runs[-1][-1] + 1:
            runs[-1].append(k)
        else:
            runs.append([k])
    told = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return f"slice {told}" if [len(run) for run in runs] == [1] else f"slices {told}"
