"""What the panel needs is installed beside what Slicer ships, and never in its place."""

import ast
import logging
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.panel import dependencies
from DystrophyDxLib.panel.dependencies import Dependencies, Installation

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "DystrophyDx/Resources/requirements.txt"
SLICER_VERSIONS = Path(__file__).with_name("slicer_versions.txt")
PYTORCH = {"torch": "2.9.0+cpu", "torchvision": "0.24.0+cpu"}
SMALL = {"jinja2": "3.1.6", "monai": "1.6.1", "pydantic": "2.13.5", "safetensors": "0.8.0"}


def lines(file):
    return [line for line in file.read_text().splitlines() if line and not line.startswith("#")]


def slicer_packages():
    """Versions of Slicer's own packages by canonical name."""
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines(SLICER_VERSIONS))}


def add_packages(folder, versions):
    """What pip leaves of packages, without their code."""
    for name, version in versions.items():
        metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (metadata / "INSTALLER").write_text("pip\n")
        (metadata / "RECORD").touch()


@pytest.fixture(autouse=True)
def site(tmp_path, monkeypatch):
    """The folder in which packages are looked for."""
    folder = tmp_path / "a user's site-packages"
    monkeypatch.setattr(dependencies, "distributions", lambda: distributions(path=[str(folder)]))
    return folder


class Packaging:
    """Stands for `slicer.packaging`; remembers the constraints as pip would have read them."""

    def __init__(self, error=None):
        self.calls = []
        self._error = error

    def load_requirements(self, path):
        return [Requirement(line) for line in lines(path)]

    def pip_check(self, req):
        return dependencies._installed().get(req.name) in req.specifier

    def pip_install(self, requirements, constraints, requester):
        self.calls.append((requirements, lines(constraints)))
        if self._error:
            raise self._error


@pytest.fixture
def slicer_python(site):
    """A folder of packages as a fresh Slicer has it."""
    add_packages(site, slicer_packages())
    return site


class PyTorchExtension:
    """Stands for the PyTorch extension's logic, whose pip is another process of another package."""

    def __init__(self, command=None, error=None):
        self.asked = None
        self._command = command
        self._error = error

    def installTorch(self, askConfirmation=False, torchVersionRequirement=None, torchvisionVersionRequirement=None):
        self.asked = (askConfirmation, torchVersionRequirement, torchvisionVersionRequirement)
        self.constraint = os.environ["PIP_CONSTRAINT"]
        if self._command:
            self.said = subprocess.run(self._command, capture_output=True, text=True, check=True).stdout
        if self._error:
            raise self._error


def packages(pip=None, pytorch=None):
    return Dependencies(REQUIREMENTS, pip or Packaging(), pytorch)


def test_a_fresh_slicer_is_asked_for_pytorch_and_the_small_packages_with_their_sizes(slicer_python):
    missing = packages(pytorch=PyTorchExtension()).missing()
    assert missing.pytorch
    assert {Requirement(package).name for package in missing.packages} == set(SMALL)
    assert "PyTorch (0.6 GB on disk, or 5 GB with support for NVIDIA" in missing.question
    assert "jinja2, monai, pydantic, safetensors (together 20 MB at most)" in missing.question
    assert "No package that is there already is changed." in missing.question


def test_nothing_is_asked_when_everything_is_there(slicer_python):
    add_packages(slicer_python, PYTORCH | SMALL)
    assert packages().missing() is None


def test_only_what_is_missing_is_installed(slicer_python):
    add_packages(slicer_python, PYTORCH | SMALL)
    shutil.rmtree(next(slicer_python.glob("safetensors-*")))
    pip, pytorch = Packaging(), PyTorchExtension()
    here = packages(pip, pytorch)
    here.install(here.missing())
    [(requirements, constraints)] = pip.calls
    assert [Requirement(requirement).name for requirement in requirements] == ["safetensors"]
    assert "torch==2.9.0+cpu" in constraints
    assert pytorch.asked is None


def test_every_package_of_slicer_is_held_at_its_version(slicer_python):
    pip = Packaging()
    here = packages(pip, PyTorchExtension())
    here.install(here.missing())
    [(_, constraints)] = pip.calls
    held = dict(line.split("==") for line in constraints)
    assert held == {name: version for name, version in slicer_packages().items() if name != "pip"}


def test_odd_packages_of_other_extensions_do_not_stop_the_installation(slicer_python):
    add_packages(slicer_python, {"odd": "not a version"})
    (slicer_python / "~umpy-2.4.5.dist-info").mkdir()
    pip = Packaging()
    here = packages(pip, PyTorchExtension())
    here.install(here.missing())
    [(_, constraints)] = pip.calls
    assert "numpy==2.4.6" in constraints
    assert not any(line.startswith(("odd", "~")) for line in constraints)


def test_without_the_pytorch_extension_the_user_is_told_to_get_it(slicer_python):
    with pytest.raises(InputError, match=r"install the extension PyTorch with Slicer's Extensions Manager"):
        packages().missing()


def test_pytorch_without_the_extension_is_good_enough(slicer_python):
    add_packages(slicer_python, PYTORCH)
    assert not packages().missing().pytorch


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ({"pydantic": "1.10.2"}, r'needs pydantic.*pydantic 1\.10\.2 is there.*pip_install\("pydantic.*restart'),
        (
            {"torch": "2.0.1", "torchvision": "0.15.2"},
            r"needs torch.*torch 2\.0\.1 is there.*restart Slicer, press Uninstall",
        ),
    ],
)
def test_a_version_that_does_not_fit_is_left_as_it_is(slicer_python, there, words):
    add_packages(slicer_python, there)
    with pytest.raises(InputError, match=words) as error:
        packages(pytorch=PyTorchExtension()).missing()
    assert "\n" not in str(error.value)


def test_pytorch_comes_through_its_extension_without_a_second_question(slicer_python, monkeypatch):
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    pytorch = PyTorchExtension()
    here = packages(pytorch=pytorch)
    here.install(here.missing())
    assert pytorch.asked[0] is False
    assert Requirement("torch" + pytorch.asked[1]).specifier.contains("2.9.0")
    assert Requirement("torchvision" + pytorch.asked[2]).specifier.contains("0.24.0")
    assert "PIP_CONSTRAINT" not in os.environ


def test_the_constraints_of_an_institution_stay_in_force(slicer_python, monkeypatch):
    monkeypatch.setenv("PIP_CONSTRAINT", "theirs.txt")
    pytorch = PyTorchExtension()
    packages(pytorch=pytorch).install(Installation((), pytorch=True))
    theirs, ours = pytorch.constraint.split()
    assert theirs == "theirs.txt"
    assert ours.startswith("file:///")
    assert os.environ["PIP_CONSTRAINT"] == "theirs.txt"


def add_wheel(folder, name, version):
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


def test_the_pip_that_the_pytorch_extension_starts_keeps_to_the_constraints(site, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "a user's files"))
    (tmp_path / "a user's files").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    add_packages(site, {"toy": "1.0"})
    for version in ("1.0", "2.0"):
        add_wheel(tmp_path / "wheels", "toy", version)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--dry-run", "--ignore-installed"]
    pytorch = PyTorchExtension([*pip, "--no-index", "--find-links", str(tmp_path / "wheels"), "toy"])
    packages(pytorch=pytorch).install(Installation((), pytorch=True))
    assert "Would install toy-1.0" in pytorch.said


CONFLICT = """\
ERROR: Cannot install pydantic<3 and >=2.12 because these package versions have conflicting dependencies.

The conflict is caused by:
    The user requested pydantic<3 and >=2.12
    The user requested (constraint) pydantic==2.5.0

To fix this you could try to:
1. loosen the range of package versions you've specified

ERROR: ResolutionImpossible: for help visit https://pip.pypa.io"""
NO_NETWORK = """\
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(': [Errno 111] Connection refused')'
ERROR: Could not find a version that satisfies the requirement monai (from versions: none)
ERROR: No matching distribution found for monai"""


@pytest.mark.parametrize(
    ("said", "told", "untold"),
    [
        (CONFLICT, ("(constraint) pydantic==2.5.0", "conflict of versions, not the network"), "check the connection"),
        (NO_NETWORK, ("No matching distribution found for monai", "check the connection"), "conflict"),
        ("ERROR: Could not install: [Errno 28] No space left on device", ("make room",), "network"),
        ("ERROR: Invalid requirement: 'x'", ("pip says: Invalid requirement: 'x'.",), "network"),
    ],
    ids=["conflict", "network", "disk", "other"],
)
def test_a_failed_installation_says_what_pip_said(slicer_python, capsys, said, told, untold):
    class Failing(Packaging):
        def pip_install(self, requirements, constraints, requester):
            print(said)
            raise subprocess.CalledProcessError(1, "pip install")

    with pytest.raises(InputError) as error:
        packages(Failing()).install(Installation(("monai>=1.5",), pytorch=False))
    assert str(error.value).startswith("The packages that DystrophyDx needs could not be installed. pip says: ")
    for words in told:
        assert words in str(error.value)
    assert untold not in str(error.value)
    assert said in capsys.readouterr().out, "it is still seen in Slicer's console"


@pytest.mark.parametrize(
    ("pip", "pytorch"),
    [
        (Packaging(OSError("no network")), PyTorchExtension()),
        (Packaging(), PyTorchExtension(error=subprocess.CalledProcessError(1, "ltt"))),
    ],
)
def test_a_failed_installation_is_one_line_and_the_log_has_the_rest(slicer_python, caplog, pip, pytorch):
    here = packages(pip, pytorch)
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(InputError, match=r"PyTorch could not be installed\..* The log has the details\.") as error,
    ):
        here.install(here.missing())
    assert "\n" not in str(error.value)
    assert caplog.records[0].exc_info
    assert error.value.__cause__ is None


def load(folder):
    """What the user reads when `folder` comes before the real packages."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from DystrophyDxLib.errors import InputError\n"
        "from DystrophyDxLib.panel.dependencies import load_pytorch\n"
        "try: load_pytorch()\n"
        "except InputError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


@pytest.mark.parametrize(
    "fault",
    [
        "raise ImportError('DLL load failed')",
        "raise OSError('libtorch_cpu.so: cannot open shared object file')",
        "raise RuntimeError('operator aten::add does not exist')",
        "import torch.no_such_module",
    ],
)
def test_a_broken_pytorch_gives_instructions(tmp_path, fault):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    (tmp_path / "torch.py").touch()
    assert load(tmp_path) == "", "not every model needs torchvision"
    (tmp_path / "torch.py").write_text(fault)
    said = load(tmp_path)
    assert said.count("\n") == 1
    assert "restart Slicer, press Uninstall PyTorch in the module PyTorch Utils, and try again." in said


def test_looking_for_what_is_missing_imports_none_of_it():
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from types import SimpleNamespace\n"
        "from packaging.requirements import Requirement\n"
        "from DystrophyDxLib.panel.dependencies import Dependencies\n"
        "required = [Requirement('torch>=2'), Requirement('pydantic>=2')]\n"
        "packaging = SimpleNamespace(load_requirements=lambda path: required, pip_check=lambda _: False)\n"
        "assert Dependencies(Path(sys.argv[1]), packaging, None).missing() is None\n"
        "print(*(name for name in ('torch', 'torchvision', 'monai', 'pydantic', 'jinja2') if name in sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(REQUIREMENTS)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == []


def test_the_library_needs_what_slicer_ships_and_what_the_panel_installs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {requirement.name.lower(): requirement for requirement in map(Requirement, project["dependencies"])}
    installed = {requirement.name: requirement for requirement in map(Requirement, lines(REQUIREMENTS))}
    assert set(installed) <= set(needed)
    for name, requirement in needed.items():
        if requirement.marker and not requirement.marker.evaluate({"python_version": "3.12"}):
            continue
        if name in installed:
            assert str(installed[name]) == str(requirement)
        else:
            assert requirement.specifier.contains(slicer_packages()[name]), f"Slicer's {name} does not fit"


def imports_of(file):
    """Absolute names of what a Python file imports, wherever in it, but for types alone."""
    package, tree = file.relative_to(ROOT).parent.parts, ast.parse(file.read_text())
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    of_types = {node for block in blocks for statement in block.body for node in ast.walk(statement)}
    for node in ast.walk(tree):
        if node in of_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def file_of(module):
    """File of a module of ours: the library's lie in the root, the panel's widgets beside DystrophyDx.py."""
    paths = [folder.joinpath(*module.split(".")) for folder in (ROOT, ROOT / "DystrophyDx")]
    files = [file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py")]
    return next((file for file in files if file.is_file()), None)


def test_whatever_the_panel_imports_is_in_slicer_or_installed():
    queue, seen, foreign = [ROOT / "DystrophyDx/DystrophyDx.py"], set(), {}
    while queue:
        file = queue.pop()
        seen.add(file)
        for module in imports_of(file):
            if module.startswith("DystrophyDxLib.statistics"):
                continue  # of a decision, whose threshold is chosen after training; no panel does that
            if module.startswith(("DystrophyDxLib", "DystrophyDxWidgets")):
                queue += [found for found in [file_of(module)] if found and found not in seen]
            else:
                foreign.setdefault(module.split(".")[0], file)
    # tomli is for Python below 3.11 alone; imagecodecs for JPEG in DICOM and timm for models with a backbone of its,
    # which are told where they are missing.
    of_slicer = {"slicer", "vtk", "vtkmodules", "qt", "ctk", "SampleData", "DICOMLib", "PyTorchUtils"}
    of_slicer |= {"tomli", "imagecodecs", "timm"}
    here = set(slicer_packages()) | {Requirement(line).name for line in lines(REQUIREMENTS)}
    distribution = {"PIL": "pillow"}
    for name in set(foreign) - set(sys.stdlib_module_names) - of_slicer:
        assert canonicalize_name(distribution.get(name, name)) in here, f"{foreign[name].name} imports {name}"
    assert {"torch", "pydantic"} <= set(foreign)


def resolve(folder, *arguments):
    """What uv would do to Slicer's Python 3.12 in `folder`: lines such as "+ jinja2==3.1.6"."""
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if uv is None:
        pytest.skip("uv is not installed")
    command = [uv, "pip", "install", "--dry-run", "--color", "never", "--target", str(folder)]
    command += ["--python-version", "3.12", "--python-platform", "x86_64-manylinux_2_28", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    offline = ("Failed to fetch", "error sending request", "dns error", "timed out", "onnect")
    if done.returncode and any(word in done.stderr for word in offline):
        pytest.skip("the Python package index cannot be reached")
    assert done.returncode == 0, done.stderr
    return [line.strip() for line in done.stderr.splitlines() if line.strip()[:2] in ("+ ", "- ", "~ ")]


def test_installing_the_requirements_changes_none_of_slicers_packages(slicer_python):
    changes = resolve(slicer_python, "-r", REQUIREMENTS, "-c", SLICER_VERSIONS)
    assert all(change.startswith("+ ") for change in changes)
    added = {canonicalize_name(change[2:].split("==")[0]) for change in changes}
    assert set(PYTORCH) | set(SMALL) <= added
    assert not added & set(slicer_packages())


def test_the_installer_of_the_pytorch_extension_changes_nothing_but_pip(slicer_python):
    constraints = slicer_python.parent / "constraints.txt"
    constraints.write_text("\n".join(line for line in lines(SLICER_VERSIONS) if not line.startswith("pip==")))
    changes = resolve(slicer_python, "light-the-torch>=0.5", "-c", constraints)
    assert {change[2:].split("==")[0] for change in changes if change.startswith("- ")} <= {"pip"}
    assert any(change.startswith("+ light-the-torch") for change in changes)


def test_a_change_of_slicers_packages_would_be_seen(slicer_python):
    assert "- numpy==2.4.6" in resolve(slicer_python, "numpy<2.4")
