"""README, docs/ and CONTRIBUTING name what exists: commands with their options, files, pictures, headings."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from DystrophyDxLib.commands.main import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
COMMANDS = typer.main.get_command(app)


def spans(text):
    """Pieces of code within sentences, each in one line."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", FENCE.sub("", text))]


def blocks(text):
    """Lines of blocks of code, those that go on joined, without comments."""
    lines = "\n".join(FENCE.findall(text)).replace("\\\n", " ").splitlines()
    return [re.sub(r"\s+#.*", "", line) for line in lines]


def of_dystrophydx(lines):
    """Words after `dystrophydx` of the lines that call it."""
    calls = [re.match(r"(?:\S+/)?dystrophydx (.+)", line) for line in lines]
    return [shlex.split(call[1]) for call in calls if call and "…" not in call[1]]


def command_of(words):
    """The command that words name, and what is left of them."""
    command, left = COMMANDS, list(words)
    while left and left[0] in getattr(command, "commands", {}):
        command = command.commands[left.pop(0)]
    of_all = {name for option in command.params for name in option.opts}
    assert not hasattr(command, "commands") or of_all.issuperset(left), f"there is no command {' '.join(words)}"
    return command, left


def all_options(command):
    """Names of the options of a command and of the commands below it."""
    own = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    return own.union(*(all_options(below) for below in getattr(command, "commands", {}).values()))


WHOLE = [(name, words) for name, text in TEXTS.items() for words in of_dystrophydx(blocks(text))]
"""Commands to be typed as they stand."""
MENTIONED = [(name, words) for name, text in TEXTS.items() for words in of_dystrophydx(spans(text))]


def test_commands_are_found_in_readme_and_docs():
    assert {"README.md", "docs/training.md", "docs/sister-systems.md", "docs/reader-studies.md"} <= dict(WHOLE).keys()
    assert len(WHOLE) >= 25
    assert len(MENTIONED) >= 5


@pytest.mark.parametrize(
    ("page", "words"), WHOLE + MENTIONED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_command_exists_with_its_options(page, words):
    command, given = command_of(words)
    if hasattr(command, "commands"):
        return
    context = typer.Context(command)
    given = [word for word in given if not word.startswith("[")]
    values, left, _ = command.make_parser(context).parse_args(args=given)
    assert not left
    if (page, words) in WHOLE:
        lacking = [part.name for part in command.params if part.required and not values.get(part.name)]
        assert not lacking
    for option in command.params:
        if hasattr(option.type, "choices") and values.get(option.name):
            assert values[option.name] in option.type.choices
    if command.name == "train" and not values["recipe"].endswith(".toml"):
        assert (ROOT / f"DystrophyDxLib/models/recipes/{values['recipe']}.toml").is_file()


@pytest.mark.parametrize("page", TEXTS)
def test_options_in_sentences_exist(page):
    starting = " ".join(span for span in spans(TEXTS[page]) if span.startswith("--"))
    named = set(re.findall(r"--[a-z][a-z-]*", starting))
    assert named <= all_options(COMMANDS)


def headings(page):
    """Anchors of a page's headings, as GitHub and MkDocs make them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", TEXTS)
def test_links_and_pictures_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", TEXTS[page])):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.is_file(), link
        assert not anchor or anchor in headings(target), link


@pytest.mark.parametrize("page", TEXTS)
def test_files_of_the_repository_that_are_named_exist(page):
    for span in spans(TEXTS[page]):
        if re.fullmatch(r"(?:DystrophyDx|DystrophyDxLib|Testing|Tools|Resources|docs)/[\w./-]*", span):
            assert (ROOT / span).exists(), span
        elif re.fullmatch(r"[a-z]+/[a-z_0-9]+\.py", span):
            assert (ROOT / "DystrophyDxLib" / span).is_file(), span


@pytest.mark.parametrize("page", ["README.md", "docs/model-card.md", "docs/classify.md", "docs/slicer.md"])
def test_what_it_is_not_for_is_said_first(page):
    start = " ".join(TEXTS[page].replace("\n> ", " ").split())[:1200]
    assert "**For research only, not for diagnosis.**" in start
    assert "has never seen a patient" in start
    assert "synthetic images (phantoms) only" in start


def test_the_readme_stays_short_and_lines_can_be_read():
    assert len(TEXTS["README.md"].splitlines()) <= 170
    for page, text in TEXTS.items():
        assert [line for line in text.splitlines() if len(line) > 120] == [], page
