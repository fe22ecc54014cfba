"""The documentation names every page and public module; the build itself is a step of .ci/run."""

import ast
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


def test_the_reference_lists_modules_that_exist_and_each_once():
    listed = re.findall(r"^   (derotation[.\w]+)$", (DOCS / "api.md").read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed))
    for module in listed:
        path = ROOT / "src" / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__init__.py").exists(), module


def test_the_reference_lists_modules_in_their_rooms_with_the_sentence_of_each():
    sections = re.split(r"^## ", (DOCS / "api.md").read_text(), flags=re.MULTILINE)
    found = ((re.match(r".*: `(\w+)`\n", text), text) for text in sections)
    rooms = {heading[1]: text for heading, text in found if heading}
    assert len(rooms) > 15
    for room, text in rooms.items():
        docstring = ast.get_docstring(
            ast.parse((ROOT / "src" / "derotation" / room / "__init__.py").read_text())
        )
        assert " ".join(docstring.split("\n\n")[0].split()) in " ".join(text.split()), room
        for module in re.findall(r"^   derotation\.([.\w]+)$", text, re.MULTILINE):
            assert module.split(".")[0] == room


def test_pages_and_modules_that_nobody_listed_are_found(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(DOCS / "tools"))
    pytest.importorskip("sphinx")
    import unlisted

    docs, source = tmp_path / "docs", tmp_path / "src" / "derotation"
    docs.mkdir()
    source.mkdir(parents=True)
    (docs / "index.md").write_text("```{toctree}\n:hidden:\n\nlisted\n```\n")
    (docs / "listed.md").write_text("# Listed\n\n```\nforgotten\n```\n")
    (docs / "forgotten.md").write_text("# Forgotten\n")
    (docs / "api.md").write_text("```{toctree}\napi\n```\n   derotation.known\n")
    for name in ("known.py", "new.py", "_private.py", "__init__.py"):
        (source / name).touch()
    assert unlisted.unlisted_pages(docs) == ["forgotten"]
    assert unlisted.unlisted_modules(docs) == ["derotation.new"]


def test_links_between_files_lead_to_files_on_github_too():
    pages = [*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob("*/README.md")]
    broken = []
    for page in pages:
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\((?!\w+:)([^)\s#]+)", text):
            target = (page.parent / link).resolve()
            made = {DOCS / "api", DOCS / "gallery", DOCS / "_build"} & {target, *target.parents}
            if made or not target.exists():
                broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert not broken


def test_every_picture_of_a_page_has_a_script(figures):
    shown = {
        Path(name).stem
        for path in [*DOCS.glob("*.md"), ROOT / "README.md"]
        for name in re.findall(r"!\[[^\]]*\]\((?:docs/)?(images/[^)]+)\)", path.read_text())
    }
    assert shown == figures.FILES.keys()
    assert {path.name for path in (DOCS / "images").iterdir()} == set(figures.FILES.values())


def test_the_moving_picture_of_the_readme_loads_quickly(figures):
    moving = [DOCS / "images" / figures.FILES[name] for name in figures.ANIMATIONS]
    assert [path.name for path in moving] == ["standing_still.gif"]
    assert all(path.stat().st_size <= 1_000_000 for path in moving)
    frame = figures.read(moving[0])
    assert figures.alike(frame, frame)
    assert 0.9 < frame.max() <= 1


def test_a_picture_that_shows_something_else_is_told_from_other_edges(figures):
    picture = np.ones((240, 480, 4), np.float32)
    picture[60:180, 100:300, :3] = 0.2
    shifted = np.roll(picture, 1, axis=1)
    changed = picture.copy()
    changed[60:180, 300:420, :3] = 0.2
    assert figures.alike(picture, shifted)
    assert not figures.alike(picture, changed)
    assert not figures.alike(picture, picture[:-1])
