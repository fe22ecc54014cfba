"""
Find the center of rotation
===========================

Derotation turns every line about one point. If that point is wrong, round cells become arcs. Here
the center is found from a recording itself, and the result is compared with what an error of 3
pixels does.
"""

# %%
# A recording whose center is known
# ---------------------------------
# The motor turns once in each direction. The center of rotation lies 7 px to the right of the
# middle of the picture, and 5 px above it. The files are those that a rig would leave: movie,
# analog signals, table of speeds and directions.

import tempfile

from derotation.simulate.writing import simulate_session

folder = tempfile.TemporaryDirectory()
files = simulate_session(
    folder.name,
    shape=(128, 128),
    frame_rate=8,
    stimulus=[(150, 1), (150, -1)],
    center_offset=(7, -5),
    photons_per_pixel=15,
    n_cells=40,
    seed=4,
)
true_center = (63.5 + 7, 63.5 - 5)

# %%
# The angle of each line
# ----------------------
# The analog signals are turned into times of frames, lines, ticks and rotations (events), and these
# into one angle per line.

from derotation.io.movie import open_movie
from derotation.io.signals import open_signals
from derotation.io.stimulus import read_stimulus
from derotation.signals.angles import interpolate_angles
from derotation.signals.parse import parse_signals

movie = open_movie(files["movie"])
events = parse_signals(
    open_signals(files["signals"]),
    n_frames=len(movie),
    lines_per_frame=movie.shape[1],
    sampling_rate=50_000,
    protocol="full",
    stimulus=read_stimulus(files["stimulus"]),
    config={},
)
angles = interpolate_angles(events, protocol="full")

# %%
# The center
# ----------
# Turned frames are derotated about a first guess (the middle of the picture), and each is compared
# with the sample at rest. A center that is wrong leaves a shift that goes round with the angle:
# the wave in the middle plot. The center is moved until nothing of it is left: the plot on the
# right.

from derotation.calibration.center import estimate_center
from derotation.plots.center import plot_center

estimate = estimate_center(movie, angles)
figure = plot_center(estimate)

# %%
# The estimate says how uncertain it is, and whether it is to be trusted.

x, y = estimate.calibration.center
print(estimate.calibration.statement)
print(
    f"error against the truth: {x - true_center[0]:+.3f} px (x), {y - true_center[1]:+.3f} px (y)"
)

# %%
# What an error of 3 pixels does
# ------------------------------
# The mean of all turning frames tells at a glance: with the right center cells are round, with a
# wrong one each is drawn out along an arc.

import matplotlib.pyplot as plt

from derotation.plots.movie import show_image
from derotation.streaming.single_pass import derotate_movie

right = estimate.calibration
wrong = right.replace(center=(x + 3, y))
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
results = {
    "the right center": derotate_movie(movie, angles, right, None),
    "3 px too far to the right": derotate_movie(movie, angles, wrong, None),
}
show_image(axes[0], results["the right center"].raw_turned_mean, "as recorded")
for axis, (name, result) in zip(axes[1:], results.items(), strict=True):
    show_image(axis, result.turned_mean, name)

# %%
# Other methods, such as following bright spots on their circles, are described in
# :doc:`/center_methods`. A center that was found once can be used for other sessions:
# :doc:`/how_to_calibrate_a_day`.

movie.close()
folder.cleanup()

# sphinx_gallery_thumbnail_number = 2
