"""What happened to a session is told; each cause against what was done to the recording."""

import csv
import dataclasses
import re

import numpy as np
import pytest
from scipy import ndimage

from derotation.export.bad_frames import bad_frames
from derotation.quality import change_figures, frame_figures, jump_and_drift, scan_figures
from derotation.quality.figures import SPECIFICATIONS
from derotation.quality.judge import flagged
from derotation.signals.segments import Segments
from derotation.simulate import Sinusoid
from unit.judged import flawless_events, judge, simulated
from unit.sessions import true_angles

STIMULUS = ((100.0, 1), (150.0, -1), (150.0, 1), (100.0, -1))


@pytest.fixture(scope="module")
def recording():
    return simulated(stimulus=STIMULUS)


def angles_of(recording):
    """The true angles; rotations are numbered as they follow each other."""
    angles = true_angles(recording)
    moving = angles.rotation >= 0
    number = np.cumsum(np.diff(np.concatenate([[False], moving]).astype(int)) == 1) - 1
    return dataclasses.replace(angles, rotation=np.where(moving, number, -1).astype(np.int32))


def judged(recording, folder, movie=None, **options):
    options.setdefault("angles", angles_of(recording))
    return judge(recording, folder, movie=movie, **options)


@pytest.fixture(scope="module")
def flawless(recording, tmp_path_factory):
    """Quality and statistics of the recording as it is; tests only look at them."""
    return judged(recording, tmp_path_factory.mktemp("flawless"))


def half_of(recording):
    """The frame in the middle of the session's middle rest."""
    at_rest = np.flatnonzero(np.all(recording.line_angles % 360 == 0, axis=1))
    return int(at_rest[np.argmin(np.abs(at_rest - len(recording.movie) / 2))])


def test_good_segments(flawless):
    quality, _ = flawless
    along = quality.along
    assert quality.flag == "ok", quality.advice
    assert along.segments.rest.tolist() == [True, False] * 4 + [True]
    assert not along.bad.any()
    assert not any(along.what)
    rests = along.segments.rest
    assert np.abs(along.shift[rests]).max() < 0.1
    assert np.abs(along.scale_pct[rests]).max() < 0.5
    assert along.sharpness[rests].min() > 0.85
    assert along.likeness[~rests].min() > 0.9
    np.testing.assert_allclose(along.brightness[rests], 1, atol=0.1)


@pytest.mark.parametrize("n", [1, 3])
def test_lost_frames(recording, tmp_path, n):
    at = half_of(recording) + 10
    movie = np.delete(recording.movie, range(at, at + n), axis=0)
    movie = np.concatenate([movie, np.repeat(movie[-1:], n, axis=0)])
    quality, _ = judged(recording, tmp_path, movie)
    said = quality.advice[0]
    number = {1: "one frame", 3: "three frames"}[n]
    assert f"the angles of {number} later" in said
    assert f"{number} {'was' if n == 1 else 'were'} lost" in said
    first, last = map(int, re.search(r"frames (\d+) and (\d+)", said).groups())
    assert first <= at <= last + n
    assert quality["clock_shift_frames"].value == n
    assert not any("lag_ms" in sentence for sentence in quality.advice)
    along = quality.along
    frames = along.bad_frames()
    assert not frames[: at - 12].any()
    assert frames[last:].mean() > 0.5


def test_frame_saved_twice(recording, tmp_path):
    at = half_of(recording)
    movie = np.concatenate([recording.movie[: at + 1], recording.movie[at:-1]])
    quality, _ = judged(recording, tmp_path, movie)
    assert "one frame earlier: one frame too many came in" in quality.advice[0]


def test_a_rotation_that_the_encoder_missed(recording, tmp_path):
    angles = angles_of(recording)
    missed = np.flatnonzero(angles.rotation == 2)
    lines = angles.line_angles.copy()
    lines[missed[0] - 1 : missed[-1] + 2] = 0.0
    quality, _ = judged(
        recording, tmp_path, angles=dataclasses.replace(angles, line_angles=lines)
    )  # fmt: skip
    figure = quality["angle_difference_deg"]
    assert figure.flag == "bad"
    assert figure.value > 45
    assert "the seen angle differs by up to" in quality.advice[0]
    begin, end = map(
        float, re.search(r"Between ([\d.]+) and ([\d.]+) s", quality.advice[0]).groups()
    )
    seconds = (angles.frame_start - angles.frame_start[0]) / angles.sampling_rate
    assert begin == pytest.approx(seconds[missed[0]], abs=1)
    assert end == pytest.approx(seconds[missed[-1]], abs=1)


def test_an_angle_that_is_wrong_from_some_time_on(recording, tmp_path):
    angles = angles_of(recording)
    lines = angles.line_angles.copy()
    at = half_of(recording)
    lines[at:] += 25.0
    quality, _ = judged(
        recording, tmp_path, angles=dataclasses.replace(angles, line_angles=lines)
    )  # fmt: skip
    assert re.search(r"From [\d.]+ s on the seen angle differs by 25\.\d deg", quality.advice[0])
    assert quality["angle_difference_deg"].value == pytest.approx(25, abs=1)


def test_an_angle_that_is_wrong_in_two_frames_that_were_compared(recording, flawless, tmp_path):
    angles = angles_of(recording)
    _, statistics = flawless
    told = statistics.checked[np.isfinite(statistics.angle_difference)]
    lines = angles.line_angles.copy()
    k = len(told) // 2
    lines[told[k] - 1 : told[k + 1] + 2] += 25.0
    quality, _ = judged(
        recording, tmp_path, angles=dataclasses.replace(angles, line_angles=lines)
    )  # fmt: skip
    assert quality["angle_difference_deg"].value == pytest.approx(25, abs=2)


def test_angles_by_a_wrong_scale_name_it(recording, tmp_path):
    angles = angles_of(recording)
    lines = np.unwrap(angles.line_angles.ravel(), period=360).reshape(angles.line_angles.shape)
    wrong = dataclasses.replace(angles, line_angles=lines / 1.25)
    events = flawless_events(angle_source="voltage")
    quality, _ = judged(recording, tmp_path, angles=wrong, events=events)
    assert "turns 1.25 times as far" in quality.advice[0]
    assert "degrees_per_volt right? It is likely 1.25 times" in quality.advice[0]
    assert quality["angle_difference_deg"].explained_by is None
    assert not any("lag_ms" in sentence for sentence in quality.advice)


def test_angles_that_stop_name_when(recording, tmp_path):
    angles = angles_of(recording)
    at = int(np.flatnonzero(angles.rotation == 2)[3])
    lines = angles.line_angles.copy()
    lines[at:] = lines[at, 0]
    wrong = dataclasses.replace(angles, line_angles=lines)
    events = flawless_events(angle_source="quadrature")
    quality, _ = judged(recording, tmp_path, angles=wrong, events=events)
    assert "the encoder does not count any more" in quality.advice[0]
    assert f"(frame {at})" in quality.advice[0]


@pytest.mark.parametrize("moves", [True, False])
def test_a_sample_that_moves_and_never_rests(tmp_path, moves):
    free = simulated(
        protocol="free", motion=Sinusoid(amplitude=80, frequency=0.1), n_frames=160,
        center_offset=(4.0, -3.0),
    )  # fmt: skip
    movie = free.movie.copy()
    if moves:
        movie[80:] = [ndimage.shift(f, (-4, 5), order=1, mode="nearest") for f in movie[80:]]
    quality, _ = judged(free, tmp_path, movie, angles=true_angles(free))
    figure = quality["sample_moved_px"]
    if not moves:
        assert figure.value is None
        return
    assert figure.flag == "bad"
    begin, end = map(float, re.search(r"between ([\d.]+) and ([\d.]+) s", figure.sentence).groups())
    assert begin - 0.5 <= 80 / 8 <= end + 0.5
    assert not any("center.method" in sentence for sentence in quality.advice)


def test_right_angles_are_seen_to_be_right(flawless):
    quality, _ = flawless
    figure = quality["angle_difference_deg"]
    assert figure.flag == "ok"
    assert figure.value < 0.5
    assert "is the recorded one" in figure.sentence


def test_sample_moved(recording, tmp_path):
    at = half_of(recording)
    movie = recording.movie.copy()
    movie[at:] = [ndimage.shift(f, (-6, 8), order=1, mode="nearest") for f in movie[at:]]
    quality, _ = judged(recording, tmp_path, movie)
    assert "px further right and up" in quality.advice[0]
    dx, dy = map(float, re.search(r"lies ([\d.]+), ([\d.]+) px", quality.advice[0]).groups())
    assert [dx, dy] == pytest.approx([8, 6], abs=0.4)
    after = int(re.search(r"from rest (\d) on", quality.advice[0])[1])
    told = re.search(r"the objective moved between ([\d.]+) and ([\d.]+) s", quality.advice[0])
    since, until = map(float, told.groups())
    angles = angles_of(recording)
    assert since < (angles.frame_start[at] - angles.frame_start[0]) / angles.sampling_rate < until
    assert until == pytest.approx(quality.along.start_s[quality.along.rests[after - 1]], abs=0.06)
    assert quality["sample_moved_px"].value == pytest.approx(10, abs=0.3)
    assert quality["sample_moved_px"].flag == "bad"
    assert len(quality.advice) == 1
    assert not any("lag_ms" in sentence for sentence in quality.advice)


@pytest.mark.parametrize(("size", "flag"), [(5.0, "ok"), (20.0, "bad")])
def test_a_jump_that_was_corrected_is_said_and_a_large_one_is_bad(recording, flawless, size, flag):
    """The frames lie upon each other, since they were shifted as motion."""
    quality, statistics = flawless
    moved = np.zeros((len(recording.movie), 2))
    moved[quality.along.first[3] :] = [0.6 * size, -0.8 * size]
    figure = jump_and_drift.sample_moved(quality.along, statistics, angles_of(recording), moved)
    assert f"lies {0.6 * size:.1f}, {0.8 * size:.1f} px further right and up" in figure.said
    assert figure.before == pytest.approx(size, abs=0.1)
    assert ("is corrected" in figure.said) == (flag == "ok")
    assert figure.value == pytest.approx(0.0 if flag == "ok" else size, abs=0.1)
    (spec,) = (s for s in SPECIFICATIONS if s.name == "sample_moved_px")
    assert flagged(spec, figure, {"look": 0.5, "bad": 2.0}).flag == flag


def test_drift(recording, tmp_path):
    parts = np.linspace(0, 1, len(recording.movie))
    movie = np.stack(
        [
            ndimage.shift(f, (0, -2 * p), order=1, mode="nearest")
            for p, f in zip(parts, recording.movie, strict=True)
        ]
    )
    quality, _ = judged(recording, tmp_path, movie)
    assert "drifts" in quality.advice[0]
    assert "further left" in quality.advice[0]
    # From the middle of the first rest to that of the last one.
    assert quality["sample_moved_px"].value == pytest.approx(1.85, abs=0.2)


def test_moved_for_a_while(recording, tmp_path):
    n = len(recording.movie)
    movie = recording.movie.copy()
    away = slice(int(0.3 * n), int(0.7 * n))
    movie[away] = np.roll(movie[away], 6, axis=1)
    quality, _ = judged(recording, tmp_path, movie)
    assert "6.0 px further down from rest" in quality.advice[0]
    assert "comes back" in quality.advice[0]


def test_out_of_focus(recording, tmp_path):
    at = half_of(recording)
    movie = recording.movie.copy()
    movie[at:] = [ndimage.gaussian_filter(f.astype(float), 3) for f in movie[at:]]
    quality, _ = judged(recording, tmp_path, movie)
    assert "out of focus" in quality.advice[0]
    assert quality["focus_sharpness"].value < 0.5


@pytest.mark.parametrize("percent", [5, -4])
def test_zoom(recording, tmp_path, percent):
    at = half_of(recording)
    scale = 1 + percent / 100
    middle = (np.array(recording.movie.shape[1:]) - 1) / 2
    movie = recording.movie.copy()
    movie[at:] = [
        ndimage.affine_transform(
            f, np.eye(2) / scale, middle - middle / scale, order=1, mode="nearest"
        )
        for f in movie[at:]
    ]
    quality, _ = judged(recording, tmp_path, movie)
    assert "zoom changed" in quality.advice[0]
    assert ("larger" if percent > 0 else "smaller") in quality.advice[0]
    assert quality["zoom_change_pct"].value == pytest.approx(abs(percent), rel=0.25)


def test_one_rest_of_another_scale_is_no_zoom(flawless):
    """Activity may do that; a zoom lasts longer."""
    quality, _ = flawless
    scale = np.array([0, 0.1, 0, 0, 2.0, 0, 0.1, 0, 0])
    along = dataclasses.replace(quality.along, scale_pct=scale, scale_sd_pct=np.full(9, 0.2))
    assert change_figures.zoom_change(along).value == 0
    scale[6] = 2.1
    assert change_figures.zoom_change(along).value == pytest.approx(2, abs=0.15)


def test_frames_with_more_noise_are_not_the_worst_if_their_mean_fits(recording, flawless):
    quality, statistics = flawless
    turned = angles_of(recording).turned
    likeness, correlation = quality.along.likeness.copy(), quality.along.correlation.copy()
    likeness[3] = 0.5
    noisy = dataclasses.replace(quality.along, likeness=likeness)
    assert frame_figures.rotating_correlation(statistics, turned, noisy).value > 0.9
    correlation[3] = 0.6
    wrong = dataclasses.replace(noisy, correlation=correlation)
    found = frame_figures.rotating_correlation(statistics, turned, wrong)
    assert found.value == 0.5
    assert "The worst is rotation 2" in found.said


def test_rotations_the_wrong_way(recording, tmp_path):
    angles = angles_of(recording)
    lines = angles.line_angles.copy()
    segments = Segments.of(angles)
    for k in (3, 7):  # the second and the fourth rotation
        lines[segments.frames(k)] *= -1
    quality, _ = judged(recording, tmp_path, angles=dataclasses.replace(angles, line_angles=lines))
    assert quality.advice[0].startswith("Rotations 2 and 4")
    assert "are rows 2 and 4 of the stimulus table exchanged?" in quality.advice[0]
    assert quality["direction_sign"].value == 1
    assert quality.along.bad.nonzero()[0].tolist() == [3, 7]


@pytest.mark.parametrize("change", ["upside down", "transposed"])
@pytest.mark.parametrize("sign", [1, -1])
def test_other_pictures(recording, tmp_path, change, sign):
    movie = recording.movie[:, ::-1] if change == "upside down" else recording.movie.swapaxes(1, 2)
    x, y = recording.center
    center = (x, 95 - y) if change == "upside down" else (y, x)
    angles = angles_of(recording)
    angles = dataclasses.replace(angles, line_angles=sign * angles.line_angles)
    quality, _ = judged(
        recording, tmp_path, np.ascontiguousarray(movie), angles=angles, center=center
    )
    words = "upside down" if change == "upside down" else "rows and columns exchanged"
    assert words in quality.advice[0]
    assert quality["other_picture"].value == 1
    # Put right, they turn as they did when they were recorded.
    assert ("turned the other way" in quality.advice[0]) == (sign == -1)
    assert not any("lag_ms" in sentence for sentence in quality.advice)


@pytest.fixture(scope="module")
def two_ways():
    return simulated(stimulus=STIMULUS, bidirectional=True)


@pytest.mark.parametrize("used", [True, False])
@pytest.mark.parametrize("scanned", ["both", "one"])
def test_directions_of_the_scan(recording, two_ways, tmp_path, used, scanned):
    one = two_ways if scanned == "both" else recording
    angles = dataclasses.replace(angles_of(one), bidirectional=used)
    quality, _ = judged(one, tmp_path, angles=angles)
    figure = quality["scan_directions_px"]
    if used == (scanned == "both"):
        assert (figure.value, figure.flag) == (0, "ok")
        return
    # What half a line's turn, at 150 degrees per second, displaces at the edge, twice.
    per_line = np.deg2rad(150) * (one.line_start[0, 1] - one.line_start[0, 0])
    assert figure.value == pytest.approx(angles.line_duty * per_line * 48, rel=0.1)
    assert figure.flag == "look"
    assert "shows the opposite" in quality.advice[0]
    assert "Set scan.bidirectional" in quality.advice[0]


def test_directions_that_nothing_tells(tmp_path):
    dark = simulated(stimulus=STIMULUS, photons_per_pixel=0.3)
    angles = angles_of(dark)
    for told in (True, False):
        asked = dataclasses.replace(angles, scan_told=told)
        quality, _ = judged(dark, tmp_path, angles=asked)
        figure = quality["scan_directions_px"]
        assert "does not tell" in figure.sentence
        assert (figure.flag == "ok") == told
        assert ("one direction is assumed" in figure.sentence) != told


def test_a_phase_that_changes(two_ways, tmp_path):
    at = half_of(two_ways)
    movie = two_ways.movie.copy()
    movie[at:, 1::2] = ndimage.shift(
        movie[at:, 1::2].astype(float), (0, 0, 1.3), order=1, mode="nearest"
    )
    quality, _ = judged(two_ways, tmp_path, movie)
    figure = quality["bidi_phase_change_px"]
    assert figure.value == pytest.approx(1.3, abs=0.15)
    # The pictures of later rests lie further right by half of it, since their odd lines do.
    assert quality["sample_moved_px"].explained_by == "bidi_phase_change_px"
    assert "The phase of the scan changes within the session" in figure.sentence
    assert quality.advice == [figure.sentence]
    first = int(re.search(r"frames (\d+) to", figure.sentence).group(1))
    assert first >= at - 1
    along = quality.along
    wrong = np.array(["bidi_phase_change_px" in what for what in along.what])
    assert not wrong[along.last < at].any()
    assert wrong[along.first > first].all()


def test_phases_of_too_little_light_are_no_change(recording, flawless):
    quality, statistics = flawless
    phase, sd = np.array([0.3, -0.31, 0.82, 0.0]), np.array([0.24, 0.149, 1.06, 0.05])
    dark = dataclasses.replace(
        statistics,
        phase_px=phase,
        phase_sd_px=sd,
        phase_frames=np.array([[0, 5], [6, 9], [20, 25], [30, 35]]),
    )
    angles = angles_of(recording)
    moved = jump_and_drift.sample_moved(quality.along, statistics, angles)
    arguments = angles, quality.along, moved
    assert scan_figures.bidi_phase_change(dark, *arguments).value is None
    known = dataclasses.replace(dark, phase_sd_px=np.full(4, 0.05))
    assert scan_figures.bidi_phase_change(known, *arguments).value == pytest.approx(1.13)


def test_a_phase_that_changes_explains_no_larger_movement(two_ways, tmp_path):
    at = half_of(two_ways)
    movie = two_ways.movie.copy()
    movie[at:] = np.roll(movie[at:], 9, axis=2)
    movie[at:, 1::2] = np.roll(movie[at:, 1::2], 1, axis=2)
    quality, _ = judged(two_ways, tmp_path, movie)
    assert quality["bidi_phase_change_px"].value == pytest.approx(1, abs=0.1)
    assert quality["sample_moved_px"].explained_by is None
    assert any("the sample or the objective moved" in said for said in quality.advice)


def test_the_least_coverage_counts(recording, tmp_path):
    """One rotation is recorded half: its lower half has no angles."""
    angles = angles_of(recording)
    segments = Segments.of(angles)
    usable = angles.line_usable.copy()
    usable[segments.frames(5), 30:] = False
    lines = np.where(usable, angles.line_angles, np.nan)
    quality, _ = judged(
        recording,
        tmp_path,
        angles=dataclasses.replace(angles, line_angles=lines, line_usable=usable),
    )
    figure = quality["coverage"]
    assert figure.value < 0.4
    assert figure.flag == "bad"
    assert "least is seen in rotation 3" in figure.sentence
    assert "coverage" in quality.along.what[5]
    assert quality.along.bad[5]


def test_saturated(recording, tmp_path):
    limit = np.quantile(recording.movie, 0.97)
    quality, _ = judged(recording, tmp_path, np.minimum(recording.movie, int(limit)))
    assert "saturated" in quality.advice[0]
    assert quality["saturated_pct"].value == pytest.approx(3, abs=0.5)


def faded(recording, factors):
    """The movie, of which only such parts of the light were recorded, noise and all."""
    above = (recording.movie.astype(float) - 100) * factors[:, None, None]
    return np.clip(np.rint(above + 100), 0, None).astype(np.uint16)


def test_bleaching_is_not_bad(recording, tmp_path):
    n = len(recording.movie)
    movie = faded(recording, (1 / 4) ** np.linspace(0, 1, n))
    quality, statistics = judged(recording, tmp_path, movie)
    assert quality.flag == "look"
    assert "bleaching" in quality.advice[0]
    assert statistics.lit.all()
    assert quality["dark_frames_pct"].value == 0


def test_jump_of_brightness(recording, tmp_path):
    n = len(recording.movie)
    movie = faded(recording, np.where(np.arange(n) < half_of(recording), 1.0, 0.5))
    quality, _ = judged(recording, tmp_path, movie)
    assert quality["brightness_jump_pct"].value == pytest.approx(50, abs=8)
    assert "falls at once" in quality.advice[0]


@pytest.mark.parametrize("light", ["even", "uneven"])
def test_uneven_light(tmp_path, light):
    lit = simulated(stimulus=STIMULUS, illumination=light)
    quality, _ = judged(lit, tmp_path)
    figure = quality["uneven_light_pct"]
    if light == "even":
        assert figure.value < 2
        return
    assert "illumination.correct: auto" in figure.sentence
    # The brightness of places of the sample at the true angles, in units of that at rest.
    illumination = lit.plan.illumination
    y, x = np.mgrid[2:94:4, 2:94:4]
    changes = []
    for a in lit.line_angles[lit.line_angles[:, 48] % 360 != 0, 48]:
        seen_x, seen_y = lit.plan.place_in_picture(x, y, a)
        seen = ndimage.map_coordinates(illumination, (seen_y, seen_x), order=1, cval=np.nan)
        change = np.log(seen / illumination[2:94:4, 2:94:4])
        changes.append(change - np.nanmean(change))
    assert figure.value == pytest.approx(100 * np.sqrt(np.nanmean(np.square(changes))), rel=0.3)


def test_table_and_bad_frames(recording, tmp_path):
    at = half_of(recording)
    movie = np.roll(recording.movie, 0, axis=0)
    movie[at:] = np.roll(movie[at:], (5, -7), axis=(1, 2))
    quality, statistics = judged(recording, tmp_path, movie)
    quality.along.save(tmp_path / "quality.csv")
    with (tmp_path / "quality.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9
    assert [row["kind"] for row in rows[:3]] == ["rest", "turned", "rest"]
    assert [row["rotation"] for row in rows[:4]] == ["", "1", "", "2"]
    assert int(rows[-1]["last_frame"]) == len(movie) - 1
    assert float(rows[-1]["shift_x_px"]) == pytest.approx(-7, abs=0.2)
    assert rows[-1]["bad"] == "1"
    assert "sample_moved_px" in rows[-1]["what"]
    angles = angles_of(recording)
    found = bad_frames(angles, statistics, segments=tmp_path / "quality.csv")
    marked = found["in rests or rotations that quality.csv calls bad"]
    np.testing.assert_array_equal(marked, quality.along.bad_frames())
    assert marked[at + 20 :].all()
    assert not marked[: at - 10].any()
    off = bad_frames(angles, statistics, {"segments": False}, segments=tmp_path / "quality.csv")
    assert "in rests or rotations that quality.csv calls bad" not in off
