"""A reader at work: the next case, what is logged of it, the answer. The page in Slicer is a view of this class.

Nothing here opens the truth, another reader's answers, or the model's answer before the protocol shows it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ..errors import InputError
from .protocol import Arm, Presentation, Protocol, Reader
from .questions import LONGEST_TEXT, Answer
from .store import Event, EventKind, ReaderStore, StoredAnswer
from .study import ModelAnswer, ReaderStudy

CLOCK_TOLERANCE = timedelta(minutes=5)
"""By which the clocks of two workstations may differ before it is told."""


class Clock:
    """Time of day and time that passes; tests give their own."""

    def now(self) -> datetime:
        """UTC."""
        return datetime.now(timezone.utc)

    def ticks(self) -> float:
        """Seconds from any start, never set back."""
        return time.monotonic()


@dataclass(frozen=True)
class Item:
    """A case to be read, with all that the reader may see of it. Its code and paths are not for the reader's eyes.

    Attributes:
        number: of the `Presentation`.
        position: from 1, of `positions` in the session.
        arm: `Arm.AIDED` where the model's answer is shown.
        image: the MRI.
        grey_window: lowest and highest grey value of the window to begin with.
        model: the model's answer; None but in the aided arm.
        heatmap: its evidence, 0 to 1 on the voxels of `image`; None but in the aided arm.
        locked: the reader's own unaided answer, in the aided step of sequential reading.
    """

    number: int
    position: int
    positions: int
    arm: Arm
    image: Path
    grey_window: tuple[float, float]
    model: ModelAnswer | None
    heatmap: Path | None
    locked: Answer | None


@dataclass(frozen=True)
class Progress:
    """How far a reader is.

    Attributes:
        session: from 1, of `sessions`: the one that is read or read next, the last one when all is read.
        arm: of the answer that is due; None when all is read.
        position: of the case that is due, from 1; `positions` when the session is read.
        answered: answers submitted, of `answers`, over all sessions.
        opens: when the session may begin, while its wash-out lasts; else None.
    """

    session: int
    sessions: int
    arm: Arm | None
    position: int
    positions: int
    answered: int
    answers: int
    opens: datetime | None

    @property
    def finished(self) -> bool:
        return self.answered == self.answers

    @property
    def sentence(self) -> str:
        """The same in words, for the reader."""
        if self.finished:
            return "All cases are read. Thank you."
        if self.opens:
            when = self.opens.astimezone()
            return (
                f"Session {self.session} of {self.sessions} begins after the wash-out: reading may go on from"
                f" {when.day} {when:%B %Y, %H:%M}."
            )
        return f"Session {self.session} of {self.sessions}, case {self.position} of {self.positions}."


def progress_of(store: ReaderStore, protocol: Protocol, now: datetime) -> Progress:
    """How far the reader of a file is."""
    submitted = [stored for stored in store.answers if not stored.revision]
    plan = store.presentations
    due = plan[len(submitted)] if len(submitted) < len(plan) else None
    at = due or plan[-1]
    opens = None
    if due and due.session > 1 and plan[due.number - 2].session < due.session:
        ready = max(stored.at for stored in submitted) + timedelta(days=protocol.washout_days)
        opens = ready if now < ready else None
    return Progress(
        session=at.session,
        sessions=plan[-1].session,
        arm=due.arm if due else None,
        position=at.position,
        positions=max(shown.position for shown in plan if shown.session == at.session),
        answered=len(submitted),
        answers=len(plan),
        opens=opens,
    )


class ReadingSession:
    """A signed-in reader; also a context manager that signs out.

    The page shows the case that `show` gives, tells what the reader does to it, and calls `submit`, then `show` again.
    Between, `beat` is called at least every `lease.BEAT_SECONDS`, by a timer. Whatever ends the process, at most the
    answer that is being typed is lost, less where `save_draft` was called; the reader's next session goes on with that
    case.

    Args:
        study: as `ReaderStudy.open` gives it.
        reader: code.
        clock: the computer's where none is given.

    Attributes:
        item: the case that is shown; None before the first `show` and after `submit`.
        paused: whether the case is to be hidden.

    Raises:
        InputError: the reader is unknown or signed in elsewhere, or the file of the answers cannot be used.
    """

    def __init__(self, study: ReaderStudy, reader: str, clock: Clock | None = None) -> None:
        self.protocol: Protocol = study.protocol
        self.reader: Reader = study.protocol.reader(reader)
        self.item: Item | None = None
        self.paused = False
        self._study = study
        self._clock = clock or Clock()
        self._store = ReaderStore.sign_in(study.answers(self.reader), self.protocol, self.reader)
        self._last_at = self._store.last_at
        self._events: list[Event] = []
        self._seconds = 0.0
        self._since = 0.0

    def __enter__(self) -> ReadingSession:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Keeps what was logged and signs out."""
        try:
            if self._events:
                self.beat()
        finally:
            self._store.close()

    @property
    def progress(self) -> Progress:
        """How far the reader is, and when reading may go on."""
        return progress_of(self._store, self.protocol, self._clock.now())

    @property
    def clock_notice(self) -> str | None:
        """A sentence for the reader where the computer's clock is behind what was recorded already."""
        if self._last_at is None or self._clock.now() >= self._last_at - CLOCK_TOLERANCE:
            return None
        last = self._last_at.astimezone()
        return (
            f"The clock of this computer is behind the last entry ({last.day} {last:%B %Y, %H:%M}): set it right."
            " Answers keep their order all the same; a wash-out counts from the times that were recorded."
        )

    def show(self) -> Item | None:
        """The case that is due; from now on its time counts. None where all is read or a wash-out lasts, see
        `progress`.

        Raises:
            InputError: a file of the case is missing or damaged.
        """
        if self.item:
            return self.item
        due = self._due
        if due is None:
            return None
        aided = due.arm is Arm.AIDED
        item = Item(
            number=due.number,
            position=due.position,
            positions=self.progress.positions,
            arm=due.arm,
            image=self._study.image(due.case),
            grey_window=self.protocol.grey_window,
            model=self._study.model_answer(due.case) if aided else None,
            heatmap=self._study.heatmap(due.case) if aided else None,
            locked=self._locked(due),
        )
        self._seconds = self._store.seconds_seen(due.number)
        self._since = self._clock.ticks()
        self.item, self.paused = item, False
        self._log(EventKind.SHOWN)
        return item

    @property
    def next_image(self) -> Path | None:
        """The MRI to be read ahead: of the case after the one that is shown, or where none is shown of the one that is
        due. None where no case follows in this session.

        Raises:
            InputError: it is missing.
        """
        following = self._following
        return self._study.image(following.case) if following else None

    @property
    def next_heatmap(self) -> Path | None:
        """The heatmap that will be shown beside `next_image`, to be read ahead; None but in the aided arm.

        Raises:
            InputError: it is missing.
        """
        following = self._following
        return self._study.heatmap(following.case) if following and following.arm is Arm.AIDED else None

    def slice_shown(self, index: int) -> None:
        """Logs that the reader went to slice k = `index`."""
        self._log(EventKind.SLICE, slice=index)

    def window_changed(self, low: float, high: float) -> None:
        """Logs the grey values that are black and white from now on."""
        self._log(EventKind.WINDOW, low=low, high=high)

    def pause(self) -> None:
        """The reader rests: the case is to be hidden and its time stands still.

        Raises:
            InputError: it cannot be saved; see `ReaderStore.log`.
        """
        if not self.paused:
            self._log(EventKind.PAUSE)
            self._seconds = self._seen()
            self.paused = True
            self.beat()

    def resume(self) -> None:
        """The case may be shown again.

        Raises:
            InputError: it cannot be saved; see `ReaderStore.log`.
        """
        if self.paused:
            self.paused = False
            self._since = self._clock.ticks()
            self._log(EventKind.RESUME)
            self.beat()

    def beat(self) -> None:
        """Says that this process lives, and keeps what was logged.

        Raises:
            InputError: somebody else has signed in as this reader, or nothing can be saved.
        """
        self._store.log(self._events)
        self._events = []

    @property
    def draft(self) -> dict[str, object]:
        """What `save_draft` kept of the case that is shown, empty where it kept nothing."""
        return self._store.draft(self._shown().number)

    def save_draft(self, draft: Mapping[str, object]) -> None:
        """Keeps what the reader has entered so far.

        Args:
            draft: what JSON can hold.

        Raises:
            InputError: it cannot be saved; see `ReaderStore.log`.
        """
        self._store.save_draft(self._shown().number, draft)

    def submit(self, answer: Answer) -> None:
        """Takes the answer to the case that is shown, for good: when this returns, it is on the disk.

        Raises:
            InputError: the answer is not to what is asked, or cannot be saved. It is not taken then.
        """
        item = self._shown()
        if self.paused:
            raise InputError("Reading is paused; resume before you submit.")
        answer.check(self.protocol.questions)
        now = self._clock.now()
        self._store.submit(self._events, item.number, answer, self._seen(), now)
        self._noted(now)
        self._events = []
        self.item = None

    @property
    def amendable(self) -> tuple[StoredAnswer, ...]:
        """The answers that may be amended, as submitted: those of this session, until the next begins. An unaided
        answer of sequential reading may not: the model's answer has been seen since."""
        submitted = [stored for stored in self._store.answers if not stored.revision]
        if not submitted:
            return ()
        last = self.item.number if self.item else submitted[-1].presentation
        plan = self._store.presentations
        session = plan[last - 1].session
        sequential = {shown.case for shown in plan if shown.session == session and shown.arm is Arm.AIDED}
        return tuple(
            stored
            for stored in submitted
            if (shown := plan[stored.presentation - 1]).session == session
            and not (shown.arm is Arm.UNAIDED and shown.case in sequential)
        )

    def amend(self, number: int, answer: Answer, reason: str) -> None:
        """Keeps an amendment beside an answer; the answer stays as it was submitted.

        Args:
            number: of the presentation.
            reason: in the reader's words.

        Raises:
            InputError: the answer may not be amended, the amendment has no reason or is not to what is asked, or it
                cannot be saved.
        """
        reason = reason.strip()
        if not 0 < len(reason) <= LONGEST_TEXT:
            raise InputError(f"Give the reason of the amendment, in at most {LONGEST_TEXT} characters.")
        if number not in {stored.presentation for stored in self.amendable}:
            raise InputError("Only answers of this session that no answer of the model followed can be amended.")
        answer.check(self.protocol.questions)
        now = self._clock.now()
        self._store.amend(number, answer, reason, now)
        self._noted(now)

    @property
    def _following(self) -> Presentation | None:
        """The first presentation of the next position in this session, or what is due where no case is shown."""
        if self.item is None:
            return self._due
        here = self._store.presentations[self.item.number - 1]
        later = self._store.presentations[self.item.number :]
        return next((p for p in later if p.session == here.session and p.position > here.position), None)

    @property
    def _due(self) -> Presentation | None:
        """What is to be answered next; None where all is read or a wash-out lasts."""
        progress = self.progress
        return None if progress.finished or progress.opens else self._store.presentations[progress.answered]

    def _shown(self) -> Item:
        if self.item is None:
            raise InputError("No case is shown; go to the next one first.")
        return self.item

    def _seen(self) -> float:
        """Seconds that the case was seen, without pauses, by earlier processes too."""
        return self._seconds if self.paused else self._seconds + self._clock.ticks() - self._since

    def _log(
        self, kind: EventKind, slice: int | None = None, low: float | None = None, high: float | None = None
    ) -> None:
        now = self._clock.now()
        self._events.append(Event(self._shown().number, kind, round(self._seen(), 3), now, slice, low, high))
        self._noted(now)

    def _noted(self, now: datetime) -> None:
        self._last_at = max(now, self._last_at or now)

    def _locked(self, due: Presentation) -> Answer | None:
        """The unaided answer to the same case in the same session."""
        if due.number == 1:
            return None
        before = self._store.presentations[due.number - 2]
        if (before.session, before.case, before.arm, due.arm) != (due.session, due.case, Arm.UNAIDED, Arm.AIDED):
            return None
        return next(stored.answer for stored in self._store.answers if stored.presentation == before.number)
