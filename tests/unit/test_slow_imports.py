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


def loaded(code: str) -> set[str]:
    """Run some code in a process of its own; which of the heavy modules it loaded."""
    said = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('loaded', *sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    (line,) = (line for line in said.splitlines() if line.startswith("loaded "))
    return set(line.split()) & set(HEAVY)


@pytest.mark.parametrize("module", LIGHT)
def test_nothing_heavy_is_loaded_before_it_is_used(module):
    assert loaded(f"import {module}") == set()


@pytest.mark.parametrize(
    "module", ["estimate_center", "estimate_plane", "measure_quality", "estimate_illumination"]
)
def test_steps_draw_only_at_the_end(module):
    assert not loaded(f"import derotation.steps.{module}") & {"matplotlib", "numba", "pandas"}


def test_help_is_shown_at_once():
    code = (
        "from derotation.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    )
    assert loaded(code) == set()
    said = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('numpy' in sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said.splitlines()[-1] == "False"
