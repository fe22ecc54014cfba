"""
The core function on the angles of a motor
==========================================

A motor does not turn evenly: it speeds up, runs, and slows down, and its encoder tells the angle
in steps, a little late or early. This example turns a sample with such angles, and shows what
becomes of it when the angles are known well, and when they are known less well.

The trace is simulated after a real motor: 360 degrees at 200 degrees/s, reached at 155 degrees/s²,
with a tick every 0.2 degrees that comes up to half a tick too early or too late. With a session of
your own, ``Angles.load("results/<session>/angles.npz").line_angles`` takes its place.
"""

# %%
# The motor
# ---------
# ``full_protocol`` plans the motion; here it rests, turns once, and rests. At 6.74 frames per
# second a frame of 128 lines takes 148 ms, in which the sample turns by up to 30 degrees.

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter

from derotation.derotate_by_line import derotate_an_image_array_line_by_line
from derotation.simulate.line_scanning_microscope import Rotator
from derotation.simulate.motor import full_protocol

n_lines, frame_rate = 128, 6.74
motor = full_protocol(
    [(200.0, -1)], first_start=0.3, rest=0.3, degrees=360, acceleration=155
)
n_frames = int(np.ceil((motor.end[-1] + 0.3) * frame_rate))
line_time = np.arange(n_frames * n_lines) / (frame_rate * n_lines)
true_angles = motor.angle(line_time)

# %%
# What the encoder tells of it
# ----------------------------
# Each tick says "0.2 degrees further". Between ticks the angle is interpolated.

rng = np.random.default_rng(0)
increment = 0.2
ticks = motor.ticks(increment)
jitter = rng.uniform(-0.5, 0.5, ticks.time.size) * increment
told = np.interp(
    line_time, ticks.time, ticks.turned + jitter, left=0, right=360
)

figure, (trace, error) = plt.subplots(
    1, 2, figsize=(10, 3.4), layout="constrained"
)
trace.plot(line_time, true_angles, color="#0072B2")
trace.set(
    xlabel="time (s)", ylabel="angle (degrees)", title="the angle of each line"
)
turning = (line_time > motor.start[0]) & (line_time < motor.end[-1])
error.plot(
    line_time[turning],
    (told - true_angles)[turning],
    ".",
    markersize=2,
    color="#E69F00",
)
error.set(
    xlabel="time (s)",
    ylabel="error (degrees)",
    title="what the encoder makes of it",
)

# %%
# A sample, recorded and derotated
# --------------------------------
# Spots on an even background stand for cells. The frame shown is the one in the
# middle of the rotation, where the motor turns fastest.

spots = np.zeros((n_lines, n_lines))
spots[tuple(rng.integers(15, n_lines - 15, (2, 40)))] = 1
sample = 30 + 3000 * gaussian_filter(spots, 2)
recorded = Rotator(
    true_angles, np.repeat(sample[None], n_frames, axis=0), order=3
).rotate_by_line()

derotated = derotate_an_image_array_line_by_line(
    recorded, told, blank_pixels_value=np.nan
)

fast = int((motor.start[0] + motor.end[-1]) / 2 * frame_rate)
y, x = np.mgrid[:n_lines, :n_lines] - (n_lines - 1) / 2
disc = np.hypot(x, y) < 0.45 * n_lines

figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
pictures = (
    ("the sample at rest", sample),
    (f"frame {fast} as recorded", recorded[fast]),
    (f"frame {fast} derotated", derotated[fast]),
)
for axis, (title, picture) in zip(axes, pictures, strict=True):
    axis.imshow(picture, cmap="gray", vmin=sample.min(), vmax=sample.max())
    axis.set_facecolor("#1B3A57")  # what was not seen
    axis.set(title=title, xticks=[], yticks=[])

# %%
# What if the angles come late?
# -----------------------------
# Jitter of half a tick does no harm: 0.1 degrees move a sample 60 pixels off the center by 0.1
# pixel. A delay does: at 200 degrees/s, 5 ms are one degree. The sharpness of the mean image
# tells: with right angles the derotated movie is as sharp as the sample at rest.


def likeness(angles):
    """Correlation of the mean derotated image with the sample at rest, inside the disc."""
    movie = derotate_an_image_array_line_by_line(
        recorded, angles, blank_pixels_value=np.nan
    )
    return np.corrcoef(np.nanmean(movie, axis=0)[disc], sample[disc])[0, 1]


delays = np.array([-20, -10, -5, -2, 0, 2, 5, 10, 20])
scores = [
    likeness(np.interp(line_time - delay / 1000, line_time, told))
    for delay in delays
]

figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
axis.plot(delays, scores, "o-", color="#0072B2")
axis.set(
    xlabel="delay of the angles (ms)",
    ylabel="correlation with the sample",
    title="angles that come late or early blur the mean image",
)
print(f"with the encoder's angles: {scores[len(scores) // 2]:.4f}")

# %%
# The workflow finds such a delay from the movie itself if ``angles.lag_ms: auto`` is set.

# sphinx_gallery_thumbnail_number = 2
