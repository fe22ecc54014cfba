"""
A whole session without the workflow
====================================

From raw files to a movie that stands still, with the library alone: what the workflow does for each
session of a cohort, one function after the other. Run it in a notebook and look at every result.
"""

# %%
# Raw files
# ---------
# A session is a movie, the analog signals, and a table of the speeds and directions of the
# rotations. Here they are simulated: the center of rotation is off the middle of the picture, the
# plane of rotation is tilted by 20 degrees, and 2 % of the motor's ticks are missing. For your own
# session, put the paths of your files here, and leave the simulation out.

import tempfile
from pathlib import Path

from derotation.simulate.writing import simulate_session

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
files = simulate_session(
    folder / "raw",
    shape=(128, 128),
    frame_rate=8,
    stimulus=[(150, 1), (200, -1), (100, 1)],
    center_offset=(6, 4),
    plane_angle=20,
    plane_orientation=60,
    photons_per_pixel=15,
    n_cells=45,
    faults={"dropped_ticks": 0.02},
    seed=11,
)
for path in sorted(files.values()):
    print(f"{path.name:14} {path.stat().st_size / 1e6:8.3f} MB")

# %%
# Signals
# -------
# The four channels tell when lines and frames began, when the motor was on, and each of its ticks.
# What is mended is said in plain words.

from derotation.io.movie import open_movie
from derotation.io.signals import open_signals
from derotation.io.stimulus import read_stimulus
from derotation.plots.signals import plot_signals
from derotation.signals.parse import parse_signals

movie = open_movie(files["movie"])
signals = open_signals(files["signals"])
events = parse_signals(
    signals,
    n_frames=len(movie),
    lines_per_frame=movie.shape[1],
    sampling_rate=50_000,
    protocol="full",
    stimulus=read_stimulus(files["stimulus"]),
    config={"rotation_increment": 0.2, "degrees_per_rotation": 360},
)
print(
    f"{len(events.frame_start)} frames, {events.n_rotations} rotations, "
    f"{len(events.tick_time)} ticks"
)
for repair in events.repairs:
    print("-", repair.text)
figure = plot_signals(signals, events)

# %%
# Angles
# ------
# One angle per line, straight from the ticks.

from derotation.plots.angles import plot_angles
from derotation.signals.angles import interpolate_angles

angles = interpolate_angles(events, protocol="full")
figure = plot_angles(angles, events)

# %%
# Center and plane
# ----------------
# What does not change within a session: the calibration. The center is found first as if there
# were no tilt, then both together.

from derotation.calibration.center import estimate_center
from derotation.calibration.plane import estimate_plane
from derotation.plots.plane import plot_plane

center = estimate_center(movie, angles)
plane = estimate_plane(movie, angles, center.calibration)
calibration = plane.calibration
print(plane.statement)
figure = plot_plane(plane)

# %%
# The movie
# ---------
# All corrections are composed to one map per line, and the movie is resampled once, in pieces, so
# that it may be larger than the memory.

from derotation.plots.movie import plot_before_after, plot_contact_sheet
from derotation.streaming.single_pass import derotate_movie

result = derotate_movie(
    movie, angles, calibration, folder / "derotated.tif", threads=2
)
figure = plot_before_after(result, calibration)

# %%
# The lower row of each pair is derotated. Cells stay where they are at every angle; dark corners
# were outside the picture when they were recorded.

sheet = plot_contact_sheet(result, angles)

# %%
# Is it good?
# -----------
# What was learned about the frames while they passed by is enough to judge the
# result. Each figure has thresholds; if one is exceeded, a sentence says what is
# likely wrong and what to look at.

from derotation.plots.quality import plot_residual_shift
from derotation.quality.measure import measure_quality

quality = measure_quality(
    result.statistics,
    events,
    angles,
    calibration,
    session="example",
    protocol="full",
)
for figure_of_merit in quality.figures:
    if figure_of_merit.value is not None:
        flag, title = figure_of_merit.flag, figure_of_merit.title
        value, unit = figure_of_merit.value, figure_of_merit.unit
        print(f"{flag:5} {title:34} {value:8.3g} {unit}")
figure = plot_residual_shift(quality)
for sentence in quality.advice:
    print("-", sentence)

# %%
# Against the truth
# -----------------
# The simulation knows what it did. (With data of your own nobody does: :doc:`/quality` says how to
# tell nevertheless.)

import numpy as np

truth = np.load(files["truth"])
x, y = np.array(calibration.center) - truth["center"]
line_error = (angles.line_angles - truth["line_angles"] + 180) % 360 - 180
print(f"center: off by {x:+.3f} px (x) and {y:+.3f} px (y)")
print(
    f"tilt: {calibration.plane_angle:.1f}° along {calibration.plane_orientation:.0f}°; "
    "true: 20° along 60°"
)
print(f"angles: off by {np.sqrt(np.mean(line_error**2)):.4f} degrees (rms)")

movie.close()
temporary.cleanup()

# sphinx_gallery_thumbnail_number = 5
