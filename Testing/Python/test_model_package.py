"""Model packages: what is intact is read, what is damaged or hostile is refused with one line."""

import os
import shutil
import zipfile

import pytest
from model_packages import make_package

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.models.package_files import LARGEST


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    return make_package(tmp_path_factory.mktemp("models") / "package")


@pytest.fixture
def package(intact, tmp_path):
    return shutil.copytree(intact, tmp_path / "package")


def zipped(folder, path, prefix=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, prefix + file.name)
    return path


def refusal(path) -> str:
    with pytest.raises(InputError) as raised:
        ModelPackage.read(path)
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("prefix", ["", "package/"])
def test_folder_and_zip_are_the_same_package(package, tmp_path, prefix):
    folder, archive = ModelPackage.read(package), ModelPackage.read(zipped(package, tmp_path / "p.zip", prefix))
    assert folder.sha256 == archive.sha256
    assert folder.card == archive.card
    assert folder.weights == archive.weights


def test_half_precision_weights_come_back_as_float32(package):
    tensors = ModelPackage.read(package).tensors()
    assert {str(tensor.dtype) for tensor in tensors.values()} == {"torch.float32"}
    assert (package / "model.safetensors").stat().st_size < 25e6


@pytest.mark.parametrize("name", ["recipe.toml", "card.json", "model.safetensors"])
def test_a_changed_file_does_not_match_its_checksum(package, name):
    with open(package / name, "r+b") as file:
        file.seek(-2, 2)
        byte = file.read(1)
        file.seek(-2, 2)
        file.write(bytes([byte[0] ^ 1]))
    assert f"{name} does not match its checksum" in refusal(package)


@pytest.mark.parametrize("name", ["recipe.toml", "card.json", "model.safetensors", "SHA256SUMS"])
def test_a_missing_file_is_named(package, name):
    (package / name).unlink()
    assert f"lacks {name}" in refusal(package)


@pytest.mark.parametrize("member", ["../outside.txt", "a/../../outside.txt", "/tmp/outside.txt", "C:\\outside.txt"])
def test_a_zip_that_would_leave_its_folder_is_refused(package, tmp_path, member):
    path = zipped(package, tmp_path / "p.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, "hostile")
    assert "would leave its folder" in refusal(path)


def test_absent_damaged_and_other_files_are_refused(package, tmp_path):
    assert "no model package" in refusal(tmp_path / "absent.zip")
    other = tmp_path / "other.zip"
    other.write_bytes(b"not a zip")
    assert "neither a folder nor an intact .zip" in refusal(other)
    cut = zipped(package, tmp_path / "cut.zip")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    assert "neither a folder nor an intact .zip" in refusal(cut)


def _damage_stream(path) -> None:
    content = bytearray(path.read_bytes())
    content[40:120] = b"\xff" * 80
    path.write_bytes(content)


def _damage_name(path) -> None:
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")
    content[place + 8 : place + 10] = (0x800).to_bytes(2, "little")  # "the name is in UTF-8"
    content[place + 46] = 0xFF
    path.write_bytes(content)


def _damage_place(path) -> None:
    content = bytearray(path.read_bytes())
    content[-6:-2] = (1 << 31).to_bytes(4, "little")
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_damage_stream, _damage_name, _damage_place])
def test_a_damaged_zip_is_told_whatever_is_damaged(package, tmp_path, damage):
    path = zipped(package, tmp_path / "p.zip")
    damage(path)
    assert "neither a folder nor an intact .zip" in refusal(path)


@pytest.mark.parametrize("name", ["SHA256SUMS", "recipe.toml", "card.json"])
def test_a_file_of_a_size_that_it_never_has_is_not_read(package, tmp_path, name):
    with (package / name).open("ab") as file:
        file.truncate(LARGEST[name] + 1)
    assert "too large" in refusal(package)
    assert f"{name} is too large to be one" in refusal(zipped(package, tmp_path / "p.zip"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_no_package(package, tmp_path):
    os.mkfifo(tmp_path / "p.zip")
    assert "neither a folder nor an intact .zip" in refusal(tmp_path / "p.zip")
    (package / "card.json").unlink()
    os.mkfifo(package / "card.json")
    assert "cannot be read" in refusal(package)


def test_weights_of_another_network_are_refused(tmp_path):
    import hashlib

    folder = make_package(tmp_path / "package")
    recipe = (folder / "recipe.toml").read_text().replace("resnet18", "resnet50")
    (folder / "recipe.toml").write_text(recipe)
    names = ["card.json", "model.safetensors", "recipe.toml"]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))
    with pytest.raises(InputError, match="do not fit its recipe's network"):
        Classifier(ModelPackage.read(folder), "cpu")
