"""What is wrong with recorded angles, from made-up differences."""

import re

import numpy as np
import pytest

from derotation.quality.angle_faults import find_angle_fault

N = 600
TIME = np.arange(N) / 10
SEEN = 150 * np.sin(2 * np.pi * TIME / 25) + 40 * np.sin(2 * np.pi * TIME / 7.3)
CHECKED = np.linspace(0, N - 1, 48).round().astype(int)


def fault(recorded, seen=SEEN, source="quadrature", noise=0.3, missing=0.2, seed=1):
    rng = np.random.default_rng(seed)
    found = seen[CHECKED] - np.asarray(recorded)[CHECKED] + rng.normal(0, noise, len(CHECKED))
    found = (found - found[0] + 180) % 360 - 180
    found[rng.random(len(found)) < missing] = np.nan
    return find_angle_fault(TIME, np.asarray(recorded), CHECKED, found, source)


RATIOS = [0.5, 2, 4, 0.25, 1.02, 0.98, 1.111, -2, 57.2958 / 6]


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize(
    ("source", "key", "inverse"),
    [
        ("quadrature", "angles.quadrature.counts_per_turn", True),
        ("voltage", "angles.voltage.degrees_per_volt", False),
        ("ticks", "signals.rotation_increment", False),
        ("table", "have to be multiplied", False),
    ],
)
def test_a_constant_ratio_names_its_key_and_value(ratio, source, key, inverse):
    found = fault(SEEN / ratio, source=source)
    said = float(re.search(r"turns ([\d.]+) times as far", found.said)[1])
    assert said == pytest.approx(abs(ratio), rel=0.005)
    assert key in found.advice
    number = float(re.search(r"(?:likely|by) (-?[\d.]+)", found.advice)[1].rstrip("."))
    expected = 1 / abs(ratio) if inverse else abs(ratio)
    assert abs(number) == pytest.approx(expected, rel=0.005)
    assert ("the other way" in found.said) is (ratio < 0)


@pytest.mark.parametrize("turns", [3, 20])
def test_a_ratio_over_many_turns(turns):
    seen = 360 * turns * TIME / TIME[-1]
    found = fault(seen / 1.25 % 360, seen, "voltage")
    assert "1.25 times" in found.said


def test_radians_in_a_table_are_called_so():
    found = fault(np.deg2rad(4 * SEEN), 4 * SEEN, "table")
    # The range is too small to tell it from a sample that turns by itself.
    assert found is None or "radians" in found.advice


def test_exchanged_channels_and_samples_that_stay():
    sign = fault(-SEEN)
    assert sign.is_sign
    assert "direction_sign" in sign.advice
    assert "A and B" in sign.advice
    assert "does not turn at all" in fault(SEEN, 0 * SEEN, "ticks").said


@pytest.mark.parametrize("source", ["quadrature", "voltage", "ticks", "table"])
@pytest.mark.parametrize("at", [200, 350, 480])
def test_a_source_that_dies(source, at):
    recorded = np.where(np.arange(N) < at, SEEN, SEEN[at])
    found = fault(recorded, source=source)
    # Near the turn of a swing the angle hardly changes before.
    assert float(re.search(r"From ([\d.]+) s", found.said)[1]) == pytest.approx(TIME[at], abs=0.5)
    assert f"stays at {SEEN[at]:.1f} degrees" in found.said


@pytest.mark.parametrize("end", [1, -1])
def test_a_voltage_that_is_clipped(end):
    recorded = np.clip(SEEN, -300, 110) if end == 1 else np.clip(SEEN, -110, 300)
    found = fault(recorded, source="voltage")
    assert f"never goes beyond {110.0 * end:.1f} degrees" in found.said
    assert "range" in found.said


def test_ticks_without_direction():
    recorded = np.cumsum(np.abs(np.diff(SEEN, prepend=SEEN[0])))
    checked = np.arange(0, N, 4)
    difference = (SEEN - recorded)[checked]
    found = find_angle_fault(TIME, recorded, checked, (difference + 180) % 360 - 180, "ticks")
    assert "Ticks alone do not tell the direction" in found.advice


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_found_where_nothing_is(seed):
    assert fault(SEEN, seed=seed) is None
    # A tilt and a lag leave differences of a few degrees that follow no ratio.
    wave = SEEN + 1.5 * np.sin(2 * np.deg2rad(SEEN)) + 0.02 * np.gradient(SEEN, TIME)
    assert fault(wave, seed=seed) is None
    # One rotation that was missed, and a jump.
    missed = SEEN + np.where((TIME > 20) & (TIME < 27), 70, 0)
    assert fault(missed, seed=seed) is None
    assert fault(SEEN + np.where(TIME > 30, 25, 0), seed=seed) is None
    # Angles that have nothing to do with the movie.
    rng = np.random.default_rng(seed)
    assert fault(np.cumsum(rng.normal(0, 5, N)), seed=seed) is None


def test_rest_at_the_end_is_not_dead():
    seen = np.where(TIME < 40, SEEN, SEEN[400])
    assert fault(seen, seen) is None
