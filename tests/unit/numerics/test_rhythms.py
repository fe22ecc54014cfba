"""Rhythms in paths: found where there are some, and not invented where there are none."""

import numpy as np
import pytest

from derotation.numerics.paths import smooth
from derotation.numerics.rhythms import told_size
from derotation.numerics.roughness import Wave

# 50 s at 6.74 frames/s, of which each is measured eight times.
FRAME_S, BANDS = 1 / 6.74, 8
FRAME = np.repeat(np.arange(337), BANDS)
TIME = FRAME * FRAME_S + np.tile((np.arange(BANDS) + 0.5) / BANDS * 0.95 * FRAME_S, 337)
NOISE = 0.07


def slow(rng):
    """Give a smooth path of 0.6 px, the sum of slow waves that are too many to be told apart."""
    path = np.zeros((len(TIME), 2))
    frequency = np.abs(rng.normal(0, 0.25, (400, 2)))
    phase = rng.uniform(0, 2 * np.pi, (400, 2))
    for f, p in zip(frequency, phase, strict=True):
        path += np.cos(2 * np.pi * f * TIME[:, None] + p)
    return 0.6 * path * np.sqrt(2 / 400)


def wandering(rng, frequency):
    """Give a wave of 1 px whose phase wanders by a radian within seconds."""
    steps = rng.standard_normal(len(TIME)) * np.sqrt(np.gradient(TIME) * 2 / 5.0)
    return np.sin(2 * np.pi * frequency * TIME + np.cumsum(steps))


def found_in(rng, truth, **options):
    places = truth + rng.normal(0, NOISE, truth.shape)
    return smooth(TIME, places, np.full(truth.shape, NOISE**2), FRAME, **options)


# The slower a wave is the better a path follows it that knows nothing of it.
@pytest.mark.parametrize(("frequency", "better"), [(2.3, 1.0), (5.1, 0.8), (9.7, 0.7)])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_rhythm_is_found_and_followed(frequency, better, seed):
    rng = np.random.default_rng(seed)
    truth = slow(rng)
    truth[:, 1] += 0.12 * wandering(rng, frequency)
    state = rng.bit_generator.state
    found = found_in(rng, truth, rhythm=True)
    rng.bit_generator.state = state
    without = found_in(rng, truth)
    assert found.roughness.waves[0] == ()
    (wave,) = found.roughness.waves[1]
    assert wave.frequency_hz == pytest.approx(frequency, abs=0.1)
    assert wave.size_px == pytest.approx(0.12 / np.sqrt(2), rel=0.5)

    def error(path):
        return np.sqrt(np.mean((path.places - truth)[:, 1] ** 2))

    assert error(found) < better * error(without)
    assert 0.9 < np.mean(np.abs(found.places - truth) < 1.96 * found.sd) < 0.99


@pytest.mark.parametrize("seed", range(10, 20))
def test_no_rhythm_is_invented(seed):
    rng = np.random.default_rng(seed)
    for truth in (slow(rng), np.zeros((len(TIME), 2))):
        assert found_in(rng, truth, rhythm=True).roughness.waves == ((), ())


def test_what_repeats_with_the_frames_is_no_rhythm():
    """Bands that are always told a little too far to one side are an error of the measurement."""
    rng = np.random.default_rng(3)
    truth = slow(rng)
    each = 0.1 * np.sin(2 * np.pi * np.arange(BANDS) / BANDS)
    wrong = np.stack([np.tile(each, 337), np.tile(2 * each, 337)], axis=1)
    places = truth + wrong + rng.normal(0, NOISE, truth.shape)
    found = smooth(TIME, places, np.full(truth.shape, NOISE**2), FRAME, rhythm=True)
    assert found.roughness.waves == ((), ())


def test_a_rhythm_with_places_that_are_missing():
    rng = np.random.default_rng(4)
    truth = slow(rng)
    truth[:, 0] += 0.15 * wandering(rng, 4.1)
    places = truth + rng.normal(0, NOISE, truth.shape)
    places[rng.random(len(places)) < 0.2] = np.nan
    places[FRAME // 40 == 3] = np.nan
    variances = np.where(np.isfinite(places), NOISE**2, np.inf)
    found = smooth(TIME, places, variances, FRAME, rhythm=True)
    assert [round(wave.frequency_hz, 1) for wave in found.roughness.waves[0]] == [4.1]


@pytest.mark.parametrize("n", [5, 8, 40])
def test_few_places_have_none(n):
    rng = np.random.default_rng(n)
    places = rng.normal(0, 0.1, (n, 2))
    found = smooth(TIME[:n], places, np.full((n, 2), 0.01), FRAME[:n], rhythm=True)
    assert found.roughness.waves == ((), ())


def test_one_place_per_frame():
    """Only rhythms slower than half of the frames can be told then."""
    rng = np.random.default_rng(6)
    time = np.arange(1200) / 30
    truth = np.stack([0.3 * np.sin(2 * np.pi * 2.7 * time), np.zeros(1200)], axis=1)
    truth += np.cumsum(rng.normal(0, 0.02, (1200, 2)), axis=0)
    places = truth + rng.normal(0, 0.1, truth.shape)
    found = smooth(time, places, np.full(truth.shape, 0.01), np.arange(1200), rhythm=True)
    assert [round(wave.frequency_hz, 1) for wave in found.roughness.waves[0]] == [2.7]
    assert found.roughness.waves[1] == ()


def measured(n_frames, frame_s, bands=1, wave=0.0):
    """Measure a sample that moves a little, and 3 times a second along x."""
    rng = np.random.default_rng(n_frames)
    frame = np.repeat(np.arange(n_frames), bands)
    time = frame * frame_s + np.tile((np.arange(bands) + 0.5) / bands * 0.95 * frame_s, n_frames)
    truth = np.cumsum(rng.normal(0, 0.01, (len(time), 2)), axis=0)
    truth[:, 0] += wave * np.sin(2 * np.pi * 3.0 * time)
    places = truth + rng.normal(0, NOISE, truth.shape)
    return time, places, np.full(places.shape, NOISE**2), frame


@pytest.mark.parametrize("pause", [30.0, 7200.0])
def test_a_rhythm_before_and_after_a_pause(pause):
    """Where the clocks rest for long, nothing was measured: there is nothing to divide."""
    time, places, variances, frame = measured(120, FRAME_S, BANDS, wave=0.3)
    time = time + np.where(frame >= 60, pause, 0.0)
    found = smooth(time, places, variances, frame, rhythm=True)
    assert [round(wave.frequency_hz, 1) for wave in found.roughness.waves[0]] == [3.0]
    assert np.isfinite(found.places).all()


@pytest.mark.parametrize(("frame_s", "bands"), [(20.0, 1), (20.0, 8), (300.0, 1), (1.0, 1)])
def test_what_is_measured_rarely_has_no_rhythm(frame_s, bands):
    found = smooth(*measured(60, frame_s, bands), rhythm=True)
    assert found.roughness.waves == ((), ())


@pytest.mark.parametrize("n_same", [2, 4])
def test_places_of_one_time(n_same):
    time, places, variances, frame = measured(800, FRAME_S / 4, wave=0.3)
    time = np.repeat(time[::n_same], n_same)
    places[:, 0] += 0.3 * (np.sin(2 * np.pi * 3.0 * time))
    found = smooth(time, places, variances, frame, rhythm=True)
    assert 3.0 in [round(wave.frequency_hz, 1) for wave in found.roughness.waves[0]]


@pytest.mark.parametrize("value", [0.0, 1.5])
def test_places_that_do_not_change_have_none(value):
    time, places, variances, frame = measured(200, FRAME_S, BANDS)
    found = smooth(time, np.full_like(places, value), variances, frame, rhythm=True)
    assert found.roughness.waves == ((), ())
    assert np.ptp(found.places, axis=0) == pytest.approx(0, abs=1e-6)


def test_a_path_of_few_places_in_a_long_session():
    """Of a long session some stretches are looked at, which must not all lie in the dark."""
    time, places, variances, frame = measured(1200, FRAME_S, BANDS)
    places[:, 1] += np.sin(2 * np.pi * 0.3 * time)
    lit = slice(1970, 2030)
    dark = np.ones(len(time), bool)
    dark[lit] = False
    variances[dark] = np.inf
    found = smooth(time, places, variances, frame, rhythm=True)
    alone = smooth(time[lit], places[lit], variances[lit], frame[lit], rhythm=True)
    assert found.roughness == alone.roughness
    assert found.gain == pytest.approx(alone.gain)
    assert found.gain > 100


def test_a_rhythm_in_a_session_most_of_which_is_unlit():
    time, places, variances, frame = measured(200, FRAME_S, BANDS, wave=0.06)
    lit = smooth(time, places, variances, frame, rhythm=True)
    assert [round(wave.frequency_hz, 1) for wave in lit.roughness.waves[0]] == [3.0]
    later = time + 200 * FRAME_S * np.arange(1, 5)[:, np.newaxis]
    found = smooth(
        np.concatenate([time, *later]),
        np.concatenate([places, np.full((4 * len(places), 2), np.nan)]),
        np.concatenate([variances, np.full((4 * len(places), 2), np.inf)]),
        np.concatenate([frame, *(frame + 200 * np.arange(1, 5)[:, np.newaxis])]),
        rhythm=True,
    )
    assert [round(wave.frequency_hz, 1) for wave in found.roughness.waves[0]] == [3.0]


@pytest.mark.parametrize(("frequency", "size"), [(3.3, 0.3), (3.3, 2.0), (9.0, 0.3), (9.0, 1.0)])
@pytest.mark.parametrize("regular", [True, False])
def test_the_size_of_a_rhythm_is_that_of_its_movement(frequency, size, regular):
    """A rhythm that is all regular is no less than one whose phase wanders."""
    rng = np.random.default_rng(8)
    truth = slow(rng)
    beats = np.sin(2 * np.pi * frequency * TIME) if regular else wandering(rng, frequency)
    truth[:, 1] += size * beats
    found = found_in(rng, truth, rhythm=True)
    told = max(told_size(TIME, found.places[:, 1], wave) for wave in found.roughness.waves[1])
    assert told == pytest.approx(size / np.sqrt(2), rel=0.15)


@pytest.mark.parametrize("lasting", [1.0, 3.0, 10.0, 300.0])
@pytest.mark.parametrize("frequency", [1.0, 9.7])
def test_sizes_of_rhythms_however_long_they_keep_their_phase(lasting, frequency):
    """A wave of known covariance, on a slope that is no part of it."""
    rng = np.random.default_rng(9)
    time = np.arange(0, 600, 0.02)
    kept, state = np.exp(-0.02 / lasting), rng.normal(0, 0.5) + 1j * rng.normal(0, 0.5)
    steps = (rng.normal(size=len(time)) + 1j * rng.normal(size=len(time))) * 0.5
    wave = np.empty(len(time))
    for k in range(len(time)):
        turned = kept * np.exp(2j * np.pi * frequency * 0.02)
        state = turned * state + np.sqrt(1 - kept**2) * steps[k]
        wave[k] = state.real
    asked = Wave(frequency_hz=frequency, size_px=0.1, lasting_s=lasting)
    # How large it was by chance, not on the whole.
    assert told_size(time, wave + 0.5 * time, asked) == pytest.approx(wave.std(), rel=0.1)


def test_the_size_of_a_rhythm_with_a_pause_and_of_too_few_times():
    time = np.concatenate([np.arange(0, 20, 0.02), 5000 + np.arange(0, 20, 0.02)])
    path = 0.7 * np.sin(2 * np.pi * 4.0 * time)
    wave = Wave(frequency_hz=4.0, size_px=0.1, lasting_s=300.0)
    assert told_size(time, path, wave) == pytest.approx(0.7 / np.sqrt(2), rel=0.05)
    assert told_size(time[:3], path[:3], wave) == 0.1
