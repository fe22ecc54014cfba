"""Simulated sessions, derotated with the true angles and judged."""

import dataclasses

import numpy as np

from derotation.calibration import Calibration
from derotation.io.movie import open_movie
from derotation.quality.measure import measure_quality
from derotation.signals.events import Events
from derotation.simulate import simulate_recording
from derotation.streaming.single_pass import derotate_movie
from unit.sessions import save_movie, true_angles, true_timing

SHAPE = (96, 96)


def simulated(**parameters):
    defaults = {
        "shape": SHAPE,
        "frame_rate": 8.0,
        "stimulus": ((100.0, 1), (150.0, -1)),
        "center_offset": (2.0, -1.0),
        "n_cells": 30,
        "photons_per_pixel": 20.0,
        "rest_between_s": 1.0,
        "seed": 21,
    }
    return simulate_recording(**(defaults | parameters))


def flawless_events(**changes):
    """Events of two rotations of 360 degrees with nothing to be mended."""
    ticks = 100
    needed = (item for item in dataclasses.fields(Events) if item.default is dataclasses.MISSING)
    values = dict.fromkeys(
        item.name for item in needed if item.default_factory is dataclasses.MISSING
    )
    values |= {
        "line_repaired": np.zeros((5, 4), bool),
        "tick_inserted": np.zeros(ticks, bool),
        "rotation_turned": np.array([360.0, 360.0]),
        "rotation_usable": np.ones(2, bool),
        "rotation_start": np.zeros(2),
        "anomalies": (),
    }
    return Events(**(values | changes))


def judge(recording, folder, *, angles=None, movie=None, events=None, **options):
    """Derotate and judge; `options` are changes of the calibration."""
    angles = angles or true_angles(recording)
    if movie is not None:
        recording = dataclasses.replace(recording, movie=movie)
    config = options.pop("config", None)
    calibration = Calibration(center=recording.center, image_shape=SHAPE, method="fixed").replace(
        **options
    )
    with open_movie(save_movie(recording, folder)) as opened:
        statistics = derotate_movie(
            opened, angles, calibration, None, timing=true_timing(recording)
        ).statistics
    quality = measure_quality(
        statistics,
        events or flawless_events(),
        angles,
        calibration,
        session="s",
        protocol="full",
        config=config,
    )
    return quality, statistics
