"""
Elliptical rotations
====================

If the plane in which the sample turns is tilted against the plane that the microscope scans, cells
move on ellipses instead of circles. The shape of the ellipses tells the tilt, and the tilt can be
undone in the same resampling as the rotation.
"""

# %%
# A sample that turns in a tilted plane
# -------------------------------------
# Two cells are turned in 36 steps of 10 degrees, in a plane that is tilted by 35 degrees. The
# orientation of the plane, here 20 degrees, is the direction along which the picture is
# foreshortened, from the right towards the bottom.

import matplotlib.pyplot as plt
import numpy as np

from derotation.derotate_by_line import derotate_an_image_array_line_by_line
from derotation.images.blobs import BlobDetection
from derotation.images.ellipses import (
    derive_angles_from_ellipse_fits,
    fit_ellipse_to_points,
    fit_shared_ellipses,
)
from derotation.images.mean_images import mean_images_of_arrays
from derotation.simulate.line_scanning_microscope import Rotator
from derotation.simulate.synthetic_data import SyntheticData

tilt, orientation = 35, 20
data = SyntheticData(
    center_of_bright_cell=(50, 18),
    center_of_dimmer_cell=(66, 58),
    num_frames=72,
    rotation_plane_angle=tilt,
    rotation_plane_orientation=orientation,
)
stack = data.create_image_stack()
steps, swing = data.create_rotation_angles(stack.shape)


def record(angles):
    """Record the stack line by line at the given angles."""
    return Rotator(
        angles,
        stack,
        rotation_plane_angle=tilt,
        rotation_plane_orientation=orientation,
    ).rotate_by_line()


in_steps = record(steps)

# %%
# Ellipses
# --------
# At each step the cells are found as bright spots and followed from step to step. The ellipse
# through the places of one cell is fitted alone, and then the ellipses of both cells together:
# they share their center and their shape.

means = mean_images_of_arrays(in_steps, steps.reshape(in_steps.shape[:2]))
tracks = BlobDetection().track_blobs(
    means.images, means.angles, seen=means.seen
)

alone = fit_ellipse_to_points(tracks.positions[0, tracks.found[0]])
one_tilt, one_orientation = derive_angles_from_ellipse_fits(alone)
shared = fit_shared_ellipses(tracks)

figure, axis = plt.subplots(figsize=(5, 5), layout="constrained")
axis.imshow(in_steps.max(axis=0), cmap="gray")
around = np.linspace(0, 2 * np.pi, 200)
for track, color in zip(
    range(len(tracks)), ("#E69F00", "#56B4E9"), strict=False
):
    fit = shared.ellipse(track)
    u, v = fit.a * np.cos(around), fit.b * np.sin(around)
    cos, sin = np.cos(fit.theta), np.sin(fit.theta)
    axis.plot(
        fit.center_x + cos * u - sin * v,
        fit.center_y + sin * u + cos * v,
        color=color,
    )
    axis.plot(*tracks.positions[track, tracks.found[track]].T, ".", color=color)
axis.plot(*shared.center, "+", color="#E69F00", markersize=12)
axis.set(
    title="brightest of all steps, and the ellipses",
    xlabel="x (px)",
    ylabel="y (px)",
)

print(f"true        tilt {tilt:.1f}°, orientation {orientation:.1f}°")
print(f"one cell    tilt {one_tilt:.1f}°, orientation {one_orientation:.1f}°")
print(
    f"both cells  tilt {shared.plane_angle:.1f}°, orientation {shared.plane_orientation:.1f}°"
)

# %%
# Derotated with and without the tilt
# -----------------------------------
# Now the sample swings to and fro while it is recorded. Turned back as if the plane were not
# tilted, the cells still wander, up to twice per turn. ``use_homography`` takes the tilt into
# account.

swinging = record(swing)
still = {
    "as recorded": swinging,
    "derotated, tilt ignored": derotate_an_image_array_line_by_line(
        swinging, swing, center=shared.center
    ),
    "derotated with the tilt": derotate_an_image_array_line_by_line(
        swinging,
        swing,
        center=shared.center,
        use_homography=True,
        rotation_plane_angle=shared.plane_angle,
        rotation_plane_orientation=shared.plane_orientation,
    ),
}

figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
axes[0].imshow(data.image, cmap="gray", vmin=0, vmax=255)
axes[0].set_title("at rest")
for axis, (name, movie) in zip(axes[1:], still.items(), strict=True):
    axis.imshow(movie.mean(axis=0), cmap="gray", vmin=0, vmax=255)
    axis.set_title(f"mean, {name}")
for axis in axes:
    axis.set(xticks=[], yticks=[])

# %%
# With a session of your own, the step ``estimate_plane`` does this by itself, from all pixels of
# the picture and for both protocols, if the tilt is significant (``plane.correct: auto``).

# sphinx_gallery_thumbnail_number = 1
