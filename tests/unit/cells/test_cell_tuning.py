"""What cells follow: traces made from the truth, and from nothing."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import kstest

from derotation.cells import VERDICTS
from derotation.cells.blocks import blocks_of
from derotation.cells.chance import add_by_transforms, draw_shifts, false_discovery_rate
from derotation.cells.dff import brightness_by_angle, delta_f_over_f
from derotation.cells.kernels import add_shifted
from derotation.cells.tuning import _shape_of, call, tuning_of, velocity_edges

RATE = 6.74


def protocol(n_rotations=16, seed=0):
    """Angles, velocities and the first frames of rotations at several speeds."""
    rng = np.random.default_rng(seed)
    angle, velocity, starts = [], [], []
    for k in range(n_rotations):
        speed, sign = (60, 100, 150, 200)[k % 4], rng.choice([-1, 1])
        n = int(360 / speed * RATE)
        angle += [0.0] * 27 + list(sign * speed * np.arange(n) / RATE)
        velocity += [0.0] * 27 + [float(sign * speed)] * n
        starts.append(len(angle) - n)
    return np.array(angle), np.array(velocity), np.array(starts, float)


ANGLE, VELOCITY, STARTS = protocol()
N = len(ANGLE)
BLOCKS = blocks_of(N, RATE, STARTS)


def decayed(drive, tau=0.8):
    kept, state, out = np.exp(-1 / (tau * RATE)), drive[0], []
    for value in drive:
        state = kept * state + (1 - kept) * value
        out.append(state)
    return np.array(out)


def bump(angle, at, width=60):
    sharp = np.log(2) / (1 - np.cos(np.radians(width / 2)))
    return np.exp(sharp * (np.cos(np.radians(angle - at)) - 1))


def spontaneous(rng):
    trace = np.zeros(N)
    for start in np.flatnonzero(rng.random(N) < 0.1 / RATE):
        after = np.arange(N - start) / RATE
        trace[start:] += rng.lognormal(0, 0.5) * np.exp(-after / 0.8)
    return trace


def tuned(trace, corrected=None, *, angle=ANGLE, **more):
    return tuning_of(
        trace,
        trace if corrected is None else corrected,
        angle,
        VELOCITY,
        **{"frame_rate": RATE, "blocks": BLOCKS, "edges": velocity_edges(VELOCITY),
           "decay_s": 0.8} | more,
    )  # fmt: skip


def test_the_angle_of_a_tuned_cell_is_found():
    rng = np.random.default_rng(0)
    trace = decayed(1.5 * bump(ANGLE, 250)) + spontaneous(rng) + rng.normal(0, 0.1, N)
    found = tuned(trace)
    assert found.angle_p < 0.002
    assert not found.angle_brightness
    assert abs(found.preferred_angle - 250) < 10
    assert abs(found.peak_angle - 250) < 15
    assert 40 < found.width < 100
    assert 1.0 < found.peak < 2.0
    assert found.angle_variance > 0.2
    assert found.velocity_p > 0.01
    assert np.argmax(found.angle_curve) in (24, 25)


@pytest.mark.parametrize(("signed", "unsigned"), [(0.8, 0.0), (0.0, 0.6), (-0.4, 0.4)])
def test_slopes_of_velocity_cells_are_found(signed, unsigned):
    rng = np.random.default_rng(1)
    drive = signed * VELOCITY / 100 + unsigned * np.abs(VELOCITY) / 100
    found = tuned(decayed(drive) + spontaneous(rng) + rng.normal(0, 0.1, N))
    assert found.velocity_p < 0.002
    assert found.slope == pytest.approx(signed, abs=0.1)
    assert found.speed_slope == pytest.approx(unsigned, abs=0.1)
    # To be silent at rest is no tuning to all other angles.
    assert found.angle_p > 0.01


def test_p_values_of_cells_that_follow_nothing_are_uniform():
    rng = np.random.default_rng(2)
    found = [tuned(spontaneous(rng) + rng.normal(0, 0.1, N), seed=k) for k in range(60)]
    for name in ("angle_p", "velocity_p"):
        p = np.array([getattr(one, name) for one in found])
        assert kstest(p, "uniform").pvalue > 0.01
        assert np.mean(p < 0.05) < 0.15
        assert np.median([one.angle_variance for one in found]) < 0


def test_with_few_rotations_no_more_than_all_is_foretold():
    angle, velocity, starts = protocol(n_rotations=4)
    n, rng = len(angle), np.random.default_rng(12)
    found = [
        tuning_of(
            trace, trace, angle, velocity, frame_rate=RATE, blocks=blocks_of(n, RATE, starts),
            edges=velocity_edges(velocity), decay_s=0.8,
        )
        for trace in (spontaneous(rng)[:n] + rng.normal(0, 0.05, n) for _ in range(60))
    ]  # fmt: skip
    for name in ("angle_variance", "velocity_variance"):
        told = np.array([getattr(one, name) for one in found])
        # What only makes up for the errors of the other fit is no part of the trace.
        assert told.max() < 0.5
        assert np.median(told) < 0


def test_a_shadow_is_brightness_and_not_tuning():
    rng = np.random.default_rng(3)
    light = 1 - 0.4 * bump(ANGLE, 130)
    cell = rng.poisson(1000 * light * (1 + 0.2 * spontaneous(rng))).astype(float)
    around = rng.poisson(900 * light) / 3
    factor = brightness_by_angle(around, ANGLE, RATE)
    trace = delta_f_over_f(cell, around, RATE)
    corrected = delta_f_over_f(cell / factor, around / factor, RATE)
    found = tuned(trace, corrected)
    assert found.angle_p < 0.01
    assert found.angle_brightness


def test_movement_that_comes_with_the_angle_is_brightness():
    rng = np.random.default_rng(4)
    moved = np.cos(np.radians(ANGLE)) + 0.2 * rng.normal(size=N)
    trace = 0.5 * moved + rng.normal(0, 0.1, N)
    assert tuned(trace, nuisance=moved[:, np.newaxis]).angle_brightness
    assert not tuned(trace).angle_brightness


def test_equal_rotations_are_no_obstacle():
    angle = np.tile(np.concatenate([np.zeros(20), np.linspace(0, 350, 36)]), 10)
    velocity = np.tile(np.concatenate([np.zeros(20), np.full(36, 67.0)]), 10)
    rng = np.random.default_rng(5)
    blocks = blocks_of(len(angle), RATE, np.arange(20, 560, 56))
    trace = bump(angle, 200) + rng.normal(0, 0.3, len(angle))
    found = tuning_of(
        trace, trace, angle, velocity, frame_rate=RATE, blocks=blocks,
        edges=velocity_edges(velocity), decay_s=0,
    )  # fmt: skip
    assert found.angle_p < 0.002


def test_one_direction_has_one_slope():
    rng = np.random.default_rng(10)
    trace = decayed(0.5 * np.abs(VELOCITY) / 100) + rng.normal(0, 0.1, N)
    found = tuning_of(
        trace, trace, -np.abs(ANGLE), -np.abs(VELOCITY), frame_rate=RATE, blocks=BLOCKS,
        edges=velocity_edges(VELOCITY), decay_s=0.8,
    )  # fmt: skip
    assert found.slope == pytest.approx(-0.5, abs=0.1)
    assert np.isnan(found.speed_slope)
    assert found.velocity_p < 0.002


def test_of_a_single_turn_nothing_can_be_told():
    angle = np.linspace(0, 359, 400)
    rng = np.random.default_rng(6)
    trace = bump(angle, 200) + rng.normal(0, 0.1, 400)
    found = tuning_of(
        trace, trace, angle, np.ones(400), frame_rate=RATE, blocks=blocks_of(400, RATE * 100),
        edges=velocity_edges(np.ones(400)), decay_s=0,
    )  # fmt: skip
    assert found.angle_p > 0.05
    assert np.isnan(found.angle_variance)


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, "tuned"),
        ({"angle_brightness": True}, "brightness"),
        ({"angle_brightness": True, "angle_variance": -0.2}, "not foretold"),
        ({"angle_p": 0.2}, "chance"),
        ({"angle_p": np.nan}, "few angles"),
        ({"angle_variance": np.nan}, "single turn"),
        ({"angle_p": np.nan, "angle_variance": np.nan, "slope": np.nan}, "few samples"),
        ({"n_samples": 20}, "few samples"),
    ],
)
def test_what_is_not_called_tuned_has_a_reason(changed, verdict):
    one = dataclasses.replace(
        tuned(spontaneous(np.random.default_rng(9))),
        **{"angle_p": 0.001, "angle_variance": 0.2, "angle_brightness": False} | changed,
    )
    called = call([one] * 3, "angle")
    assert called.verdict.tolist() == [verdict] * 3
    assert called.tuned.all() == called.tuned.any() == (verdict == "tuned")
    assert set(VERDICTS) >= {verdict}


def test_without_cells_there_are_no_verdicts():
    assert call([], "velocity").verdict.shape == (0,)
    assert call([], "velocity").tuned.dtype == bool


def test_tuned_cells_are_called_so_among_others():
    rng = np.random.default_rng(10)
    follows = [decayed(bump(ANGLE, at)) + 0.1 * rng.normal(size=N) for at in (40, 160, 290)]
    found = [tuned(trace) for trace in (*follows, *(spontaneous(rng) for _ in range(9)))]
    assert call(found, "angle").tuned[:3].all()
    assert call(found, "angle").tuned[3:].sum() <= 1


def test_a_cell_seen_at_few_angles_tells_nothing_of_them():
    rng = np.random.default_rng(7)
    trace = rng.normal(1, 0.1, N)
    trace[np.abs(ANGLE) % 360 > 100] = np.nan
    found = tuned(trace)
    assert np.isnan([found.angle_p, found.preferred_angle, found.width]).all()
    assert np.isnan(found.angle_curve).sum() > 12
    assert np.isfinite(found.velocity_p)


@pytest.mark.parametrize(
    "trace", [np.full(N, np.nan), np.zeros(N), np.where(np.arange(N) < 9, 1, np.nan)]
)
def test_nothing_to_tell_is_no_number(trace):
    found = tuned(trace)
    assert np.isnan([found.angle_p, found.velocity_p, found.slope]).all()
    assert call([found], "velocity").verdict == ["few samples"]
    assert not found.angle_brightness


def test_samples_that_are_missing_do_not_pass_for_tuning():
    rng = np.random.default_rng(8)
    p = []
    for k in range(40):
        trace = 1 + spontaneous(rng) + rng.normal(0, 0.1, N)
        trace[(np.abs(ANGLE) % 360 > 150) & (np.abs(ANGLE) % 360 < 260)] = np.nan
        p.append(tuned(trace, seed=k).angle_p)
    assert np.mean(np.array(p) < 0.05) < 0.18


def test_loops_and_transforms_shift_alike():
    rng = np.random.default_rng(9)
    own, left = rng.normal(size=(N, 3)), rng.normal(size=N)
    shifts = draw_shifts(BLOCKS, rng)
    assert np.all(shifts.max(axis=1) == np.diff(BLOCKS.edges) - 1)
    one, other, plain = (np.zeros((shifts.shape[1], 3)) for _ in range(3))
    add_shifted(own, left, BLOCKS.edges, shifts, one)
    add_by_transforms(own, left, BLOCKS, shifts, other)
    for part, shift in zip(BLOCKS.slices(), shifts, strict=True):
        for m, s in enumerate(shift):
            plain[m] += own[part].T @ np.roll(left[part], s)
    np.testing.assert_allclose(one, plain, atol=1e-9)
    np.testing.assert_allclose(other, plain, atol=1e-9)


def test_a_wave_has_half_a_turn_of_width():
    weights = np.zeros(8)
    weights[0], weights[4] = np.cos(np.radians(70)), np.sin(np.radians(70))
    found = _shape_of(weights)
    assert found["preferred_angle"] == pytest.approx(70)
    assert found["peak_angle"] == 70
    assert found["peak"] == pytest.approx(2, abs=1e-3)
    assert found["width"] == pytest.approx(180, abs=2)
    assert found["vector_length"] == pytest.approx(0.5, abs=1e-3)


def test_blocks_begin_before_rotations_or_last_a_minute():
    blocks = blocks_of(1000, 10.0, [100, 400, 700])
    assert blocks.edges.tolist() == [0, 380, 680, 1000]
    assert blocks_of(3000, 10.0).edges.tolist() == [0, 600, 1200, 1800, 2400, 3000]
    assert blocks_of(100, 10.0).edges.tolist() == [0, 100]
    folds = np.sort(np.concatenate(BLOCKS.folds()))
    assert np.array_equal(folds, np.arange(len(BLOCKS)))


def test_false_discovery_rates_are_those_of_the_paper():
    # Table 1 of Benjamini and Hochberg (1995): four of fifteen at 5 %.
    p = np.array([0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459,
                  0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0])  # fmt: skip
    rng = np.random.default_rng(0)
    order = rng.permutation(15)
    q = false_discovery_rate(np.append(p[order], np.nan))
    assert np.array_equal(q[:-1] <= 0.05, p[order] <= 0.0095)
    assert np.isnan(q[-1])
