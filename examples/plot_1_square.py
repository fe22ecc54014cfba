"""
Rotate and derotate a square
============================

The smallest example: a square is recorded line by line while it turns, and every line is put back.
It shows why a frame of a turning sample cannot be mended as a whole, and what can be.
"""

# %%
# A sample at rest
# ----------------
# A movie is an array of the shape ``(frame, y, x)``. Here it has three frames of 100 lines, each
# with the same square.

import matplotlib.pyplot as plt
import numpy as np

from derotation.derotate_by_line import derotate_an_image_array_line_by_line
from derotation.simulate.line_scanning_microscope import Rotator

still = np.full((3, 100, 100), 40, dtype=np.uint8)
still[:, 30:60, 35:65] = 200

# %%
# Recorded while it turns
# -----------------------
# The microscope needs some time for each line, and meanwhile the sample goes on turning. So each
# *line* has its own angle: here the sample turns by 60 degrees a frame, 0.6 degrees from line to
# line.

n_frames, n_lines, _ = still.shape
angles = np.linspace(0, 180, n_frames * n_lines)

recorded = Rotator(angles, still).rotate_by_line()

# %%
# Put back, line by line
# ----------------------
# The same angles undo it. ``angles`` holds one number per line, in the order in which lines were
# recorded. Where no line saw the sample, the picture gets ``blank_pixels_value``.

derotated = derotate_an_image_array_line_by_line(
    recorded, angles, blank_pixels_value=0
)

# %%
# A frame as a whole can only be turned by one angle. That of its middle line is right in the
# middle of the picture, and wrong above and below.

middle = angles.reshape(n_frames, n_lines)[:, [n_lines // 2]]
as_a_whole = derotate_an_image_array_line_by_line(
    recorded, np.repeat(middle, n_lines, axis=1)
)

figure, axes = plt.subplots(3, 3, figsize=(8, 8.4), layout="constrained")
rows = (
    ("recorded", recorded),
    ("turned back as a whole", as_a_whole),
    ("line by line", derotated),
)
for row, (name, movie) in zip(axes, rows, strict=True):
    for frame, axis in enumerate(row):
        axis.imshow(movie[frame], cmap="gray", vmin=0, vmax=255)
        first, last = angles[frame * n_lines], angles[(frame + 1) * n_lines - 1]
        axis.set_title(
            f"{name}\nframe {frame}: {first:.0f}° to {last:.0f}°", fontsize=9
        )
        axis.set(xticks=[], yticks=[])

# %%
# In the upper row the square is bent, and each frame differently. In the lower row it is a square
# again, where it was at rest. Black is what no line saw: the corners of the sample that were
# outside the picture when it was their line's turn.
#
# How well?
# ---------
# The derotated square is compared with the one at rest where it was seen. What is left lies on its
# edges, which were interpolated twice: once in the simulation, once on the way back.

seen = derotated > 0
difference = np.abs(derotated.astype(float) - still)[seen]
print(
    f"mean difference: {difference.mean():.2f} of 160 gray values of contrast"
)
