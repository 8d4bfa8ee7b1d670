"""The models that the panel offers, as they are remembered."""

import logging

import pytest

from DystrophyDxLib.panel.model_list import DEMONSTRATION, ModelList


@pytest.mark.parametrize("kept", ["[", "7", '{"a": 1}', "[1]", ["/models/a"]])
def test_damaged_settings_are_told_in_the_log_and_leave_the_demonstration_model(kept, caplog):
    with caplog.at_level(logging.WARNING):
        assert [name for name, _ in ModelList(lambda: kept, lambda text: None).entries()] == [DEMONSTRATION]
    assert "add the packages again" in caplog.text
