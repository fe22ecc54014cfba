"""What the report plays and asks of a session whose every frame is known."""

import numpy as np

from derotation.plots.animation import SideBySide
from derotation.plots.player import PlayerFrames, save_player
from derotation.signals.angles import Angles

# A session of 40 frames: at rest but for a turn in frames 10 to 29.
N_FRAMES, FIRST, LAST = 40, 10, 29
SIZE = 64
# A cell that is bright at rest only, x and y; the upper right corner is seen at rest only.
CELL = (20, 30)


def angles_of_a_turn():
    """Angles of one turn in 20 frames."""
    degrees = np.zeros((N_FRAMES, SIZE))
    time = np.arange(N_FRAMES * SIZE).reshape(N_FRAMES, SIZE) / 64.0
    turning = slice(FIRST, LAST + 1)
    degrees[turning] = 18 * (np.arange(20)[:, None] + np.arange(SIZE) / SIZE)
    rotation = np.full(N_FRAMES, -1, np.int32)
    rotation[turning] = 0
    return Angles(
        line_angles=degrees, frame_angles=degrees[:, SIZE // 2], line_start=1000 * time,
        frame_start=1000 * time[:, 0], line_duty=1.0, line_reference="middle",
        sampling_rate=1000.0, frame_rate=1.0, line_usable=np.ones(degrees.shape, bool),
        flags=np.zeros(degrees.shape, np.uint8), rotation=rotation,
        direction=np.where(rotation == 0, -1.0, np.nan),
        speed=np.where(rotation == 0, 18.0, np.nan),
    )  # fmt: skip


def make_player(path, light=0.0):
    """Write frames of a level that tells their number; the cell is bright at rest.

    With `light`, everything is so much brighter at angle 0 and darker at 180 degrees.
    """
    angles = angles_of_a_turn()
    level = np.linspace(40, 60, N_FRAMES)
    raw = np.broadcast_to(level[:, None, None], (N_FRAMES, SIZE, SIZE)).copy()
    # Somewhere it is dark, as it is in any movie.
    raw[:, -2:] = 0
    derotated = raw.copy()
    x, y = CELL
    rest = angles.rotation < 0
    derotated[np.ix_(rest, range(y - 4, y + 5), range(x - 4, x + 5))] = 200
    derotated *= 1 + light * np.cos(np.deg2rad(angles.frame_angles))[:, None, None]
    seen = np.ones(raw.shape, bool)
    seen[np.ix_(~rest, range(8), range(SIZE - 8, SIZE))] = False
    content = PlayerFrames(
        frames=np.arange(N_FRAMES),
        shown=SideBySide(
            raw=raw, derotated=derotated, angles=angles.frame_angles,
            times=angles.frame_start / 1000, center=(31.5, 31.5),
        ),
        scale=1, seen=seen, seen_scale=1, mean=derotated.mean(axis=0), raw_mean=raw[0],
        photons=3.0,
    )  # fmt: skip
    save_player(content, angles, path)


def make_cell_table(path):
    """Write what the two cells follow: the first one the angle; the second one is in a shadow."""
    path.write_text(
        "roi,angle_tuned,angle_q,angle_variance,peak_angle_deg,velocity_tuned,velocity_q,"
        "velocity_variance,slope_per_100_deg_per_s,speed_slope_per_100_deg_per_s,"
        "angle_verdict,velocity_verdict\n"
        "7,true,0.00123456,0.384,134,false,0.41,-0.02,0.1,0.5,tuned,not foretold\n"
        "9,false,0.02,,12,false,,,,,brightness,few samples\n"
    )


def make_cells(path):
    """Write two cells: one that grows with time, one that is not seen in every second frame."""
    time = np.broadcast_to(np.arange(N_FRAMES, dtype=float), (2, N_FRAMES))
    seen = np.ones((2, N_FRAMES), bool)
    seen[1, ::2] = False
    angle = np.stack([angles_of_a_turn().frame_angles] * 2)
    np.savez(
        path, roi=[7, 9], x_px=[20.0, 50.0], y_px=[30.0, 40.0], seen=seen,
        time_s=np.where(seen, time, np.nan), angle_deg=np.where(seen, angle, np.nan),
        velocity_deg_per_s=np.where(seen, 18.0 * (angle > 0), np.nan),
        dff=np.where(seen, time / 10, np.nan), fluorescence=time, neuropil=time,
        mask_roi=[7, 7, 9], mask_row=[30, 31, 40], mask_column=[20, 20, 50],
        mask_weight=[1.0, 1.0, 1.0],
    )  # fmt: skip
