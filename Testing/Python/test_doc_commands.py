"""Every command of README and docs runs as it stands, one after the other, from a checkout.

The quick ones run here; `make doc-commands` runs all of them, the long ones with the small numbers that stand in
comments in front of them (see `doc_commands`).
"""

import os
import re
from itertools import pairwise

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import dystrophydx
from doc_commands import PROGRAM, ROOT, Block, blocks

from DystrophyDxLib.models.map_package import names_maps
from DystrophyDxLib.models.recipe import Recipe

BLOCKS = blocks()
SAMPLE = "Resources/SampleStudy"
GIVEN = {"path/to/study": SAMPLE, "path/to/archive": SAMPLE}
"""What a reader puts in the place of a path that is only an example."""
OWN_FILES = {"readers.csv", "DWI.nii.gz"}
"""Files of the reader's own; `folder` has some like them."""
QUICK = ("README.md", "docs/classify.md", "docs/reader-studies.md")
MADE_BEFORE = "phantom thighs --patients 6 --seed 5 --out cohort"
"""The cohort that the pages before the reader studies make, as small as reader studies can do with."""
OUTPUT = ("--out",)
FREE_TEXT = {"--task", "--split", "--channels", "--diagnoses", "--backbones", "--contrasts", "--ask", "--reference"}


def small(recipe: Recipe) -> Recipe:
    """A recipe of an epoch on small samples, from random weights where it has ImageNet's."""
    size = 64 if recipe.sample.expects in ("heart", "map") else 112
    sample = recipe.sample.model_dump() | {"size": size}
    network, training = recipe.network.model_dump(), recipe.training.model_dump()
    if network["weights"] == "imagenet":
        network, training = network | {"weights": "none"}, training | {"trainable": "all", "copies": 0}
    stage = training["stages"][0] | {"size": size, "epochs": 1, "iterations": None, "patience": None}
    return recipe.changed(
        {"sample": sample, "network": network, "training": training | {"stages": [stage]}}, "It cannot be made small"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a checkout has, files of the reader's own, and small recipes."""
    place = tmp_path_factory.mktemp("checkout")
    for name in ("Resources", "docs", "DystrophyDxLib", "Testing"):
        (place / name).symlink_to(ROOT / name)
    page = (ROOT / "docs/reader-studies.md").read_text(encoding="utf-8")
    table = re.search(r"^```\n(reader,.*?)^```", page, re.MULTILINE | re.DOTALL)
    (place / "readers.csv").write_text(table[1], encoding="utf-8")
    (place / "small").mkdir()
    for path in (ROOT / "DystrophyDxLib/models/recipes").glob("*.toml"):
        text = path.read_text(encoding="utf-8")
        if names_maps(text):
            text = re.sub(r"features = .*", "features = [4, 4, 4, 4, 4, 4]", text).replace(
                "iterations = 2200", "epochs = 1"
            )
        elif "[network]" in text:
            text = small(Recipe.named(path.stem)).toml()
        (place / "small" / path.name).write_text(text, encoding="utf-8")
    write_diffusion(place / "DWI.nii.gz")
    return place


def write_diffusion(path):
    """A diffusion series without direction, and its tables beside it."""
    directions = np.vstack([np.zeros(3), np.eye(3), np.ones(3) / 3**0.5, [0.6, 0.8, 0], [0, 0.6, 0.8]])
    values = np.where(directions.any(axis=1), 1000.0, 0.0)
    signal = np.zeros((len(values), 6, 16, 18), np.float32)
    signal[:, 1:5, 3:13, 4:14] = 900 * np.exp(-values * 0.8e-3)[:, None, None, None]
    image = sitk.JoinSeries([sitk.GetImageFromArray(volume) for volume in signal])
    sitk.WriteImage(image, str(path))
    np.savetxt(path.with_name("DWI.bval"), values[None])
    np.savetxt(path.with_name("DWI.bvec"), directions.T)


def called(block: Block) -> list[list[str]]:
    """Words after `dystrophydx` of what is tried of a block."""
    return [[GIVEN.get(word, word) for word in words[1:]] for words in block.tried if words[0] == PROGRAM]


def run(commands: list[list[str]], folder) -> None:
    os.chdir(folder)
    for words in commands:
        ended = dystrophydx(*words)
        assert ended.returncode == 0, f"{' '.join(words)}: {ended.stderr}"


@pytest.fixture
def in_its_place():
    before = os.getcwd()
    yield
    os.chdir(before)


def test_every_block_is_tried_or_says_why_not():
    assert len(BLOCKS) > 10
    for block in BLOCKS:
        where = f"{block.page}, line {block.line}"
        for long in block.instead:
            assert any(long in line for line in block.lines), f"{where}: {long} does not stand there"
        if not block.why_not:
            assert all(line.split()[0] == PROGRAM for line in block.lines), f"{where}: say why it is not run"


def test_what_a_command_reads_was_made_by_those_before_it():
    """And none writes where an earlier one did."""
    made: set[str] = set()
    for block in BLOCKS:
        for line in block.lines if not block.why_not else ():
            words = [GIVEN.get(word, word) for word in line.split()[1:]]
            where = f"{block.page}, line {block.line}: {line}"
            for before, word in pairwise(["", *words]):
                path = word.partition("=")[2] if before == "--channel" else word
                if before in OUTPUT:
                    assert path.split("/")[0] not in made or "--overwrite" in words, f"{where}: {path} is there already"
                elif before not in FREE_TEXT and re.search(r"[/.]", path) and not path.startswith("-"):
                    first = path.split("/")[0]
                    assert first in made or path in OWN_FILES or (ROOT / path).exists(), f"{where}: there is no {path}"
            made |= {path.split("/")[0] for before, path in pairwise(words) if before in OUTPUT}


@pytest.mark.parametrize("page", QUICK)
def test_the_quick_ones_run(page, folder, in_its_place):
    commands = [words for block in BLOCKS if block.page == page for words in called(block)]
    assert commands
    if page == "docs/reader-studies.md":
        commands.insert(0, MADE_BEFORE.split())
    run(commands, folder)


@pytest.mark.doc_commands
def test_all_of_them_run_one_after_the_other(tmp_path_factory, folder, in_its_place):
    run([words for block in BLOCKS for words in called(block)], folder)
