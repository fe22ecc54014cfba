"""The most detected blob, derotated and as recorded, of pictures of which all is known."""

from types import SimpleNamespace

import numpy as np
import pytest

from derotation.quality.blob_figures import most_detected_blobs, point_to_point_distance

# Blobs: distance (px) from the center, and direction (degrees).
BLOBS = ((12, 0), (10, 120), (14, 250))


def pictures(n):
    """Mean images at so many angles of a whole turn."""
    y, x = np.mgrid[:48, :48]

    def sample(turned):
        at = [(r, np.radians(direction + turned)) for r, direction in BLOBS]
        places = [(24 + r * np.cos(a), 24 + r * np.sin(a)) for r, a in at]
        return sum(100 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 18) for u, v in places)

    angle = np.arange(n) * 360 / n
    noise = np.random.default_rng(n).normal(0, 1, (n, 48, 48))
    mean = np.float32(sample(0) + noise)
    raw = np.float32([sample(one) for one in angle])
    seen = np.ones(mean.shape, np.bool_)
    return SimpleNamespace(angle=angle, mean=mean, raw_mean=raw, seen=seen, side=1, offset=0.0)


@pytest.mark.parametrize("n", [3, 4, 6, 7, 11, 12, 13, 25])
def test_both_are_looked_for_at_the_same_angles(n):
    blob, raw_blob = most_detected_blobs(pictures(n), 1)
    assert blob is not None
    assert raw_blob is not None
    assert blob.n_images == raw_blob.n_images == len(range(0, n, -(-n // 12)))
    found = point_to_point_distance(blob, raw_blob)
    assert found.value is not None
    assert found.value < 0.1
    assert found.before is None or found.before > 2


@pytest.mark.parametrize("n", [11, 12, 24])
def test_of_a_sample_that_turns_the_places_as_recorded_lie_all_around(n):
    blob, raw_blob = most_detected_blobs(pictures(n), 1)
    before = point_to_point_distance(blob, raw_blob).before
    assert before is not None
    assert before > 10


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_angles(n):
    assert "too few" in point_to_point_distance(*most_detected_blobs(pictures(n), 1)).said
