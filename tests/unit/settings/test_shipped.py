"""What an installed package has to carry beside its code."""

import tomllib
from pathlib import Path

import pytest

from derotation.errors import DerotationError
from derotation.settings import shipped

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "src/derotation"


def files_below(folder: Path) -> set[Path]:
    return {
        file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    }


@pytest.mark.parametrize("folder", ["workflow", "profiles"])
def test_every_file_of_the_workflow_is_put_into_the_package(folder):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["derotation"]
    packed = {file.resolve() for pattern in patterns for file in PACKAGE.glob(pattern)}
    wanted = files_below(ROOT / folder)
    assert wanted
    assert wanted <= packed


def test_the_files_of_a_checkout_are_those_at_its_top():
    assert shipped.workflow_file() == ROOT / "workflow/Snakefile"
    assert shipped.profile_folder("slurm") == ROOT / "profiles/slurm"


@pytest.mark.parametrize("name", ["config", "sessions", "calibration"])
def test_schemas_are_found(name):
    assert shipped.schema_file(name).read_text(encoding="utf-8").lstrip().startswith(("#", "$"))


def test_a_package_without_its_workflow_says_what_to_do(tmp_path, monkeypatch):
    """Git on Windows writes a link as a small file that holds its target."""
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path)
    (tmp_path / "workflow").write_text("../../workflow")
    with pytest.raises(DerotationError, match=r"workflow.Snakefile is missing.*symbolic links"):
        shipped.workflow_file()
