"""A table of one angle per frame that comes too late, by another delay in each rotation."""

import numpy as np
import pytest
import tifffile

from derotation.io.angle_table import read_angle_table
from derotation.io.movie import open_movie
from derotation.movie_angles.delays import find_delays
from derotation.signals.angles import interpolate_angles
from derotation.signals.rows import Rows
from derotation.signals.without_signals import events_without_signals
from derotation.simulate import simulate_recording


@pytest.fixture(scope="module")
def recording():
    return simulate_recording(
        shape=(64, 64), frame_rate=15, photons_per_pixel=20, n_cells=25, calcium=False,
        stimulus=((120, 1), (90, -1), (120, -1)), rest_before_s=0.8, rest_between_s=0.8,
        rest_after_s=0.8, center_offset=(3, -2), seed=8, acceleration=300,
    )  # fmt: skip


def settle(recording, delays, folder, movie=None, sign=1):
    """Write a table in which the angles of each rotation come late by so many frames."""
    plan = recording.plan
    period = 1 / 15
    middle = (plan.line_start[:, 0] + plan.line_start[:, -1] + plan.line_duration) / 2
    borders = (plan.rotation_end[:-1] + plan.rotation_start[1:]) / 2
    late = np.asarray(delays)[np.searchsorted(borders, middle)] * period
    np.save(folder / "angles.npy", sign * plan.motor.angle(middle - late))
    pixels = recording.movie if movie is None else movie
    tifffile.imwrite(folder / "m.tif", pixels, photometric="minisblack")
    with open_movie(folder / "m.tif") as opened:
        events = events_without_signals(
            read_angle_table(folder / "angles.npy"), clock_index=np.arange(len(pixels)),
            clock_rate=15, lines_per_frame=64, rows=Rows(n=64),
            line_period_s=plan.line_period, line_duty=0.9,
        )  # fmt: skip
        found = find_delays(opened, events, protocol="free")
    before, after = (interpolate_angles(e, protocol="free").line_angles for e in (events, found))
    truth = sign * recording.line_angles

    def rms(angles):
        return float(np.sqrt(np.nanmean(((angles - truth + 180) % 360 - 180) ** 2)))

    return found, rms(before), rms(after)


@pytest.mark.parametrize("delays", [(1.3, -0.7, 0.4), (0.0, 1.5, -1.5), (0.8, 0.8, 0.8)], ids=str)
def test_delays_of_each_rotation(recording, tmp_path, delays):
    found, before, after = settle(recording, delays, tmp_path)
    assert before > 2
    assert after < 0.5
    (repair,) = [one for one in found.repairs if one.code == "table_delays"]
    told = [float(word) for word in repair.text.split("late by ")[1].split(" frames")[0].split(",")]
    np.testing.assert_allclose(told, delays, atol=0.1)


def test_the_sign_need_not_be_right(recording, tmp_path):
    _, before, after = settle(recording, (1.0, -1.0, 0.5), tmp_path, sign=-1)
    assert after < 0.5 < before


def test_what_is_in_time_stays(recording, tmp_path):
    _, before, after = settle(recording, (0.0, 0.0, 0.0), tmp_path)
    assert after <= before + 0.05 < 0.4


def test_noise_moves_nothing(recording, tmp_path):
    noise = np.random.default_rng(0).poisson(100, recording.movie.shape).astype(np.uint16)
    found, _, _ = settle(recording, (1.0, 1.0, 1.0), tmp_path, movie=noise)
    assert all(one.code != "table_delays" for one in found.repairs)
