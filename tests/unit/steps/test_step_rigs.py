"""Sessions of other rigs through the first two steps, with their files, plots and checks."""

from types import MappingProxyType

import numpy as np
import pytest
import tifffile

from derotation.cohort.check import check_session
from derotation.cohort.config import validate_config
from derotation.cohort.sample_sheet import Session
from derotation.errors import DerotationError
from derotation.signals.events import Events
from derotation.simulate import Sinusoid, simulate_recording
from derotation.simulate.rig_signals import pulse_volts, quadrature_pulses, voltage_samples
from derotation.steps import interpolate_angles, parse_signals

RATE = 10_000
MOTION = Sinusoid(amplitude=45, frequency=0.3)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    recording = simulate_recording(
        protocol="free", motion=MOTION, n_frames=30, shape=(20, 24), frame_rate=10, n_cells=6,
        sampling_rate=RATE, calcium=False, lead_s=0.2, tail_s=0.2,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("raw")
    tifffile.imwrite(folder / "movie.tif", recording.movie, photometric="minisblack")
    return folder, recording


def run(made, tmp_path, channels, **sections):
    """Write signals with the clocks and other channels, and run both steps."""
    folder, recording = made
    names, signals = list(channels), None
    if channels:
        volts = [recording.plan.analog.channel(role) for role in ("line_clock", "frame_clock")]
        names = ["line_clock", "frame_clock", *names]
        signals = tmp_path / "signals.npy"
        np.save(signals, np.stack([*volts, *channels.values()]))
        own = {"channel_order": names, "sampling_rate": RATE}
        sections["signals"] = own | sections.get("signals", {})
    else:
        sections["signals"] = {"sampling_rate": None}
    table = sections.pop("table", None)
    config = validate_config(sections)
    session = Session(
        name="s", row=2, protocol="free", movie=str(folder / "movie.tif"),
        signals=str(signals or ""), angles=None if table is None else str(table),
        extra=MappingProxyType({}),
    )  # fmt: skip
    check = check_session(session, config)
    assert not check.problems
    parse_signals.run(
        movie=folder / "movie.tif", signals=signals, stimulus=None, protocol="free", config=config,
        outputs=parse_signals.Outputs.within(tmp_path), angle_table=table,
    )  # fmt: skip
    angles = interpolate_angles.run(
        events=tmp_path / "events.npz", movie=folder / "movie.tif", protocol="free", config=config,
        outputs=interpolate_angles.Outputs.within(tmp_path),
    )  # fmt: skip
    for name in ("plots/signals.png", "plots/angles.png", "events.json", "angles.csv"):
        assert (tmp_path / name).stat().st_size > 100
    true = recording.line_angles - recording.line_angles[0].mean()
    return Events.load(tmp_path / "events.npz"), float(np.std(angles.line_angles - true)), config


def n_samples(made):
    return made[1].plan.analog.n_samples


def test_an_encoder(made, tmp_path):
    pulses = quadrature_pulses(MOTION, counts_per_turn=4000, duration=n_samples(made) / RATE)
    volts = pulse_volts(pulses, n_samples=n_samples(made), sampling_rate=RATE)
    angles = {"source": "quadrature", "quadrature": {"counts_per_turn": 4000}}
    events, off, _ = run(made, tmp_path, volts, angles=angles)
    assert off < 0.03
    assert events.angle_source == "quadrature"


def test_a_voltage(made, tmp_path):
    volts = voltage_samples(
        MOTION, degrees_per_volt=36, range_v=None, sampling_rate=RATE, n_samples=n_samples(made)
    )
    angles = {"source": "voltage", "voltage": {"degrees_per_volt": 36}}
    _, off, _ = run(made, tmp_path, {"angle_voltage": volts}, angles=angles)
    assert off < 0.05


def test_ticks_of_a_sample_that_turns_freely(made, tmp_path):
    # They do not tell which way, so that the angle only grows; a channel tells it per rotation.
    names = ("rotation_on", "rotation_ticks")
    volts = {name: made[1].plan.analog.channel(name) for name in names}
    events, _, _ = run(made, tmp_path, volts)
    assert events.angle_source == "ticks"
    assert events.rotation_turned.sum() == pytest.approx(4 * 45 * 0.3 * 3.4, rel=0.1)


@pytest.mark.parametrize("suffix", [".csv", ".npy"])
def test_a_table_over_time_beside_clocks(made, tmp_path, suffix):
    time = np.arange(0, 4, 0.01)
    table = tmp_path / f"angles{suffix}"
    both = np.column_stack([time, MOTION.angle(time)])
    if suffix == ".npy":
        np.save(table, both)
    else:
        np.savetxt(table, both, delimiter=",", header="time,angle", comments="")
    spare = {"photodiode": np.zeros(n_samples(made), np.float32)}
    _, off, _ = run(made, tmp_path, spare, table=table, angles={"source": "table"})
    assert off < 0.02


def test_an_angle_per_line_and_nothing_else(made, tmp_path):
    recording = made[1]
    np.save(tmp_path / "angles.npy", recording.line_angles)
    scan = {"frame_rate": 10, "flyback_lines": 0.4, "line_duty": 0.9}
    events, off, config = run(
        made, tmp_path, {}, table=tmp_path / "angles.npy", angles={"source": "table"}, scan=scan
    )
    assert off < 0.02
    assert not events.levels
    with pytest.raises(DerotationError, match=r"set scan\.frame_rate"):
        run(made, tmp_path, {}, table=tmp_path / "angles.npy", angles={"source": "table"})
    np.save(tmp_path / "angles.npy", recording.line_angles[:7])
    session = Session(name="s", row=2, protocol="free", movie=str(made[0] / "movie.tif"),
                      angles=str(tmp_path / "angles.npy"))  # fmt: skip
    (problem,) = check_session(session, config).problems
    assert "(7, 20) without times" in problem


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """A session large enough to be followed in the picture."""
    recording = simulate_recording(
        protocol="free", motion=Sinusoid(amplitude=90, frequency=0.3), n_frames=30, shape=(64, 64),
        frame_rate=10, n_cells=25, sampling_rate=RATE, lead_s=0.2, tail_s=0.2,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("raw")
    tifffile.imwrite(folder / "movie.tif", recording.movie, photometric="minisblack")
    return folder, recording


SCAN = {"frame_rate": 10, "flyback_lines": 64 / 49, "line_duty": 0.9}


def test_the_movie_and_nothing_else(seen, tmp_path):
    events, off, _ = run(seen, tmp_path, {}, angles={"source": "movie"}, scan=SCAN)
    assert off < 0.3
    assert events.angle_source == "movie"
    (note,) = (repair for repair in events.repairs if repair.code == "angle_seen")
    assert "told by the picture itself" in note.text
    assert note.count == 30
    assert not events.anomalies


def test_the_movie_beside_clocks_whose_encoder_is_broken(seen, tmp_path):
    broken = {"photodiode": np.zeros(n_samples(seen), np.float32)}
    events, off, _ = run(seen, tmp_path, broken, angles={"source": "movie"})
    assert off < 0.3
    assert events.line_duration_measured


def test_sign_and_lag_of_signals_do_not_concern_the_picture(seen, tmp_path):
    angles = {"source": "movie", "direction_sign": -1, "lag_ms": 30}
    _, off, _ = run(seen, tmp_path, {}, angles=angles, scan=SCAN)
    assert off < 0.3


def test_a_session_without_signals_and_table_is_refused(made, tmp_path):
    config = validate_config({"signals": {"sampling_rate": None}})
    with pytest.raises(DerotationError, match="neither signals nor"):
        parse_signals.run(
            movie=made[0] / "movie.tif", signals=None, stimulus=None, protocol="free",
            config=config, outputs=parse_signals.Outputs.within(tmp_path),
        )  # fmt: skip
    np.save(tmp_path / "s.npy", np.zeros((4, 100), np.float32))
    with pytest.raises(DerotationError, match=r"signals\.sampling_rate is null"):
        parse_signals.run(
            movie=made[0] / "movie.tif", signals=tmp_path / "s.npy", stimulus=None,
            protocol="free", config=config, outputs=parse_signals.Outputs.within(tmp_path),
        )  # fmt: skip
