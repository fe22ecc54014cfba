"""Fingerprints of a small package that each test writes for itself."""

import os
import sys
from pathlib import Path

import pytest

from derotation.jobs import fingerprint
from derotation.jobs.fingerprint import code_fingerprint, modules_behind

MODULES = {
    "__init__.py": "from lab.other import other\n",
    "step.py": '''"""A step."""
from typing import TYPE_CHECKING

from lab.sub import reader
from . import helper

if TYPE_CHECKING:
    from lab.typed import Typed


def run(x):
    """Run it."""
    from lab.lazy import slow

    return slow(reader.read(x)) + helper.ONE  # add
''',
    "helper.py": "ONE = 1\n",
    "lazy.py": "import json\nimport numpy as np\n\n\ndef slow(x):\n    return x\n",
    "other.py": "def other():\n    return 2\n",
    "typed.py": "class Typed:\n    pass\n",
    "sub/__init__.py": "from lab.other import other\n",
    "sub/reader.py": "from ..deep import bottom\n\n\ndef read(x):\n    return bottom(x)\n",
    "deep.py": "import lab.deepest\n\n\ndef bottom(x):\n    return lab.deepest.y(x)\n",
    "deepest.py": "from lab import step\n\n\ndef y(x):\n    return x\n",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "lab"
    for name, code in MODULES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(code)
    return root


def fresh(root: Path, module: str = "lab.step") -> str:
    """Take a fingerprint as a new process would."""
    for function in (code_fingerprint, modules_behind, fingerprint._tree, fingerprint._stamp):
        function.cache_clear()
    fingerprint._canonical_code.cache_clear()
    return code_fingerprint(module, root)


def edit(root: Path, name: str, old: str, new: str) -> None:
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new))


def test_modules_are_found_through_all_kinds_of_import(package):
    behind = ("deep", "deepest", "helper", "lazy", "step", "sub.reader")
    assert modules_behind("lab.step", package) == tuple(f"lab.{name}" for name in behind)


def test_a_name_imported_from_a_package_brings_the_package(package):
    (package / "uses_init.py").write_text("from lab.sub import other\n")
    assert modules_behind("lab.uses_init", package) == ("lab.other", "lab.sub", "lab.uses_init")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("step.py", "ONE  # add", "ONE - 1"),
        ("helper.py", "1", "2"),
        ("lazy.py", "return x", "return x + 1"),
        ("sub/reader.py", "return bottom(x)", "return 3"),
        ("deepest.py", "return x", "return -x"),
    ],
)
def test_a_change_of_code_changes_the_fingerprint(package, name, old, new):
    before = fresh(package)
    edit(package, name, old, new)
    assert fresh(package) != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("step.py", "# add", "# another comment"),
        ("step.py", '"""Run it."""', '"""Run it in another way."""'),
        ("step.py", '    """Run it."""\n', ""),
        ("step.py", '"""A step."""\n', ""),
        ("step.py", "def run", "\n\n\ndef run"),
        ("step.py", "    from lab.typed import Typed", "    from lab.typed import Typed as T"),
        ("typed.py", "pass", "x = 1"),
        ("other.py", "return 2", "return 3"),
        ("sub/__init__.py", "from lab.other import other", "x = 1"),
    ],
)
def test_what_does_nothing_to_the_step_does_not_change_it(package, name, old, new):
    before = fresh(package)
    edit(package, name, old, new)
    assert fresh(package) == before


def test_file_times_do_not_matter(package):
    before = fresh(package)
    (package / "step.py").touch()
    assert fresh(package) == before


def test_an_unknown_module_is_named(package):
    with pytest.raises(ValueError, match=r"lab\.stepp"):
        code_fingerprint("lab.stepp", package)


def test_nothing_is_imported(package):
    fresh(package)
    assert not [name for name in sys.modules if name.split(".")[0] == "lab"]


def test_it_finds_the_library_itself():
    behind = modules_behind("derotation.cohort.cohort")
    assert {
        "derotation.cohort.config",
        "derotation.errors",
        "derotation.cohort.sample_sheet",
    } <= set(behind)
    assert len(code_fingerprint("derotation.cohort.cohort")) == 64


def test_the_package_itself_is_found_wherever_this_module_lies_in_it():
    behind = modules_behind("derotation.steps.parse_signals")
    assert "derotation.io.movie" in behind
    assert len(code_fingerprint("derotation.steps.parse_signals")) == 64


def settle(root: Path) -> None:
    """Make all files older than what might still be changing."""
    for path in root.rglob("*.py"):
        before = path.stat().st_mtime - 60
        os.utime(path, (before, before))


def count_hashing(monkeypatch) -> list[str]:
    hashed: list[str] = []
    real = fingerprint._hashed

    def counted(module, root):
        hashed.append(module)
        return real(module, root)

    monkeypatch.setattr(fingerprint, "_hashed", counted)
    return hashed


def test_fingerprints_are_kept_until_a_file_changes(package, monkeypatch):
    hashed = count_hashing(monkeypatch)
    settle(package)
    both = [fresh(package), fresh(package, "lab.deep")]
    assert [fresh(package), fresh(package, "lab.deep")] == both
    assert hashed == ["lab.step", "lab.deep"]
    edit(package, "deepest.py", "return x", "return 2")  # as long as before
    os.utime(package / "deepest.py", (1e9, 1e9))
    changed = fresh(package)
    assert changed != both[0]
    (package / "extra.py").write_text("")
    assert fresh(package) == changed
    assert hashed == ["lab.step", "lab.deep", "lab.step", "lab.step"]


def test_nothing_is_kept_of_files_that_may_still_change(package, monkeypatch):
    hashed = count_hashing(monkeypatch)
    assert fresh(package) == fresh(package)
    assert len(hashed) == 2


@pytest.mark.parametrize(
    "content", ["", "[]", '{"stamp": 1}', "{", '{"stamp": null, "fingerprints": {"lab.step": "x"}}']
)
def test_a_damaged_file_of_kept_ones_is_made_anew(package, content):
    expected = fresh(package)
    settle(package)
    kept = fingerprint._kept_in(package)
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(content)
    assert fresh(package) == expected
    assert fresh(package) == expected
    assert expected in kept.read_text()


def test_without_a_place_for_them_they_are_made_each_time(package, monkeypatch):
    settle(package)
    (package / "__pycache__").write_text("no folder")
    assert fresh(package) == fresh(package)
