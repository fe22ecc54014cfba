"""Pictures of the page on movement between sessions."""

from typing import Any

import numpy as np

from derotation.movement.detect import find_movement
from derotation.plots.movement import overlay
from derotation.simulate import plan_recording, simulate_pair
from figures.style import ORANGE, Figure, figure, show


def movement() -> Figure:
    """Show two days of a field of view over each other, before and after alignment."""
    pair = simulate_pair(12, size=256, rotation=8.0)
    found = find_movement(pair.ref, pair.moved).correction
    warped, mask = found.warp_moved_to_ref(pair.moved.astype(np.float64))
    picture = figure(12.0, 3.5)
    axes = picture.subplots(1, 4)
    show(axes[0], pair.ref, "reference")
    show(axes[1], pair.moved, "another day")
    for axis, other, title in (
        (axes[2], pair.moved, "over each other"),
        (axes[3], np.where(mask, warped, np.nan), "after the movement was found"),
    ):
        axis.imshow(overlay(pair.ref, other), interpolation="nearest")
        axis.set_title(title, fontsize=10)
        axis.set_xticks([])
        axis.set_yticks([])
    return picture


def what_moved() -> Figure:
    """Show where the axis of rotation lies after the sample, or the scanner, has moved."""
    same: dict[str, Any] = {
        "shape": (160, 160), "center_offset": (18.0, -14.0), "n_cells": 22, "scene_seed": 3,
        "frame_rate": 2.0, "stimulus": ((200.0, 1),),
    }  # fmt: skip
    moved: dict[str, Any] = {"movement_shift": (-26.0, 16.0), "movement_rotation": 14.0}
    picture = figure(10.5, 4.2)
    for axis, changes, title in zip(
        picture.subplots(1, 3),
        ({}, moved | {"movement_what": "sample"}, moved | {"movement_what": "scanner"}),
        (
            "first day\n",
            "the sample was put back differently:\nthe axis stays where it was",
            "the scanner or the objective moved:\nthe axis moves with the cells",
        ),
        strict=True,
    ):
        plan = plan_recording(**same, **changes)
        show(axis, plan.rest_image, title)
        axis.plot(*plan.center, "+", color=ORANGE, markersize=18, markeredgewidth=2.5)
    return picture
