"""A reader who reads to the end, in a process of its own that may be killed at any moment.

    python reader_at_work.py STUDY KILLS SEED

runs all readers of the study one after the other, kills the process that reads KILLS times at random moments, and
prints JSON: how often it was killed, and for each reader what was acknowledged: [number, confidence] of every answer
after `submit` returned.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from reader_studies import SetClock, items_until_the_end, stored_answers

from DystrophyDxLib.readerstudy.questions import Answer
from DystrophyDxLib.readerstudy.session import ReadingSession
from DystrophyDxLib.readerstudy.study import ReaderStudy


def read_on(study: ReaderStudy, reader: str, life: int, acknowledged: int, at_most: int | None) -> None:
    """Reads until all is read, and writes each acknowledged answer to the file descriptor.

    The confidence is that of the process' life, so that an answer given twice would be told from one given once.
    After `at_most` answers the process waits to be killed: a kill that comes late must not find all answers given.
    """
    clock = SetClock()
    with ReadingSession(study, reader, clock) as session:
        for given, item in enumerate(items_until_the_end(session, clock)):
            if given == at_most:
                signal.pause()
            for index in range(3):
                clock.run(0.5)
                session.slice_shown(index)
            session.save_draft({"comment": f"case {item.position}"})
            confidence = 50 + life % 50
            session.submit(Answer(True, confidence))
            os.write(acknowledged, f"{item.number} {confidence}\n".encode())


def lines(log: Path) -> int:
    return log.read_bytes().count(b"\n")


def wait_for_lines(log: Path, count: int, child: int) -> None:
    """Until so many answers are acknowledged, or the child has ended."""
    while lines(log) < count and not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        time.sleep(0.0005)


def run(study: ReaderStudy, kills: int, seed: int) -> dict[str, Any]:
    draw = random.Random(seed)
    told, killed, life = {}, 0, 0
    for number, reader in enumerate(study.protocol.readers):
        log = study.folder / f"{reader.code}.acknowledged"
        log.touch()
        due = kills * (number + 1) // len(study.protocol.readers)
        finished = False
        while not finished:
            life += 1
            answers = draw.randrange(5) if killed < due else None
            given = lines(log)
            child = os.fork()
            if not child:
                descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
                read_on(study, reader.code, life, descriptor, None if answers is None else answers + 1)
                os._exit(0)
            if answers is not None:
                wait_for_lines(log, given + answers, child)
                time.sleep(draw.uniform(0, 0.003))
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            killed += os.WIFSIGNALED(status)
            finished = os.WIFEXITED(status)
            if finished and os.WEXITSTATUS(status):
                raise SystemExit(f"the reading process of {reader.code} failed")
        told[reader.code] = [list(map(int, line.split())) for line in log.read_text().splitlines()]
    return {"killed": killed, "acknowledged": told}


def check(study: ReaderStudy, told: dict[str, Any]) -> int:
    """Sees that every answer was kept once, as it was acknowledged, with the slices that were looked at.

    Args:
        told: by `run`.

    Returns:
        How many answers were acknowledged.
    """
    for reader in study.protocol.readers:
        answers = stored_answers(study, reader.code)
        numbers = [stored.presentation for stored in answers]
        assert numbers == list(range(1, 2 * len(study.protocol.cases) + 1)), f"{reader.code} gave {numbers}"
        kept = {stored.presentation: stored.answer.confidence for stored in answers}
        wrong = [number for number, confidence in told["acknowledged"][reader.code] if kept[number] != confidence]
        assert not wrong, f"answers {wrong} of {reader.code} are others than were acknowledged"
        assert {stored.slices_seen for stored in answers} == {3}, f"slices that {reader.code} saw are lost"
    return sum(map(len, told["acknowledged"].values()))


if __name__ == "__main__":
    print(json.dumps(run(ReaderStudy.open(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3]))))
