"""Figures of merit against what was done to a session on purpose."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from derotation.plots.quality import (
    plot_blob,
    plot_coverage_over_time,
    plot_mean_by_angle,
    plot_quality_over_time,
    plot_residual_shift,
)
from derotation.quality.figures import SPECIFICATIONS
from derotation.quality.residual import shift_between
from derotation.settings.schema import config_schema
from derotation.simulate.scene import random_scene
from derotation.streaming import collector
from unit.judged import SHAPE, flawless_events, judge, simulated
from unit.sessions import true_angles

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def recording():
    return simulated()


@pytest.fixture(scope="module")
def flawless(recording, tmp_path_factory):
    """Quality and statistics of the recording as it is; tests only look at them."""
    return judge(recording, tmp_path_factory.mktemp("flawless"))


def test_a_good_session_is_ok(flawless):
    quality, _ = flawless
    assert quality.flag == "ok", quality.advice
    assert quality.advice == []
    assert quality["residual_shift_px"].value < 0.1
    assert quality["sharpness_gain"].value > 2
    assert quality["rotating_correlation"].before < 0.3
    assert quality["ptd_px"].value < quality["ptd_px"].before


def test_images_of_squares_of_pixels_say_the_same(recording, flawless, tmp_path, monkeypatch):
    """Those of large frames are averaged before they are compared; here, of a small one."""
    whole, _ = flawless
    monkeypatch.setattr(collector, "MEAN_SIZE", min(SHAPE) // 2)
    quality, statistics = judge(recording, tmp_path)
    assert statistics.side == 2
    assert quality.flag == "ok", quality.advice
    # Twice as coarse, and yet a fifth of a pixel.
    assert quality["residual_shift_px"].value < 0.2
    before = whole["residual_shift_px"].before
    assert quality["residual_shift_px"].before == pytest.approx(before, rel=0.1)
    assert quality["ptd_px"].value < 0.5
    assert quality["sharpness_gain"].value == pytest.approx(whole["sharpness_gain"].value, rel=0.1)
    np.testing.assert_allclose(quality.blob.positions[0], whole.blob.positions[0], atol=1.0)
    plot_mean_by_angle(statistics).savefig(tmp_path / "mean.png")


def test_wrong_center(recording, tmp_path):
    """About a center that is wrong by e the picture at angle a is shifted by 2 |e| sin(a / 2)."""
    wrong = np.add(recording.center, (2.0, -2.0))
    quality, _ = judge(recording, tmp_path, center=tuple(wrong))
    figure = quality["center_error_px"]
    assert figure.value == pytest.approx(np.hypot(2, 2), abs=0.2)
    assert quality.advice[0] == figure.sentence
    assert figure.flag == "bad"
    assert "center.method" in figure.sentence
    residual = quality.residual
    lengths = np.hypot(*residual.shift.T)
    expected = 2 * np.hypot(2, 2) * np.abs(np.sin(np.deg2rad(residual.angle / 2)))
    known = np.isfinite(lengths)
    assert known.sum() > 0.7 * len(known)
    np.testing.assert_allclose(lengths[known], expected[known], atol=0.5)
    assert quality["residual_shift_px"].flag == "bad"


def test_wrong_sign(recording, tmp_path):
    angles = true_angles(recording)
    flipped = dataclasses.replace(
        angles, line_angles=-angles.line_angles, frame_angles=-angles.frame_angles
    )
    quality, _ = judge(recording, tmp_path, angles=flipped)
    assert quality["direction_sign"].value == -1
    assert "Flip angles.direction_sign" in quality.advice[0]
    assert quality["residual_shift_px"].flag in ("none", "bad")
    assert quality["center_error_px"].value is None
    assert quality["center_error_px"].sentence.startswith("Not measured")


@pytest.mark.parametrize("late", [1, -1])
def test_clock_shifted_by_a_frame(recording, tmp_path, late):
    """The movie lost its first frame (or has one more), and ends with one more (or lost it)."""
    quality, _ = judge(recording, tmp_path, movie=np.roll(recording.movie, -late, axis=0))
    assert quality["clock_shift_frames"].value == 1
    assert ("later" if late > 0 else "earlier") in quality.advice[0]
    assert "frame clock" in quality.advice[0]


def test_tilt_ignored(tmp_path):
    tilted = simulated(plane_angle=25.0, plane_orientation=30.0)
    quality, _ = judge(tilted, tmp_path)
    figure = quality["tilt_left_px"]
    # Points at a distance r lie nearer to the center by up to (1 - cos t) r, in every other frame.
    assert figure.value == pytest.approx(2 * np.tan(np.deg2rad(12.5)) ** 2 * 45, rel=0.25)
    assert figure.flag in ("look", "bad")
    assert "plane.correct" in figure.sentence
    corrected, _ = judge(tilted, tmp_path, plane_angle=25.0, plane_orientation=30.0)
    assert corrected["tilt_left_px"].flag == "ok"


def test_lag_left(recording, tmp_path):
    """Angles that come 12 ms late leave a picture that turns by 150 degrees/s turned by 1.8."""
    late = true_angles(recording).shifted(-12.0)
    quality, _ = judge(recording, tmp_path, angles=late)
    assert quality["turn_left_deg"].value == pytest.approx(1.8, abs=0.4)
    assert "angles.lag_ms" in quality["turn_left_deg"].sentence


def test_laser_off_for_half_of_the_session(recording, tmp_path):
    movie = recording.movie.copy()
    half = len(movie) // 2
    noise = np.random.default_rng(0).normal(100, 5, movie[half:].shape)
    movie[half:] = noise.astype(movie.dtype)
    quality, statistics = judge(recording, tmp_path, movie=movie)
    share = 100 * (len(movie) - half) / len(movie)
    assert quality["dark_frames_pct"].value == pytest.approx(share)
    assert "laser" in quality.advice[0]
    assert [f.name for f in quality.figures if f.flag in ("look", "bad")] == ["dark_frames_pct"]
    plot_coverage_over_time(statistics, true_angles(recording)).savefig(tmp_path / "c.png")


def test_figures_of_the_signals(recording, tmp_path):
    inserted = np.zeros(100, bool)
    inserted[:5] = True
    events = flawless_events(
        tick_inserted=inserted,
        line_repaired=np.eye(5, 4, dtype=bool),
        rotation_turned=np.array([360.0, 340.0]),
    )
    quality, _ = judge(recording, tmp_path, events=events)
    assert quality["ticks_inserted_pct"].value == 5
    assert quality["ticks_inserted_pct"].flag == "look"
    assert quality["lines_repaired_pct"].value == 20
    assert quality["rotation_error_deg"].value == 20
    assert "340.0 degrees" in quality["rotation_error_deg"].sentence
    # Bad ones come first, then those to look at; each in the order of causes.
    flags = [next(f for f in quality.figures if f.sentence == s).flag for s in quality.advice]
    assert flags == sorted(flags)


def test_thresholds_of_the_configuration(recording, tmp_path):
    strict = {
        "coverage": {"look": 0.999, "bad": None},
        "sharpness_gain": {"look": None, "bad": 1e6},
    }
    quality, _ = judge(recording, tmp_path, config=strict)
    assert quality["coverage"].flag == "look"
    assert quality["sharpness_gain"].flag == "bad"
    assert quality["sharpness_gain"].look is None


def test_nothing_to_compare_is_said_and_not_guessed(recording, tmp_path):
    angles = true_angles(recording)
    unknown = dataclasses.replace(
        angles,
        line_angles=np.full_like(angles.line_angles, np.nan),
        line_usable=np.zeros_like(angles.line_usable),
    )
    quality, statistics = judge(recording, tmp_path, angles=unknown)
    for name in ("residual_shift_px", "rotating_correlation", "direction_sign", "tilt_left_px"):
        assert quality[name].value is None
        assert quality[name].flag == "none"
        assert quality[name].sentence
    plot_residual_shift(quality).savefig(tmp_path / "a.png")
    plot_mean_by_angle(statistics).savefig(tmp_path / "b.png")


def test_noise_has_no_shift(tmp_path):
    """Pictures of noise, and of two different scenes, have no shift that could be told."""
    rng = np.random.default_rng(5)
    seen = np.ones(SHAPE, bool)
    scenes = [random_scene(SHAPE, 30, rng).on_grid(SHAPE) for _ in range(2)]
    for image, reference in (rng.normal(size=(2, *SHAPE)), scenes):
        assert np.isnan(shift_between(image, seen, reference)).all()


@pytest.mark.parametrize("shift", [(0.3, -0.45), (5.2, 3.7), (-11.5, 0.25)])
def test_shift_is_the_one_imposed(shift):
    """A scene moved by splines (SciPy), a tenth of it unseen."""
    scene = random_scene((120, 110), 30, np.random.default_rng(3)).on_grid((120, 110))
    moved = ndimage.shift(scene, (shift[1], shift[0]), order=5, mode="nearest")
    seen = np.ones(scene.shape, bool)
    seen[:, :11] = False
    found = shift_between(np.where(seen, moved, np.nan), seen, scene)
    np.testing.assert_allclose(found, shift, atol=0.05)


def test_saved_and_drawn(recording, flawless, tmp_path):
    quality, statistics = flawless
    quality.save(tmp_path / "quality.json")
    content = json.loads((tmp_path / "quality.json").read_text())
    assert content["kind"] == "derotation quality"
    assert [f["name"] for f in content["figures"]] == [s.name for s in SPECIFICATIONS]
    assert set(content["figures"][0]) == {
        "name", "title", "unit", "value", "before", "flag", "look", "bad", "sentence",
        "explained_by",
    }  # fmt: skip
    for figure in (
        plot_residual_shift(quality),
        plot_mean_by_angle(statistics),
        plot_blob(quality, statistics),
        plot_quality_over_time(quality),
        plot_coverage_over_time(statistics, true_angles(recording)),
    ):
        figure.savefig(tmp_path / "plot.png")
        assert (tmp_path / "plot.png").stat().st_size > 5000


def test_the_schema_has_thresholds_of_each_figure():
    described = config_schema()["properties"]["quality"]["properties"]
    assert list(described) == [s.name for s in SPECIFICATIONS]
    for spec in SPECIFICATIONS:
        way = "above" if spec.worse == "high" else "below"
        text = described[spec.name]["description"]
        assert text == f"{spec.title}; worse {way} these thresholds."
        for limit in described[spec.name]["properties"].values():
            assert limit.get("unit", "") == spec.unit


def test_the_table_of_the_documentation_is_up_to_date():
    path = ROOT / "docs" / "tools" / "quality_figures.py"
    spec = importlib.util.spec_from_file_location("quality_figures", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.PAGE.read_text() == tool.page(), "run: python docs/tools/quality_figures.py"
