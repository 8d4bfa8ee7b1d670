"""What is missing is told in one line, before anything slow is imported."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from DystrophyDxLib.commands.extras import EXTRAS, NEEDED, lacking, what_to_add
from DystrophyDxLib.commands.main import app
from DystrophyDxLib.commands.start import main
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.backbones import BACKBONES
from DystrophyDxLib.models.published_weights import FILES, fetch_published, fetched
from DystrophyDxLib.models.recipe import Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_command_is_known_and_every_extra_is_one_of_the_package():
    assert set(NEEDED) == {command.name or command.callback.__name__ for command in app.registered_commands} | {
        group.name for group in app.registered_groups
    }
    assert set(NEEDED.values()) | {"cli", "dicom"} == set(EXTRAS) <= set(PROJECT["optional-dependencies"])
    assert all("dystrophydx[cli]" in PROJECT["optional-dependencies"][extra] for extra in {"viewer", "train"})
    assert lacking("classify") is lacking("train") is lacking(None) is None


@pytest.mark.parametrize(
    ("gone", "words", "extra"),
    [
        ("typer", [], "cli"),
        ("rich", ["classify", "study", "--out", "x"], "viewer"),
        ("slicer", ["classify", "study", "--out", "x"], "viewer"),
        ("sklearn", ["train", "embedded"], "train"),
        ("dipy", ["diffusivity", "x"], "diffusion"),
    ],
)
def test_the_plain_package_says_what_to_add(gone, words, extra, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, gone, None)
    monkeypatch.setattr(sys, "argv", ["dystrophydx", *words])
    if gone in EXTRAS["cli"]:
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 2
        said = capsys.readouterr().err.strip().removeprefix("dystrophydx: ")
    else:
        said = lacking(words[0])
    assert said.startswith(f"The package {gone} is missing")
    assert f'pip install -e ".[{extra}]"' in said
    assert "\n" not in said


@pytest.mark.parametrize(("prefix", "pip"), [("/checkout/.venv", "with: .venv/bin/pip install"), ("/usr", "with: pip")])
def test_the_pip_that_is_named_is_that_of_the_checkout(prefix, pip, monkeypatch):
    monkeypatch.setattr(sys, "prefix", prefix)
    assert pip in what_to_add("highdicom", "dicom")


STARTED = """
import sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
import DystrophyDxLib.commands.start
print(*set(sys.modules) - before)
"""


def test_what_starts_the_command_line_needs_no_package():
    asked = [sys.executable, "-I", "-c", STARTED, str(Path(__file__).parents[2])]
    loaded = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    assert not {name.partition(".")[0] for name in loaded} - {*sys.stdlib_module_names, "DystrophyDxLib"}


def test_weights_are_known_of_every_backbone_that_has_some():
    published = {name for name, backbone in BACKBONES.items() if backbone.published}
    assert published == set(FILES)


def test_a_file_of_weights_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match=re.escape("nothing at") + ".*get resnet50-0676ba61.pth from"):
        fetch_published(Recipe.named("yang2021"), tmp_path / "none.pth")


def test_weights_are_fetched_whole_and_told_or_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    source = tmp_path / "resnet18-88d4266f.pth"
    source.write_bytes(b"abcd" * 10)
    told = []
    with pytest.raises(InputError, match="could not be fetched"):
        fetched(source.as_uri())
    assert not [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    right = source.rename(tmp_path / f"resnet18-{hashlib.sha256(b'abcd' * 10).hexdigest()[:8]}.pth")
    kept = fetched(right.as_uri(), lambda *step: told.append(step))
    assert kept.read_bytes() == b"abcd" * 10
    assert told[0] == (f"Fetching {right.name}", 0, 0)
    right.unlink()
    assert fetched(right.as_uri()) == kept


def test_a_server_that_does_not_answer_is_waited_for_once(tmp_path, monkeypatch):
    asked = []

    def silent(address, timeout):
        asked.append(timeout)
        raise TimeoutError

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("DystrophyDxLib.models.published_weights.urlopen", silent)
    monkeypatch.setattr("DystrophyDxLib.models.published_weights._unreachable", set())
    for backbone in ("resnet50", "vgg19"):
        recipe = Recipe.named("yang2021")
        network = recipe.network.model_copy(update={"backbone": backbone})
        with pytest.raises(InputError, match=f"get {FILES[backbone]} from .* or begin with random weights"):
            fetch_published(recipe.model_copy(update={"network": network}))
    assert asked == [10.0]
