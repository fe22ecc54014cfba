"""When each ROI was scanned, at which angle, and what of it was seen: against the simulator."""

import dataclasses

import numpy as np
import pytest
from derotated_cells import derotated

from derotation.cells.extract import HALF_WINDOW_S, SampleClock, extract
from derotation.cells.rois import Rois, neuropil_rings
from derotation.errors import MovieError
from derotation.io.movie import open_movie
from derotation.io.seen import SeenPixels
from derotation.maps.line_maps import LineMaps
from derotation.numerics.degrees import wrapped


def joined(parts, name):
    return np.concatenate([getattr(part, name) for part in parts], axis=1)


def extracted(session, rois=None, threads=1):
    rois = session.rois if rois is None else rois
    with (
        open_movie(session.folder / "derotated.tif") as movie,
        SeenPixels(session.folder / "seen.npz") as seen,
    ):
        parts = extract(
            movie, seen, session.line_maps, rois, neuropil_rings(rois, 2, 4),
            mean=session.mean, offset=session.offset, threads=threads,
        )  # fmt: skip
        return list(parts)


def true_times(plan, rois, frame):
    """Mean time at which the pixels of a frame were recorded that lay within each ROI."""
    rows, columns = np.mgrid[: plan.parameters.shape[0], : plan.parameters.shape[1]]
    x, y = plan.place_in_sample(columns, rows, plan.sample_angles(frame))
    times = plan.pixel_times(frame)
    radius = np.sqrt(rois.n_pixels / np.pi)
    return np.array(
        [
            times[np.hypot(x - cx, y - cy) <= r].mean()
            for (cx, cy), r in zip(rois.centroids, radius, strict=True)
        ]
    )


def error_ms(session):
    times = joined(extracted(session), "time_s")
    frames = range(0, session.plan.n_frames, 2)
    truth = np.stack([true_times(session.plan, session.rois, f) for f in frames], axis=1)
    return 1e3 * np.sqrt(np.mean((times[:, frames] - truth) ** 2))


def test_times_are_those_of_the_simulator(turned):
    assert error_ms(turned) < 0.6


def test_times_of_a_bidirectional_scan_are_within_a_line(tmp_path):
    session = derotated(tmp_path, bidirectional=True, stimulus=[(150, 1)])
    assert error_ms(session) < 1.0


def test_angle_and_velocity_are_those_at_the_samples_own_time(turned):
    parts = extracted(turned)
    times, angle, velocity = (joined(parts, name) for name in ("time_s", "angle", "velocity"))
    motor = turned.plan.motor
    assert np.abs(wrapped(angle - motor.angle(times))).max() < 0.05
    before, after = (motor.angle(times + sign * HALF_WINDOW_S) for sign in (-1, 1))
    # The first and the last samples have no full window.
    inner = slice(1, -1)
    # After a whole turn the angle begins anew.
    truth = wrapped(after - before) / (2 * HALF_WINDOW_S)
    assert np.abs(velocity - truth)[:, inner].max() < 1.5
    assert np.abs(velocity).max() > 150


def test_cells_of_one_frame_are_scanned_up_to_a_frame_apart(turned):
    times = joined(extracted(turned), "time_s")
    frame_s = turned.plan.line_start[:, 0]
    late = times - frame_s
    assert np.all((late > 0) & (late < 1 / 6.74))
    # At rest always the same, while turning not.
    assert np.ptp(late[:, :5], axis=1).max() < 1e-6
    assert np.ptp(late, axis=1).max() > 0.02


def test_sums_are_those_of_a_plain_loop(turned):
    rows, columns = np.mgrid[2:7, 60:70]
    # In a corner, which not all frames see.
    rois = Rois.of([np.stack([rows.ravel(), columns.ravel()])], turned.rois.shape)
    rings = neuropil_rings(rois, 2, 4)
    parts = extracted(turned, rois)
    with (
        open_movie(turned.folder / "derotated.tif") as movie,
        SeenPixels(turned.folder / "seen.npz") as seen,
    ):
        frames = np.concatenate([block for _, block in movie.chunks()]).astype(float)
        known = seen.read(0, len(frames))
    expected = turned.mean.astype(float) - turned.offset
    for region, value, visible in (
        (rois, "fluorescence", "seen"),
        (rings, "neuropil", "ring_seen"),
    ):
        at = (region.row, region.column)
        for f in range(0, len(frames), 5):
            own = known[f][at]
            share = joined(parts, visible)[0, f]
            assert share == pytest.approx(own.mean(), abs=1e-9)
            found = joined(parts, value)[0, f]
            if not own.any():
                assert np.isnan(found)
                continue
            above = (frames[f][at] - turned.offset)[own].sum()
            mean = above / expected[at][own].sum() * expected[at].mean()
            assert found == pytest.approx(mean, rel=1e-9)
    assert 0 < joined(parts, "seen").min() + 1e-9 < 0.9


def test_threads_change_nothing(turned):
    one, two = extracted(turned), extracted(turned, threads=2)
    for name in ("time_s", "fluorescence", "neuropil", "seen"):
        np.testing.assert_array_equal(joined(one, name), joined(two, name))


def test_a_picture_of_another_size_is_refused(turned):
    rois = Rois.of_labels(np.ones((8, 8), int))
    with pytest.raises(MovieError, match=r"the ROIs lie in a picture of \(8, 8\)"):
        extracted(turned, rois)


def test_lines_without_an_angle_tell_no_time(turned):
    lines = turned.angles.line_angles.copy()
    lines[3] = np.nan
    angles = dataclasses.replace(turned.angles, line_angles=lines, line_usable=np.isfinite(lines))
    clock = SampleClock(LineMaps.of(angles, turned.calibration), turned.rois.shape[1])
    points = np.broadcast_to(turned.rois.centroids, (6, len(turned.rois), 2))
    time, angle, _ = clock.at(points, slice(0, 6))
    assert np.isnan(time[3]).all()
    assert np.isnan(angle[3]).all()
    assert np.isfinite(np.delete(time, 3, axis=0)).all()
