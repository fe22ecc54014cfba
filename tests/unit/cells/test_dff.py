"""Baselines, dF/F and brightness by angle, against closed forms."""

import numpy as np
import pytest

from derotation.cells.dff import brightness_by_angle, delta_f_over_f, sliding_baseline

RATE = 10.0
FRAMES = np.arange(6000)


def events(rng, n=30, size=200.0):
    """Transients that decay, on nothing."""
    trace = np.zeros(len(FRAMES))
    for start in rng.integers(0, len(FRAMES) - 100, n):
        trace[start : start + 100] += size * np.exp(-np.arange(100) / 10)
    return trace


@pytest.mark.parametrize("method", ["percentile", "maximin"])
def test_the_baseline_follows_bleaching_below_transients(method):
    rng = np.random.default_rng(0)
    level = 300 * np.exp(-FRAMES / 9000)
    trace = level + events(rng) + rng.normal(0, 10, len(FRAMES))
    found = sliding_baseline(trace, RATE, method=method)
    assert np.abs(found / level - 1).max() < 0.12
    assert np.abs(np.median(found / level) - 1) < 0.04


@pytest.mark.parametrize("method", ["percentile", "maximin"])
def test_what_was_not_seen_does_not_matter(method):
    rng = np.random.default_rng(1)
    trace = 100 + rng.normal(0, 1, len(FRAMES))
    holes = trace.copy()
    holes[rng.random(len(FRAMES)) < 0.4] = np.nan
    both = [sliding_baseline(one, RATE, method=method) for one in (trace, holes)]
    assert np.abs(both[0] - both[1]).max() < 1.0
    assert np.isnan(sliding_baseline(np.full(50, np.nan), RATE, method=method)).all()


def test_dff_is_the_cells_own_change():
    rng = np.random.default_rng(2)
    cell, around = events(rng, size=1.5), 0.5 * events(rng)
    neuropil = 100 + around
    fluorescence = 200 * (1 + cell) + 0.7 * neuropil
    found = delta_f_over_f(fluorescence, neuropil, RATE, neuropil_weight=0.7)
    assert np.abs(found - cell).max() < 0.03
    # Without the neuropil's share its changes remain.
    left = delta_f_over_f(fluorescence, neuropil, RATE, neuropil_weight=0.0)
    assert np.corrcoef(left - 200 * cell / 270, around)[0, 1] > 0.9


def test_samples_not_seen_stay_unknown():
    trace = np.full(500, 50.0)
    trace[100:120] = np.nan
    around = np.full(500, 10.0)
    around[200:210] = np.nan
    found = delta_f_over_f(trace, around, RATE)
    unknown = np.zeros(500, bool)
    unknown[100:120] = unknown[200:210] = True
    assert np.array_equal(np.isnan(found), unknown)
    # A neuropil that is nowhere known is left out.
    alone = delta_f_over_f(trace, np.full(500, np.nan), RATE)
    assert np.isnan(alone).sum() == 20


def test_a_cell_darker_than_its_neuropil_has_no_dff():
    found = delta_f_over_f(np.full(300, 10.0), np.full(300, 20.0), RATE)
    assert np.isnan(found).all()


def test_light_that_comes_with_the_angle_is_found():
    rng = np.random.default_rng(3)
    angle = np.mod(FRAMES * 2.3, 360)
    light = np.exp(0.3 * np.cos(np.radians(angle - 40)) + 0.1 * np.sin(np.radians(3 * angle)))
    trace = 80 * np.exp(-FRAMES / 8000) * light * rng.normal(1, 0.05, len(FRAMES))
    found = brightness_by_angle(trace, angle, RATE)
    assert np.abs(found / light - 1).max() < 0.03


def test_a_quiet_cells_light_is_told_from_its_activity():
    rng = np.random.default_rng(4)
    angle = np.mod(FRAMES * 2.3, 360)
    # Active at 90 degrees in half of all turns.
    turn = FRAMES * 2.3 // 360
    active = (np.abs(angle - 90) < 30) & (turn % 2 == 0)
    trace = 100 * (1 + 2 * active) * rng.normal(1, 0.02, len(FRAMES))
    plain, quiet = (brightness_by_angle(trace, angle, RATE, quiet=q) for q in (False, True))
    assert np.ptp(quiet) < 0.15
    assert np.ptp(plain) > 0.3


def test_too_few_angles_tell_nothing():
    angle = np.where(FRAMES % 2 == 0, 0.0, 30.0)
    assert np.all(brightness_by_angle(1 + FRAMES % 2, angle, RATE) == 1)
