"""The answer by the pattern of fat in the muscles, in words and as a chart; beside the network's."""

from __future__ import annotations

from dataclasses import dataclass

from ..models.decision import decision_for, decision_of
from ..results import INDETERMINATE, PatternMuscle, PatternResult, StudyResult

MOVED = 4
"""Muscles that are named in a line."""
WHAT = (
    "A second answer, by a model that sees no image: how much fat each muscle holds, relative to the patient's other "
    "muscles."
)
CAPTION = (
    "What each muscle adds to the log-odds of the answer, as its fat is more or less than the patient's mean over the "
    "muscles; muscles that hardly move it, or are hardly or not in view, are not drawn."
)
UNSEEN = "taken as those of the training patients vary given the others, which widens the interval"
"""How muscles out of view enter the answer."""
INTERVAL = (
    "Its interval covers how well the fat can be told, and muscles hardly in view, not how often the model is wrong."
)


def pattern_figures(pattern: PatternResult) -> str:
    """Its figures in one line; nothing without an answer."""
    case = pattern.case
    return decision_for(pattern.model.classes, case.threshold).figures(case) if case else ""


def moved(pattern: PatternResult) -> str:
    """The muscles that moved the answer most, in a sentence.

    >>> from ..results import ModelFacts, NetworkLabel
    >>> facts = ModelFacts(name="", version="", sha256="", trained_on="", classes=("other", "dystrophinopathy"))
    >>> muscles = PatternMuscle(muscle="gracilis", fat_fraction=0.06, share=0.8), PatternMuscle(
    ...     muscle="rectus femoris", fat_fraction=0.3, share=-0.3)
    >>> moved(PatternResult(case=None, model=facts, network=NetworkLabel(label="", reason=""), agrees=None,
    ...     told_class="dystrophinopathy", muscles=muscles, unseen=("sartorius",)))
    'For dystrophinopathy: gracilis (6 %). Against it: rectus femoris (30 %). Hardly or not in view: sartorius.'
    """
    parts = []
    for words, sign in ((f"For {pattern.told_class}", 1), ("Against it", -1)):
        named = [muscle for muscle in _seen(pattern) if muscle.share * sign > 0][:MOVED]
        if named:
            parts.append(f"{words}: {', '.join(f'{muscle.muscle} ({_fat(muscle)})' for muscle in named)}.")
    return " ".join((*parts, *([f"Hardly or not in view: {', '.join(pattern.unseen)}."] if pattern.unseen else [])))


def _seen(pattern: PatternResult) -> list[PatternMuscle]:
    """The muscles in view, also of results that list others."""
    return [muscle for muscle in pattern.muscles if muscle.fat_fraction is not None]


def beside_network(pattern: PatternResult) -> str:
    """How the answer stands to the network's, in a sentence."""
    if pattern.case is None:
        return ""
    if pattern.agrees is None:
        return "It tells other classes apart than the network."
    if not pattern.agrees:
        return "It contradicts the network."
    both = INDETERMINATE not in (pattern.case.label, pattern.network.label)
    return "It agrees with the network." if both else "One of the two has no label; they do not contradict each other."


def pattern_line(result: StudyResult) -> str:
    """All of it in one line of plain text; nothing where the muscles were not mapped."""
    pattern = result.pattern
    if pattern is None:
        return ""
    if pattern.case is None:
        return f"Pattern of fat in the muscles: no answer. {pattern.why}"
    told = (
        f"Pattern of fat in the muscles: {pattern.case.label}. {pattern_figures(pattern)}.",
        moved(pattern), beside_network(pattern), f"Its model was trained on {pattern.model.trained_on}.",
    )  # fmt: skip
    return " ".join(filter(None, told))


@dataclass(frozen=True)
class Bar:
    """What one muscle adds, in SVG units."""

    words: str
    share: float
    x: float
    y: float
    width: float

    @property
    def speaks_for(self) -> bool:
        return self.share > 0


@dataclass(frozen=True)
class PatternChart:
    """The answer as a table beside the network's, and a bar for each muscle.

    Attributes:
        beside: who answers, label, figures, why.
    """

    beside: tuple[tuple[str, str, str, str], ...]
    bars: tuple[Bar, ...]
    caption: str
    model: str
    what: str = WHAT
    middle: int = 500
    half: int = 200

    @classmethod
    def of(cls, result: StudyResult) -> PatternChart | None:
        """None where there is nothing to tell."""
        pattern = result.pattern
        if pattern is None:
            return None
        network = result.case.model_copy(update=pattern.network.model_dump())
        beside = (
            ("Network", network.label, decision_of(result).figures(network), network.reason),
            (
                "Fat of the muscles",
                pattern.case.label if pattern.case else "no answer",
                pattern_figures(pattern),
                pattern.case.reason if pattern.case else pattern.why,
            ),
        )
        seen = _seen(pattern)
        most = max((abs(muscle.share) for muscle in seen), default=1.0)
        bars = tuple(_bar(muscle, n, most, cls.middle, cls.half) for n, muscle in enumerate(seen))
        unseen = f"Hardly or not in view: {', '.join(pattern.unseen)}; {UNSEEN}." if pattern.unseen else ""
        facts = f"Model: {pattern.model.name} {pattern.model.version}, trained on {pattern.model.trained_on}."
        words = " ".join(filter(None, (beside_network(pattern), INTERVAL if pattern.case else "", unseen, facts)))
        return cls(beside, bars, CAPTION, words)

    @property
    def height(self) -> int:
        return 22 * len(self.bars) + 34


def _bar(muscle: PatternMuscle, number: int, most: float, middle: int, half: int) -> Bar:
    width = round(half * abs(muscle.share) / most, 1)
    words = f"{muscle.muscle}, {_fat(muscle)}"
    return Bar(words, muscle.share, middle if muscle.share > 0 else middle - width, 8 + 22 * number, width)


def _fat(muscle: PatternMuscle) -> str:
    return f"{100 * (muscle.fat_fraction or 0):.0f} %"
