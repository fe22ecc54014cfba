"""Exports of two channels: what Suite2p and NWB are told, and which pixels they get."""

import json

import numpy as np
import pytest
import tifffile
from test_export_suite2p import BLANK, HEIGHT, WIDTH, Session, read_bin, read_dict

from derotation.export import run_suite2p
from derotation.export.frames import FilledFrames, fill_image
from derotation.export.nwb import export_nwb
from derotation.export.suite2p import export_suite2p
from derotation.export.suite2p_settings import make_ops, make_settings
from derotation.io.movie import open_movie
from derotation.io.seen import SeenPixels


@pytest.fixture
def session(tmp_path):
    return Session(tmp_path)


@pytest.fixture
def second(session, tmp_path):
    """The derotated movie of another channel: brighter, with a blank value of its own."""
    path = tmp_path / "second.tif"
    movie = np.where(session.seen, 2 * session.derotated + 500, 3).astype(np.uint16)
    tifffile.imwrite(path, movie, photometric="minisblack")
    return path


def export(session, second, folder, **changes):
    frames, seen = session.open()
    with seen, SeenPixels(session.paths["seen"]) as pixels:
        facts = session.facts(**changes)
        fill = fill_image("mean", 2 * session.mean + 500, session.coverage)
        other = FilledFrames(open_movie(second), pixels, fill)
        return export_suite2p(
            frames, seen, facts, folder / "suite2p", frames_per_chunk=5,
            second=other if len(facts.channels) > 1 else None,
        )  # fmt: skip


@pytest.mark.parametrize("keep_raw", [False, True])
def test_both_movies_are_filled_by_their_own_values(session, second, tmp_path, keep_raw):
    export(session, second, tmp_path, channels=(1, 2), keep_raw=keep_raw)
    fill = session.mean[session.coverage >= 0.999 * session.coverage.max()].mean()
    first = session.expected(fill)
    expected = np.where(session.seen, 2 * session.derotated.astype(int) + 500,
                        np.rint(2 * fill + 500))  # fmt: skip
    np.testing.assert_array_equal(read_bin(tmp_path), first)
    np.testing.assert_array_equal(read_bin(tmp_path, "data_chan2.bin"), expected)
    copies = ("data_raw.bin", "data_chan2_raw.bin")
    for name, movie in zip(copies, (first, expected), strict=True):
        assert (tmp_path / "suite2p" / "plane0" / name).exists() == keep_raw
        if keep_raw:
            np.testing.assert_array_equal(read_bin(tmp_path, name), movie)
    for name in ("ops.npy", "reg_outputs.npy"):
        told = read_dict(tmp_path, name)
        np.testing.assert_allclose(told["meanImg"], first.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(told["meanImg_chan2"], expected.mean(axis=0), rtol=1e-5)
    assert np.all(first[~session.seen] != BLANK)


@pytest.mark.parametrize(("channels", "functional_chan"), [((1, 2), 1), ((2, 1), 2), ((3, 4), 1)])
def test_both_generations_are_told(session, second, tmp_path, channels, functional_chan):
    export(session, second, tmp_path, channels=channels, keep_raw=True)
    for name in ("db.npy", "ops.npy"):
        told = read_dict(tmp_path, name)
        assert (told["nchannels"], told["functional_chan"]) == (2, functional_chan)
        for key, file in (
            ("reg_file", "data.bin"), ("reg_file_chan2", "data_chan2.bin"),
            ("raw_file", "data_raw.bin"), ("raw_file_chan2", "data_chan2_raw.bin"),
        ):  # fmt: skip
            assert told[key] == f"ses_a/suite2p/plane0/{file}"
    # Suite2p 0.14 registers by data_chan2.bin if these two differ, 1.x if this is true.
    assert told["align_by_chan"] == told["functional_chan"]
    assert read_dict(tmp_path, "settings.npy")["registration"]["align_by_chan2"] is False
    summary = json.loads((tmp_path / "suite2p" / "export.json").read_text())
    assert summary["channels"] == {"functional": channels[0], "other": [channels[1]]}


def test_nothing_is_left_of_a_second_channel(session, second, tmp_path):
    export(session, second, tmp_path, channels=(1, 2), keep_raw=True)
    export(session, second, tmp_path)
    assert sorted(path.name for path in (tmp_path / "suite2p" / "plane0").glob("*.bin")) == [
        "data.bin"
    ]
    assert read_dict(tmp_path, "db.npy")["nchannels"] == 1
    assert "reg_file_chan2" not in read_dict(tmp_path, "ops.npy")
    assert "meanImg_chan2" not in read_dict(tmp_path, "reg_outputs.npy")


def test_the_script_finds_both_and_misses_half_of_one(session, second, tmp_path, monkeypatch):
    export(session, second, tmp_path, channels=(1, 2))
    plane = tmp_path / "suite2p" / "plane0"
    monkeypatch.setattr(run_suite2p, "FOLDER", tmp_path / "suite2p")
    assert run_suite2p.planes() == [plane]
    facts = run_suite2p.save_here("db.npy", run_suite2p.load("db.npy", plane), plane)
    assert facts["reg_file_chan2"] == str(plane / "data_chan2.bin")
    run_suite2p.check_size(facts, plane)
    movie = plane / "data_chan2.bin"
    movie.write_bytes(movie.read_bytes()[: HEIGHT * WIDTH])
    with pytest.raises(SystemExit, match=r"data_chan2\.bin has 560 bytes"):
        run_suite2p.check_size(facts, plane)


@pytest.mark.filterwarnings("ignore")  # of the packages behind pynwb
@pytest.mark.parametrize("movies", ["external", "inside"])
def test_nwb_holds_both(session, second, tmp_path, movies):
    pynwb = pytest.importorskip("pynwb")
    both = tmp_path / "both.tif"
    raw = np.stack([session.raw, 2 * session.raw + 500], axis=1)
    tifffile.imwrite(both, raw, photometric="minisblack", metadata={"axes": "TCYX"})
    path = tmp_path / "s.nwb"
    with open_movie(both, channel=1) as recorded:
        export_nwb(
            path, session="s", recorded=recorded, derotated=open_movie(session.paths["derotated"]),
            further=[(recorded.part(channel=2), open_movie(second))], movies=movies,
            angles=session.angles, calibration=session.calibration,
        )  # fmt: skip
    found = pynwb.validate(path=str(path))
    assert not (found[0] if isinstance(found, tuple) else found)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        module = file.processing["derotation"]
        assert "channel 2" in module["derotated_ch2"].description
        assert "channel 2" in file.acquisition["raw_ch2"].description
        names = [each.name for each in file.imaging_planes["ImagingPlane"].optical_channel]
        assert names == ["OpticalChannel", "OpticalChannel_ch2"]
        if movies == "inside":
            for series, expected in (
                (file.acquisition["raw_ch2"], raw[:, 1]),
                (module["derotated_ch2"], tifffile.imread(second)),
            ):
                np.testing.assert_array_equal(series.data[:].transpose(0, 2, 1), expected)
        else:
            assert list(module["derotated_ch2"].external_file) == ["second.tif"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, 0.65),
        ({"detection": {"cellpose_chan2": True}}, 0.25),
        ({"detection": {"cellpose_chan2": True, "chan2_threshold": 0.5}}, 0.5),
    ],
)
def test_an_roi_as_bright_as_its_surroundings_is_not_marked(session, given, expected):
    settings = make_settings(session.facts(channels=(1, 2)), given)
    assert settings["detection"]["chan2_threshold"] == expected


@pytest.mark.parametrize(
    ("channels", "n_planes", "expected"), [((1,), 1, True), ((1,), 2, False), ((1, 2), 2, True)]
)
def test_planes_of_one_channel_are_not_put_side_by_side(session, channels, n_planes, expected):
    facts = session.facts(channels=channels, n_planes=n_planes)
    assert make_ops(facts, {}, {})["combined"] is expected
    assert make_ops(facts, {}, {"combined": True})["combined"] is True
