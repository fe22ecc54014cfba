"""Simulated recordings against the conventions, computed anew here from their definitions."""

import numpy as np
import pytest

from derotation.errors import InputError
from derotation.simulate.free_motion import Sinusoid
from derotation.simulate.recording import plan_recording, simulate_recording
from derotation.simulate.scene import Scene

QUIET = {"photons_per_pixel": None, "dtype": "float64", "calcium": False}
SMALL = {
    "shape": (24, 40),
    "n_cells": 6,
    "frame_rate": 20.0,
    "rest_before_s": 0.3,
    "rest_between_s": 0.3,
    "rest_after_s": 0.3,
    "lead_s": 0.11,
    "tail_s": 0.1,
}


def lone_cell_scene(center, radius=4.0):
    return Scene(
        centers=np.array([center], float),
        radii=np.array([[radius, radius]]),
        orientations=np.zeros(1),
        amplitudes=np.ones(1),
        nucleus_fractions=np.array([0.5]),
        nucleus_depths=np.zeros(1),
        blur=1.4,
        background=0.0,
        neuropil_weights=np.zeros((4, 4)),
        neuropil_origin=(0.0, 0.0),
        neuropil_spacing=10.0,
    )


def centroid(image):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(x * image).sum(), (y * image).sum()]) / image.sum()


def rises(volts, threshold=2.5):
    high = volts > threshold
    return np.flatnonzero(high[1:] & ~high[:-1]) + 1


def falls(volts, threshold=2.5):
    return rises(-volts, -threshold)


# the movie


def test_frames_at_rest_are_the_scene_bit_for_bit():
    recording = simulate_recording(
        **SMALL, **QUIET, center_offset=(3.3, -2.1), pmt_offset=7, gain=3
    )
    plan = recording.plan
    resting = [0, 3, plan.n_frames - 1]
    for frame in resting:
        np.testing.assert_array_equal(recording.movie[frame], recording.rest_image)
    np.testing.assert_array_equal(recording.rest_image, 7 + 3 * plan.scene.on_grid((24, 40)))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_pixel_shows_the_place_that_was_under_the_beam_at_its_time(bidirectional):
    plan = plan_recording(
        **SMALL,
        **QUIET,
        center_offset=(2.5, -1.5),
        line_duty=0.8,
        bidirectional=bidirectional,
        pmt_offset=0,
        gain=1,
    )
    frame = int(np.abs(plan.line_angles[:, 0]).argmax())
    image = plan.frame(frame)
    height, width = 24, 40
    cx, cy = (width - 1) / 2 + 2.5, (height - 1) / 2 - 1.5
    start = 0.11 + frame / 20.0
    period = 0.98 / 20.0 / height
    for x, y in [(0, 0), (39, 0), (5, 7), (30, 7), (17, 12), (39, 23), (0, 23)]:
        fraction = (x + 0.5) / width
        if bidirectional and y % 2 == 1:
            fraction = 1 - fraction
        time = start + y * period + fraction * 0.8 * period
        a = np.radians(float(plan.motor.angle(time)))
        turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        rest_y, rest_x = turn @ [y - cy, x - cx] + [cy, cx]
        assert image[y, x] == pytest.approx(float(plan.scene.evaluate(rest_x, rest_y)), rel=1e-9)


def test_odd_lines_are_displaced_by_the_phase():
    options = {**SMALL, **QUIET, "bidirectional": True, "pmt_offset": 0, "gain": 1}
    plain, displaced = plan_recording(**options), plan_recording(**options, bidi_phase=2)
    frame = int(np.abs(plain.line_angles[:, 0]).argmax())
    for f in (0, frame):
        np.testing.assert_array_equal(displaced.frame(f)[::2], plain.frame(f)[::2])
    at_rest = displaced.frame(0)[1::2, 2:]
    np.testing.assert_allclose(at_rest, plain.frame(0)[1::2, :-2], rtol=1e-12)
    with pytest.raises(InputError, match="only a bidirectional scan has a phase"):
        plan_recording(bidi_phase=1.0)


def test_line_angles_are_those_in_the_middle_of_the_lines():
    plan = plan_recording(**SMALL, **QUIET, line_duty=0.7)
    middle = plan.line_start + 0.35 * plan.line_period
    np.testing.assert_allclose(plan.line_angles, plan.motor.angle(middle), atol=1e-9)
    frame = int(np.abs(plan.line_angles[:, 0]).argmax())
    between = plan.sample_angles(frame)[:, 19:21].mean(axis=1)  # even width: around the middle
    np.testing.assert_allclose(plan.line_angles[frame], between, atol=1e-3)


def test_positive_angle_is_clockwise_on_the_screen():
    options = {**SMALL, "shape": (32, 32), "degrees_per_rotation": 90, "stimulus": [(300, -1)]}
    recording = simulate_recording(**options, **QUIET)
    assert recording.line_angles[-1, -1] == pytest.approx(90)
    clockwise = np.rot90(recording.rest_image, k=-1)
    np.testing.assert_allclose(recording.movie[-1], clockwise, atol=1e-9)


def test_a_tilted_plane_makes_a_cell_trace_an_ellipse():
    center, start = (31.5, 31.5), (47.0, 36.0)
    tilt, orientation = 35.0, 25.0
    plan = plan_recording(
        **{**SMALL, "shape": (64, 64), "frame_rate": 5.0, "step_rest_s": 0.6},
        **QUIET,
        protocol="incremental",
        degrees_per_step=30,
        step_speed=200,
        scene=lone_cell_scene(start),
        plane_angle=tilt,
        plane_orientation=orientation,
        pmt_offset=0,
    )
    still = [f for f in range(plan.n_frames) if np.ptp(plan.line_angles[f]) == 0]
    seen = np.array([centroid(plan.frame(f)) for f in still]) - center
    angle = np.radians(orientation)
    along, across = (np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))
    a, b = seen @ along / np.cos(np.radians(tilt)), seen @ across
    assert len(still) >= 12
    # In the sample's own plane it is a circle: only the picture along the orientation is squeezed.
    np.testing.assert_allclose(np.hypot(a, b), np.hypot(a[0], b[0]), atol=1e-3)
    angles = plan.line_angles[still, 0]
    turned = np.degrees(np.arctan2(b, a) - np.arctan2(b[0], a[0]))
    np.testing.assert_allclose((turned - angles + 180) % 360 - 180, 0, atol=0.01)
    np.testing.assert_allclose(seen[0], np.subtract(start, center), atol=1e-3)


def test_wobble_moves_the_turned_sample_and_not_the_one_at_rest():
    options = {**SMALL, "shape": (48, 48), "degrees_per_rotation": 90, "stimulus": [(300, -1)]}
    plan = plan_recording(
        **options,
        **QUIET,
        scene=lone_cell_scene((23.5, 23.5)),  # on the axis: only the wobble moves it
        wobble=[(1.0, 0.5, 2.0, -3.0)],
        pmt_offset=0,
    )
    np.testing.assert_allclose(centroid(plan.frame(0)), [23.5, 23.5], atol=1e-6)
    # At 90 degrees cos - 1 is -1 and sin is 1.
    np.testing.assert_allclose(centroid(plan.frame(plan.n_frames - 1)), [24.5, 20.0], atol=1e-3)


def test_places_in_sample_and_picture_are_inverse():
    plan = plan_recording(
        **SMALL, center_offset=(4, 2), plane_angle=20, plane_orientation=70, wobble=[(1, 2, 0.5, 1)]
    )
    x, y, angle = np.random.default_rng(0).uniform(0, 40, (3, 50))
    back = plan.place_in_picture(*plan.place_in_sample(x, y, 9 * angle), 9 * angle)
    np.testing.assert_allclose(back, [x, y], atol=1e-9)


def test_uneven_illumination_stays_with_the_microscope():
    even = plan_recording(**SMALL, **QUIET)
    uneven = plan_recording(**SMALL, **QUIET, illumination="uneven")
    frame = int(np.abs(even.line_angles[:, 0]).argmax())
    ratio = uneven.photons(frame) / even.photons(frame)
    np.testing.assert_allclose(ratio, uneven.photons(0) / even.photons(0))
    assert ratio.max() <= 1
    assert ratio.min() < 0.7


@pytest.mark.parametrize("pattern", ["uneven", "gradient", "shadow", "sector"])
def test_strength_of_the_illumination(pattern):
    def light(**options):
        return plan_recording(**SMALL, illumination=pattern, **options).illumination

    weak, strong = light(illumination_strength=0.2), light(illumination_strength=0.7)
    assert (weak.min(), weak.max()) == pytest.approx((0.8, 1))
    assert (strong.min(), strong.max()) == pytest.approx((0.3, 1))
    # The same pattern: logarithms are proportional.
    np.testing.assert_allclose(np.log(weak) * np.log(0.3), np.log(strong) * np.log(0.8), atol=1e-9)
    assert light().min() == pytest.approx(0.5, abs=0.15)
    assert np.ptp(light(illumination_strength=0)) == 0


def test_noise_has_the_mean_and_variance_of_photons_and_electronics():
    options = {
        **SMALL,
        "shape": (16, 16),
        "stimulus": [(300, 1)],
        "n_frames": 400,
        "dtype": "float32",
    }
    recording = simulate_recording(
        **options, calcium=False, photons_per_pixel=4.0, gain=10.0, pmt_offset=50.0, read_noise=3.0
    )
    frames = recording.movie[recording.line_angles[:, -1] == 0][60:].astype(float)
    photons = (recording.rest_image - 50) / 10
    deviation = (frames.mean(axis=0) - recording.rest_image) / np.sqrt(frames.var(axis=0))
    assert np.abs(deviation).mean() < 1.2 / np.sqrt(len(frames))
    variance = frames.var(axis=0).mean()
    assert variance == pytest.approx((100 * photons + 9).mean(), rel=0.05)


def test_calcium_brightens_cells_for_a_while():
    recording = simulate_recording(
        **{**SMALL, "n_frames": 300}, photons_per_pixel=None, dtype="float64", calcium_rate=0.2
    )
    activity = recording.activity
    assert activity.shape == (300, recording.plan.scene.n_cells)
    assert activity.min() >= 1
    assert activity.max() > 1.5
    assert np.median(activity) < 1.5
    last = recording.plan.resting_frame(299)
    np.testing.assert_array_equal(recording.movie[299], last)
    still = simulate_recording(**SMALL, **QUIET)
    assert np.all(still.activity == 1)


def test_integers_are_rounded_and_clipped():
    options = {**SMALL, "photons_per_pixel": None, "calcium": False}
    exact = simulate_recording(**options, dtype="float64", gain=200.0, pmt_offset=90)
    for dtype in ("uint8", "int16", "uint16"):
        movie = simulate_recording(**options, dtype=dtype, gain=200.0, pmt_offset=90).movie
        assert movie.dtype == dtype
        top = np.iinfo(dtype).max
        np.testing.assert_array_equal(movie, np.minimum(np.rint(exact.movie), top))
    assert exact.movie.max() > 255


def test_same_seed_same_recording_whatever_the_chunks_and_threads():
    one = simulate_recording(**SMALL, seed=3, signal_noise_v=0.1)
    two = simulate_recording(**SMALL, seed=3, signal_noise_v=0.1, threads=2)
    other = simulate_recording(**SMALL, seed=4, signal_noise_v=0.1)
    np.testing.assert_array_equal(one.movie, two.movie)
    np.testing.assert_array_equal(one.signals, two.signals)
    assert np.any(one.movie[0] != other.movie[0])
    assert np.any(one.signals != other.signals)
    again = np.concatenate([block for _, block in one.plan.chunks(frames_per_chunk=7)])
    np.testing.assert_array_equal(again, one.movie)


def test_movie_can_be_longer_than_the_protocol_and_not_shorter():
    shortest = plan_recording(**SMALL).n_frames
    longer = plan_recording(**{**SMALL, "n_frames": shortest + 30})
    assert longer.n_frames == shortest + 30
    assert np.all(longer.line_angles[-30:] == 0)
    with pytest.raises(InputError, match=f"n_frames is 5, but the protocol needs {shortest}"):
        plan_recording(**SMALL, n_frames=5)


# the signals


@pytest.mark.parametrize(
    ("sampling_rate", "logic_level_v"), [(50_000, 5.0), (20_000, 3.3), (100_000, 5.0)]
)
def test_signals_count_what_happened(sampling_rate, logic_level_v):
    recording = simulate_recording(
        **SMALL, sampling_rate=sampling_rate, logic_level_v=logic_level_v, line_duty=0.8
    )
    plan = recording.plan
    line, frame, on, ticks = recording.signals
    half = logic_level_v / 2
    assert recording.signals.dtype == np.float32
    assert set(np.unique(recording.signals)) == {np.float32(0), np.float32(logic_level_v)}
    assert rises(line, half).size == plan.n_frames * 24
    assert rises(frame, half).size == plan.n_frames
    assert rises(on, half).size == 2
    assert rises(ticks, half).size == 2 * 1800
    for volts, expected in [
        (line, plan.line_start.ravel()),
        (frame, plan.line_start[:, 0]),
        (ticks, plan.ticks.time),
        (on, plan.rotation_start - 0.001),
    ]:
        late = rises(volts, half) / sampling_rate - expected
        assert np.all((late > -1e-9) & (late < 1.001 / sampling_rate))
    width = (falls(line, half) - rises(line, half)) / sampling_rate
    np.testing.assert_allclose(width, 0.8 * plan.line_period, atol=1.001 / sampling_rate)
    np.testing.assert_allclose(plan.line_duration, 0.8 * plan.line_period)


def test_lines_fill_the_frame_but_for_the_flyback():
    plan = plan_recording(**SMALL, flyback_ms=2.0)
    np.testing.assert_allclose(24 * plan.line_period + 0.002, 1 / 20)
    plan = plan_recording(**SMALL, line_period_ms=1.5)
    np.testing.assert_allclose(np.diff(plan.line_start, axis=1), 0.0015)
    np.testing.assert_allclose(np.diff(plan.line_start[:, 0]), 0.05)


def test_short_line_pulses():
    recording = simulate_recording(**SMALL, line_clock_duty=0.1, line_duty=0.9)
    width = np.mean(falls(recording.signals[0]) - rises(recording.signals[0])) / 50_000
    assert width == pytest.approx(0.1 * recording.plan.line_period, rel=0.02)
    assert recording.plan.line_duration == pytest.approx(0.9 * recording.plan.line_period)


def test_incremental_protocol_has_one_rotation_and_no_table_of_turns():
    options = {**SMALL, "frame_rate": 5.0, "step_rest_s": 0.2, "protocol": "incremental"}
    recording = simulate_recording(**options, step_speed=100)
    assert rises(recording.signals[2]).size == 1
    assert rises(recording.signals[3]).size == 1800
    assert recording.line_angles[-1, -1] == pytest.approx(360)
    assert np.all(np.diff(recording.line_angles.ravel()) >= 0)
    steps = simulate_recording(**options, step_speed=100, rotation_on_per_step=True)
    assert rises(steps.signals[2]).size == 36


def test_lag_delays_ticks_and_not_the_sample():
    plan, late = (plan_recording(**SMALL, lag_ms=lag) for lag in (0.0, 4.0))
    np.testing.assert_allclose(late.ticks.time, plan.ticks.time + 0.004)
    np.testing.assert_array_equal(late.line_angles, plan.line_angles)
    on, on_late = (rises(p.analog.channel("rotation_on")) for p in (plan, late))
    np.testing.assert_array_equal(on_late - on, 200)


def test_signal_noise_has_the_given_width():
    recording = simulate_recording(**SMALL, signal_noise_v=0.2)
    clean = simulate_recording(**SMALL)
    noise = recording.signals - clean.signals
    np.testing.assert_allclose(noise.std(axis=1), 0.2, rtol=0.01)
    assert abs(np.corrcoef(noise)[0, 1]) < 0.01


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"centre_offset": (0, 0)}, "unknown parameter 'centre_offset'.*\"center_offset\""),
        ({"faults": {"dropped_tick": 0.1}}, "unknown faults 'dropped_tick'.*\"dropped_ticks\""),
        (
            {"protocol": "partial"},
            "protocol must be one of full, incremental, free; found 'partial'",
        ),
        ({"dtype": "int64"}, "dtype must be one of"),
        ({"illumination": "dark"}, "illumination must be one of even, uneven"),
        ({"illumination_strength": 1}, "illumination_strength must be at least 0 and below 1"),
        ({"shape": (0, 4)}, "shape must be positive"),
        ({"frame_rate": 0}, "frame_rate must be above 0"),
        ({"line_duty": 1.2}, "line_duty must be above 0 and at most 1"),
        ({"line_period_ms": 50}, "do not fit into a frame"),
        ({"flyback_ms": 900}, "leaves no time"),
        ({"flyback_ms": 1, "line_period_ms": 1}, "not both"),
        ({"plane_angle": 89}, "plane_angle must be 0..80"),
        ({"photons_per_pixel": 0}, "photons_per_pixel must be above 0"),
        ({"stimulus": [(100, 0)]}, "directions must be 1 or -1"),
    ],
)
def test_impossible_parameters_are_refused(parameters, message):
    with pytest.raises(InputError, match=message):
        plan_recording(**parameters)


def test_a_sample_that_turns_freely_is_rendered_at_its_angles():
    motion = Sinusoid(amplitude=60, frequency=0.5, phase=20)
    options = {"shape": (24, 32), "frame_rate": 10, "n_cells": 8, "photons_per_pixel": None,
               "dtype": "float64", "calcium": False, "sampling_rate": 5000}  # fmt: skip
    made = simulate_recording(protocol="free", motion=motion, n_frames=6, **options)
    times = made.line_start + made.plan.line_duration / 2
    np.testing.assert_allclose(
        made.line_angles, 60 * np.sin(np.pi * times + np.radians(20)), atol=1e-9
    )
    # A pixel shows the sample where it was at the pixel's own time.
    row, column = 5, 20
    angle = motion.angle(made.plan.pixel_times(3)[row, column])
    x, y = made.plan.place_in_sample(column, row, angle)
    there = made.plan.scene.evaluate(x, y, made.plan.activity[3])
    assert made.movie[3, row, column] == pytest.approx(100 + 20 * float(there))
    # One tick per 0.2 degrees, back and forth.
    ticks = made.plan.ticks.time
    assert np.abs(motion.angle(ticks) / 0.2 - np.round(motion.angle(ticks) / 0.2)).max() < 1e-5
    again = simulate_recording(
        protocol="free", n_frames=6, **options,
        motion={"sinusoid": {"amplitude": 60, "frequency": 0.5, "phase": 20}},
    )  # fmt: skip
    np.testing.assert_array_equal(again.movie, made.movie)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"protocol": "free", "n_frames": 5}, "a motion is needed"),
        ({"motion": Sinusoid(amplitude=1, frequency=1)}, "a motion is needed"),
        ({"protocol": "free", "motion": Sinusoid(amplitude=1, frequency=1)}, "needs n_frames"),
        ({"protocol": "free", "motion": {"jump": {}}, "n_frames": 5}, "found jump"),
        ({"protocol": "free", "motion": {"sinusoid": {"size": 1}}, "n_frames": 5}, "size"),
    ],
)
def test_motions_that_make_no_sense(options, words):
    with pytest.raises(InputError, match=words):
        simulate_recording(shape=(8, 8), **options)
