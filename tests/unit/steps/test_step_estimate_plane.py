"""Lag, tilt and wobble of a session, from its files."""

import numpy as np
import pytest

from derotation.calibration import Calibration
from derotation.cohort.config import validate_config
from derotation.simulate import simulate_session
from derotation.steps import estimate_center, estimate_plane, interpolate_angles, parse_signals

SECTIONS = {"sessions": "sessions.tsv", "signals": {"sampling_rate": 20_000}}


def tell_angles(folder, files, protocol="full", **sections):
    """Run the steps from raw files to the angles."""
    config = validate_config(SECTIONS | sections)
    parse_signals.run(
        movie=files["movie"],
        signals=files["signals"],
        stimulus=files.get("stimulus"),
        protocol=protocol,
        config=config,
        outputs=parse_signals.Outputs.within(folder),
    )
    interpolate_angles.run(
        events=folder / "events.npz",
        movie=files["movie"],
        protocol=protocol,
        config=config,
        outputs=interpolate_angles.Outputs.within(folder),
    )


def calibrate(folder, files, **sections):
    """Run the steps from the angles to a calibration."""
    config = validate_config(SECTIONS | sections)
    estimate_center.run(
        movie=files["movie"],
        angles=folder / "angles.npz",
        session="s",
        config=config,
        outputs=estimate_center.Outputs.within(folder),
    )
    estimate_plane.run(
        movie=files["movie"],
        angles=folder / "angles.npz",
        center=folder / "center.json",
        session="s",
        config=config,
        outputs=estimate_plane.Outputs.within(folder),
    )
    return Calibration.load(folder / "calibration.json")


def simulate(folder, **parameters):
    chosen = {
        "shape": (96, 96),
        "frame_rate": 10.0,
        "sampling_rate": 20_000.0,
        "n_cells": 30,
        "center_offset": (3.0, -2.0),
    }
    return simulate_session(folder, **(chosen | parameters))


def test_lag_and_tilt_together(tmp_path):
    stimulus = ((200.0, 1), (200.0, -1), (150.0, 1), (150.0, -1))
    tilt = {"plane_angle": 25.0, "plane_orientation": 40.0}
    files = simulate(tmp_path / "raw", lag_ms=3.0, stimulus=stimulus, **tilt)
    wanted = {"lag_ms": "auto"}
    tell_angles(tmp_path, files, angles=wanted)
    found = calibrate(tmp_path, files, angles=wanted)
    assert found.lag_ms == pytest.approx(3.0, abs=0.2)
    assert found.plane_angle == pytest.approx(25.0, abs=0.5)
    assert found.plane_orientation == pytest.approx(40.0, abs=1.0)
    assert found.center == pytest.approx((50.5, 45.5), abs=0.05)
    assert found.wobble == ()


def test_incremental_session(tmp_path):
    steps = {"degrees_per_step": 15}
    files = simulate(tmp_path / "raw", protocol="incremental", step_rest_s=0.5, **steps)
    tell_angles(tmp_path, files, protocol="incremental", angles=steps)
    found = calibrate(tmp_path, files)
    assert found.center == pytest.approx((50.5, 45.5), abs=0.1)
    assert found.plane_angle == 0
    assert found.lag_ms == 0
    ellipse = calibrate(tmp_path, files, center={"method": "ellipse"})
    assert ellipse.center == pytest.approx((50.5, 45.5), abs=0.1)
    table = np.genfromtxt(tmp_path / "center.csv", delimiter=",", names=True)
    assert {"blob", "angle", "x", "y"} <= set(table.dtype.names)
