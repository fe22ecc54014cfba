import tracemalloc

import numpy as np
import pytest

from derotation.errors import InputError, SignalError
from derotation.io.signals import ROLES, open_signals

SIX = ("photodiode", "line_clock", "frame_clock", "camera", "rotation_on", "rotation_ticks")


def save(tmp_path, array):
    np.save(tmp_path / "s.npy", array)
    return tmp_path / "s.npy"


@pytest.mark.parametrize("dtype", ["f8", "f4", "i2", "u2", "u1", "i8", ">i2", ">f8", "f2", "?"])
def test_npy_in_any_number_type(tmp_path, dtype):
    expected = np.arange(40).reshape(4, 10) % 7
    signals = open_signals(save(tmp_path, expected.astype(dtype)), channel_order=ROLES)
    assert signals.n_samples == 10
    assert signals.roles == ROLES
    if dtype == "?":
        expected = expected != 0
    for row, role in enumerate(ROLES):
        raw = signals.raw(role)
        assert raw.dtype.isnative
        assert raw.dtype.kind in "uif"
        np.testing.assert_array_equal(raw, expected[row])
        assert signals.scale(role) == (1.0, 0.0)
        np.testing.assert_array_equal(signals.volts(role), expected[row])


def test_bin_is_interleaved_and_scaled_to_volts(tmp_path):
    samples = np.zeros((5, 6), dtype="<i2")
    samples[:, 1] = [-(2**15), -(2**14), 0, 2**14, 2**15 - 1]
    samples.tofile(tmp_path / "s.bin")
    signals = open_signals(tmp_path / "s.bin", channel_order=SIX)
    assert signals.n_samples == 5
    np.testing.assert_array_equal(signals.raw("line_clock"), samples[:, 1])
    expected = [-10.0, -5.0, 0.0, 5.0, 10.0 - 20 / 2**16]
    np.testing.assert_allclose(signals.volts("line_clock"), expected, rtol=0, atol=1e-12)
    gain, offset = signals.scale("line_clock")
    np.testing.assert_allclose(gain * samples[:, 1] + offset, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(signals.volts("line_clock", 1, 3), expected[1:3])
    np.testing.assert_array_equal(signals.volts("frame_clock"), np.zeros(5))


def test_bin_is_opened_without_reading_it(tmp_path):
    path = tmp_path / "s.bin"
    n_samples = 3_000_000
    with path.open("wb") as stream:
        stream.truncate(n_samples * 12)
    tracemalloc.start()
    try:
        signals = open_signals(path, channel_order=SIX)
        raw = signals.raw("rotation_ticks")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert raw.shape == (n_samples,)
    assert raw.strides == (12,)
    assert peak < 1_000_000
    with pytest.raises(ValueError, match="read-only"):
        raw[0] = 1


def test_channel_names_and_order(tmp_path):
    array = np.arange(12.0).reshape(4, 3)
    order = ("scanner_frame", "encoder", "scanner_line", "motor")
    signals = open_signals(
        save(tmp_path, array),
        channel_order=order,
        channel_names={
            "line_clock": "scanner_line",
            "frame_clock": "scanner_frame",
            "rotation_on": "motor",
            "rotation_ticks": "encoder",
        },
    )
    np.testing.assert_array_equal(signals.raw("line_clock"), array[2])
    np.testing.assert_array_equal(signals.raw("frame_clock"), array[0])
    np.testing.assert_array_equal(signals.raw("rotation_on"), array[3])
    np.testing.assert_array_equal(signals.raw("rotation_ticks"), array[1])
    assert "n_samples=3" in repr(signals)


def test_swapped_roles(tmp_path):
    array = np.arange(12.0).reshape(4, 3)
    signals = open_signals(save(tmp_path, array), channel_order=ROLES)
    swapped = signals.swapped("line_clock", "frame_clock")
    np.testing.assert_array_equal(swapped.raw("line_clock"), array[1])
    np.testing.assert_array_equal(swapped.raw("frame_clock"), array[0])
    np.testing.assert_array_equal(signals.raw("line_clock"), array[0])
    assert swapped.path == signals.path
    with pytest.raises(SignalError, match="no channel has the role 'clock'"):
        signals.swapped("line_clock", "clock")


def test_wrong_number_of_channels_in_npy(tmp_path):
    path = save(tmp_path, np.zeros((3, 10)))
    message = (
        r"s\.npy has shape \(3, 10\), that is 3 channels, but signals\.channel_order names 4 "
        r"\(line_clock, frame_clock, rotation_on, rotation_ticks\)"
    )
    with pytest.raises(SignalError, match=message):
        open_signals(path, channel_order=ROLES)


def test_transposed_npy_is_recognized(tmp_path):
    with pytest.raises(SignalError, match="save the transposed array"):
        open_signals(save(tmp_path, np.zeros((10, 4))), channel_order=ROLES)


def test_bin_whose_size_is_no_multiple_of_the_channels(tmp_path):
    np.zeros(6 * 10 + 1, dtype="<i2").tofile(tmp_path / "s.bin")
    message = r"s\.bin has 122 bytes, which is no multiple of 12 \(6 channels x 2 bytes, 2 are left"
    with pytest.raises(SignalError, match=message):
        open_signals(tmp_path / "s.bin", channel_order=SIX)


def test_unknown_channel_name(tmp_path):
    path = save(tmp_path, np.zeros((4, 10)))
    message = "the channel 'lines', wanted as line_clock, is not among signals.channel_order: line"
    with pytest.raises(SignalError, match=message):
        open_signals(path, channel_order=ROLES, channel_names={"line_clock": "lines"})


@pytest.mark.parametrize(
    ("order", "channel_names", "message"),
    [
        (("a", "a", "b", "c"), {}, "names a more than once"),
        ((), {}, "is empty; name every channel"),
        (ROLES, {"lineclock": "line_clock"}, "unknown role lineclock; the roles are line_clock"),
        (ROLES, {"line_clock": "frame_clock"}, "one channel to line_clock, frame_clock"),
    ],
)
def test_names_that_make_no_sense(tmp_path, order, channel_names, message):
    path = save(tmp_path, np.zeros((4, 10)))
    with pytest.raises(SignalError, match=message):
        open_signals(path, channel_order=order, channel_names=channel_names)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 0)), "is empty"),
        (np.zeros(10), r"has shape \(10,\), that is not two dimensions"),
        (np.zeros((4, 3), dtype=complex), "holds complex128; analog signals are real numbers"),
        (np.full((4, 3), "x"), "analog signals are real numbers"),
    ],
)
def test_npy_with_something_else(tmp_path, array, message):
    with pytest.raises(SignalError, match=message):
        open_signals(save(tmp_path, array), channel_order=ROLES)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(SignalError, match=r"nowhere\.npy does not exist"):
        open_signals(tmp_path / "nowhere.npy", channel_order=ROLES)
    with pytest.raises(InputError, match="is a folder"):
        open_signals(tmp_path, channel_order=ROLES)
    (tmp_path / "s.wav").write_bytes(b"RIFF")
    with pytest.raises(SignalError, match=r"read from \.npy or \.bin, not from '\.wav'"):
        open_signals(tmp_path / "s.wav", channel_order=ROLES)
    (tmp_path / "text.npy").write_text("1, 2, 3")
    with pytest.raises(SignalError, match=r"text\.npy cannot be read as a \.npy file"):
        open_signals(tmp_path / "text.npy", channel_order=ROLES)
    (tmp_path / "empty.bin").write_bytes(b"")
    with pytest.raises(SignalError, match=r"empty\.bin is empty"):
        open_signals(tmp_path / "empty.bin", channel_order=ROLES)


def test_npy_that_was_cut_off(tmp_path):
    path = save(tmp_path, np.zeros((4, 1000)))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(SignalError, match=r"s\.npy cannot be read .* may be cut off"):
        open_signals(path, channel_order=ROLES)
