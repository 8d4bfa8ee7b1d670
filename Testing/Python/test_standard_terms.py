"""Results hold what a header says of the acquisition, and nothing that somebody may have written there beside it."""

import pytest
from dicom_files import series_datasets, thigh_like, write_series

from DystrophyDxLib.series.reading import read_study
from DystrophyDxLib.series.series import Acquisition
from DystrophyDxLib.series.standard_terms import standard_facts


@pytest.mark.parametrize("name", ["SMITH JOHN", "MUELLER", "DOB 19700101"])
def test_a_name_in_a_header_stays_out_of_results(tmp_path, name):
    free = {"BodyPartExamined": name, "ScanOptions": ["FS", name], "ImageType": ["ORIGINAL", "PRIMARY", "M", name]}
    write_series(tmp_path, series_datasets(thigh_like(3), **free, ScanningSequence=["SE", name]))
    acquisition = read_study(tmp_path).acquisition
    facts = standard_facts(acquisition)
    assert name not in repr(facts)
    assert facts["image_type"] == ("ORIGINAL", "PRIMARY", "M")
    assert (facts["scan_options"], facts["scanning_sequence"]) == (("FS",), ("SE",))


@pytest.mark.parametrize("part", ["THIGH", "EXTREMITY", "UPPER LEG", "LOWER_LEG", "LEG", None])
def test_a_part_of_the_body_is_told(part):
    assert standard_facts(Acquisition(body_part=part))["body_part"] == part


@pytest.mark.parametrize("option", ["FS", "SFS", "FATSAT", "SPECTRAL_FATSAT"])
def test_facts_of_a_result_tell_fat_suppression_as_the_header_does(option):
    acquisition = Acquisition(scan_options=(option,))
    assert acquisition.fat_suppressed
    assert Acquisition(**standard_facts(acquisition)).fat_suppressed
