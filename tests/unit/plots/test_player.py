"""What the player is given: the right frames, in their places in the sheets, and small enough."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from derotation.plots import player
from derotation.plots.animation import SideBySide, choose_frames
from derotation.plots.player import PlayerFrames, choose_player_frames, save_player
from derotation.signals.angles import Angles


def session(n_frames, turns, n_lines=4):
    """Angles of a session with turns at [first frame, last frame], each by 360 degrees."""
    degrees, rotation = np.zeros((n_frames, n_lines)), np.full(n_frames, -1)
    line_start = np.arange(n_frames * n_lines).reshape(n_frames, n_lines) * 25.0
    for number, (first, last) in enumerate(turns):
        within = line_start[first : last + 1]
        degrees[first : last + 1] = 360 * (within - within[0, 0]) / (np.ptp(within) + 25)
        rotation[first : last + 1] = number
    turning = rotation >= 0
    return Angles(
        line_angles=degrees, frame_angles=degrees[:, n_lines // 2], line_start=line_start,
        frame_start=line_start[:, 0], line_duty=1.0, line_reference="middle",
        sampling_rate=1000.0, frame_rate=10.0, line_usable=np.isfinite(degrees),
        flags=np.zeros(degrees.shape, np.uint8), rotation=rotation.astype(np.int32),
        direction=np.where(turning, -1.0, np.nan), speed=np.where(turning, 90.0, np.nan),
    )  # fmt: skip


def test_a_short_session_is_shown_whole():
    assert choose_player_frames(session(90, [(20, 50)])).tolist() == list(range(90))


def test_a_long_session_is_spread_over_time_and_angles_and_one_turn_is_whole():
    angles = session(5000, [(100, 140), (2500, 2560), (4000, 4900)])
    frames = choose_player_frames(angles)
    assert set(choose_frames(angles)) <= set(frames)
    assert len(frames) <= player.N_FRAMES + 40
    assert frames[0] == 0
    assert frames[-1] == 4999
    # Half of the way is time, so that no part of it is left out.
    assert np.diff(frames).max() < 5000 / player.N_FRAMES * 2.2
    turning = angles.rotation[frames]
    assert all(np.sum(turning == k) >= 10 for k in range(3))


def test_the_angles_need_not_be_known():
    angles = session(500, [])
    assert len(choose_player_frames(angles)) >= player.N_FRAMES


def saved(tmp_path, raw, derotated, angles, frames, seen=None, **more):
    n, height, width = raw.shape
    content = PlayerFrames(
        frames=np.asarray(frames),
        shown=SideBySide(
            raw=raw, derotated=derotated, angles=angles.frame_angles[frames],
            times=angles.frame_start[frames] / 1000, center=(10.0, 8.0),
        ),
        scale=1,
        seen=np.ones((n, height, width), bool) if seen is None else seen,
        seen_scale=1,
        mean=derotated.mean(axis=0),
        raw_mean=raw.mean(axis=0),
        photons=2.5,
    )  # fmt: skip
    save_player(content, angles, tmp_path / "player.json")
    return json.loads((tmp_path / "player.json").read_text())


def picture(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))[..., 0]


def test_each_frame_stands_in_its_place(tmp_path):
    angles = session(11, [(2, 8)])
    levels = np.linspace(0, 100, 11)
    raw = np.broadcast_to(levels[:, None, None], (11, 24, 40)).copy()
    data = saved(tmp_path, raw, raw[::-1], angles, np.arange(11))
    assert (data["width"], data["height"]) == (40, 24)
    for name, expected in (("raw", levels), ("derotated", levels[::-1])):
        sheet = picture(data[name])
        for k in range(11):
            row, column = divmod(k, data["columns"])
            frame = sheet[row * 24 : row * 24 + 24, column * 40 : column * 40 + 40]
            shown = data["low"] + frame.mean() / 255 * (data["high"] - data["low"])
            assert shown == pytest.approx(expected[k], abs=3), (name, k)
    assert data["frame"] == list(range(11))
    assert data["time_s"] == [round(0.1 * k, 1) for k in range(11)]
    assert data["photons"] == 2.5
    assert len(data["thumbnails"]) == 2
    # One rotation, from the start of its first frame to the end of its last one.
    assert data["rotations"] == [[0.2, 0.9, -1.0, 90.0]]
    assert data["path"]["angle_deg"][0] == 0


def test_what_was_seen_is_kept_bit_by_bit(tmp_path):
    random = np.random.default_rng(0)
    movie = random.normal(10, 3, (5, 7, 9))
    seen = random.random((5, 7, 9)) < 0.5
    data = saved(tmp_path, movie, movie, session(5, []), np.arange(5), seen)["seen"]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(data["bits"]), np.uint8))
    found = bits[: seen.size].reshape(5, data["height"], data["width"])
    np.testing.assert_array_equal(found, seen)


def test_what_is_not_known_is_null_and_no_number(tmp_path):
    angles = session(6, [(1, 4)])
    angles.line_angles[2] = np.nan
    angles.frame_angles[2] = np.nan
    movie = np.full((6, 8, 8), np.nan)
    movie[:, 2:6] = np.arange(8)
    text = saved(tmp_path, movie, movie, angles, np.arange(6))
    assert text["angle_deg"][2] is None
    assert text["velocity_deg_per_s"][2] is None
    assert "NaN" not in (tmp_path / "player.json").read_text()


def test_a_movie_without_a_known_pixel_is_no_error(tmp_path):
    movie = np.full((3, 8, 8), np.nan)
    data = saved(tmp_path, movie, movie, session(3, []), np.arange(3))
    assert (data["low"], data["high"]) == (0, 1)
    assert picture(data["raw"]).max() == 0


@pytest.mark.parametrize("shape", [(120, 1800, 16), (120, 16, 240)])
def test_long_frames_fit_into_a_picture(tmp_path, shape):
    movie = np.broadcast_to(np.arange(shape[0])[:, None, None], shape)
    data = saved(tmp_path, movie, movie, session(shape[0], []), np.arange(shape[0]))
    sheet = picture(data["raw"])
    row, column = divmod(shape[0] - 1, data["columns"])
    last = sheet[row * shape[1] :, column * shape[2] : (column + 1) * shape[2]]
    assert last.shape == shape[1:]
    assert last.mean() > 250


def test_noise_does_not_make_it_larger_than_a_page_can_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(player, "MAX_BYTES", 30_000)
    noise = np.random.default_rng(0).poisson(2, (30, 128, 128)).astype(np.float32)
    data = saved(tmp_path, noise, noise, session(30, []), np.arange(30))
    assert len(data["raw"]) + len(data["derotated"]) < 30_000 * 4 / 3 * 1.05
    # The center goes with the pixels, and the pixels' size is told.
    assert data["scale"] == 2
    assert data["scale"] * data["width"] == 128
    middle = (data["center"][0] + 0.5) * data["scale"] - 0.5
    assert middle == pytest.approx(10.0)


def test_noise_is_smoothed_before_pixels_are_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(player, "MAX_BYTES", 120_000)
    noise = np.random.default_rng(0).poisson(2, (30, 128, 128)).astype(np.float32)
    data = saved(tmp_path, noise, noise, session(30, []), np.arange(30))
    assert data["scale"] == 1
    assert len(data["raw"]) + len(data["derotated"]) < 120_000 * 4 / 3 * 1.05
    # Brightness stays as it was.
    shown = data["low"] + picture(data["raw"]).mean() / 255 * (data["high"] - data["low"])
    assert shown == pytest.approx(noise.mean(), rel=0.05)
