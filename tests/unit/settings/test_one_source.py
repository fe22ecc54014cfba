"""Defaults and allowed values stand in the schema; where code has to repeat one, it is the same."""

import ast
import inspect
import tomllib
from importlib import import_module
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from derotation.settings.schema import allowed, config_schema, section_schema, sheet_schema
from unit.source_trees import SOURCE, trees

ROOT = Path(__file__).parents[3]
PROTOCOL = tuple(sheet_schema()["properties"]["protocol"]["enum"])
# Choices of a type checker, by their places, and the keys that they repeat.
CHOICES = {
    ("cells.dff", "Baseline"): "cells.baseline",
    ("cohort.discover.tree", "name"): "discover.name",
    ("export.frames", "Fill"): "export.fill",
    ("export.nwb", "Where"): "export.nwb",
    ("maps.resample", "Interpolation"): "derotate.interpolation",
    ("maps.resample", "LineReference"): "angles.line_reference",
    ("maps.transforms", "PlaneOutput"): "plane.output",
    ("mosaic.balance", "Light"): "mosaic.illumination",
    ("mosaic.build", "Direction"): "mosaic.x_axis",
    ("movement.carry", "What"): "movement.what",
    ("movement.features", "Transform"): "movement.transform",
    ("signals.angles", "LineReference"): "angles.line_reference",
    ("simulate.motor", "_sign"): "angles.direction_sign",
}
# Choices that are no settings.
OTHERS = {
    ("microscope", "sample", "rotation", "angle"),
    ("translation", "similarity", "affine"),
    ("nearest", "linear", "cubic"),  # for pictures, not lines
    ("angle", "velocity"),
    ("symmetric", "zero"),  # beyond the ends of a filter
    ("not-a-knot", "clamped"),  # ends of SciPy's splines
    ("Display", "Original"),
    ("error", "skip"),
    ("channel", "plane"),
    ("prairie", "thor"),
    ("angle", "velocity"),
    ("not-a-knot", "clamped"),
    ("mirror", "constant"),
    ("scanimage", "ome", "imagej", "plain", "prairie", "thor", "scanbox", "hdf5", "nwb"),
    ("high", "low"),
    ("ok", "look", "bad", "none"),
    ("done", "failed", "missing"),
    ("npy", "bin"),
    ("npy", "bin", "h5", "wavesurfer", "tdms", "mat", "csv"),
    ("h5", "wavesurfer", "tdms", "mat", "csv"),
    ("tif", "prairie", "thor_tif", "thor_raw", "scanbox", "h5", "nwb"),
    ("signals", "stimulus", "neither"),  # what a file holds
    ("full", "incremental"),  # each has a pipeline class
    (
        "line_clock",
        "frame_clock",
        "rotation_on",
        "rotation_ticks",
        "direction",
        "quadrature_a",
        "quadrature_b",
        "angle_voltage",
        "camera",
        "empty",
        "unknown",
    ),  # what a channel looks like
    ("auto", "first", "last", "skip"),  # of a setting that may also be numbers
}
# Parameters of functions that can be used on their own, and the keys whose defaults they repeat.
PARAMETERS = {
    "calibration.center_by_blobs.find_center_bayesian": {
        name: f"center.{name}" for name in ("delta_center", "init_points", "n_iter", "seed")
    },
    "maps.resample.LineTiming": {"line_reference": "angles.line_reference"},
    "cells.dff.delta_f_over_f": {
        "neuropil_weight": "cells.neuropil_weight",
        "method": "cells.baseline",
        "window_s": "cells.baseline_s",
        "percentile": "cells.baseline_percentile",
    },
    "cells.matching.match_cells": {"farthest": "cells.match_px"},
    "derotate_by_line.derotate_recording": {"interpolation": "derotate.interpolation"},
    "maps.resample.derotate_frames": {"interpolation": "derotate.interpolation"},
    "export.frames.FilledFrames": {"scale": "export.scale"},
    "io.signals.open_signals": {"channel_order": "signals.channel_order"},
    "mosaic.balance.balance_tiles": {"illumination": "mosaic.illumination"},
    "mosaic.build.stage_to_pixels": {"x_axis": "mosaic.x_axis", "y_axis": "mosaic.y_axis"},
    "mosaic.tiles.find_neighbors": {"min_overlap": "mosaic.min_overlap"},
    "mosaic.tiles.place_tiles": {"min_overlap": "mosaic.min_overlap"},
    "movement.detect.detect_movement": {
        name: f"movement.{name}" for name in ("transform", "max_rotation", "max_scale")
    },
    "movement.detect.find_movement": {
        "method": "movement.method",
        "transform": "movement.transform",
    },
    "movement.judge.Limits": {
        "max_rotation": "movement.max_rotation",
        "max_scale": "movement.max_scale",
    },
    "quality.measure.measure_quality": {"degrees_per_rotation": "signals.degrees_per_rotation"},
}


def words_of(node):
    """The words of a Literal, or nothing."""
    if not (isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "Literal"):
        return ()
    values = ast.literal_eval(node.slice)
    return values if isinstance(values, tuple) and isinstance(values[0], str) else ()


def test_the_schemas_are_installed_with_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["derotation"]
    shipped = {file for pattern in patterns for file in SOURCE.glob(pattern)}
    schemas = set(SOURCE.rglob("*.schema.yaml"))
    assert schemas == {f for f in shipped if f.name.endswith(".schema.yaml")} != set()


def test_no_module_holds_defaults_of_its_own():
    found = [
        f"{file}: {target.id}"
        for file, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and "DEFAULTS" in target.id
    ]
    assert found == []


@pytest.mark.parametrize(("place", "key"), CHOICES.items())
def test_choices_of_types_are_those_of_the_schema(place, key):
    module = import_module(f"derotation.{place[0]}")
    if place == ("cohort.discover.tree", "name"):
        choice = get_type_hints(module.Patterns)["name"]
    elif place == ("simulate.motor", "_sign"):
        choice = get_type_hints(module._sign)["return"]
    else:
        choice = getattr(module, place[1])
    schema = section_schema(key, config_schema())
    words = next((s["enum"] for s in schema.get("anyOf", ()) if "enum" in s), schema.get("enum"))
    assert set(get_args(choice)) == set(words) - {"none"}


def test_every_choice_of_words_is_compared_or_no_setting():
    """A new one has to be added to one of the tables above."""
    schema = config_schema()
    simulated = schema["$defs"]["simulated_session"]["properties"]
    known = OTHERS | {PROTOCOL} | {tuple(simulated[k]["enum"]) for k in ("illumination",)}
    compared = {frozenset(get_words(key)) for key in CHOICES.values()}
    unknown = [
        (str(file), words)
        for file, tree in trees().items()
        for node in ast.walk(tree)
        if (words := words_of(node)) and words not in known and frozenset(words) not in compared
    ]
    assert unknown == []


def get_words(key):
    schema = section_schema(key, config_schema())
    words = next((s["enum"] for s in schema.get("anyOf", ()) if "enum" in s), schema.get("enum"))
    return [word for word in words if word != "none"]


def test_choices_that_are_keys_of_a_table():
    from derotation.mosaic.build import DIRECTIONS
    from derotation.signals.angles import _FRACTION
    from derotation.steps.estimate_center import ESTIMATED

    assert set(DIRECTIONS) == set(allowed("mosaic.x_axis")) == set(allowed("mosaic.y_axis"))
    assert set(_FRACTION) == set(allowed("angles.line_reference"))
    assert set(allowed("center.method")) - set(ESTIMATED) == {"fixed", "image_center"}


@pytest.mark.parametrize("function", PARAMETERS)
def test_defaults_of_parameters_are_those_of_the_schema(function):
    module, name = function.rsplit(".", 1)
    parameters = inspect.signature(getattr(import_module(f"derotation.{module}"), name)).parameters
    for parameter, key in PARAMETERS[function].items():
        expected = section_schema(key, config_schema())["default"]
        found = parameters[parameter].default
        assert (list(found) if isinstance(found, tuple) else found) == expected, parameter
