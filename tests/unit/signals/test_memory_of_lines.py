"""How many bytes per line of a recording the tables of all lines cost, at their most.

An hour of 512 x 512 pixels at 30 frames per second has 55 million lines: each byte is 55 MB.
"""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from derotation.images.choosing import reference_frames
from derotation.maps.line_maps import LineMaps
from derotation.numerics import by_rows, pages
from derotation.signals import pulses
from derotation.signals.angles import AngleFlag, Angles
from derotation.signals.clocks import read_scan
from derotation.signals.pulses import Pulses, no_pulses
from derotation.signals.repairs import Report
from derotation.signals.segments import Segments

LINES = 512
# What is worked on at a time does not grow with the recording; here it is little.
AT_ONCE = 3e6


@pytest.fixture(autouse=True)
def little_at_a_time(monkeypatch):
    monkeypatch.setattr(by_rows, "VALUES_AT_A_TIME", 1 << 13)
    monkeypatch.setattr(pulses, "PULSES_AT_A_TIME", 1 << 13)


def peak_of(work):
    """Give the largest amount of memory that some work takes, and what it gives."""
    tracemalloc.start()
    try:
        found = work()
        return tracemalloc.get_traced_memory()[1], found
    finally:
        tracemalloc.stop()


def clocks(n_frames, *, line_every=14, frame_pause=30):
    """Give the pulses of a line clock and a frame clock, a line every so many samples."""
    period = LINES * line_every + frame_pause
    frame = np.arange(n_frames, dtype=np.int32) * period + 100
    line = (frame[:, np.newaxis] + line_every * np.arange(LINES, dtype=np.int32)).ravel()
    whole = {"levels": no_pulses("line_clock").levels, "begins_high": False, "ends_high": False}
    return (
        Pulses(role="line_clock", start=line, stop=line + np.int32(10), **whole),
        Pulses(role="frame_clock", start=frame, stop=frame + np.int32(LINES * 14 - 4), **whole),
    )


def without(clock, which):
    keep = np.ones(len(clock), np.bool_)
    keep[which] = False
    return dataclasses.replace(clock, start=clock.start[keep], stop=clock.stop[keep])


N = 1500
LINE, FRAME = clocks(N)


@given(st.lists(st.integers(0, 200), min_size=2, max_size=60), st.sampled_from([5, 90, 1000]))
def test_times_told_part_by_part_have_the_same_median_and_mean(times, most_counted):
    stop = np.cumsum(times).astype(np.int32)
    start = np.append(np.int32(0), stop[:-1])
    one = dataclasses.replace(LINE, start=start, stop=stop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulses, "PULSES_AT_A_TIME", 7)
        patch.setattr(pulses, "MOST_COUNTED", most_counted)
        assert one.usual_length == np.median(times)
        assert one.usual_gap == 0
        assert pulses.usual_interval(stop) == np.median(times[1:])
        near = [time for time in times if abs(time - 50) <= 30]
        mean = pulses.mean_near(one.lengths(), 50, 30)
    np.testing.assert_equal(mean, np.mean(near) if near else np.nan)


@pytest.mark.parametrize(
    ("line", "frame", "most"),
    [
        # The starts (8 bytes), and whether they were repaired (1).
        pytest.param(LINE, FRAME, 9, id="both clocks"),
        pytest.param(without(LINE, [7000, 7001, 50000]), FRAME, 9, id="missing lines"),
        pytest.param(LINE, without(FRAME, [40, 700]), 9, id="missing frames"),
        pytest.param(no_pulses("line_clock"), FRAME, 9, id="frames only"),
        # One copy while runs of lines between pauses are put together, or a frame is added.
        pytest.param(LINE, no_pulses("frame_clock"), 18, id="lines only"),
        pytest.param(*clocks(N - 1), 17, id="a frame fewer"),
        pytest.param(*clocks(N + 2), 9, id="two frames more"),
    ],
)
def test_clocks_take_few_bytes_per_line(line, frame, most):
    def read():
        report = Report(sampling_rate=50_000.0)
        n_samples = (N + 3) * (LINES * 14 + 30)
        return read_scan(
            line, frame, n_frames=N, n_lines=LINES, n_samples=n_samples, recognize=True,
            report=report,
        )  # fmt: skip

    read()  # What is compiled or loaded once does not count.
    peak, scan = peak_of(read)
    assert scan.line_start.shape == (N, LINES)
    assert peak < most * N * LINES + AT_ONCE


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Angles of a long recording, saved."""
    start = np.asarray(LINE.start, np.float64).reshape(N, LINES)
    angles = np.cumsum(np.full((N, LINES), 0.01), axis=1)
    angles[::3] = 0.0
    of_frames = np.zeros(N)
    told = Angles(
        line_angles=angles,
        frame_angles=of_frames,
        line_start=start,
        frame_start=start[:, 0].copy(),
        line_duty=1.0,
        line_reference="middle",
        sampling_rate=50_000.0,
        frame_rate=6.9,
        line_usable=np.ones(angles.shape, bool),
        flags=np.full(angles.shape, AngleFlag.AT_REST, np.uint8),
        rotation=np.where(angles[:, -1] > 0, 0, -1).astype(np.int32),
        direction=of_frames,
        speed=of_frames,
    )
    path = tmp_path_factory.mktemp("long") / "angles.npz"
    told.save(path)
    return path


class Placed:
    """Puts lines in their place, with a lag."""

    lag_ms = 0.0

    def maps(self, angles, times_s):
        return np.zeros((*angles.shape, 2, 3)) + angles[..., np.newaxis, np.newaxis]


class Late(Placed):
    lag_ms = 2.0


def test_angles_of_a_file_take_no_memory_per_line(saved):
    def use():
        angles = Angles.load(saved)
        line_maps = LineMaps.of(angles, Placed())
        for first in range(0, N, 10):
            line_maps(slice(first, first + 10))
        line_maps(np.arange(0, N, 100))
        Segments.of(angles)
        return [reference_frames(angles), angles.middle, angles.swept, angles.frame_times_s]

    peak, _ = peak_of(use)
    assert peak < AT_ONCE


def test_nor_do_those_with_a_lag_but_for_two_flags(saved, monkeypatch):
    monkeypatch.setattr(pages, "LARGE_BYTES", 1e6)
    peak, line_maps = peak_of(lambda: LineMaps.of(Angles.load(saved), Late()))
    assert peak < 2 * N * LINES + AT_ONCE
    monkeypatch.undo()
    in_memory = Angles.load(saved).shifted(2.0)
    for name in ("line_angles", "line_usable", "flags", "frame_angles"):
        own, other = getattr(line_maps.angles, name), getattr(in_memory, name)
        np.testing.assert_array_equal(own, other, err_msg=name)
