"""
Watch a frame being rebuilt line by line
========================================

Hooks are functions of yours that are called while a movie is derotated: after each line, or after
each frame. They are for looking and teaching, and for finding out what goes wrong at one place.
"""

# %%
# One frame of a turning sample
# -----------------------------
# While this frame was recorded the sample turned by 80 degrees, so that its cells are bent.

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation

from derotation.derotate_by_line import derotate_an_image_array_line_by_line
from derotation.plotting_hooks.for_derotation import (
    image_completed,
    line_addition,
)
from derotation.simulate.line_scanning_microscope import Rotator
from derotation.simulate.scene import random_scene

n_lines = 96
scene = random_scene(
    (n_lines, n_lines), 24, np.random.default_rng(5), brightness=100, reach=30
)
sample = scene.on_grid((n_lines, n_lines))
angles = np.linspace(10, 90, n_lines)
recorded = Rotator(angles, sample[None], order=3).rotate_by_line()

# %%
# A hook of your own
# ------------------
# The hook for lines is called as ``hook(derotated_filled_image, rotated_line, image_counter,
# line_counter, angle, original_image)``. This one keeps what it is shown.

seen = []


def keep(rebuilt, line, frame, line_number, angle, original):
    """Remember the frame as rebuilt so far, every third line."""
    if line_number % 3 == 2:
        seen.append((line_number, angle, rebuilt))


derotate_an_image_array_line_by_line(
    recorded,
    angles,
    blank_pixels_value=np.nan,
    plotting_hook_line_addition=keep,
)

# %%
# The animation shows on the left the frame as recorded, with the line that is taken; and on the
# right the frame as rebuilt so far. Each line is turned back by its own angle about the center
# (the cross). Lines that follow each other fan out on one side of the center and overlap on the
# other: hence the gaps (blue), which grow with the distance from the center.

figure, (left, right) = plt.subplots(
    1, 2, figsize=(7, 3.9), layout="constrained"
)
colors = plt.get_cmap("gray").with_extremes(bad="#1B3A57")
limits = {"vmin": sample.min(), "vmax": np.quantile(sample, 0.998)}
left.imshow(recorded[0], cmap="gray", **limits)
marker = left.axhline(0, color="#E69F00")
left.set_title("as recorded")
picture = right.imshow(np.full_like(sample, np.nan), cmap=colors, **limits)
right.plot(
    (n_lines - 1) / 2, (n_lines - 1) / 2, "+", color="#E69F00", markersize=10
)
for axis in (left, right):
    axis.set(xticks=[], yticks=[])


def draw(step):
    """Draw one step of the animation."""
    line_number, angle, rebuilt = seen[step]
    marker.set_ydata([line_number, line_number])
    picture.set_data(rebuilt)
    right.set_title(f"rebuilt: line {line_number}, turned by {angle:.0f}°")


animation = FuncAnimation(figure, draw, frames=len(seen), interval=120)

# %%
# The gaps are the price of this textbook way of placing each line ("nearest"), which is used when
# there is a hook for lines. By default each pixel of the output is looked up instead (see
# :doc:`/concepts`), and there are no gaps:

derotated = derotate_an_image_array_line_by_line(
    recorded, angles, blank_pixels_value=np.nan
)

still, (left, middle, right) = plt.subplots(
    1, 3, figsize=(9, 3.3), layout="constrained"
)
panels = (
    (left, seen[-1][2], "rebuilt line by line"),
    (middle, derotated[0], "looked up (default)"),
)
for axis, image, title in (*panels, (right, sample, "the sample at rest")):
    axis.imshow(image, cmap=colors, **limits)
    axis.set(title=title, xticks=[], yticks=[])

# %%
# The hooks that come with the library
# ------------------------------------
# :func:`~derotation.plotting_hooks.for_derotation.line_addition` and
# :func:`~derotation.plotting_hooks.for_derotation.image_completed` write pictures into a folder of
# your choice: one after each line (or after each ``every``-th), and one after each frame.

import tempfile
from pathlib import Path

folder = tempfile.TemporaryDirectory()
derotate_an_image_array_line_by_line(
    recorded,
    angles,
    plotting_hook_line_addition=partial(
        line_addition, folder=folder.name, every=32
    ),
    plotting_hook_image_completed=partial(image_completed, folder=folder.name),
)
pictures = sorted(path.name for path in Path(folder.name).iterdir())
print("\n".join(pictures))

shown, axis = plt.subplots(figsize=(9, 3.4), layout="constrained")
axis.imshow(plt.imread(Path(folder.name, pictures[-1])))
axis.set_axis_off()
folder.cleanup()

# sphinx_gallery_thumbnail_number = 2
