"""The folder for Suite2p, checked with NumPy alone against what Suite2p does with its files."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from derotation.calibration import Calibration
from derotation.errors import ConfigError, InputError
from derotation.export.bad_frames import bad_frames, frame_speeds
from derotation.export.frames import FilledFrames, fill_image
from derotation.export.rectangle import largest_rectangle
from derotation.export.suite2p import export_suite2p
from derotation.export.suite2p_settings import PlaneFacts, make_db, make_ops, make_settings
from derotation.export.tiff import export_tiff
from derotation.images.offset import lit_frames
from derotation.io.movie import open_movie
from derotation.io.seen import SeenPixels, SeenWriter
from derotation.maps.line_maps import LineMaps
from derotation.maps.resample import LineTiming, derotate_frames
from derotation.motion_correction.motion import Motion
from derotation.signals.angles import AngleFlag, Angles

HEIGHT, WIDTH, RATE = 20, 28, 10.0
CENTER = (12.0, 10.5)
BLANK = 7


def made_angles(line_angles):
    """Angles of lines that come one after the other without a pause."""
    line_angles = np.asarray(line_angles, float)
    shape = line_angles.shape
    start = np.arange(line_angles.size, dtype=float).reshape(shape) * (1000 / RATE / shape[1])
    return Angles(
        line_angles=line_angles,
        frame_angles=line_angles[:, shape[1] // 2],
        line_start=start,
        frame_start=start[:, 0],
        line_duty=0.9,
        line_reference="middle",
        sampling_rate=1000.0,
        frame_rate=RATE,
        line_usable=np.isfinite(line_angles),
        flags=np.full(shape, AngleFlag.AT_REST, np.uint8),
        rotation=np.full(shape[0], -1, np.int32),
        direction=np.full(shape[0], np.nan),
        speed=np.full(shape[0], np.nan),
    )


def turning(n_frames=24):
    """Rest, one turn of which a frame takes 30 degrees, rest at another angle, a bad frame."""
    angles = np.zeros((n_frames, HEIGHT))
    ramp = -np.arange(12 * HEIGHT) * 30 / HEIGHT
    angles[4:16] = ramp.reshape(12, HEIGHT)
    angles[18:21] = 40.0
    angles[22, 5:] = np.nan
    return angles


class Session:
    """A recorded and a derotated movie on disk, with the kernel's own masks."""

    def __init__(
        self, folder, *, dtype=np.uint16, line_angles=None, raw=None, interpolation="linear",
        movement=None, inside=None,
    ):  # fmt: skip
        self.angles = made_angles(turning() if line_angles is None else line_angles)
        n_frames = len(self.angles.line_angles)
        rng = np.random.default_rng(0)
        if raw is None:
            # The blank value occurs among the recorded ones.
            raw = rng.integers(BLANK, 60, (n_frames, HEIGHT, WIDTH)).astype(dtype)
        self.raw = raw
        self.calibration = Calibration(
            center=CENTER, image_shape=(HEIGHT, WIDTH), method="fixed", lag_ms=0
        )
        done = derotate_frames(
            raw,
            LineMaps.of(self.angles, self.calibration, movement=movement)(),
            timing=LineTiming(line_duty=0.9),
            interpolation=interpolation,
            blank=BLANK,
            keep_seen=True,
        )
        self.seen = done.seen if inside is None else done.seen & inside
        self.derotated = np.where(self.seen, done.frames, BLANK).astype(raw.dtype)
        names = {"raw": "raw.tif", "derotated": "derotated.tif", "seen": "seen.npz"}
        self.paths = {name: folder / file for name, file in names.items()}
        tifffile.imwrite(self.paths["raw"], raw, photometric="minisblack")
        tifffile.imwrite(self.paths["derotated"], self.derotated, photometric="minisblack")
        with SeenWriter(self.paths["seen"], raw.shape) as writer:
            writer.write(self.seen)
        count = self.seen.sum(axis=0)
        total = np.sum(self.derotated.astype(float), axis=0, where=self.seen)
        self.mean = np.where(count, total / np.maximum(count, 1), BLANK).astype(np.float32)
        self.coverage = (count / n_frames).astype(np.float32)

    def open(self, fill="mean", scale=1.0):
        seen = SeenPixels(self.paths["seen"])
        image = fill_image(fill, self.mean, self.coverage)
        return FilledFrames(open_movie(self.paths["derotated"]), seen, image, scale), seen

    def learned(self, **changes):
        """What bad_frames reads of a session's statistics."""
        brightness = np.ones(len(self.raw))
        facts = {"coverage": self.seen.mean(axis=(1, 2)), "brightness": brightness} | changes
        return SimpleNamespace(**facts, lit=lit_frames(facts["brightness"]))

    def facts(self, **changes):
        facts = PlaneFacts(
            session="ses_a", n_frames=len(self.raw), height=HEIGHT, width=WIDTH, frame_rate=RATE,
            tau=1.25, diameter=9.0, register=True, keep_raw=False,
        )  # fmt: skip
        return replace(facts, **changes)

    def export(self, folder, *, limits=None, config=None, chunk=5, **changes):
        keys = ("fill", "scale")
        frames, seen = self.open(**{k: v for k, v in changes.items() if k in keys})
        facts = self.facts(**{k: v for k, v in changes.items() if k not in keys})
        with seen:
            return export_suite2p(
                frames, seen, facts, folder / "suite2p", config=config, frames_per_chunk=chunk,
                bad_frames=bad_frames(self.angles, self.learned(), limits),
            )  # fmt: skip

    def expected(self, fill, scale=1.0):
        """The slow twin: the whole movie at once."""
        filled = np.where(self.seen, self.derotated, np.rint(fill)) * scale
        return np.rint(filled).astype(np.int16)


@pytest.fixture
def session(tmp_path):
    return Session(tmp_path)


def read_bin(folder, name="data.bin"):
    return np.fromfile(folder / "suite2p" / "plane0" / name, "<i2").reshape(-1, HEIGHT, WIDTH)


def read_dict(folder, name):
    return np.load(folder / "suite2p" / "plane0" / name, allow_pickle=True).item()


def always(session):
    """Mean of the mean image where all frames but the bad one saw it."""
    return session.mean[session.coverage >= 0.999 * session.coverage.max()]


@pytest.mark.parametrize("chunk", [1, 5, 24, 100])
def test_movie_is_the_filled_one_whatever_the_chunks(session, tmp_path, chunk):
    session.export(tmp_path, chunk=chunk)
    movie = read_bin(tmp_path)
    assert movie.nbytes == 24 * HEIGHT * WIDTH * 2
    np.testing.assert_array_equal(movie, session.expected(always(session).mean()))


@pytest.mark.parametrize("how", ["quadratic", "linear", "cubic", "nearest"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_every_interpolation_and_type(tmp_path, how, dtype):
    session = Session(tmp_path, dtype=dtype, interpolation=how)
    session.export(tmp_path)
    fill = always(session).mean()
    filled = np.where(
        session.seen, session.derotated, fill if dtype == np.float32 else np.rint(fill)
    )
    np.testing.assert_array_equal(read_bin(tmp_path), np.rint(filled).astype(np.int16))


def test_masked_and_moved_movies(tmp_path):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    masked = Session(tmp_path, inside=np.hypot(x - CENTER[0], y - CENTER[1]) <= 7.5)
    masked.export(tmp_path)
    np.testing.assert_array_equal(read_bin(tmp_path), masked.expected(always(masked).mean()))
    moved = Session(tmp_path, movement=[[1, 0, 3.0], [0, 1, -2.5]])
    moved.export(tmp_path)
    np.testing.assert_array_equal(read_bin(tmp_path), moved.expected(always(moved).mean()))
    assert not moved.seen[0].all()


def test_samples_that_were_no_number_are_filled(tmp_path):
    raw = np.random.default_rng(1).uniform(BLANK, 90, (24, HEIGHT, WIDTH)).astype(np.float32)
    raw[:, 8:13, 9:14] = np.nan
    session = Session(tmp_path, raw=raw)
    session.export(tmp_path, fill=1000)
    movie = read_bin(tmp_path)
    assert np.all(movie[0][np.isnan(raw[0])] == 1000)  # at rest
    turned = 4
    assert not session.seen[turned][10, 11]
    np.testing.assert_array_equal(movie[turned] == 1000, ~session.seen[turned])


def test_fill_is_neither_offset_nor_minimum(session, tmp_path):
    for fill in ("mean", "low", "mean_image"):
        session.export(tmp_path, fill=fill)
        movie = read_bin(tmp_path)
        filled = movie[~session.seen]
        assert filled.min() > BLANK + 5
        assert filled.max() < session.mean.max() + 1
    image = np.broadcast_to(np.rint(session.mean), movie.shape)
    once = np.broadcast_to(session.coverage > 0, movie.shape)
    np.testing.assert_array_equal(movie[~session.seen & once], image[~session.seen & once])
    session.export(tmp_path, fill=33)
    assert np.all(read_bin(tmp_path)[~session.seen] == 33)


def test_low_fill_is_a_low_percentile():
    mean = np.arange(100, dtype=np.float32).reshape(10, 10)
    coverage = np.ones((10, 10), np.float32)
    coverage[:5] = 0.5
    assert np.all(fill_image("low", mean, coverage) == pytest.approx(50 + 4.9))
    assert np.all(fill_image("mean", mean, coverage) == pytest.approx(74.5))
    with pytest.raises(InputError, match="no line of the movie could be used"):
        fill_image("mean", mean, np.zeros_like(coverage))


@pytest.mark.parametrize("value", [32768, 40000, 65535])
def test_values_beyond_16_bits_never_wrap(tmp_path, value):
    raw = np.full((24, HEIGHT, WIDTH), 100, np.uint16)
    raw[21, 10, 12] = value  # in a later chunk, at rest
    session = Session(tmp_path, raw=raw)
    high = int(session.derotated.max())
    assert high > 32767
    with pytest.raises(InputError, match=rf"from \d+ to {high}.*export\.scale") as caught:
        session.export(tmp_path)
    assert not (tmp_path / "suite2p" / "plane0" / "data.bin").exists()
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(".")] == []
    advice = float(str(caught.value).split("export.scale to ")[1].split()[0])
    assert 32767 * 0.85 < high * advice <= 32767
    session.export(tmp_path, scale=advice)
    movie = read_bin(tmp_path)
    assert movie.min() >= 0
    assert movie.max() == round(high * advice)


def test_the_largest_value_that_fits_stays(tmp_path):
    raw = np.full((24, HEIGHT, WIDTH), 32767, np.uint16)
    session = Session(tmp_path, raw=raw)
    session.export(tmp_path, fill=32767)
    assert np.all(read_bin(tmp_path) == 32767)
    low = Session(tmp_path, raw=np.full((24, HEIGHT, WIDTH), -32768, np.int16))
    low.export(tmp_path, fill=-32768)
    assert np.all(read_bin(tmp_path) == -32768)


def test_blank_value_beyond_16_bits_does_not_matter(session, tmp_path):
    session.derotated[~session.seen] = 60000
    tifffile.imwrite(session.paths["derotated"], session.derotated, photometric="minisblack")
    session.export(tmp_path)
    np.testing.assert_array_equal(read_bin(tmp_path), session.expected(always(session).mean()))


def test_floats_that_rounding_would_flatten_are_refused(tmp_path):
    raw = np.random.default_rng(0).uniform(0, 1, (24, HEIGHT, WIDTH)).astype(np.float32)
    session = Session(tmp_path, raw=raw)
    session.derotated[~session.seen] = 0.5
    tifffile.imwrite(session.paths["derotated"], session.derotated, photometric="minisblack")
    with pytest.raises(InputError, match="only 1 steps are left of them"):
        session.export(tmp_path)
    session.export(tmp_path, scale=1000)
    assert read_bin(tmp_path).max() > 900


def test_bad_frames_are_numbers_from_zero(session, tmp_path):
    session.export(tmp_path, limits={"min_coverage": 0.0})
    bad = np.load(tmp_path / "suite2p" / "bad_frames.npy")
    assert bad.dtype.kind == "i"
    assert bad.tolist() == [22]
    # As Suite2p reads it: a mask would be taken for the frames 0 and 1.
    marked = np.zeros(24, bool)
    marked[bad.flatten().astype("int")] = True
    assert np.flatnonzero(marked).tolist() == [22]
    coverage = session.seen.mean(axis=(1, 2))
    limit = (np.sort(coverage)[3] + np.sort(coverage)[4]) / 2
    session.export(tmp_path, limits={"min_coverage": limit})
    bad = np.load(tmp_path / "suite2p" / "bad_frames.npy")
    assert bad.tolist() == np.flatnonzero(coverage < limit).tolist()
    session.export(tmp_path, limits={"min_coverage": 0, "max_speed": 200})
    assert np.load(tmp_path / "suite2p" / "bad_frames.npy").tolist() == [*range(4, 16), 22]
    session.export(tmp_path, limits={"min_coverage": 0, "max_speed": 350})
    assert np.load(tmp_path / "suite2p" / "bad_frames.npy").tolist() == [22]


def test_dark_frames_are_bad(session):
    brightness = np.ones(24)
    brightness[[3, 9]] = 0.02
    found = bad_frames(session.angles, session.learned(brightness=brightness))
    assert np.flatnonzero(found["dark"]).tolist() == [3, 9]
    # Without a frame at rest there is nothing to tell the brightness by.
    unknown = bad_frames(session.angles, session.learned(brightness=np.full(24, np.nan)))
    assert not unknown["dark"].any()


def test_speed_within_a_frame_does_not_mind_the_end_of_a_turn():
    angles = np.zeros((3, 100))
    angles[1] = np.concatenate([np.linspace(-350, -360, 50), np.zeros(50)])
    angles[2] = np.arange(100) * 0.2  # 20 degrees in a tenth of a second
    speeds = frame_speeds(made_angles(angles))
    assert speeds[0] == 0
    assert speeds[1] < 250
    assert speeds[2] == pytest.approx(200)


def test_nothing_is_bad_in_a_good_session(tmp_path):
    session = Session(tmp_path, line_angles=np.zeros((24, HEIGHT)))
    session.export(tmp_path)
    bad = np.load(tmp_path / "suite2p" / "bad_frames.npy")
    assert bad.shape == (0,)
    assert bad.dtype.kind == "i"
    ranges = read_dict(tmp_path, "reg_outputs.npy")
    assert (ranges["yrange"], ranges["xrange"]) == ([0, HEIGHT], [0, WIDTH])


def test_always_seen_rectangle(session, tmp_path):
    session.export(tmp_path, limits={"min_coverage": 0})
    ranges = read_dict(tmp_path, "reg_outputs.npy")
    (top, bottom), (left, right) = ranges["yrange"], ranges["xrange"]
    good = np.arange(24) != 22
    always_seen = session.seen[good].all(axis=0)
    assert always_seen[top:bottom, left:right].all()
    assert (bottom - top) * (right - left) == slow_rectangle(always_seen)
    assert ranges["badframes"].dtype == bool
    assert np.flatnonzero(ranges["badframes"]).tolist() == [22]
    ops = read_dict(tmp_path, "ops.npy")
    assert (ops["yrange"], ops["xrange"]) == (ranges["yrange"], ranges["xrange"])
    np.testing.assert_array_equal(ops["badframes"], ranges["badframes"])


def test_without_an_always_seen_pixel_the_whole_frame_is_searched(tmp_path, caplog):
    session = Session(tmp_path)
    far = Session(tmp_path, movement=[[1, 0, 5000.0], [0, 1, 0]])
    far.mean, far.coverage = session.mean, session.coverage
    far.export(tmp_path, limits={"min_coverage": 0})
    ranges = read_dict(tmp_path, "reg_outputs.npy")
    assert (ranges["yrange"], ranges["xrange"]) == ([0, HEIGHT], [0, WIDTH])
    assert "No pixel was seen by all frames" in caplog.text
    told = json.loads((tmp_path / "suite2p" / "export.json").read_text())
    assert told["always_seen"]["is_whole_frame_since_no_pixel_was_always_seen"]


def slow_rectangle(inside):
    """Try all rectangles."""
    height, width = inside.shape
    sums = np.pad(inside.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    best = 0
    for top in range(height):
        for bottom in range(top + 1, height + 1):
            strip = sums[bottom] - sums[top]
            for left in range(width):
                widths = np.arange(left + 1, width + 1)
                full = strip[widths] - strip[left] == (bottom - top) * (widths - left)
                best = max(best, int(((widths - left)[full] * (bottom - top)).max(initial=0)))
    return best


@settings(max_examples=40)
@given(st.integers(1, 7), st.integers(1, 7), st.floats(0, 1), st.integers(0, 2**16))
def test_largest_rectangle_of_any_mask(height, width, fraction, seed):
    inside = np.random.default_rng(seed).random((height, width)) < fraction
    found = largest_rectangle(inside)
    if found is None:
        assert not inside.any()
        return
    (top, bottom), (left, right) = found
    assert inside[top:bottom, left:right].all()
    assert (bottom - top) * (right - left) == slow_rectangle(inside)


def test_what_generation_1_needs(session, tmp_path):
    session.export(tmp_path)
    db, settings_1 = read_dict(tmp_path, "db.npy"), read_dict(tmp_path, "settings.npy")
    for key in ("data_path", "save_path0", "save_path", "reg_file", "nframes", "Ly", "Lx",
                "nchannels", "keep_movie_raw"):  # fmt: skip
        assert key in db
    assert (db["nframes"], db["Ly"], db["Lx"]) == (24, HEIGHT, WIDTH)
    assert settings_1["fs"] == RATE
    assert settings_1["tau"] == 1.25
    assert settings_1["diameter"] == [9.0, 9.0]
    assert settings_1["registration"]["do_bidiphase"] is False
    assert settings_1["run"]["do_registration"] == 1
    # Suite2p's own merge is shallow: sections have to be complete.
    assert len(settings_1["registration"]) > 15
    assert len(settings_1["detection"]) > 10
    assert {"run", "io", "registration", "detection", "classification", "extraction",
            "dcnv_preprocess"} <= settings_1.keys()  # fmt: skip
    for section in ("registration", "detection"):
        rows, columns = settings_1[section]["block_size"]
        assert rows < HEIGHT
        assert columns < WIDTH


def test_what_generation_0_needs(session, tmp_path):
    session.export(tmp_path, register=False)
    ops = read_dict(tmp_path, "ops.npy")
    assert (ops["nframes"], ops["Ly"], ops["Lx"]) == (24, HEIGHT, WIDTH)
    assert (ops["fs"], ops["tau"]) == (RATE, 1.25)
    assert ops["do_bidiphase"] is False
    assert ops["do_registration"] == 0
    assert ops["nchannels"] == ops["nplanes"] == 1
    assert max(ops["block_size"]) < HEIGHT


def test_no_path_is_absolute_or_that_of_another_session(session):
    facts = session.facts(keep_raw=True)
    for content in (make_db(facts), make_ops(facts, {}, {})):
        paths = [content[key] for key in ("save_path", "reg_file", "raw_file", "save_path0")]
        for path in [*paths, *content["data_path"]]:
            assert not path.startswith("/")
            assert path.split("/")[0] == "ses_a"


def test_blocks_are_smaller_than_any_frame():
    for size, expected in ((512, 128), (129, 128), (128, 64), (64, 32), (33, 32), (3, 2)):
        facts = PlaneFacts(
            session="s", n_frames=1, height=size, width=512, frame_rate=1.0, tau=1.0,
            diameter=1.0, register=True, keep_raw=False,
        )  # fmt: skip
        assert facts.block(128) == [expected, 128]


def test_users_own_settings(session, tmp_path):
    wanted = {"settings": {"detection": {"threshold_scaling": 0.5}}, "ops": {"nonrigid": False}}
    session.export(tmp_path, config=wanted)
    assert read_dict(tmp_path, "settings.npy")["detection"]["threshold_scaling"] == 0.5
    assert read_dict(tmp_path, "settings.npy")["detection"]["max_overlap"] == 0.75
    assert read_dict(tmp_path, "ops.npy")["nonrigid"] is False
    with pytest.raises(
        ConfigError, match=r"settings\.detection\.treshold_scaling.*did you mean \"thre"
    ):
        make_settings(session.facts(), {"detection": {"treshold_scaling": 1}})
    with pytest.raises(ConfigError, match=r"settings\.detection: found 3, expected settings"):
        make_settings(session.facts(), {"detection": 3})


def test_a_copy_that_registration_leaves_alone(session, tmp_path):
    session.export(tmp_path, keep_raw=True)
    np.testing.assert_array_equal(read_bin(tmp_path), read_bin(tmp_path, "data_raw.bin"))
    for name in ("db.npy", "ops.npy"):
        assert read_dict(tmp_path, name)["keep_movie_raw"] is True
        assert read_dict(tmp_path, name)["raw_file"].endswith("plane0/data_raw.bin")


def test_a_system_that_takes_no_advice_on_files_gets_the_same(session, tmp_path, monkeypatch):
    session.export(tmp_path)
    expected = read_bin(tmp_path)
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    session.export(tmp_path)
    np.testing.assert_array_equal(read_bin(tmp_path), expected)


def test_nothing_that_looks_whole_is_left_by_an_error(session, tmp_path, monkeypatch):
    blocks = FilledFrames.blocks

    def dies(self, *arguments):
        for number, block in enumerate(blocks(self, *arguments)):
            if number == 2:
                raise KeyboardInterrupt
            yield block

    monkeypatch.setattr(FilledFrames, "blocks", dies)
    with pytest.raises(KeyboardInterrupt):
        session.export(tmp_path)
    assert [path for path in (tmp_path / "suite2p").rglob("*") if path.is_file()] == []


def test_results_of_an_earlier_movie_are_kept_apart(session, tmp_path):
    session.export(tmp_path)
    plane = tmp_path / "suite2p" / "plane0"
    np.save(plane / "iscell.npy", np.ones((3, 2)))
    session.export(tmp_path)
    assert not (plane / "iscell.npy").exists()
    (kept,) = (tmp_path / "suite2p" / "earlier").glob("*/iscell.npy")
    assert np.load(kept).shape == (3, 2)


def test_tiff_is_alone_signed_and_uncompressed(session, tmp_path):
    frames, seen = session.open()
    path = tmp_path / "suite2p_tiff" / "ses_a.tif"
    with seen:
        export_tiff(frames, path, frame_rate=RATE, frames_per_chunk=7)
    assert [*path.parent.iterdir()] == [path]
    with tifffile.TiffFile(path) as tif:
        assert len(tif.pages) == 24
        assert all(page.compression == 1 for page in tif.pages)
        assert tif.pages[0].dtype == np.int16
        np.testing.assert_array_equal(tif.asarray(), session.expected(always(session).mean()))


FAKE = {
    "1.1.0": """
        import numpy as np
        from pathlib import Path
        def default_settings():
            return {"fs": 10.0, "detection": {"threshold_scaling": 1.0, "new": 5}, "extra": 1}
        def run_s2p(db, settings):
            plane = Path(db["save_path0"]) / db["save_folder"] / "plane0"
            told = np.load(plane / "db.npy", allow_pickle=True).item()
            bad = np.load(Path(told["data_path"][0]) / "bad_frames.npy")
            assert settings["fs"] == 10.0 and settings["tau"] == 1.25
            assert settings["detection"]["new"] == 5 and settings["extra"] == 1
            assert settings["detection"]["max_overlap"] == 0.75
            assert bad.tolist() == [22], bad
            movie = np.memmap(told["reg_file"], "int16", "r",
                              shape=(told["nframes"], told["Ly"], told["Lx"]))
            np.save(plane / "stat.npy", np.array([{}, {}]))
            np.save(plane / "iscell.npy", np.array([[1, 0.9], [0, 0.1]]))
    """,
    "0.14.6": """
        import numpy as np
        from pathlib import Path
        def run_s2p(ops):
            plane = Path(ops["save_path0"]) / ops["save_folder"] / "plane0"
            told = np.load(plane / "ops.npy", allow_pickle=True).item()
            assert Path(told["reg_file"]) == plane / "data.bin"
            assert np.load(Path(told["data_path"][0]) / "bad_frames.npy").tolist() == [22]
            np.save(plane / "stat.npy", np.array([{}, {}]))
            np.save(plane / "iscell.npy", np.array([[1, 0.9], [0, 0.1]]))
    """,
}


def install(folder, version):
    """Put something in place of Suite2p that checks what it is given."""
    package = folder / "site" / "suite2p"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(textwrap.dedent(FAKE[version]))
    info = folder / "site" / f"suite2p-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: suite2p\nVersion: {version}\n")
    return folder / "site"


def run_exported(script, site, cwd):
    return subprocess.run(
        [sys.executable, str(script)], cwd=cwd, env={"PYTHONPATH": str(site)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("version", FAKE)
def test_folder_runs_from_anywhere_after_it_was_moved(session, tmp_path, version):
    site = install(tmp_path, version)
    home = tmp_path / "results" / "ses_a"
    session.export(home, limits={"min_coverage": 0})
    copy = tmp_path / "elsewhere" / "copied"
    shutil.copytree(home / "suite2p", copy)
    # A copy must not fall back on the original, nor on another session's file under the cwd.
    for place, cwd in ((copy, tmp_path / "results"), (copy, home)):
        done = run_exported(place / "run_suite2p.py", site, cwd)
        assert done.returncode == 0, done.stderr
        said = json.loads((place / "suite2p_run.json").read_text())
        assert (said["suite2p"], said["rois"], said["cells"]) == (version, 2, 1)
    name = "db.npy" if version.startswith("1") else "ops.npy"
    told = np.load(copy / "plane0" / name, allow_pickle=True).item()
    assert told["reg_file"] == str(copy / "plane0" / "data.bin")
    shutil.move(copy, tmp_path / "moved")
    done = run_exported(tmp_path / "moved" / "run_suite2p.py", site, tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (home / "suite2p" / "plane0" / "stat.npy").exists()


def test_script_says_what_is_wrong(session, tmp_path):
    site = install(tmp_path, "1.1.0")
    session.export(tmp_path)
    script = tmp_path / "suite2p" / "run_suite2p.py"
    movie = tmp_path / "suite2p" / "plane0" / "data.bin"
    movie.write_bytes(movie.read_bytes()[:-2])
    done = run_exported(script, site, tmp_path)
    assert done.returncode != 0
    assert f"data.bin has {24 * HEIGHT * WIDTH * 2 - 2} bytes" in done.stderr
    done = run_exported(script, tmp_path / "nothing", tmp_path)
    assert done.returncode != 0
    assert "cannot import Suite2p" in done.stderr


def test_frames_that_no_shift_can_mend_are_bad(tmp_path):
    session = Session(tmp_path)
    lost = np.zeros(24, bool)
    lost[7] = True
    motion = Motion(
        time_s=np.arange(2.0), x=np.zeros(2), y=np.zeros(2), sd=np.ones(2), lost=lost,
        left_px=0.0, corrected=False,
    )  # fmt: skip
    found = bad_frames(session.angles, session.learned(), motion=motion)
    (reason,) = [name for name in found if "motion.csv" in name]
    assert np.flatnonzero(found[reason]).tolist() == [7]
