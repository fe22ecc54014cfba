"""Every name that the documentation tells, or has told, can be imported where it says."""

import ast
import importlib
import re
import textwrap
from pathlib import Path

import pytest

from derotation._moved import GONE, GONE_FROM, MOVED

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "config" / "README.md",
         *sorted((ROOT / "docs").glob("*.md"))]  # fmt: skip

# What users of the field know by these paths, and what the library promises to keep.
PROMISED = {
    "derotation": ["derotate_recording"],
    "derotation.derotate_by_line": ["derotate_an_image_array_line_by_line"],
    "derotation.analysis.full_derotation_pipeline": ["FullPipeline"],
    "derotation.analysis.incremental_derotation_pipeline": ["IncrementalPipeline"],
    "derotation.analysis.metrics": ["ptd_of_most_detected_blob"],
    "derotation.analysis.blob_detection": ["BlobDetection"],
    "derotation.analysis.fit_ellipse": [
        "fit_ellipse_to_points",
        "derive_angles_from_ellipse_fits",
    ],
    "derotation.plotting_hooks.for_derotation": ["line_addition", "image_completed"],
    "derotation.simulate.line_scanning_microscope": ["Rotator"],
    "derotation.simulate.synthetic_data": ["SyntheticData"],
    "derotation.movement": [
        "detect_movement",
        "phase_correlation_movement",
        "manual_movement",
        "MovementCorrection",
        "update_calibration",
        "DetectionFailedError",
    ],
    "derotation.mosaic.motor": [
        "compute_motor_positions",
        "compute_registration_refinements",
        "estimate_affine_from_pairs",
        "pool_pairs_and_fit_global_affine",
        "compute_affine_positions",
        "compute_affine_output_shape",
        "apply_blend_shift_refinement",
        "compare_motor_vs_registration",
    ],
}

# Modules by the paths that were documented before they were sorted into rooms, and what users took
# from them.
BEFORE = {
    "derotation.sample_sheet": [
        "SampleSheet",
        "Session",
        "check_sample_sheet",
        "read_sample_sheet",
    ],
    "derotation.discover": [
        "Discovery",
        "FoundSession",
        "Patterns",
        "Unpaired",
        "discover_sessions",
        "write_sheet",
    ],
    "derotation.check": [
        "CohortCheck",
        "SessionCheck",
        "check_cohort",
        "check_session",
        "format_table",
    ],
    "derotation.config": [
        "check_config",
        "load_config",
        "merge_files",
        "section",
        "validate_config",
    ],
    "derotation.cohort": ["Cohort", "load_cohort", "simulated_files"],
    "derotation.events": ["Events", "Repair", "parse_signals"],
    "derotation.angles": ["AngleFlag", "Angles", "interpolate_angles"],
    "derotation.lag": ["LagEstimate", "estimate_lag"],
    "derotation.center": ["CenterEstimate", "estimate_center"],
    "derotation.plane": ["PlaneEstimate", "estimate_plane"],
    "derotation.wobble": ["WobbleEstimate", "estimate_wobble"],
    "derotation.calibration": ["Calibration"],
    "derotation.illumination": ["IlluminationEstimate", "estimate_illumination"],
    "derotation.dark_angles": ["DarkAngles", "find_dark_angles"],
    "derotation.analysis.bayesian_optimization": [
        "BayesianCenter",
        "EllipseCenter",
        "find_center_bayesian",
        "find_center_ellipse",
    ],
    "derotation.analysis.blob_detection": [
        "BlobDetection",
        "Blobs",
        "cluster_blobs",
        "detect_blobs",
        "even_light",
        "link_blobs",
        "link_in_place",
    ],
    "derotation.analysis.fit_ellipse": [
        "BlobTracks",
        "EllipseFit",
        "SharedEllipses",
        "derive_angles_from_ellipse_fits",
        "fit_ellipse_to_points",
        "fit_shared_ellipses",
    ],
    "derotation.analysis.mean_images": [
        "DerotatedMeans",
        "MeanImages",
        "mean_images_at_rest",
        "mean_images_of_arrays",
        "mean_images_of_derotated",
    ],
    "derotation.analysis.metrics": [
        "MostDetectedBlob",
        "most_detected_blob",
        "ptd_of_most_detected_blob",
    ],
    "derotation.transforms": [
        "PlaneOutput",
        "apply",
        "compose",
        "identity_lines",
        "image_center",
        "invert",
        "line_maps",
        "plane_matrix",
        "rotation_matrices",
        "wobble_shifts",
    ],
    "derotation.derotate": [
        "Derotated",
        "Interpolation",
        "LineReference",
        "LineTiming",
        "derotate_frames",
    ],
    "derotation.streaming": ["DerotationResult", "derotate_movie"],
    "derotation.offset": ["estimate_pmt_offset", "lit_frames"],
    "derotation.statistics": ["Statistics"],
    "derotation.seen": ["SeenPixels", "SeenWriter"],
    "derotation.quality": ["Figure", "Quality", "measure_quality"],
    "derotation.mosaic.groups": ["check_groups", "mosaic_groups"],
    "derotation.steps.logs": ["job_log", "last_error"],
    "derotation.cluster": ["ClusterError", "ClusterJob", "check_queue", "unfinished_jobs"],
    "derotation.fingerprint": ["code_fingerprint", "modules_behind"],
}


def look_up(path):
    """Import the module at the front of a dotted path, and get what the rest names in it."""
    parts = path.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError as error:
            if not ".".join(parts[:n]).startswith(error.name or "-"):
                raise
            continue
        for name in parts[n:]:
            found = getattr(found, name)
        return found
    raise ModuleNotFoundError(path)


def told(text):
    """Find the dotted paths that a page tells: imports in code, names in code spans and lists."""
    paths = set()
    for block in re.findall(r"^( *)```python\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL):
        paths |= imported(textwrap.dedent(block[1]))
    prose = re.sub(r"^ *```(?!\{).*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    paths |= set(re.findall(r"`(derotation(?:\.\w+)+)[^`\n]*`", prose))
    for statement in re.findall(r"`((?:from|import) derotation[^`\n]*)`", prose):
        paths |= imported(statement)
    paths |= set(re.findall(r"^   (derotation[.\w]+)$", text, re.MULTILINE))
    # Files that are called like the package.
    return {path for path in paths if not re.search(r"\.(zip|html|ya?ml|md)$", path)}


def imported(code):
    """Find what code imports of this package; a Snakefile is no Python, and is left out."""
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except SyntaxError:
        return set()
    paths = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            paths |= {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            paths |= {name.name for name in node.names}
    return {path for path in paths if path.split(".")[0] == "derotation"}


def test_what_a_page_tells_is_found():
    page = (
        "`derotation.a.b(1)` and `derotation check`, `derotation.zip`\n"
        "```python\nimport derotation.c\nfrom derotation.d import (\n    E,\n    f,\n)\n"
        "from derotation.g import h as i\n\nx = 1\n```\n```{eval-rst}\n   derotation.listed\n```\n"
    )
    assert told(page) == {
        "derotation.a.b",
        "derotation.c",
        "derotation.d.E",
        "derotation.d.f",
        "derotation.g.h",
        "derotation.listed",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_that_a_page_tells_exist(page):
    for path in sorted(told(page.read_text(encoding="utf-8"))):
        assert look_up(path) is not None, path


def test_the_pages_tell_names():
    every = set().union(*(told(page.read_text(encoding="utf-8")) for page in PAGES))
    assert {"derotation.calibration.Calibration", "derotation.derotate_recording"} <= every
    assert len(every) > 100


@pytest.mark.parametrize("names", [PROMISED, BEFORE], ids=["promised", "before"])
def test_promised_names_are_where_they_were(names):
    for module, members in names.items():
        found = importlib.import_module(module)
        assert not [name for name in members if not hasattr(found, name)], module


def test_the_project_itself_goes_straight_to_the_rooms():
    """Old paths are for users."""
    folders = ("src", "benchmarks", "examples", "docs", "workflow", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    old = {f"derotation.{path}" for path in MOVED}
    using = []
    for path in files:
        text = path.read_text(encoding="utf-8")
        # Whoever imports one of them writes so; to parse all files takes seconds.
        if not any(words in text for words in (*old, "from derotation import")):
            continue
        found = imported(text)
        if old & (found | {name.rpartition(".")[0] for name in found}):
            using.append(str(path.relative_to(ROOT)))
    assert not using


@pytest.mark.parametrize("module", [*GONE])
def test_modules_that_have_no_place_here_say_what_does_their_work(module):
    with pytest.raises(ModuleNotFoundError) as told:
        importlib.import_module(f"derotation.{module}")
    # (Of a folder its parent is asked first.)
    assert any(f"derotation 0.1 had it; {said}" in str(told.value) for said in GONE.values())


@pytest.mark.parametrize("module", GONE_FROM)
def test_names_that_a_module_no_longer_has_say_what_to_use(module):
    found = importlib.import_module(f"derotation.{module}")
    for name, instead in GONE_FROM[module].items():
        with pytest.raises(ImportError, match="use ") as told:
            exec(f"from derotation.{module} import {name}")
        assert instead in str(told.value)
        for other in re.findall(r"\b((?:mean|find)_\w+)", instead):
            assert hasattr(found, other)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = found.nonsense
    assert not hasattr(found, "__wrapped__")
