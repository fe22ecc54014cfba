"""What a calibration leaves: frames with the angles of others."""

import dataclasses

import numpy as np

from derotation.images.registration import binned_sample, read_sample
from derotation.io.movie import open_movie
from derotation.quality.residual_calibration import _with_angles_of
from derotation.simulate import simulate_recording
from unit.sessions import save_movie, true_angles


def test_angles_of_no_later_frames_are_those_of_the_frames_themselves(tmp_path):
    recording = simulate_recording(
        shape=(48, 40), stimulus=((200.0, 1), (150.0, -1)), rest_between_s=0.5
    )
    angles = true_angles(recording)
    with open_movie(save_movie(recording, tmp_path)) as movie:
        sample = read_sample(movie, angles, 60)
    for factor in (1, 2, 4):
        small = binned_sample(sample, factor)
        other = dataclasses.replace(small, line_angles=np.zeros_like(small.line_angles))
        own = _with_angles_of(other, angles, 0, factor)
        np.testing.assert_allclose(own.line_angles, small.line_angles, atol=1e-9)
