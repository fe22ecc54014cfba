"""What is slow to import is imported by the jobs that use it, when they use it."""

import subprocess
import sys

import pytest

# A second and more, together; each job is a process of its own.
HEAVY = (
    "matplotlib", "numba", "pandas", "scipy.fft", "scipy.interpolate", "scipy.ndimage",
    "scipy.optimize", "scipy.signal", "scipy.sparse", "scipy.spatial", "scipy.special",
    "scipy.stats", "skimage",
)  # fmt: skip
# What planning and checking a cohort, and steps that seldom compute, may never load.
LIGHT = (
    "derotation",
    "derotation.cli",
    "derotation.cohort.check",
    "derotation.cohort.cohort",
    "derotation.cohort.discover",
    "derotation.jobs.fingerprint",
    "derotation.jobs.submission",
    "derotation.jobs.logs",
    "derotation.steps.animate_session",
    "derotation.steps.parse_signals",
    "derotation.steps.interpolate_angles",
    "derotation.steps.average_rest",
    "derotation.steps.derotate_movie",
    "derotation.steps.export_suite2p",
    "derotation.steps.export_tiff",
    "derotation.steps.report",
)
DRAWING = ("estimate_center", "estimate_plane", "measure_quality", "estimate_illumination")


# A process of its own for each module, with NumPy loaded before, since all of them need it.
EACH = """
import os
import sys
import numpy
for module in sys.argv[1:]:
    if os.fork() == 0:
        __import__(module)
        print("loaded", module, *sys.modules, flush=True)
        os._exit(0)
    if os.wait()[1]:
        print("failed", module)
"""


@pytest.fixture(scope="module")
def loaded_by():
    """Tell by module which of the heavy ones a process loads that imports it."""
    modules = [*LIGHT, *(f"derotation.steps.{name}" for name in DRAWING)]
    return dict(heavy_ones(line) for line in said_by(EACH, *modules))


def said_by(code: str, *words: str) -> list[str]:
    """Run some code in a process of its own; the lines that it prints."""
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def heavy_ones(line: str) -> tuple[str, set[str]]:
    said, module, *modules = line.split()
    assert said == "loaded", line
    return module, set(modules) & set(HEAVY)


@pytest.mark.parametrize("module", LIGHT)
def test_nothing_heavy_is_loaded_before_it_is_used(module, loaded_by):
    assert loaded_by[module] == set()


@pytest.mark.parametrize("name", DRAWING)
def test_steps_draw_only_at_the_end(name, loaded_by):
    assert not loaded_by[f"derotation.steps.{name}"] & {"matplotlib", "numba", "pandas"}


def test_the_quality_does_without_what_ellipses_need(loaded_by):
    assert "scipy.optimize" not in loaded_by["derotation.steps.measure_quality"]


def test_help_is_shown_at_once():
    code = (
        "from derotation.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
        "\nimport sys\nprint('loaded --help', *sys.modules)"
    )
    *_, line = said_by(code)
    assert heavy_ones(line) == ("--help", set())
    assert "numpy" not in line.split()
