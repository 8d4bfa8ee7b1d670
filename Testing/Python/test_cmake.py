"""The extension configures with Slicer's macros, installs all it needs, and describes itself for the catalogue."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
INSTALLED = Path("lib/Slicer-5.12/qt-scripted-modules")
README_PICTURES = Path("Resources/Figures")


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def cmake():
    found = shutil.which("cmake", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    return found or pytest.skip("CMake is not installed")


@pytest.fixture(scope="module")
def build(cmake, tmp_path_factory):
    """The build folder of the extension, configured against a stand-in of Slicer 5.12."""
    folder = tmp_path_factory.mktemp("build")
    # The extension has no compiled code, so no compiler is asked for.
    compilers = [
        f"-DCMAKE_{language}_COMPILER{part}"
        for language in ("C", "CXX")
        for part in (f"={shutil.which('true')}", "_FORCED=ON", "_WORKS=ON")
    ]
    slicer = Path(__file__).with_name("fake_slicer")
    run(cmake, "-S", ROOT, "-B", folder, f"-DSlicer_DIR={slicer}", "-DBUILD_TESTING=ON", *compilers)
    return folder


@pytest.fixture(scope="module")
def installed(cmake, build):
    run(cmake, "--build", build)
    run(cmake, "--install", build, "--prefix", build / "installed")
    return build / "installed" / INSTALLED


def files(folder):
    return {
        file.relative_to(folder) for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    }


def tracked():
    """Files of the repository; those of the folder where there is no git."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True
    )
    if listed.returncode:
        return files(ROOT)
    return {Path(line) for line in listed.stdout.splitlines() if (ROOT / line).is_file()}


def test_every_file_of_the_library_and_its_resources_is_installed(installed):
    library = {file for file in tracked() if file.parts[0] in ("DystrophyDxLib", "Resources")}
    library = {file for file in library if README_PICTURES not in file.parents}
    module = {
        file.relative_to("DystrophyDx")
        for file in tracked()
        if file.parts[0] == "DystrophyDx" and file.name != "CMakeLists.txt"
    }
    assert {Path("DystrophyDxLib/__init__.py"), Path("DystrophyDxLib/models/recipes/yang2021.toml")} <= library
    assert {Path("DystrophyDx.py"), Path("Resources/Icons/DystrophyDx.png")} <= module
    assert files(installed) == library | module | {Path("DystrophyDxLib/LICENSE.txt")}


def test_what_is_installed_is_what_is_in_the_tree(installed):
    for file in (
        "Resources/DifferentialModel/model.safetensors",
        "Resources/EmbeddedModel/model.safetensors",
        "Resources/MuscleModel/model.safetensors",
        "Resources/PatternModel/model.safetensors",
        "DystrophyDxLib/reporting/templates/report.html",
        "LICENSE.txt",
    ):
        copy = installed / file if file != "LICENSE.txt" else installed / "DystrophyDxLib" / file
        assert copy.read_bytes() == (ROOT / file).read_bytes()


def test_the_installed_library_finds_its_model_and_sample_study(installed):
    code = "from DystrophyDxLib.files.resources import *; print(embedded_model()); print(sample_study())"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )
    model, study = map(Path, done.stdout.splitlines())
    assert (model / "recipe.toml").is_file()
    assert list(study.glob("*.dcm"))
    assert model.is_relative_to(installed)


def test_the_module_test_is_registered_with_ctest(build):
    registered = (build / "DystrophyDx/CTestTestfile.cmake").read_text()
    assert "py_DystrophyDx" in registered
    assert "DystrophyDxTest" in (ROOT / "DystrophyDx/DystrophyDx.py").read_text()


@pytest.fixture(scope="module")
def description(build):
    return dict(line.split(" ", 1) for line in (build / "description.txt").read_text().splitlines())


def test_the_catalogue_entry_keeps_to_schema_1_0_1():
    """Keys and types of slicer-extension-catalog-entry-schema-v1.0.1.json of Slicer's repository."""
    text = (ROOT / "DystrophyDx.json").read_bytes()
    assert b"\r" not in text
    entry = json.loads(text)
    kinds = {
        "$schema": str,
        "category": str,
        "scm_url": str,
        "scm_revision": str,
        "scm_type": str,
        "build_dependencies": list,
        "build_subdirectory": str,
        "enabled": bool,
        "tier": int,
    }
    assert {"$schema", "category", "scm_url"} <= set(entry) <= set(kinds)
    assert all(isinstance(value, kinds[key]) for key, value in entry.items())
    assert entry["$schema"].endswith("/Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert 1 <= entry["tier"] <= 5
    # The Index refuses other names of a repository and categories that it does not list.
    assert re.fullmatch(r"https://github\.com/[\w-]+/Slicer[\w-]+\.git", entry["scm_url"])
    assert entry["category"] == "Analysis"


def test_the_catalogue_entry_agrees_with_cmake(description):
    entry = json.loads((ROOT / "DystrophyDx.json").read_text())
    assert entry["build_dependencies"] == description["DEPENDS"].split()
    assert description["HOMEPAGE"].removesuffix("#readme") + ".git" == entry["scm_url"]


def test_the_addresses_of_icon_and_screenshots_are_files_of_the_tree(description):
    entry = json.loads((ROOT / "DystrophyDx.json").read_text())
    raw = entry["scm_url"].removesuffix(".git").replace("github.com", "raw.githubusercontent.com")
    start = f"{raw}/{entry['scm_revision']}/"
    addresses = [description["ICONURL"], *description["SCREENSHOTURLS"].split()]
    assert len(addresses) >= 2
    for address in addresses:
        assert address.startswith(start)
        assert Path(address.removeprefix(start)) in tracked()


def test_the_icon_is_128_pixels_wide_and_transparent_around(description):
    with Image.open(ROOT / "DystrophyDx/Resources/Icons/DystrophyDx.png") as icon:
        assert icon.size == (128, 128)
        assert icon.convert("RGBA").getpixel((0, 0))[3] == 0


def test_the_description_is_two_sentences_that_say_what_it_is_not_for(description):
    assert 1 <= len(re.findall(r"[.](?:\s|$)", description["DESCRIPTION"])) <= 2
    assert "not for diagnosis" in description["DESCRIPTION"]
    assert Path(description["LICENSE_FILE"]) == ROOT / "LICENSE.txt"
