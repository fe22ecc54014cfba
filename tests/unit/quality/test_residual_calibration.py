"""What a calibration leaves: frames with the angles of others."""

import dataclasses

import numpy as np

from derotation.calibration.geometry import Geometry
from derotation.images.sample import read_sample
from derotation.io.movie import open_movie
from derotation.maps.line_maps import LineMaps
from derotation.quality.residual_calibration import _with_angles_of
from derotation.simulate import simulate_recording
from unit.sessions import save_movie, true_angles


def test_angles_of_no_later_frames_are_those_of_the_frames_themselves(tmp_path):
    recording = simulate_recording(
        shape=(48, 40), stimulus=((200.0, 1), (150.0, -1)), rest_between_s=0.5
    )
    angles = true_angles(recording)
    with open_movie(save_movie(recording, tmp_path)) as movie:
        line_maps = LineMaps.of(angles, Geometry.about(recording.center))
        sample = read_sample(movie, line_maps, 60)
    nothing = np.zeros_like(sample.lines.line_angles)
    other = dataclasses.replace(
        sample, lines=dataclasses.replace(sample.lines, line_angles=nothing)
    )
    own = _with_angles_of(other, angles, 0)
    for factor in (1, 2, 4):
        expected = sample.binned(factor).lines.line_angles
        np.testing.assert_allclose(own.binned(factor).lines.line_angles, expected, atol=1e-9)
        # The middle of the lines that were averaged, not the first of them.
        first = sample.lines.line_angles[:, : expected.shape[1] * factor : factor]
        last = sample.lines.line_angles[:, factor - 1 : expected.shape[1] * factor : factor]
        step = (last - first + 180) % 360 - 180
        np.testing.assert_allclose(expected, first + step / 2, atol=1e-9)
