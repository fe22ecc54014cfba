"""The compiled kernels against their slow twins, and against cases with a known answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derotation.errors import InputError
from derotation.maps import transforms
from derotation.maps.resample import LineTiming, derotate_frames
from reference import (
    derotate_frame_slow,
    derotate_frame_slow_bidirectional,
    place_frame_slow,
)

SMALL = settings(max_examples=25)
HOW = st.sampled_from(["linear", "quadratic", "cubic"])
SHAPES = st.tuples(st.integers(2, 24), st.integers(2, 18))


@st.composite
def rotating_frame(draw):
    """A frame of random samples with maps that turn, about any center, in a tilted plane or not."""
    height, width = draw(SHAPES)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    start, speed = draw(st.floats(-360, 360)), draw(st.floats(-1.0, 1.0))
    angles = (
        start + speed * np.arange(height) + draw(st.floats(-1e-3, 1e-3)) * np.arange(height) ** 2
    )
    center = (draw(st.floats(0, width)), draw(st.floats(0, height)))
    tilt, orientation = draw(st.sampled_from([0.0, 25.0])), draw(st.floats(0, 180))
    maps = transforms.line_maps(angles, center, tilt, orientation)
    duty = draw(st.sampled_from([0.0, 0.7, 1.0]))
    reference = draw(st.sampled_from(["start", "middle", "end"]))
    frame = rng.normal(100, 30, (height, width))
    return frame, maps, LineTiming(line_duty=duty, line_reference=reference)


def run(frame, maps, timing, interpolation):
    result = derotate_frames(
        frame[np.newaxis],
        maps[np.newaxis],
        timing=timing,
        interpolation=interpolation,
        blank=np.nan,
    )
    return result.frames[0], result.counts[0]


def assert_alike(fast, slow, tolerance):
    """Equal, apart from pixels exactly on the border of what was seen."""
    assert np.mean(np.isnan(fast) != np.isnan(slow)) <= 0.01
    both = ~np.isnan(fast) & ~np.isnan(slow)
    np.testing.assert_allclose(fast[both], slow[both], atol=tolerance)


@SMALL
@given(rotating_frame(), HOW)
def test_inverse_equals_slow_twin(case, how):
    frame, maps, timing = case
    fast, count = run(frame, maps, timing, how)
    slow = derotate_frame_slow(frame, transforms.invert(maps), timing.line_duty, timing.offset, how)
    assert_alike(fast, slow, 0.02)
    assert count == np.isfinite(fast).sum()


PHASES = st.sampled_from([0.0, 0.0, 0.4, -1.3, 2.0])


@SMALL
@given(rotating_frame(), HOW, PHASES, st.sampled_from([0.0, 1.0]))
def test_bidirectional_equals_slow_twin(case, how, phase, duty):
    frame, maps, timing = case
    timing = LineTiming(
        # Without a phase and all at one moment, the directions of the lines make no difference.
        line_duty=duty if phase else 1.0,
        bidirectional=True,
        phase_px=phase,
        line_reference=timing.line_reference,
    )
    fast, count = run(frame, maps, timing, how)
    slow = derotate_frame_slow_bidirectional(
        frame, transforms.invert(maps), timing.line_duty, timing.offset, how, phase
    )
    assert_alike(fast, slow, 0.02)
    assert count == np.isfinite(fast).sum()


@SMALL
@given(rotating_frame(), st.booleans(), PHASES)
def test_forward_equals_slow_twin(case, bidirectional, phase):
    frame, maps, timing = case
    phase = phase if bidirectional else 0.0
    timing = LineTiming(
        line_duty=timing.line_duty,
        bidirectional=bidirectional,
        phase_px=phase,
        line_reference=timing.line_reference,
    )
    fast, count = run(frame, maps, timing, "nearest")
    slow = place_frame_slow(frame, maps, timing.line_duty, timing.offset, bidirectional, phase)
    # A place on the border between two pixels may be rounded to either.
    np.testing.assert_array_less(np.mean(~((fast == slow) | np.isnan(fast) & np.isnan(slow))), 0.01)
    assert count == np.isfinite(fast).sum()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
@pytest.mark.parametrize("interpolation", ["linear", "quadratic", "cubic", "nearest"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_rest_comes_back_bit_for_bit(dtype, interpolation, bidirectional):
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 255, (3, 16, 24)).astype(dtype)
    angles = np.zeros((3, 16))
    angles[1] = 360.0
    angles[2] = np.linspace(0, 20, 16)
    maps = transforms.line_maps(angles, (11.3, 8.1))
    result = derotate_frames(
        frames,
        maps,
        timing=LineTiming(line_duty=0.9, bidirectional=bidirectional),
        interpolation=interpolation,
        keep_seen=True,
    )
    np.testing.assert_array_equal(result.frames[:2], frames[:2])
    assert result.frames.dtype == frames.dtype
    assert result.seen[:2].all()
    np.testing.assert_array_equal(result.counts, result.seen.sum(axis=(1, 2)))
    assert 0 < result.coverage[2] < 1


@pytest.mark.parametrize("interpolation", ["linear", "quadratic", "cubic", "nearest"])
@pytest.mark.parametrize("phase", [2, -1])
@pytest.mark.parametrize("duty", [0.0, 0.9])
def test_displaced_odd_lines_come_back_at_rest(interpolation, phase, duty):
    """Whole pixels: the picture comes back exactly where both directions saw it."""
    rng = np.random.default_rng(6)
    frame = rng.integers(0, 4000, (12, 20)).astype(np.uint16)
    recorded = frame.copy()
    recorded[1::2] = np.roll(frame[1::2], phase, axis=1)
    maps = transforms.line_maps(np.zeros((1, 12)), (9.5, 5.5))
    timing = LineTiming(line_duty=duty, bidirectional=True, phase_px=phase)
    result = derotate_frames(
        recorded[np.newaxis], maps, timing=timing, interpolation=interpolation, keep_seen=True
    )
    whole = slice(0, 20 - phase) if phase > 0 else slice(-phase, 20)
    np.testing.assert_array_equal(result.frames[0, :, whole], frame[:, whole])
    assert result.seen[0, :, whole].all()
    # What was not scanned in both directions is not made up.
    assert not result.seen[0, 1::2].all()


def test_displaced_odd_lines_come_back_while_turning():
    """A smooth scene, recorded with a phase of 1.5 px, comes out as if it had none."""
    y, x = np.mgrid[:64, :64].astype(float)
    angles = 20 + 0.1 * np.arange(64)
    pictures = []
    for phase in (0.0, 1.5):
        timing = LineTiming(bidirectional=True, phase_px=phase)
        maps = transforms.line_maps(angles, (31.5, 31.5))
        in_picture = x - phase * (y % 2)
        place_x = maps[:, 0, 0, None] * in_picture + maps[:, 0, 1, None] * y + maps[:, 0, 2, None]
        place_y = maps[:, 1, 0, None] * in_picture + maps[:, 1, 1, None] * y + maps[:, 1, 2, None]
        recorded = 100 + 50 * np.sin(place_x / 5) * np.cos(place_y / 6)
        pictures.append(derotate_frames(recorded[None], maps[None], timing=timing).frames[0])
    truth = 100 + 50 * np.sin(x / 5) * np.cos(y / 6)
    middle = np.hypot(x - 31.5, y - 31.5) < 26
    assert np.abs(pictures[1] - truth)[middle].max() < 1.5
    assert np.abs(pictures[1] - pictures[0])[middle].max() < 1.5


@pytest.mark.parametrize("interpolation", ["linear", "quadratic", "cubic", "nearest"])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_are_exact(interpolation, turns):
    frame = np.random.default_rng(2).integers(0, 4000, (17, 17)).astype(np.uint16)
    # Turned clockwise on the screen by 90 degrees, the sample has to be turned back.
    recorded = np.rot90(frame, -turns)
    maps = transforms.line_maps(np.full((1, 17), 90.0 * turns), (8.0, 8.0))
    result = derotate_frames(recorded[np.newaxis], maps, interpolation=interpolation)
    np.testing.assert_array_equal(result.frames[0], frame)
    assert result.coverage[0] == 1


def test_constant_stays_constant_and_holes_only_in_nearest():
    frames = np.full((1, 40, 40), 1000, np.uint16)
    maps = transforms.line_maps(np.linspace(30, 50, 40)[np.newaxis], (19.5, 19.5))
    y, x = np.mgrid[:40, :40] - 19.5
    always_seen = np.hypot(x, y) < 18
    for interpolation in ("linear", "quadratic", "cubic"):
        result = derotate_frames(frames, maps, interpolation=interpolation, blank=7)
        assert (result.frames[0][always_seen] == 1000).all()
        assert set(np.unique(result.frames)) == {7, 1000}
    nearest = derotate_frames(frames, maps, interpolation="nearest", blank=7)
    assert (nearest.frames[0][always_seen] == 7).any()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_quadratic_is_exact_for_a_quadratic_scene(bidirectional):
    """Up to the mixed terms: what bends in x and y alone comes out right."""
    y, x = np.mgrid[:40, :40].astype(float)
    recorded = 100 + 3 * x - 2 * y + 0.5 * x**2 - 0.25 * y**2
    shift = (0.3, -0.4)
    maps = np.tile(np.eye(2, 3), (1, 40, 1, 1))
    maps[..., 2] = shift
    timing = LineTiming(line_duty=0.9, bidirectional=bidirectional)
    result = derotate_frames(
        recorded[np.newaxis], maps, timing=timing, interpolation="quadratic", blank=np.nan
    )
    u, v = x - shift[0], y - shift[1]
    truth = 100 + 3 * u - 2 * v + 0.5 * u**2 - 0.25 * v**2
    middle = (slice(4, 36), slice(4, 36))
    np.testing.assert_allclose(result.frames[0][middle], truth[middle], atol=1e-9)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_default_leaves_no_step_of_brightness(bidirectional):
    """Soft cells keep their brightness when they are turned; linear interpolation darkens them."""
    y, x = np.mgrid[:64, :64].astype(float)
    angles = np.array([33.0, 71.0, 140.0, 200.0, 287.0])[:, None] + 0.1 * np.arange(64)
    maps = transforms.line_maps(angles, (31.5, 31.5))
    place_x = maps[..., 0, 0, None] * x + maps[..., 0, 1, None] * y + maps[..., 0, 2, None]
    place_y = maps[..., 1, 0, None] * x + maps[..., 1, 1, None] * y + maps[..., 1, 2, None]

    def cells(at_x, at_y):
        return sum(
            np.exp(-((at_x - cx) ** 2 + (at_y - cy) ** 2) / (2 * 2.5**2))
            for cx, cy in ((20.3, 25.1), (40.7, 36.4), (28.2, 45.9))
        )

    truth, recorded = cells(x, y), cells(place_x, place_y)
    roi = truth > 0.5
    # All samples of a line at one moment: what is left is the interpolation.
    error = {}
    for how in ("linear", "quadratic"):
        timing = LineTiming(bidirectional=bidirectional)
        found = derotate_frames(recorded, maps, timing=timing, interpolation=how).frames
        error[how] = abs(found[:, roi].mean() / truth[roi].mean() - 1)
    assert error["linear"] > 0.008
    assert error["quadratic"] < 0.002


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("jitter", "error"),
    # The places of smooth maps are interpolated, up to a bend of 0.1 px; others are solved.
    [(0.0, 1e-3), (0.01, 5e-3), (0.2, 0.06), (1.0, 1e-3)],
)
def test_places_in_single_precision(bidirectional, jitter, error):
    """A ramp shows the place that was looked up: in x, and in y."""
    shape = (67, 98)
    rng = np.random.default_rng(7)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    timing = LineTiming(line_duty=0.9, bidirectional=bidirectional)
    angles = np.array([10.0, 100.0, 215.0])[:, None] + 0.2 * np.arange(shape[0])
    # Speed that changes from line to line, a little or much.
    angles += np.cumsum(jitter * 0.05 * rng.standard_normal(angles.shape), axis=1)
    maps = transforms.line_maps(angles, (50.0, 30.0))
    for ramp in (x, y):
        frames = np.broadcast_to(ramp, (3, *shape))
        single, double = (
            derotate_frames(frames.astype(kind), maps, timing=timing, blank=np.nan).frames
            for kind in (np.float32, np.float64)
        )
        both = np.isfinite(single) & np.isfinite(double)
        assert both.mean() > 0.3
        assert np.mean(np.isfinite(single) != np.isfinite(double)) < 0.005
        assert np.abs(single - double)[both].max() < error


def test_cubic_does_not_wrap_around():
    frames = np.zeros((1, 32, 32), np.uint8)
    frames[:, 8:24] = 255
    maps = transforms.line_maps(np.full((1, 32), 33.0), (15.5, 15.5))
    wide = derotate_frames(frames, maps, interpolation="cubic", dtype=np.float64).frames
    assert wide.min() < -5
    assert wide.max() > 260
    narrow = derotate_frames(frames, maps, interpolation="cubic").frames
    np.testing.assert_array_equal(narrow, np.clip(np.floor(wide + 0.5), 0, 255))


@pytest.mark.parametrize("interpolation", ["linear", "quadratic", "cubic", "nearest"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_missing_samples_do_not_spread(interpolation, bidirectional):
    rng = np.random.default_rng(3)
    frames = rng.normal(100, 1, (1, 32, 32)).astype(np.float32)
    frames[0, 10, 12] = np.nan
    maps = transforms.line_maps(np.linspace(5, 9, 32)[np.newaxis], (15.5, 15.5))
    result = derotate_frames(
        frames,
        maps,
        interpolation=interpolation,
        blank=-1,
        timing=LineTiming(line_duty=0.8, bidirectional=bidirectional),
        keep_seen=True,
    )
    seen = result.frames[0][result.seen[0]]
    assert np.isfinite(result.frames).all()
    assert seen.min() > 90
    whole = np.where(np.isnan(frames), 100, frames)
    more = derotate_frames(
        whole,
        maps,
        interpolation=interpolation,
        timing=LineTiming(line_duty=0.8, bidirectional=bidirectional),
    )
    assert 0 <= more.counts[0] - result.counts[0] <= 1


def test_unusable_lines_and_frames_are_blank():
    frames = np.full((2, 20, 20), 50, np.int16)
    angles = np.zeros((2, 20))
    angles[0, 10:] = np.nan
    angles[1] = np.nan
    maps = transforms.line_maps(angles, (9.5, 9.5))
    for interpolation in ("linear", "quadratic", "cubic", "nearest"):
        result = derotate_frames(
            frames, maps, interpolation=interpolation, blank=-3, keep_seen=True
        )
        assert (result.frames[1] == -3).all()
        assert result.coverage[1] == 0
        assert (result.frames[0, :9] == 50).all()
        assert (result.frames[0, 11:] == -3).all()
        np.testing.assert_array_equal(result.frames == 50, result.seen)


def test_threads_and_chunks_change_nothing():
    rng = np.random.default_rng(4)
    frames = rng.integers(0, 4000, (7, 20, 26)).astype(np.uint16)
    maps = transforms.line_maps(np.arange(140.0).reshape(7, 20), (12.0, 9.0))
    for interpolation in ("linear", "quadratic", "cubic", "nearest"):
        at_once = derotate_frames(frames, maps, interpolation=interpolation).frames
        threaded = derotate_frames(frames, maps, interpolation=interpolation, threads=3).frames
        single = [
            derotate_frames(frames[f : f + 1], maps[f : f + 1], interpolation=interpolation).frames
            for f in range(7)
        ]
        np.testing.assert_array_equal(at_once, threaded)
        np.testing.assert_array_equal(at_once, np.concatenate(single))


def test_line_reference_changes_nothing_when_angles_follow():
    """The angle may be given for the start, middle or end of a line; the picture is the same."""
    rng = np.random.default_rng(5)
    frame = rng.normal(100, 20, (1, 30, 30))
    duty, speed = 0.8, 0.3
    pictures = []
    for reference, shift in (("start", -0.5), ("middle", 0.0), ("end", 0.5)):
        angles = 20 + speed * (np.arange(30) + shift * duty)
        # Looked up by exactly linear maps, interpolation between lines does not depend on nodes.
        turned = np.deg2rad(angles - 30)[np.newaxis, :, np.newaxis, np.newaxis]
        skew = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]) + turned * np.array(
            [[0.0, 1.0, -15.0], [-1.0, 0.0, 15.0]]
        )
        timing = LineTiming(line_duty=duty, line_reference=reference)
        pictures.append(
            derotate_frames(
                frame, transforms.invert(skew), timing=timing, blank=np.nan, interpolation="linear"
            ).frames
        )
    np.testing.assert_allclose(pictures[0], pictures[1], atol=1e-9)
    np.testing.assert_allclose(pictures[2], pictures[1], atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": np.zeros((2, 5))}, r"shape \(2, 5\); expected \(frame, y, x\)"),
        ({"frames": np.zeros((2, 8, 6), complex)}, "complex128"),
        ({"line_maps": np.zeros((2, 7, 2, 3))}, "2 frames of 8 lines need"),
        ({"interpolation": "quintic"}, "quadratic, linear, cubic, nearest"),
        ({"blank": -1}, "-1 does not fit uint16"),
        ({"blank": np.nan}, "nan does not fit uint16"),
        ({"threads": 0}, "at least 1"),
    ],
)
def test_bad_arguments(change, message):
    arguments = {
        "frames": np.zeros((2, 8, 6), np.uint16),
        "line_maps": np.zeros((2, 8, 2, 3)),
    } | change
    with pytest.raises(InputError, match=message):
        derotate_frames(**arguments)


def test_bad_timing():
    with pytest.raises(InputError, match=r"line_duty is 1\.5"):
        LineTiming(line_duty=1.5)
    with pytest.raises(InputError, match=r"phase_px is 1\.5, but the scan goes in one direction"):
        LineTiming(phase_px=1.5)
    with pytest.raises(InputError, match="phase_px is nan"):
        LineTiming(phase_px=np.nan, bidirectional=True)
    with pytest.raises(InputError, match="start, middle and end"):
        LineTiming(line_reference="centre")
