import sys
import tracemalloc

import numpy as np
import pytest
import scipy.io

from derotation.errors import ConfigError, InputError, SignalError
from derotation.io.columns import ForeignColumns
from derotation.io.signals import ROLES, BinLayout, open_signals

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
    samples = np.random.default_rng(1).normal(size=(10, 4))
    signals = open_signals(save(tmp_path, samples), channel_order=ROLES)
    assert signals.n_samples == 10
    np.testing.assert_array_equal(signals.raw("frame_clock"), samples[:, 1])


def test_bin_whose_size_is_no_multiple_of_the_channels(tmp_path):
    np.zeros(6 * 10 + 1, dtype="<i2").tofile(tmp_path / "s.bin")
    message = r"has 122 bytes of samples, which is no multiple of 12 \(6 channels x 2 bytes, 2 are"
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
    with pytest.raises(SignalError, match=r"read from \.npy, \.bin, .*, not from '\.wav'"):
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


# ------------------------------------------------------- layouts of .bin


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", ">i2", "int32", "uint32"])
@pytest.mark.parametrize("header_bytes", [0, 37])
def test_bin_of_any_integer_type_behind_a_header(tmp_path, dtype, header_bytes):
    limits = np.iinfo(np.dtype(dtype))
    stored = np.linspace(limits.min, limits.max, 28).round().astype(dtype).reshape(7, 4)
    with (tmp_path / "s.bin").open("wb") as stream:
        stream.write(bytes(header_bytes))
        stream.write(stored.tobytes())
    layout = BinLayout(dtype=dtype, header_bytes=header_bytes, range_v=(0, 5))
    signals = open_signals(tmp_path / "s.bin", layout=layout)
    np.testing.assert_array_equal(signals.raw("line_clock"), stored[:, 0])
    volts = signals.volts("rotation_ticks")
    assert volts[-1] == pytest.approx(5, abs=5 / 2**7)
    np.testing.assert_allclose(
        volts, 5 * (stored[:, 3].astype(float) - limits.min) / 2**limits.bits, atol=1e-9
    )


def test_bin_layouts_that_make_no_sense(tmp_path):
    (tmp_path / "s.bin").write_bytes(bytes(16))
    with pytest.raises(SignalError, match=r"signals\.bin\.dtype is 'float32'; an integer type"):
        open_signals(tmp_path / "s.bin", layout=BinLayout(dtype="float32"))
    with pytest.raises(SignalError, match="is empty after its header of 16 bytes"):
        open_signals(tmp_path / "s.bin", layout=BinLayout(header_bytes=16))


# ------------------------------------------------- files of other programs

WIRES = ("camera", "frames", "lines", "on", "ticks")
NAMES = {
    "line_clock": "lines",
    "frame_clock": "frames",
    "rotation_on": "on",
    "rotation_ticks": "ticks",
}


def volts_of_rig(n=3000):
    return np.random.default_rng(7).uniform(-5, 5, (5, n))


def write_rig(path, kind, volts):
    """Write channels in one of many ways; return the options by which they are read."""
    numbered = {"channel_order": WIRES, "channel_names": NAMES}
    named = {"channel_names": NAMES}
    if kind == "mat":
        scipy.io.savemat(path, {"data": volts.T, "rate": 1000.0})
        return numbered
    if kind == "mat variables":
        scipy.io.savemat(path, dict(zip(WIRES, volts, strict=True)))
        return named
    if kind == "csv":
        header = ",".join(WIRES)
        np.savetxt(path, volts.T, delimiter=",", header=header, comments="", fmt="%.9f")
        return named
    if kind == "csv without names":
        np.savetxt(path, volts.T, delimiter=",", fmt="%.9f")
        return numbered
    if kind == "tdms":
        nptdms = pytest.importorskip("nptdms")
        with nptdms.TdmsWriter(path) as writer:
            for part in np.array_split(volts, 3, axis=1):
                writer.write_segment(
                    [
                        nptdms.ChannelObject("daq", name, row)
                        for name, row in zip(WIRES, part, strict=True)
                    ]
                )
        return named
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        if kind == "mat 7.3":
            file["data"] = volts
            file["other"] = np.zeros((1, 7))
            return {**numbered, "dataset": "data"}
        if kind == "h5":
            file.create_dataset("a/volts", data=volts, chunks=(5, 100), compression="gzip")
            return numbered
        if kind == "h5 transposed":
            file["volts"], file["more"] = volts.T, volts.T
            return {**numbered, "dataset": "volts"}
        if kind == "h5 columns":
            for name, row in zip(WIRES, volts, strict=True):
                file[f"daq/{name}"] = row
            return named
        assert kind == "wavesurfer"
        # What an inactive channel would be called comes first.
        file["header/AIChannelNames"] = [b"spare", b"camera", b"frames", b"lines"]
        file["header/IsAIChannelActive"] = np.array([[0.0, 1, 1, 1]])
        file["header/AIChannelScales"] = np.array([[1.0, 1, 1, 2]])
        gain = 20 / 2**15
        file["header/AIScalingCoefficients"] = np.array([[0.25, gain, 0, 0]] * 3)
        scale = np.array([[1], [1], [2]])
        stored = np.rint((volts[:3] * scale - 0.25) / gain).astype("i2")
        file["sweep_0001/analogScans"] = stored
        file["header/DIChannelNames"] = [b"on", b"ticks"]
        bits = (volts[3] > 0).astype("u1") | ((volts[4] > 0).astype("u1") << 1)
        file["sweep_0001/digitalScans"] = bits[None]
    return named


KINDS = [
    "mat",
    "mat variables",
    "mat 7.3",
    "csv",
    "csv without names",
    "tdms",
    "h5",
    "h5 transposed",
    "h5 columns",
    "wavesurfer",
]


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_other_programs(tmp_path, kind):
    volts = volts_of_rig()
    suffix = "h5" if kind == "wavesurfer" else kind.split()[0]
    path = tmp_path / f"s.{suffix}"
    signals = open_signals(path, **write_rig(path, kind, volts))
    assert signals.n_samples == 3000
    for role, name in NAMES.items():
        expected = volts[WIRES.index(name)]
        if kind == "wavesurfer" and name in ("on", "ticks"):
            expected = (expected > 0).astype(float)
        found = signals.volts(role)
        assert not signals.raw(role).flags.writeable
        np.testing.assert_allclose(found, expected, atol=4e-4 if kind == "wavesurfer" else 1e-6)
        np.testing.assert_array_equal(signals.volts(role, 10, 20), found[10:20])
        signals.release()
    np.testing.assert_array_equal(
        signals.swapped("line_clock", "frame_clock").raw("line_clock"), signals.raw("frame_clock")
    )


@pytest.mark.parametrize("role", ["angle_voltage", "quadrature_b"])
def test_a_missing_channel_of_the_angle_names_the_source(tmp_path, role):
    np.save(tmp_path / "s.npy", volts_of_rig(50)[:4])
    with pytest.raises(SignalError, match=rf"{role}.* is not among") as caught:
        open_signals(tmp_path / "s.npy", channel_order=ROLES, required=(*ROLES[:2], role))
    assert "angles.source" in str(caught.value)
    assert "signals.channel_order" in str(caught.value)
    # A key that nobody has written is no key to correct.
    assert "signals.channel_names" not in str(caught.value)
    # Whoever wrote it reads where it stands.
    with pytest.raises(SignalError, match=r"Correct signals\.channel_names"):
        open_signals(tmp_path / "s.npy", channel_order=ROLES, channel_names={"direction": "dir"})


def test_channels_by_number(tmp_path):
    volts = volts_of_rig(50)
    numbers = dict(zip(ROLES, (3, 2, 4, 5), strict=True))
    np.save(tmp_path / "s.npy", volts)
    for path, options in (
        (tmp_path / "s.npy", {"channel_order": WIRES}),
        (tmp_path / "s.csv", {}),
    ):
        if path.suffix == ".csv":
            np.savetxt(path, volts.T, delimiter=",", fmt="%.12f")
        signals = open_signals(path, channel_names=numbers, **options)
        np.testing.assert_allclose(signals.volts("line_clock"), volts[2])
    with pytest.raises(SignalError, match=r"channel '6', wanted as line_clock, is not among"):
        open_signals(path, channel_names={**numbers, "line_clock": 6})


def test_foreign_files_are_only_listed_when_they_are_opened(tmp_path, monkeypatch):
    path = tmp_path / "s.mat"
    options = write_rig(path, "mat", volts_of_rig())
    signals = open_signals(path, **options)
    monkeypatch.setattr(ForeignColumns, "read", lambda *_: pytest.fail("was unpacked"))
    assert signals.n_samples == 3000
    signals.release()
    assert "n_samples=3000" in repr(signals)


def test_reading_text_takes_memory_of_a_stretch_only(tmp_path, monkeypatch):
    from derotation.io.foreign import unpack

    monkeypatch.setattr(unpack, "_BLOCK_SAMPLES", 5 * 64)
    volts = volts_of_rig(1000)
    path = tmp_path / "s.csv"
    write_rig(path, "csv", volts)
    target = tmp_path / "out"
    target.touch()
    assert unpack.unpack_columns(path, None, 4, (3, 1), target) == 1000
    found = np.fromfile(target).reshape(2, 1000)
    np.testing.assert_allclose(found, volts[[3, 1]], atol=1e-8)


def test_what_is_missing_in_foreign_files_is_named(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as file:
        file["one"], file["two"] = np.zeros((5, 9)), np.zeros((5, 9))
        file["words"] = "words"
    with pytest.raises(SignalError, match=r"several datasets \(one, two\); say which one"):
        open_signals(path)
    with pytest.raises(SignalError, match=r"no dataset 'three'; found one, two"):
        open_signals(path, dataset="three")
    with pytest.raises(SignalError, match=r"words holds object; real numbers"):
        open_signals(path, dataset="words")
    with pytest.raises(SignalError, match=r"'line_clock', .* \(the file has 5 channels\)"):
        open_signals(path, dataset="one")
    with h5py.File(path, "w") as file:
        for number, role in enumerate(ROLES):
            file[role] = np.zeros(100 + number)
    with pytest.raises(SignalError, match=r"different numbers of samples \(line_clock 100, frame"):
        open_signals(path)


def test_a_library_that_is_not_installed_is_named(tmp_path, monkeypatch):
    from derotation.io import foreign

    monkeypatch.setitem(sys.modules, "nptdms", None)
    with pytest.raises(ConfigError, match=r"npTDMS, which is not installed; run pip install"):
        foreign.list_columns(tmp_path / "s.tdms", None, None)


@pytest.mark.parametrize("kind", ["mat variables", "csv", "tdms", "h5 columns"])
@pytest.mark.parametrize("order", [ROLES, SIX[:5], WIRES[::-1]], ids=["four", "five", "others"])
def test_places_say_nothing_where_columns_have_names(tmp_path, kind, order):
    """Five named columns and an order of five names: none is taken by its place."""
    path = tmp_path / f"s.{kind.split()[0]}"
    write_rig(path, kind, volts_of_rig(50))
    with pytest.raises(SignalError, match=r"'line_clock', wanted as line_clock, is not among"):
        open_signals(path, channel_order=order)
    wrong = {**NAMES, "rotation_ticks": "tick"}
    with pytest.raises(SignalError, match='did you mean "ticks"') as caught:
        open_signals(path, channel_order=order, channel_names=wrong)
    assert all(name in str(caught.value) for name in WIRES)


def test_a_name_that_two_columns_share_is_not_the_first_of_them(tmp_path):
    text = "lines,frames,on,ticks,lines\n" + "1,2,3,4,5\n" * 9
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(SignalError, match=r"'lines', wanted as line_clock, is not among"):
        open_signals(tmp_path / "s.csv", channel_names=NAMES)
    signals = open_signals(tmp_path / "s.csv", channel_names={**NAMES, "line_clock": 5})
    assert signals.raw("line_clock")[0] == 5
