"""A reader study that no one read: answers drawn for readers of different skill, with a model beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from DystrophyDxLib.readerstudy.reads import AIDED, GRADES, RE_READ, UNAIDED, Reads

MUSCLES = ("sartorius", "gracilis", "adductor magnus", "vastus lateralis")


def simulated_reads(
    seed: int,
    *,
    readers: int = 5,
    cases: int = 100,
    arms: tuple[str, ...] = (UNAIDED, AIDED),
    aid: float = 0.5,
    re_read: bool = True,
    duplicates: int = 10,
    grades: bool = True,
    missing: float = 0.02,
) -> Reads:
    """Half of the cases are positive. A reader's confidence follows how ill the case looks, to all and to the reader.

    Args:
        aid: what aided reading adds to the distance of the classes.
        duplicates: cases that are shown twice in every arm.
        missing: share of answers without decision and confidence.
    """
    rng = np.random.default_rng(seed)
    names = [f"R{n + 1}" for n in range(readers)]
    codes = [f"C{n + 1:04}" for n in range(cases)]
    truth = np.arange(cases) % 2
    looks = rng.normal(1.6 * truth - 0.8)
    skill = rng.normal(1.0, 0.15, readers)

    def answers(reader: int, arm: str, session: int, repeat: int, shown: np.ndarray) -> pd.DataFrame:
        gain = aid if arm == AIDED else 0.0
        score = skill[reader] * looks[shown] + gain * (truth[shown] - 0.5) + rng.normal(scale=0.7, size=len(shown))
        confidence = np.round(100 / (1 + np.exp(-1.5 * score)))
        table = pd.DataFrame(
            {
                "reader": names[reader],
                "case": np.array(codes)[shown],
                "arm": arm,
                "session": session,
                "repeat": repeat,
                "decision": (confidence >= 50).astype(float),
                "confidence": confidence,
                "seconds": np.round(rng.lognormal(3.2, 0.5, len(shown)), 1),
                "slices_seen": rng.integers(5, 30, len(shown)),
            }
        )
        table.loc[rng.random(len(shown)) < missing, ["decision", "confidence"]] = np.nan
        return table

    everything, twice = np.arange(cases), np.arange(duplicates)
    tables = []
    for reader in range(readers):
        for session, arm in enumerate(arms, 1):
            tables += [answers(reader, arm, session, 0, everything), answers(reader, arm, session, 1, twice)]
        if re_read:
            tables.append(answers(reader, RE_READ, len(arms) + 1, 0, everything))
    probability = 1 / (1 + np.exp(-2 * (looks + rng.normal(scale=0.5, size=cases))))
    return Reads(
        pd.concat(tables),
        pd.DataFrame({"reader": names, "role": "radiologist", "years": np.arange(readers) + 3}),
        pd.DataFrame({"case": codes, "label": truth}),
        pd.DataFrame(
            {"case": codes, "model": "ResNet50", "probability": probability, "label": (probability >= 0.5).astype(int)}
        ),
        _graded(rng, names, codes, looks) if grades else None,
    )


def _graded(rng: np.random.Generator, readers: list[str], cases: list[str], looks: np.ndarray) -> pd.DataFrame:
    index = pd.MultiIndex.from_product(
        [readers, range(len(cases)), MUSCLES, ("left", "right")], names=["reader", "case", "muscle", "side"]
    )
    table = index.to_frame(index=False)
    steps = np.clip(np.round(2.5 + 1.2 * looks[table["case"]] + rng.normal(scale=0.7, size=len(table))), 0, 5)
    table["grade"] = np.array(GRADES)[steps.astype(int)]
    table["case"] = np.array(cases)[table["case"]]
    return table.assign(arm=UNAIDED, session=1, repeat=0)
