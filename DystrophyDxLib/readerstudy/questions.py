"""What a reader is asked of a case, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import InputError
from ..models.strict import Strict

SUBTYPES = ("DMD", "BMD")
QUALITIES = (1, 2, 3, 4, 5)
"""Of the images: 1 is not diagnostic, 5 excellent."""
GRADES = ("0", "1", "2a", "2b", "3", "4")
"""Of muscles, in order (Mercuri et al. 2002, Pediatr Radiol 32:604, with grade 2 divided)."""
SIDES = ("left", "right")
"""Of the patient."""
MUSCLES = (
    "rectus femoris", "vastus lateralis", "vastus intermedius", "vastus medialis", "sartorius", "gracilis",
    "adductor longus", "adductor magnus", "semimembranosus", "semitendinosus", "biceps femoris long head",
    "biceps femoris short head", "gluteus maximus",
)  # fmt: skip
"""Of the thigh, that a protocol may ask to be graded."""
LONGEST_TEXT = 4000
"""Characters of a comment or reason."""
UNDECIDED = 50
"""Confidence that goes with a yes and with a no."""


class Questions(Strict):
    """What is asked beside the condition (yes or no) and the confidence in it, which are asked always.

    Attributes:
        subtype: DMD or BMD, where the answer is yes.
        quality: of the images, 1 (not diagnostic) to 5 (excellent).
        mercuri: muscles to be graded on both sides; none where no grade is asked for.
        comment: free text, which may stay empty.
    """

    subtype: bool = False
    quality: bool = False
    mercuri: tuple[str, ...] = ()
    comment: bool = False


@dataclass(frozen=True)
class Answer:
    """A reader's answer.

    Attributes:
        decision: whether the case has what the protocol asks for.
        confidence: 0 (surely not) to 100 (surely) that it has, so at least 50 with a yes and at most 50 with a no.
        subtype: one of `SUBTYPES`, with a yes only.
        quality: one of `QUALITIES`.
        grades: one of `GRADES` by muscle and side; muscles that cannot be graded are left out.

    Raises:
        InputError: the parts contradict each other or are none of these.

    >>> answer = Answer(True, 90, subtype="DMD")
    >>> answer.check(Questions(subtype=True))
    >>> Answer(True, 10)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    DystrophyDxLib.errors.InputError: The confidence says how sure you are of a yes: ...
    """

    decision: bool
    confidence: int
    subtype: str | None = None
    quality: int | None = None
    comment: str = ""
    grades: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for wrong, told in (
            (
                isinstance(self.confidence, bool)
                or not isinstance(self.confidence, int)
                or not 0 <= self.confidence <= 100,
                "The confidence is a whole number from 0 to 100; correct it.",
            ),
            (not isinstance(self.decision, bool), "Say yes or no."),
            (self.subtype is not None and self.subtype not in SUBTYPES, "The subtype is DMD or BMD; choose one."),
            (self.subtype is not None and not self.decision, "A subtype belongs to a yes; clear it or answer yes."),
            (self.quality is not None and self.quality not in QUALITIES, "The quality is 1 to 5; choose one."),
            (len(self.comment) > LONGEST_TEXT, f"The comment is longer than {LONGEST_TEXT} characters; shorten it."),
            (not {side for _, side in self.grades} <= set(SIDES), "A muscle is graded on the left or the right."),
            (not set(self.grades.values()) <= set(GRADES), f"A grade is one of {', '.join(GRADES)}; choose one."),
        ):
            if wrong:
                raise InputError(told)
        if self.confidence != UNDECIDED and self.decision != (self.confidence > UNDECIDED):
            raise InputError(
                "The confidence says how sure you are of a yes: 50 to 100 with a yes, 0 to 50 with a no; correct one "
                "of the two."
            )

    def check(self, questions: Questions) -> None:
        """Refuses an answer to what was not asked, or none to what was. Grades and comment may be left out.

        Raises:
            InputError: with the question.
        """
        for name, asked, given in (
            ("subtype", questions.subtype and self.decision, self.subtype is not None),
            ("image quality", questions.quality, self.quality is not None),
        ):
            if asked and not given:
                raise InputError(f"The {name} is not answered; choose one.")
            if given and not asked:
                raise InputError(f"The protocol does not ask for the {name}; leave it out.")
        if self.comment and not questions.comment:
            raise InputError("The protocol does not ask for a comment; leave it out.")
        if not {muscle for muscle, _ in self.grades} <= set(questions.mercuri):
            raise InputError("A muscle is graded that the protocol does not ask for; leave it out.")
