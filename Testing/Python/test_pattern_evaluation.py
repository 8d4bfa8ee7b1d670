"""A model of patterns is measured per patient: no image has an answer of its own."""

from __future__ import annotations

import pandas as pd

from DystrophyDxLib.evaluation import tables


def test_groups_are_of_patients_alone_where_no_image_is_answered_for():
    patients = pd.DataFrame({
        "patient_id": [f"P{n}" for n in range(24)], "truth": [0, 1] * 12, "probability": [0.2, 0.8] * 12,
        "sex": ["F", "M"] * 12, "age": 30.0, "centre": "A", "field_strength_t": 3.0, "disease": ["healthy", "BMD"] * 12,
        "images": 1,
    })  # fmt: skip
    found = tables.by_group({"Patients": patients}, 0.5, ("other", "dystrophinopathy"), 0).frame
    assert set(found["Per"]) == {"patients"}
    assert set(found["By"]) == {"Sex", "Age", "Centre", "Field strength"}
