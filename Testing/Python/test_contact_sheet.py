"""Phantoms, one a diagnosis, on one sheet; real series beside them."""

import sys

import numpy as np
import pytest
import SimpleITK as sitk
from contact_sheet import contact_sheet, main
from PIL import Image

from DystrophyDxLib.phantom import DIAGNOSES, make_phantom


def test_every_series_has_its_tile_at_the_true_proportions():
    series = make_phantom(1, "healthy", slices=1, matrix=64).series
    sheet = np.asarray(contact_sheet([(str(n), series) for n in range(9)]))
    assert sheet.shape == (2 * 240, 8 * 240)
    tiles = [sheet[row : row + 240, column : column + 240] for row in (0, 240) for column in range(0, 1920, 240)]
    assert [bool((tile[20:] > 0).any()) for tile in tiles] == [True] * 9 + [False] * 7


def test_the_command_draws_all_diagnoses_and_the_series_given(tmp_path, monkeypatch):
    study = tmp_path / "real.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(make_phantom(2, slices=2, matrix=64).series.voxels), str(study))
    monkeypatch.setattr(sys, "argv", ["contact_sheet", str(tmp_path / "sheet.png"), str(study)])
    main()
    assert Image.open(tmp_path / "sheet.png").height == 240 * -(-(len(DIAGNOSES) + 1) // 8)


def test_a_study_that_is_not_there_is_refused_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["contact_sheet", str(tmp_path / "sheet.png"), str(tmp_path / "nothing")])
    with pytest.raises(SystemExit):
        main()
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "sheet.png").exists()
