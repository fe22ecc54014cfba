"""Directions and phase of the scan, against what was simulated."""

import dataclasses
import functools

import numpy as np
import pytest

from derotation.calibration.center import estimate_center
from derotation.images.scanning import estimate_scan, with_scan
from derotation.io.movie import open_movie
from derotation.simulate import simulate_recording
from derotation.streaming import derotate_movie
from unit.sessions import save_movie, true_angles


@functools.cache
def simulated(**parameters):
    """Simulate a session, once; tests only look at it."""
    chosen = {
        "shape": (96, 112), "n_cells": 40, "photons_per_pixel": 10, "bidirectional": True,
        "stimulus": ((150.0, 1), (150.0, -1)), "rest_between_s": 1.0, "seed": 5,
    }  # fmt: skip
    return simulate_recording(**(chosen | parameters))


def scan_of(recording, folder, **asked):
    with open_movie(save_movie(recording, folder)) as opened:
        return estimate_scan(opened, true_angles(recording), **{"bidirectional": True, **asked})


@pytest.mark.parametrize("phase", [1.5, -0.6])
def test_a_phase_is_measured_and_corrected(tmp_path, phase):
    recording = simulated(bidi_phase=phase)
    scan = scan_of(recording, tmp_path)
    # Smaller, and with fewer frames at rest, than where 0.03 px are reached.
    assert scan.phase_px == pytest.approx(phase, abs=0.06)
    assert 0 < scan.sd["phase_px"] < 0.03
    assert scan.corrected
    assert scan.trusted
    assert len(scan.along) == 6
    assert np.ptp([one.phase_px for one in scan.along]) < 0.2
    # Center and picture are as without a phase.
    angles = with_scan(true_angles(recording), scan)
    with open_movie(save_movie(recording, tmp_path)) as movie:
        center = estimate_center(movie, angles).calibration
        derotate_movie(movie, angles, center, tmp_path / "still.tif")
    assert center.center == pytest.approx(recording.center, abs=0.05)
    turned = np.abs(recording.line_angles).min(axis=1) > 20
    with open_movie(tmp_path / "still.tif") as still:
        mean = still.read(np.flatnonzero(turned)).mean(axis=0)
    rest = recording.plan.rest_image
    y, x = np.mgrid[: rest.shape[0], : rest.shape[1]]
    inside = np.hypot(x - recording.center[0], y - recording.center[1]) < 38
    assert np.corrcoef(mean[inside], rest[inside])[0, 1] > 0.97


def test_no_phase_is_invented(tmp_path):
    recording = simulated()
    scan = scan_of(recording, tmp_path)
    assert scan.bidirectional
    assert scan.phase_px == 0
    assert scan.verdicts[0].code == "none"


def test_what_is_given_is_not_measured(tmp_path):
    recording = simulated(bidi_phase=1.5)
    assert scan_of(recording, tmp_path, asked=0).phase_px == 0
    assert scan_of(recording, tmp_path, asked=1.25).phase_px == 1.25
    implied = scan_of(recording, tmp_path, bidirectional=None, asked=1.25)
    assert (implied.bidirectional, implied.phase_px) == (True, 1.25)
    one_way = scan_of(recording, tmp_path, bidirectional=False)
    assert (one_way.verdicts[0].code, one_way.trusted) == ("one_way", True)
    ignored = scan_of(recording, tmp_path, bidirectional=False, asked=1.25)
    assert (ignored.phase_px, ignored.trusted) == (0, False)
    assert "The phase of 1.25 px that was given (scan.bidi_phase) is not corrected" in (
        ignored.statement
    )


@pytest.mark.parametrize("phase", [0.0, 1.5])
def test_a_silent_movie_shows_two_directions(tmp_path, phase):
    scan = scan_of(simulated(bidi_phase=phase), tmp_path, bidirectional=None)
    assert scan.bidirectional
    assert scan.told
    assert scan.trusted
    assert scan.verdicts[0].code == "seen_both"
    assert "and is processed so" in scan.statement
    assert scan.phase_px == pytest.approx(phase, abs=0.06)


def test_a_silent_movie_shows_one_direction(tmp_path):
    recording = simulated(bidirectional=False)
    scan = scan_of(recording, tmp_path, bidirectional=None)
    assert (scan.bidirectional, scan.phase_px, scan.told) == (False, 0, True)
    assert scan.verdicts[0].code == "seen_one"


def test_a_comb_at_rest_tells_two_directions(tmp_path):
    """Nothing turns, so nothing else can."""
    recording = simulated(bidi_phase=1.5, rest_before_s=4.0)
    n = int(np.flatnonzero(np.ptp(recording.line_angles, axis=1))[0])
    told = true_angles(recording)
    arrays = ("line_angles", "line_start", "line_usable", "frame_start")
    still = dataclasses.replace(told, **{name: getattr(told, name)[:n] for name in arrays})
    movie = save_movie(dataclasses.replace(recording, movie=recording.movie[:n]), tmp_path)
    with open_movie(movie) as opened:
        scan = estimate_scan(opened, still, bidirectional=None)
    assert scan.verdicts[0].code == "seen_both"
    assert scan.phase_px == pytest.approx(1.5, abs=0.06)


def test_what_a_silent_movie_does_not_show_is_assumed_and_said(tmp_path, caplog):
    recording = simulated(photons_per_pixel=0.1)
    scan = scan_of(recording, tmp_path, bidirectional=None)
    assert (scan.bidirectional, scan.told, scan.trusted) == (False, False, False)
    assert "one direction is assumed. Set scan.bidirectional" in caplog.text
    assert not with_scan(true_angles(recording), scan).scan_told


def test_a_phase_that_changes_is_said(tmp_path):
    early, late = (simulated(bidi_phase=phase) for phase in (0.3, 1.4))
    half = len(early.movie) // 2
    movie = np.concatenate([early.movie[:half], late.movie[half:]])
    scan = scan_of(dataclasses.replace(early, movie=movie), tmp_path)
    assert [verdict.code for verdict in scan.verdicts] == ["corrected", "changed"]
    assert not scan.trusted
    assert "The phase changes within the session" in scan.statement


def test_without_rest_or_structure_it_is_said(tmp_path):
    recording = simulated()
    angles = true_angles(recording)
    turning = dataclasses.replace(
        angles, line_angles=angles.line_angles + np.linspace(0, 1, angles.line_angles.shape[1])
    )
    with open_movie(save_movie(recording, tmp_path)) as movie:
        scan = estimate_scan(movie, turning, bidirectional=True)
    assert (scan.phase_px, scan.verdicts[0].code, scan.trusted) == (0, "untold", False)
    noise = np.random.default_rng(0).poisson(10, recording.movie.shape).astype(np.uint16)
    scan = scan_of(dataclasses.replace(recording, movie=noise), tmp_path)
    assert (scan.phase_px, scan.verdicts[0].code) == (0, "untold")
