"""Steps called as from a notebook, on one tiny simulated session."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from derotation.calibration import Calibration
from derotation.cohort.config import validate_config
from derotation.errors import DerotationError, InputError
from derotation.signals.events import Events
from derotation.steps import (
    derotate_movie,
    estimate_center,
    estimate_plane,
    interpolate_angles,
    parse_signals,
    simulate_session,
)
from derotation.steps.inputs import settle

TINY = {
    "shape": [40, 56],
    "frame_rate": 10,
    "sampling_rate": 10000,
    "stimulus": [[100, 1], [150, -1]],
    "rest_before_s": 1,
    "rest_between_s": 0.5,
    "rest_after_s": 0.5,
    "n_cells": 25,
    "photons_per_pixel": None,
    "calcium": False,
    "dtype": "float32",
}


def settings(**sections):
    return validate_config({"signals": {"sampling_rate": 10000}} | sections)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    return simulate_session.run(folder=folder, protocol="full", config=TINY)


def parse(raw, folder, **sections):
    return parse_signals.run(
        movie=raw["movie"],
        signals=raw["signals"],
        stimulus=raw["stimulus"],
        protocol="full",
        config=settings(**sections),
        outputs=parse_signals.Outputs.within(folder),
    )


@pytest.fixture(scope="module")
def parsed(raw, tmp_path_factory):
    """The events, and the folder with their files."""
    folder = tmp_path_factory.mktemp("parsed")
    return parse(raw, folder), folder


def angles_of(raw, folder, **sections):
    return interpolate_angles.run(
        events=folder / "events.npz",
        movie=raw["movie"],
        protocol="full",
        config=settings(**sections),
        outputs=interpolate_angles.Outputs.within(folder),
    )


def center_of(raw, folder, **sections):
    return estimate_center.run(
        movie=raw["movie"],
        angles=folder / "angles.npz",
        session="s",
        config=settings(**sections),
        outputs=estimate_center.Outputs.within(folder),
    )


def plane_of(raw, folder, **sections):
    return estimate_plane.run(
        movie=raw["movie"],
        angles=folder / "angles.npz",
        center=folder / "center.json",
        session="s",
        config=settings(**sections),
        outputs=estimate_plane.Outputs.within(folder),
    )


def derotate(raw, folder, **sections):
    outputs = derotate_movie.Outputs.within(folder)
    result = derotate_movie.run(
        movie=raw["movie"],
        angles=folder / "angles.npz",
        calibration=folder / "calibration.json",
        config=settings(**sections),
        threads=2,
        outputs=outputs,
    )
    return result, outputs


def test_all_steps_in_turn(raw, tmp_path):
    truth = np.load(raw["truth"])
    events = parse(raw, tmp_path)
    assert json.loads((tmp_path / "events.json").read_text())["counts"]["rotations"] == 2
    assert events.n_rotations == 2
    angles = angles_of(raw, tmp_path)
    error = (angles.line_angles - truth["line_angles"] + 180) % 360 - 180
    assert np.abs(error).max() < 0.2
    fixed = {"method": "fixed", "fixed": truth["center"]}
    center_of(raw, tmp_path, center=fixed)
    plane_of(raw, tmp_path, plane={"correct": "never"}, wobble={"correct": "never"})
    text = (tmp_path / "center_of_rotation.txt").read_text()
    assert text.startswith("center of rotation: x = 27.500 px, y = 19.500 px")
    assert text.count("\n") == 1
    result, outputs = derotate(raw, tmp_path, derotate={"dtype": "float32"})
    movie, recorded = tifffile.imread(outputs.movie), tifffile.imread(raw["movie"])
    resting = np.all(angles.line_angles == 0, axis=1)
    np.testing.assert_array_equal(movie[resting], recorded[resting])
    inside = result.seen == 1
    sample = truth["rest_image"][inside]
    score = [np.corrcoef(frame[inside], sample)[0, 1] for frame in movie[~resting]]
    assert min(score) > 0.98
    table = outputs.coverage_table.read_text().splitlines()
    assert table[0] == "frame,coverage"
    assert len(table) == len(movie) + 1
    assert tifffile.imread(outputs.mean).shape == movie.shape[1:]
    assert sorted(tmp_path.rglob("*.png")) == sorted(
        [
            tmp_path / "plots" / f"{name}.png"
            for name in (
                "signals",
                "angles",
                "center",
                "plane",
                "wobble",
                "before_after",
                "contact_sheet",
            )
        ]
    )


def test_a_calibration_of_another_frame_size_is_refused(raw, parsed, tmp_path):
    shutil.copy(parsed[1] / "events.npz", tmp_path)
    angles_of(raw, tmp_path)
    other = Calibration(center=(1, 2), image_shape=(64, 64), method="fixed")
    other.save(tmp_path / "calibration.json")
    with pytest.raises(DerotationError, match="56 x 40"):
        derotate(raw, tmp_path)
    assert not (tmp_path / "output.tif").exists()


def test_the_line_reference_moves_the_angles(raw, parsed, tmp_path):
    shutil.copy(parsed[1] / "events.npz", tmp_path)
    start = angles_of(raw, tmp_path, angles={"line_reference": "start"})
    end = angles_of(raw, tmp_path, angles={"line_reference": "end"})
    truth = np.load(raw["truth"])["line_angles"]
    turning = np.abs(np.diff(truth, axis=1)).min(axis=1) > 0.1
    assert turning.any()
    late = (end.line_angles - start.line_angles)[turning] * np.sign(np.diff(truth[turning])[:, :1])
    assert late.min() > 0


def test_fewer_lines_than_rows_are_refused(raw, tmp_path):
    with pytest.raises(InputError, match=r"40 rows, but only 30 lines .* set scan.lines_per_frame"):
        parse(raw, tmp_path, scan={"lines_per_frame": 30})
    assert not list(tmp_path.rglob("*.*"))


def test_rows_of_a_cropped_or_binned_movie_are_asked_for(raw, parsed, tmp_path):
    movie, (whole, _) = tifffile.imread(raw["movie"]), parsed
    kinds = {
        "bottom": (movie[:, :30], {"first": 0}, whole.line_start[:, :30]),
        "top": (movie[:, 10:], {"first": 10}, whole.line_start[:, 10:]),
        "both": (movie[:, 4:34], {"first": 4}, whole.line_start[:, 4:34]),
        # The start of a row of two lines lies between theirs.
        "binned": (
            (movie[:, ::2] + movie[:, 1::2]) / 2,
            {"step": 2},
            (whole.line_start[:, ::2] + whole.line_start[:, 1::2]) / 2,
        ),
    }
    for name, (stack, rows, line_start) in kinds.items():
        own = raw | {"movie": tmp_path / f"{name}.tif"}
        tifffile.imwrite(own["movie"], stack.astype(np.float32), photometric="minisblack")
        with pytest.raises(DerotationError, match=r"scan\.rows"):
            parse(own, tmp_path)
        with pytest.raises(DerotationError, match=r"scan\.rows"):
            parse(own, tmp_path, scan={"lines_per_frame": 40})
        events = parse(own, tmp_path, scan={"lines_per_frame": 40, "rows": rows})
        np.testing.assert_allclose(events.line_start, line_start, atol=1)
    beyond = {"lines_per_frame": 40, "rows": {"first": 30}}
    with pytest.raises(DerotationError, match="a frame has 40 lines"):
        parse(own, tmp_path, scan=beyond)


def test_exchanged_clocks_are_used_the_other_way_round(tmp_path):
    parameters = TINY | {"faults": {"clocks_swapped": True}}
    files = simulate_session.run(folder=tmp_path / "raw", protocol="full", config=parameters)
    events = parse(files, tmp_path)
    assert "clocks_swapped" in [repair.code for repair in events.repairs]
    truth = np.load(files["truth"])
    np.testing.assert_allclose(events.line_start / 10000, truth["line_start"], atol=2e-4)


def test_a_frame_rate_that_contradicts_the_metadata_is_an_anomaly(parsed, caplog):
    events, _ = parsed
    movie = SimpleNamespace(
        metadata=SimpleNamespace(frame_rate=30.0), clock_index=np.arange(len(events.frame_start))
    )
    checked = parse_signals._with_frame_rate_checked(events, movie)
    assert checked.anomalies[-1].code == "frame_rate"
    assert "signals.sampling_rate is 30000, not 10000" in caplog.text
    right = replace(events, sampling_rate=3 * events.sampling_rate)
    assert parse_signals._with_frame_rate_checked(right, movie).anomalies == events.anomalies
    # Of a movie of one plane in three, the clock counts three times as many frames.
    planes = SimpleNamespace(metadata=movie.metadata, clock_index=3 * movie.clock_index)
    assert parse_signals._with_frame_rate_checked(events, planes).anomalies == events.anomalies


@pytest.mark.parametrize(
    ("configured", "found", "chosen", "said"),
    [
        (None, None, "default", False),
        (None, True, True, False),
        (False, None, False, False),
        (False, True, False, True),
        (0.9, 0.90001, 0.9, False),
        (0.9, 0.7, 0.9, True),
    ],
)
def test_the_configuration_wins_over_metadata_and_says_so(configured, found, chosen, said, caplog):
    assert settle("scan.key", configured, found, "default") == chosen
    assert ("scan.key is" in caplog.text) == said


def test_events_can_be_loaded_by_themselves(parsed):
    events, folder = parsed
    np.testing.assert_array_equal(Events.load(folder / "events.npz").line_start, events.line_start)
