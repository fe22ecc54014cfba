"""The documentation names every page and public module; the build itself is a step of .ci/run."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture
def figures(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    import make_figures

    yield make_figures
    for name in [name for name in sys.modules if name.split(".")[0] in ("make_figures", "figures")]:
        del sys.modules[name]


def public_modules():
    source = ROOT / "src"
    for path in sorted((source / "derotation").rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        if not any(part.startswith("_") for part in parts):
            yield ".".join(parts)


def test_every_public_module_is_in_the_reference():
    listed = re.findall(r"^   (derotation[.\w]+)$", (DOCS / "api.md").read_text(), re.MULTILINE)
    known = set(public_modules())
    missing, unknown = sorted(known - set(listed)), sorted(set(listed) - known)
    assert len(listed) == len(set(listed)), "a module is listed twice in docs/api.md"
    assert not missing, f"add to docs/api.md: {missing}"
    assert not unknown, f"docs/api.md lists what does not exist: {unknown}"


def test_every_page_is_in_a_toctree():
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    listed = {
        line.strip()
        for path in DOCS.glob("*.md")
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", path.read_text(), re.DOTALL)
        for line in tree.splitlines()
    }
    assert pages <= listed, f"in no toctree: {sorted(pages - listed)}; see CONTRIBUTING.md"


def test_every_picture_of_a_page_has_a_script(figures):
    shown = {
        Path(name).stem
        for path in [*DOCS.glob("*.md"), ROOT / "README.md"]
        for name in re.findall(r"!\[[^\]]*\]\((?:docs/)?(images/[^)]+)\)", path.read_text())
    }
    assert shown == figures.FIGURES.keys()
    assert {path.stem for path in (DOCS / "images").glob("*.png")} == figures.FIGURES.keys()


def test_a_picture_that_shows_something_else_is_told_from_other_edges(figures):
    picture = np.ones((240, 480, 4), np.float32)
    picture[60:180, 100:300, :3] = 0.2
    shifted = np.roll(picture, 1, axis=1)
    changed = picture.copy()
    changed[60:180, 300:420, :3] = 0.2
    assert figures.alike(picture, shifted)
    assert not figures.alike(picture, changed)
    assert not figures.alike(picture, picture[:-1])
