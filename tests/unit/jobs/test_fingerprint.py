"""Fingerprints of a small package that each test writes for itself."""

import json
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
    for function in (code_fingerprint, modules_behind, fingerprint._known, fingerprint._states):
        function.cache_clear()
    fingerprint._looked_at.cache_clear()
    fingerprint._maker.cache_clear()
    fingerprint._tree.cache_clear()
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


def list_parsed(monkeypatch) -> list[str]:
    """Files that are parsed from now on."""
    parsed: list[str] = []
    real = fingerprint._canonical_code

    def noted(path):
        parsed.append(path.name)
        return real(path)

    noted.cache_clear = real.cache_clear  # type: ignore[attr-defined]
    monkeypatch.setattr(fingerprint, "_canonical_code", noted)
    return parsed


def test_only_a_file_that_changes_is_parsed_again(package, monkeypatch):
    parsed = list_parsed(monkeypatch)
    settle(package)
    both = [fresh(package), fresh(package, "lab.deep")]
    assert sorted(parsed) == [
        "deep.py", "deepest.py", "helper.py", "lazy.py", "reader.py", "step.py",
    ]  # fmt: skip
    parsed.clear()
    assert [fresh(package), fresh(package, "lab.deep")] == both
    assert parsed == []
    edit(package, "deepest.py", "return x", "return 2")  # as long as before
    os.utime(package / "deepest.py", (1e9, 1e9))
    changed = fresh(package)
    assert changed != both[0]
    assert fresh(package) == changed
    assert parsed == ["deepest.py"]


def test_a_changed_import_is_followed(package):
    settle(package)
    before = fresh(package)
    edit(package, "deepest.py", "from lab import step", "from lab import other")
    os.utime(package / "deepest.py", (1e9, 1e9))
    assert "lab.other" in fingerprint_modules(package)
    assert fresh(package) != before
    with_other = fresh(package)
    edit(package, "other.py", "return 2", "return 3")
    os.utime(package / "other.py", (1e9, 1e9))
    assert fresh(package) != with_other


def fingerprint_modules(root: Path) -> tuple[str, ...]:
    fresh(root)
    return modules_behind("lab.step", root)


def test_a_new_file_may_be_what_an_unchanged_one_imports(package):
    """What `from lab.sub import other` means depends on whether there is a `lab/sub/other.py`."""
    (package / "uses_init.py").write_text("from lab.sub import other\n")
    settle(package)
    fresh(package, "lab.uses_init")
    (package / "sub/other.py").write_text("other = 1\n")
    os.utime(package / "sub/other.py", (1e9, 1e9))
    before = fresh(package, "lab.uses_init")
    assert modules_behind("lab.uses_init", package) == ("lab.sub.other", "lab.uses_init")
    edit(package, "sub/other.py", "1", "2")
    assert fresh(package, "lab.uses_init") != before


def test_nothing_is_kept_of_a_file_that_may_still_change(package, monkeypatch):
    settle(package)
    (package / "helper.py").touch()
    parsed = list_parsed(monkeypatch)
    assert fresh(package) == fresh(package)
    assert parsed.count("helper.py") == 2
    assert len(parsed) == 7


@pytest.mark.parametrize(
    "content", ["", "[]", '{"maker": 1}', "{", '{"maker": MAKER, "files": []}']
)
def test_a_damaged_file_of_kept_ones_is_made_anew(package, content):
    expected = fresh(package)
    settle(package)
    kept = fingerprint._kept_in(package)
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(content.replace("MAKER", json.dumps(fingerprint._maker())))
    assert fresh(package) == expected
    assert fresh(package) == expected
    assert "lab.deep" in kept.read_text()


@pytest.mark.parametrize(
    "damage", [{"code": "x"}, {"code": 1}, {"imports": [1]}, {"imports": None}, {"state": 1}, None]
)
def test_what_is_kept_of_a_file_may_be_damaged(package, damage):
    settle(package)
    expected = fresh(package)
    kept = fingerprint._kept_in(package)
    content = json.loads(kept.read_text())
    entry = content["files"]["step.py"]
    content["files"]["step.py"] = "x" if damage is None else entry | damage
    kept.write_text(json.dumps(content))
    assert fresh(package) == expected


def test_without_a_place_for_them_they_are_made_each_time(package, monkeypatch):
    settle(package)
    (package / "__pycache__").write_text("no folder")
    assert fresh(package) == fresh(package)


def test_what_had_just_changed_is_not_kept_however_long_the_rest_takes(package, monkeypatch):
    """A second change within one tick of the clock, before a slow program has looked at all."""
    settle(package)
    edit(package, "helper.py", "ONE = 1", "ONE = 3")
    state = (package / "helper.py").stat()
    real, parsed = fingerprint._canonical_code, []

    def slow(path):
        code = real(path)
        if not parsed:
            later = fingerprint.time.time_ns() + 60_000_000_000
            monkeypatch.setattr(fingerprint.time, "time_ns", lambda: later)
        parsed.append(path.name)
        return code

    slow.cache_clear = real.cache_clear  # type: ignore[attr-defined]
    monkeypatch.setattr(fingerprint, "_canonical_code", slow)
    before = fresh(package)
    edit(package, "helper.py", "ONE = 3", "ONE = 4")
    os.utime(package / "helper.py", ns=(state.st_mtime_ns, state.st_mtime_ns))
    assert fresh(package) != before


def test_other_rules_of_what_counts_hold_for_all_files(package, monkeypatch, tmp_path):
    settle(package)
    fresh(package)
    changed = tmp_path / "fingerprint.py"
    changed.write_text("# other rules")
    monkeypatch.setattr(fingerprint, "__file__", str(changed))
    parsed = list_parsed(monkeypatch)
    fresh(package)
    assert len(parsed) == 6


def test_a_folder_that_is_left_over_hides_no_module(package):
    """As after another state of a clone, in which a module was a package."""
    before = fresh(package)
    (package / "helper/__pycache__").mkdir(parents=True)
    assert fresh(package) == before
    assert "lab.helper" in modules_behind("lab.step", package)


def test_an_editors_link_to_nowhere_is_no_module(package):
    before = fresh(package)
    (package / ".#step.py").symlink_to("somebody@computer.1234")
    assert fresh(package) == before
