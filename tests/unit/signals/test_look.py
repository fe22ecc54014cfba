"""What a look at signals finds, against simulated rigs of which everything is known."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from derotation.errors import SignalError
from derotation.io.channels import open_channels
from derotation.io.signals import BinLayout
from derotation.plots.look import plot_look
from derotation.settings.schema import config_schema, find_problems
from derotation.signals.look import look_at_file, look_at_signals, places_to_look
from derotation.signals.look_keys import rounded_rate, suggested_keys
from derotation.signals.look_kinds import find_kinds
from derotation.signals.look_layout import guess_layout
from derotation.signals.look_motor import usual_count
from derotation.signals.look_pulses import look_at_pulses
from derotation.signals.look_words import format_keys, format_look
from derotation.signals.repairs import plain_number
from derotation.simulate.formats import write_signals_as
from derotation.simulate.free_motion import Sinusoid
from derotation.simulate.recording import plan_recording
from derotation.simulate.rig_signals import pulse_volts, quadrature_pulses, voltage_samples
from derotation.simulate.signals import BIN_CHANNELS, NPY_CHANNELS, write_signals

RATE = 20_000


@pytest.fixture(scope="module")
def plan():
    return plan_recording(
        shape=(64, 32), frame_rate=8, sampling_rate=RATE, stimulus=[(100, 1), (150, -1), (200, 1)],
        n_cells=2, calcium=False, acceleration=600,
    )  # fmt: skip


@pytest.fixture(scope="module")
def channels(plan):
    return {name: plan.analog.channel(name) for name in dict.fromkeys(NPY_CHANNELS + BIN_CHANNELS)}


def kinds(matrix, **known):
    blocks = [np.ascontiguousarray(row, np.float32) for row in matrix]
    stretch = [(0, len(blocks[0]))]
    return find_kinds([look_at_pulses([block], stretch) for block in blocks], **known)


@pytest.mark.parametrize("order", [NPY_CHANNELS, NPY_CHANNELS[::-1], BIN_CHANNELS])
@pytest.mark.parametrize("inverted", [False, True])
def test_kinds_follow_from_the_pulses_alone(channels, order, inverted):
    rows = [5 - channels[name] if inverted else channels[name] for name in order]
    found, clocks = kinds(rows)
    expected = ["camera" if name == "photodiode" else name for name in order]
    assert found == expected
    assert clocks.lines_per_frame == 64
    assert clocks.frame_interval == pytest.approx(RATE / 8, abs=1)


def test_encoders_voltages_and_empty_channels(plan, channels):
    motion = Sinusoid(amplitude=200, frequency=0.1)
    n = plan.analog.n_samples
    pulses = quadrature_pulses(motion, counts_per_turn=1600, duration=n / RATE)
    made = pulse_volts(pulses, n_samples=n, sampling_rate=RATE)
    pair = [made["quadrature_a"], made["quadrature_b"]]
    angle = voltage_samples(motion, degrees_per_volt=72.0, sampling_rate=RATE, n_samples=n)
    clocks = [channels["line_clock"], channels["frame_clock"]]
    noise = 0.05 * np.random.default_rng(1).standard_normal(n)
    assert kinds([*clocks, *pair, noise])[0] == [
        "line_clock", "frame_clock", "quadrature_a", "quadrature_b", "empty",
    ]  # fmt: skip
    assert kinds([angle, *clocks, np.full(n, 3.0)])[0] == [
        "angle_voltage", "line_clock", "frame_clock", "empty",
    ]  # fmt: skip


def test_a_line_clock_alone_and_a_frame_clock_alone(channels):
    found, clocks = kinds([channels["line_clock"], channels["rotation_ticks"]])
    assert found == ["line_clock", "rotation_ticks"]
    assert clocks.lines_per_frame == 64
    found, clocks = kinds([channels[n] for n in ("rotation_on", "frame_clock", "rotation_ticks")])
    assert found == ["rotation_on", "frame_clock", "rotation_ticks"]
    assert clocks.frame_interval == pytest.approx(RATE / 8, abs=1)


@pytest.mark.parametrize("kind", ["npy", "turned", "bin", "h5", "wavesurfer", "tdms", "mat", "csv"])
def test_every_format(plan, tmp_path, kind):
    suffix = {"turned": "npy", "wavesurfer": "h5"}.get(kind, kind)
    file = tmp_path / f"signals.{suffix}"
    if kind in ("npy", "turned", "bin"):
        write_signals(file, plan.analog, suffix)
    else:
        pytest.importorskip({"tdms": "nptdms", "csv": "pandas"}.get(kind, "h5py"))
        write_signals_as(
            file, kind, NPY_CHANNELS, plan.analog.blocks(), plan.analog.n_samples, RATE
        )
    if kind == "turned":
        np.save(file, np.load(file).T)
    look, opened = look_at_file(file)
    names = BIN_CHANNELS if kind == "bin" else NPY_CHANNELS
    found = {c.kind for c in look.channels}
    assert len(look.channels) == len(opened) == len(names)
    assert found >= {"line_clock", "frame_clock", "rotation_on", "rotation_ticks"}
    assert look.increment == pytest.approx(0.2)
    assert look.protocol == "full"
    assert look.sampling_rate(8.0) == pytest.approx(RATE, rel=1e-3)
    keys = suggested_keys(look, 8.0)
    assert keys["signals"]["sampling_rate"] == RATE
    own_names = any(c.name for c in look.channels)
    assert ("channel_order" in keys["signals"]) != own_names


@pytest.mark.parametrize("kind", ["h5", "csv"])
def test_only_places_of_other_programs_files_are_unpacked(plan, tmp_path, kind):
    file = tmp_path / f"signals.{kind}"
    write_signals_as(file, kind, NPY_CHANNELS, plan.analog.blocks(), plan.analog.n_samples, RATE)
    opened = open_channels(file)
    places = [(0, 1000), (5000, 5001), (70_000, 90_000)]
    for block, (start, stop) in zip(opened.read(places), places, strict=True):
        for row, name in zip(block, opened.names, strict=True):
            truth = plan.analog.channel(name)[start:stop]
            np.testing.assert_allclose(row, truth, atol=1e-3)


def test_what_is_suggested_is_a_configuration(plan, tmp_path):
    file = write_signals(tmp_path / "signals.bin", plan.analog, "bin")
    look, _ = look_at_file(file)
    keys = suggested_keys(look, 8.0)
    assert keys == {
        "signals": {
            "sampling_rate": RATE,
            "channel_order": ["camera", "frame_clock", "line_clock", "camera_4", "rotation_on",
                              "rotation_ticks"],
            "bin": {"dtype": "int16"},
            "rotation_increment": 0.2,
        }
    }  # fmt: skip
    assert find_problems({"sessions": "sheet.tsv", **keys}, config_schema()) == []
    assert yaml.safe_load(format_keys(keys)) == keys
    assert "sampling_rate: not told" in format_keys(suggested_keys(look))


@pytest.mark.parametrize(
    ("n_channels", "noise"), [(2, 0.0), (3, 0.05), (4, 0.0), (6, 0.05), (8, 0.0)]
)
@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", ">i2"])
def test_the_layout_of_a_bin(channels, tmp_path, n_channels, dtype, noise):
    rng = np.random.default_rng(n_channels)
    rows = [channels[name] for name in BIN_CHANNELS[1:]][: min(n_channels, 5)]
    rows += [np.zeros_like(rows[0])] * (n_channels - len(rows))
    volts = np.stack(rows)[:, :150_000] + noise * rng.standard_normal((n_channels, 150_000))
    layout = BinLayout(dtype=dtype)
    gain, offset = layout.scale()
    values = np.rint((volts - offset) / gain).astype(layout.numpy_dtype())
    file = tmp_path / "signals.bin"
    values.T.tofile(file)
    best = guess_layout(file)
    assert (best.n_channels, best.layout.dtype) == (n_channels, dtype)


def test_noise_is_no_signal(tmp_path):
    file = tmp_path / "signals.bin"
    np.random.default_rng(3).integers(-30_000, 30_000, 400_000).astype("<i2").tofile(file)
    with pytest.raises(SignalError, match=r"--channels and --dtype"):
        look_at_file(file)


@pytest.mark.parametrize("rate", [None, 50.0, 10_000.0, 50_000.0, 5e7])
@pytest.mark.parametrize("n_samples", [1000, 10**7, 10**9])
def test_memory_is_bounded_and_places_are_apart(rate, n_samples):
    places = places_to_look(n_samples, 4, rate)
    assert places[0][0] == 0
    assert sum(stop - start for start, stop in places) <= 2**22
    edges = np.ravel(places)
    assert np.all(np.diff(edges) > 0)
    assert edges[-1] == n_samples
    assert len(places) == (1 if n_samples < 10**7 else 4)


def test_a_long_file_is_read_at_a_few_places_only(tmp_path):
    file = tmp_path / "signals.npy"
    np.lib.format.open_memmap(file, "w+", np.float32, (4, 30_000_000))
    read = []
    opened = open_channels(file)

    def reader(places):
        read.append(places)
        return opened.read(places)

    look = look_at_signals(replace(opened, reader=reader))
    assert {c.kind for c in look.channels} == {"empty"}
    (places,) = read
    assert sum(stop - start for start, stop in places) < 0.1 * 30_000_000


@pytest.mark.parametrize(("n", "usual"), [(1800, 1800), (1797, 1800), (1811, 1800), (1730, 1730)])
def test_counts_of_ticks_that_motors_have(n, usual):
    assert usual_count(n) == usual


@pytest.mark.parametrize(("rate", "shown"), [(19_998.7, 20_000), (62_503.0, 62_500), (17.31, 17.3)])
def test_rates_are_rounded_to_what_boards_have(rate, shown):
    assert rounded_rate(rate) == pytest.approx(shown, rel=2e-3)


@pytest.mark.parametrize(
    "keys",
    [
        {"signals": {"rotation_increment": 0.2}},
        {"signals": {"channel_names": {"rotation_on": None}}},
        {"signals": {"channel_order": ["a", "b"], "bin": {"dtype": ">i2", "header_bytes": 4}},
         "angles": {"source": "voltage"}},
    ],
)  # fmt: skip
def test_keys_without_a_sampling_rate_can_be_pasted(keys):
    text = format_keys(keys)
    assert yaml.safe_load(text) == keys
    # The reader sets what is missing where the comment stands.
    rate = text.replace("# sampling_rate: not told by the file; in Hz", "sampling_rate: 1000")
    assert yaml.safe_load(rate) == {**keys, "signals": {"sampling_rate": 1000, **keys["signals"]}}


def test_no_keys_at_all():
    assert yaml.safe_load(format_keys({"signals": {}})) == {"signals": None}


def test_a_frame_rate_is_no_movie(plan, tmp_path):
    look, _ = look_at_file(write_signals(tmp_path / "signals.npy", plan.analog, "npy"))
    text = format_look(look, frame_rate=8.0)
    assert "The movie" not in text
    assert "20000 Hz, by a movie of 8 frames per second" in text


def test_rates_are_written_without_exponents(plan, tmp_path):
    look, _ = look_at_file(write_signals(tmp_path / "signals.npy", plan.analog, "npy"))
    text = format_look(look, sampling_rate=1000.0 * RATE, n_rows=64)
    assert "8000 frames of 64 lines per second" in text
    assert "e+0" not in text


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [(1000.0, 3, "1000"), (6738.2, 4, "6738"), (6738.2, 3, "6740"), (0.2, 6, "0.2"),
     (1e6, 6, "1000000"), (0.00012, 3, "0.00012"), (30, 6, "30")],
)  # fmt: skip
def test_plain_numbers(value, digits, shown):
    assert plain_number(value, digits) == shown


def test_the_words_name_channels_numbers_and_kinds(plan, tmp_path):
    file = write_signals(tmp_path / "signals.npy", plan.analog, "npy")
    look, opened = look_at_file(file)
    text = format_look(look, frame_rate=8.0, n_rows=64)
    assert "3 rotations of 1800 ticks; 0.2 degrees per tick" in text
    assert "8 frames of 64 lines per second. The movie: 8 frames per second, 64 rows." in text
    assert "Sampling rate: 20000 Hz" in text
    assert "Speeds: 100, 150, 200 degrees/s." in text
    figure = plot_look(look, opened, RATE)
    labels = [ax.get_ylabel() for ax in figure.axes]
    for number, words in enumerate(("line clock", "frame clock", "rotation on", "ticks"), 1):
        assert any(f"channel {number}" in label and words in label for label in labels)
