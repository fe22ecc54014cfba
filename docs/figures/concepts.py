"""The pictures that explain how a derotation works."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from numpy.typing import NDArray

from derotation.derotate_by_line import derotate_an_image_array_line_by_line
from derotation.maps import transforms
from derotation.maps.resample import derotate_frames
from derotation.simulate import plan_recording
from derotation.simulate.line_scanning_microscope import Rotator
from derotation.simulate.scene import random_scene
from figures.style import BLUE, DARK, GRAY, ORANGE, SKY, VERMILION, Figure, figure, show

N = 128
MIDDLE = (N - 1) / 2


def _sample() -> NDArray[np.float64]:
    """Draw cells and a grid, which makes every shear visible."""
    scene = random_scene((N, N), 26, np.random.default_rng(3), brightness=1.0, reach=40)
    cells = scene.on_grid((N, N))
    y, x = np.mgrid[:N, :N]
    grid = (np.abs(x % 16 - 7.5) < 0.9) | (np.abs(y % 16 - 7.5) < 0.9)
    return cells / cells.max() + 0.35 * grid


def _recorded(sample: NDArray[np.float64], angles: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(Rotator(angles, sample[None], order=1, blank_pixel_val=0).rotate_by_line()[0])


def fan_shear() -> Figure:
    """Show a sample at rest, as recorded while it turns, and put back line by line."""
    sample = _sample()
    angles = np.linspace(0, 50, N)
    recorded = _recorded(sample, angles)
    still = derotate_an_image_array_line_by_line(recorded[None], angles, np.nan)[0]
    picture = figure(10.5, 3.9)
    rest, turning, back = picture.subplots(1, 3)
    limits = (0.0, 1.0)
    show(rest, sample, "the sample at rest", limits)
    show(turning, recorded, "recorded while it turns by 50°", limits)
    show(back, still, "each line turned back by its own angle", limits)
    for line in range(0, N, 21):
        x, y = np.array([0, N - 1]), np.full(2, line)
        turning.plot(x, y, color=ORANGE, linewidth=1)
        turning.text(N, line, f" {angles[line]:.0f}°", color=DARK, va="center", fontsize=9)
        ends = transforms.apply(
            transforms.line_maps(angles[line], (MIDDLE, MIDDLE)), np.column_stack([x, y])
        )
        back.plot(*ends.T, color=ORANGE, linewidth=1)
    for axis in (turning, back):
        axis.plot(MIDDLE, MIDDLE, "+", color=ORANGE, markersize=10)
        axis.set(xlim=(-0.5, N - 0.5), ylim=(N - 0.5, -0.5))
    return picture


def angle_per_line() -> Figure:
    """Show frame clock, ticks and the angle of each line at the beginning of a rotation."""
    plan = plan_recording(
        shape=(16, 16), frame_rate=8, stimulus=[(60, -1)], rest_before_s=0.3, seed=0,
        rotation_increment=1.0,
    )  # fmt: skip
    begin, end = plan.motor.start[0] - 0.14, plan.motor.start[0] + 0.5
    picture = figure(9.5, 5.2)
    pulses, trace = picture.subplots(2, 1, sharex=True, height_ratios=(1, 2.2))
    for k, channel in enumerate(("line_clock", "frame_clock", "rotation_on", "rotation_ticks")):
        volts = plan.analog.channel(channel)
        time = np.arange(volts.size) / plan.analog.sampling_rate
        part = (time >= begin) & (time <= end)
        pulses.plot(time[part], 3 - k + 0.75 * volts[part] / volts.max(), color=BLUE, linewidth=0.8)
    pulses.set_yticks(
        [3.3, 2.3, 1.3, 0.3], ["line clock", "frame clock", "rotation on", "rotation ticks"]
    )
    pulses.set_title("what the rig records", fontsize=10)
    lines = plan.line_start + plan.line_duration / 2
    for frame, start in enumerate(plan.line_start[:, 0]):
        if frame % 2 == 0:
            stop = start + 16 * plan.line_period
            for axis in (pulses, trace):
                axis.axvspan(start, stop, color=GRAY, alpha=0.15, linewidth=0)
    ticks = plan.ticks
    trace.plot(lines.ravel(), plan.line_angles.ravel(), ".", color=BLUE, label="angle of each line")
    trace.plot(
        ticks.time, ticks.turned, "|", color=ORANGE, markersize=9, label="ticks of the motor"
    )
    trace.set(
        xlim=(begin, end), ylim=(-1.5, 1.05 * np.interp(end, ticks.time, ticks.turned)),
        xlabel="time (s); shaded: every second frame", ylabel="angle (degrees)",
        title="what is made of it",
    )  # fmt: skip
    trace.title.set_fontsize(10)
    trace.legend(loc="upper left")
    return picture


def center() -> Figure:
    """Show what a wrong center leaves: a circle for each cell, twice the error across."""
    error = np.array([3.0, -2.0])
    angles = np.arange(0, 360, 10.0)
    true = (MIDDLE, MIDDLE)
    cells = np.array([[40.0, 50], [90, 35], [84, 96], [34, 92]])
    picture = figure(9.5, 4.6)
    places, shifts = picture.subplots(1, 2, width_ratios=(1, 1.25))
    wrong = (MIDDLE + error[0], MIDDLE + error[1])
    for k, cell in enumerate(cells):
        at_rest = transforms.line_maps(-angles, true)
        recorded = transforms.apply(at_rest, cell)
        back = transforms.apply(transforms.line_maps(angles, wrong), recorded)
        places.plot(
            *recorded.T, ".", color=SKY, markersize=3, label="as recorded" if not k else None
        )
        places.plot(
            *back.T, ".", color=VERMILION, markersize=3,
            label="derotated about a wrong center" if not k else None,
        )  # fmt: skip
        places.plot(*cell, "o", color=DARK, fillstyle="none", label="at rest" if not k else None)
        if k == 0:
            moved = back - cell
    places.plot(*true, "+", color=DARK, markersize=11, label="true center")
    places.plot(*wrong, "x", color=VERMILION, markersize=8, label="wrong center")
    places.set(
        xlim=(0, N), ylim=(N, 0), aspect="equal", xlabel="x (px)", ylabel="y (px)",
        title="four cells, at 36 angles",
    )  # fmt: skip
    picture.legend(
        *places.get_legend_handles_labels(), fontsize=9, loc="outside lower center", ncols=5
    )
    for axis, (name, color) in enumerate((("x", BLUE), ("y", ORANGE))):
        shifts.plot(angles, moved[:, axis], "o^"[axis], color=color, markersize=4, label=name)
    shifts.axhline(0, color=GRAY, linewidth=0.8)
    shifts.set(
        xlabel="angle (degrees)", ylabel="shift against rest (px)", xticks=range(0, 361, 90),
        title="shift of every cell: one wave per turn",
    )  # fmt: skip
    shifts.legend()
    return picture


def tilted_plane() -> Figure:
    """Show how the path of a cell is foreshortened, and the three parts of the map."""
    tilt, orientation = 45.0, 30.0
    foreshorten = transforms.plane_matrix(tilt, orientation)
    around = np.radians(np.arange(0, 361, 5))
    circle = 40 * np.column_stack([np.cos(around), np.sin(around)])
    path = circle @ foreshorten.T
    picture = figure(10.5, 3.9)
    scan, stretched, turned = picture.subplots(1, 3, sharex=True, sharey=True)
    along = np.array([np.cos(np.radians(orientation)), np.sin(np.radians(orientation))])
    spot, angle = 8, 150.0
    panels = (
        (scan, path, path[spot], "1. as scanned: an ellipse"),
        (stretched, circle, circle[spot], "2. stretched: seen along the axis"),
    )
    for axis, points, now, title in panels:
        axis.plot(*points.T, "-", color=SKY)
        axis.plot(*now, "o", color=VERMILION, markersize=8)
        axis.set_title(title, fontsize=10)
    scan.annotate(
        "",
        29 * along,
        -29 * along,
        arrowprops={"arrowstyle": "<->", "color": ORANGE, "shrinkA": 0, "shrinkB": 0},
    )
    scan.text(
        0, 47, f"orientation {orientation:.0f}°: shortened by cos({tilt:.0f}°)", color=DARK,
        ha="center", fontsize=9,
    )  # fmt: skip
    home = transforms.rotation_matrices(angle) @ circle[spot]
    turned.plot(*path.T, "-", color=SKY)
    turned.plot(*circle.T, ":", color=GRAY)
    for start, end in ((circle[spot], home), (home, foreshorten @ home)):
        turned.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": DARK})
    turned.plot(*circle[spot], "o", color=VERMILION, fillstyle="none", markersize=8)
    turned.plot(*(foreshorten @ home), "o", color=VERMILION, markersize=8)
    turned.set_title("3. turned back, and shortened again", fontsize=10)
    for axis in (scan, stretched, turned):
        axis.plot(0, 0, "+", color=DARK)
        axis.set(xlim=(-52, 52), ylim=(52, -52), aspect="equal", xticks=[], yticks=[])
    return picture


def forward_and_inverse() -> Figure:
    """Show lines put in place, pixels looked up, and how the line of a pixel is found."""
    sample = _sample()
    angles = np.linspace(0, 70, N)
    recorded = _recorded(sample, angles)
    maps = transforms.line_maps(angles[None], (MIDDLE, MIDDLE))
    picture = figure(10.8, 4.2)
    forward, inverse, search = picture.subplots(1, 3, width_ratios=(1, 1, 1.1))
    for axis, way, title in (
        (forward, "nearest", "forward: each sample is put in place"),
        (inverse, "linear", "inverse: each pixel is looked up"),
    ):
        image = derotate_frames(recorded[None], maps, interpolation=way, blank=np.nan).frames[0]
        show(axis, image, title, (0.0, 1.0))
    pixel = np.array([100.0, 52.0])
    for axis in (forward, inverse):
        axis.plot(*pixel, "o", color=ORANGE, fillstyle="none", markersize=9)
    lines = np.arange(N)
    row = transforms.apply(transforms.invert(maps[0]), pixel)[:, 1]
    search.plot(
        lines, row, color=BLUE, label="row on which the pixel lies\nwhile this line is recorded"
    )
    search.plot(lines, lines, color=GRAY, label="the line itself")
    crossing = float(np.interp(0, lines - row, lines))
    search.plot(crossing, crossing, "o", color=ORANGE, fillstyle="none", markersize=9)
    search.annotate(
        f"seen by line {crossing:.1f}", (crossing, crossing), (crossing - 50, crossing + 22),
        arrowprops={"arrowstyle": "->"}, fontsize=9,
    )  # fmt: skip
    search.set(xlabel="line", ylabel="row (px)", xlim=(0, N), ylim=(0, N), aspect="equal")
    search.set_title("which line saw the circled pixel?", fontsize=10)
    search.legend(fontsize=8, loc="lower right")
    return picture


def coverage() -> Figure:
    """Show what one frame sees, what a turn sees, and the disc that is always seen."""
    center_xy = (MIDDLE + 12, MIDDLE - 6)
    angles = np.linspace(20, 60, N)
    recorded = np.ones((36, N, N), np.float32)
    every = angles[None] + np.arange(0, 360, 10)[:, None]
    seen = derotate_frames(
        recorded, transforms.line_maps(every, center_xy), blank=0, keep_seen=True
    ).seen
    assert seen is not None
    picture = figure(9.5, 3.9)
    one, turn = picture.subplots(1, 2)
    one.imshow(100 * seen[0], cmap="cividis", vmin=0, vmax=100)
    one.set_title(f"one frame: {100 * seen[0].mean():.0f} % of the pixels were seen", fontsize=10)
    bar = turn.imshow(100 * seen.mean(axis=0), cmap="cividis", vmin=0, vmax=100)
    turn.set_title("a whole turn", fontsize=10)
    picture.colorbar(bar, ax=turn, label="frames that saw the pixel (%)", shrink=0.85)
    x, y = center_xy
    radius = min(x, y, N - 1 - x, N - 1 - y)
    for axis in (one, turn):
        axis.add_patch(Circle(center_xy, radius, fill=False, color=VERMILION, linestyle="--"))
        axis.plot(*center_xy, "+", color=VERMILION, markersize=10)
        axis.set(xticks=[], yticks=[])
    turn.text(x, y + radius * 0.6, "always seen", color=VERMILION, ha="center", fontsize=9)
    return picture


def composition() -> Figure:
    """Show a line's maps one after the other, and what resampling once is good for."""
    sample = _sample()
    picture = figure(11, 3.6)
    grid, once, often, rest = picture.subplots(1, 4, width_ratios=(1.15, 1, 1, 1))
    _draw_maps(grid)
    angles = np.full(N, 30.0)
    recorded = _recorded(sample, angles)
    steps = (10.0, 10.0, 10.0)
    several = recorded
    for angle in steps:
        several = derotate_an_image_array_line_by_line(several[None], np.full(N, angle), 0)[0]
    together = derotate_an_image_array_line_by_line(recorded[None], angles, 0)[0]
    part = np.s_[32:96, 32:96]
    show(rest, sample[part], "at rest", (0.0, 1.0))
    show(once, together[part], "composed, resampled once", (0.0, 1.0))
    show(often, several[part], "resampled three times", (0.0, 1.0))
    return picture


def _draw_maps(ax: Axes) -> None:
    """Draw a square in the picture as recorded and after each part of its line's map."""
    square = np.array([[20.0, -8], [36, -8], [36, 8], [20, 8], [20, -8]])
    center_xy, angle, tilt, orientation = np.zeros(2), 70.0, 40.0, 0.0
    foreshorten = transforms.plane_matrix(tilt, orientation)
    recorded = (square @ np.linalg.inv(foreshorten).T) @ transforms.rotation_matrices(-angle).T
    recorded = recorded @ foreshorten.T + (5, 3)
    untilted = (recorded - (5, 3)) @ np.linalg.inv(foreshorten).T
    turned = untilted @ transforms.rotation_matrices(angle).T
    stages = (
        (recorded, GRAY, "as recorded"),
        (untilted, SKY, "wobble and tilt undone"),
        (turned, BLUE, "turned back"),
        (turned @ foreshorten.T, VERMILION, "as scanned at rest"),
    )
    for points, color, name in stages:
        ax.plot(*points.T, color=color, label=name)
    ax.plot(*center_xy, "+", color=DARK)
    ax.set(xlim=(-42, 50), ylim=(52, -40), aspect="equal", xticks=[], yticks=[])
    ax.set_title("the parts of one map", fontsize=10)
    ax.legend(fontsize=7, loc="upper left")


__all__ = [
    "angle_per_line",
    "center",
    "composition",
    "coverage",
    "fan_shear",
    "forward_and_inverse",
    "tilted_plane",
]
