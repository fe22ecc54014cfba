"""The pictures of signals and angles draw what was found."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

import derotation.plots.signals as plots
from derotation.io.signals import open_signals
from derotation.io.stimulus import Stimulus
from derotation.plots.angles import (
    plot_angle_trace,
    plot_angles,
    plot_rotations,
    plot_velocities,
)
from derotation.plots.signals import (
    plot_channel_overview,
    plot_closeup,
    plot_rotation_start,
    plot_signals,
)
from derotation.signals.angles import AngleFlag, interpolate_angles
from derotation.signals.parse import parse_signals
from derotation.simulate import plan_recording, write_signals


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Signals of two rotations, the second one cut off by the end of the recording."""
    plan = plan_recording(
        shape=(32, 32),
        frame_rate=10.0,
        sampling_rate=20_000.0,
        stimulus=((100.0, 1), (200.0, -1)),
        faults={"dropped_ticks": 0.01, "ends_within_rotation": True},
    )
    path = tmp_path_factory.mktemp("signals") / "signals.npy"
    write_signals(path, plan.analog, "npy")
    signals = open_signals(path)
    events = parse_signals(
        signals,
        n_frames=plan.n_frames,
        lines_per_frame=32,
        sampling_rate=20_000.0,
        protocol="full",
        stimulus=Stimulus(
            speed=plan.stimulus[:, 0], direction=plan.stimulus[:, 1].astype(np.int8), path=path
        ),
        config={},
    )
    return signals, events, interpolate_angles(events, protocol="full")


def test_signals(session, tmp_path):
    signals, events, _ = session
    figure = plot_signals(signals, events)
    figure.savefig(tmp_path / "signals.png")
    written = " ".join(text.get_text() for sub in figure.subfigs for text in sub.texts)
    assert events.repairs
    for repair in events.repairs:
        assert repair.text in written


def test_envelope_reaches_from_low_to_high(session):
    signals, events, _ = session
    axis = Figure().subplots()
    plot_channel_overview(signals, events, "rotation_on", axis)
    low, high = axis.dataLim.intervaly
    assert low < 0.2
    assert high == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize("at_once", [1, 5000, 10**9])
def test_envelope_is_that_of_each_stretch(session, monkeypatch, at_once):
    signals, events, _ = session
    monkeypatch.setattr(plots, "SAMPLES_AT_ONCE", at_once)
    monkeypatch.setattr(plots, "READ_AT_MOST", 50)
    volts = signals.volts("rotation_ticks")
    edges = np.linspace(0, len(volts), plots.N_STRETCHES + 1).astype(int)
    pairs = list(itertools.pairwise(edges))
    # Whatever is read of a stretch lies within it; half of its samples are, at least.
    time, low, high = plots._envelope(signals, "rotation_ticks", events.sampling_rate)
    np.testing.assert_allclose(time, [(a + b) / 2 / events.sampling_rate for a, b in pairs])
    assert all(volts[a:b].min() <= k for k, (a, b) in zip(low, pairs, strict=True))
    assert all(volts[a:b].max() >= k for k, (a, b) in zip(high, pairs, strict=True))
    monkeypatch.setattr(plots, "READ_AT_MOST", 10**6)
    _, low, high = plots._envelope(signals, "rotation_ticks", events.sampling_rate)
    np.testing.assert_allclose(low, [volts[a:b].min() for a, b in pairs])
    np.testing.assert_allclose(high, [volts[a:b].max() for a, b in pairs])


def test_rotations_are_shaded_where_they_are(session):
    signals, events, _ = session
    axis = Figure().subplots()
    plot_channel_overview(signals, events, "rotation_on", axis)
    # The range of the channel is one polygon of many corners.
    usable, unusable = (c for c in axis.collections if len(c.get_paths()[0].vertices) == 5)
    assert unusable.get_hatch()
    assert not usable.get_hatch()
    for shaded, chosen in ((usable, events.rotation_usable), (unusable, ~events.rotation_usable)):
        spans = [path.vertices[:, 0] for path in shaded.get_paths()]
        begins = [span.min() * events.sampling_rate for span in spans]
        ends = [span.max() * events.sampling_rate for span in spans]
        np.testing.assert_allclose(begins, events.rotation_start[chosen])
        np.testing.assert_allclose(ends, events.rotation_end[chosen])
        assert {y for path in shaded.get_paths() for y in path.vertices[:, 1]} == {0, 1}


def test_each_column_of_the_signals_has_one_axis_of_time(session):
    signals, events, _ = session
    axes = np.reshape(plot_signals(signals, events).axes, (-1, 3))
    shown = [[ax.xaxis.get_visible() for ax in row] for row in axes]
    assert not np.any(shown[:-1])
    assert np.all(shown[-1])
    # What has no volts beside it is drawn over the same volts as its neighbor.
    for _, first, second in axes:
        assert first.yaxis.get_visible()
        assert first.get_ylim() == second.get_ylim()


def test_ticks_are_marked_where_they_are(session):
    signals, events, _ = session
    axis = Figure().subplots()
    plot_rotation_start(signals, events, "rotation_ticks", axis)
    marked = np.concatenate([line.get_xdata() for line in axis.lines if line.get_marker() == "|"])
    expected = (events.tick_time - events.rotation_start[0]) / 20.0
    expected = expected[(expected >= -20) & (expected < 180)]
    np.testing.assert_allclose(np.sort(marked), expected)


def test_a_closer_look_shows_single_lines(session):
    signals, events, _ = session
    axis = Figure().subplots()
    plot_closeup(signals, events, "line_clock", axis)
    (marks,) = (line for line in axis.lines if line.get_marker() == "|")
    assert 5 <= len(marks.get_xdata()) <= 40
    begin, end = (events.rotation_end[0] - events.rotation_start[0]) / 20.0 * np.array([0.3, 0.7])
    assert begin < marks.get_xdata().min() < marks.get_xdata().max() < end


def test_repairs_are_marked_where_they_are(session):
    signals, events, _ = session
    axis = Figure().subplots()
    plot_channel_overview(signals, events, "rotation_ticks", axis)
    (marks,) = (line for line in axis.lines if line.get_marker() == "v")
    (repair,) = (r for r in events.repairs if r.code == "missing_ticks_inserted")
    assert set(repair.places) <= set(marks.get_xdata())


def test_angles(session, tmp_path):
    _, events, angles = session
    plot_angles(angles, events).savefig(tmp_path / "angles.png")
    axis = Figure().subplots()
    plot_angle_trace(angles, events, axis)
    line, repaired = axis.lines
    marked = (angles.flags & AngleFlag.TICKS_REPAIRED) != 0
    np.testing.assert_array_equal(repaired.get_ydata(), angles.line_angles[marked])
    np.testing.assert_array_equal(line.get_ydata(), angles.line_angles.ravel())
    assert len(axis.patches) == np.sum(~events.rotation_usable) == 1


def test_steps_are_called_so(session):
    _, events, angles = session
    one, steps = (
        {axis.get_title() for axis in figure.axes}
        for figure in (plot_angles(angles, events), plot_angles(angles, events, word="step"))
    )
    assert any("rotation" in title for title in one)
    assert {title.replace("rotation", "step") for title in one} == steps


def test_plateau_is_at_the_nominal_speed(session):
    _, events, _ = session
    axis = Figure().subplots()
    plot_velocities(events, axis)
    traces = [line for line in axis.lines if len(line.get_xdata()) > 2]
    assert len(traces) == events.rotation_usable.sum()
    assert np.median(traces[0].get_ydata()) == pytest.approx(100, rel=0.01)


def test_directions_that_coincide_can_both_be_seen():
    ticks = np.arange(20)
    events = SimpleNamespace(
        sampling_rate=10.0,
        rotation_direction=np.array([-1, 1, -1, 1]),
        rotation_start=np.arange(4) * 20,
        tick_rotation=np.repeat(np.arange(4), 20),
        tick_time=np.arange(80),
        tick_angle=np.tile(ticks * 0.2, 4),
    )
    axis = Figure().subplots()
    plot_rotations(events, np.arange(4), axis)
    assert [line.get_linestyle() for line in axis.lines] == ["-", "-", "--", "--"]
    assert axis.lines[0].get_linewidth() > axis.lines[-1].get_linewidth()
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["direction +1", "direction -1"]
