"""How the field of view of a session has moved against that of another one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from derotation.simulate.parameters import RecordingParameters

__all__ = ["carried", "carried_wobble", "plan_movement"]


def plan_movement(p: RecordingParameters, center: tuple[float, float]) -> NDArray[np.float64]:
    """Map from this session's picture to that of a session without movement, shape (3, 3)."""
    angle = math.radians(p.movement_rotation)
    movement = np.eye(3)
    movement[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    middle = np.array([(p.shape[1] - 1) / 2, (p.shape[0] - 1) / 2])
    movement[:2, 2] = middle + p.movement_shift - movement[:2, :2] @ middle
    if p.movement_what == "scanner" or p.plane_angle == 0:
        return movement
    # The sample is moved in its own plane, which the picture shows foreshortened.
    along = np.array([math.cos(math.radians(p.plane_orientation)),
                      math.sin(math.radians(p.plane_orientation))])  # fmt: skip
    squeeze = np.eye(3)
    squeeze[:2, :2] -= (1 - math.cos(math.radians(p.plane_angle))) * np.outer(along, along)
    squeeze[:2, 2] = center - squeeze[:2, :2] @ center
    return np.asarray(squeeze @ movement @ np.linalg.inv(squeeze))


def carried(movement: NDArray[np.float64], point: tuple[float, float]) -> tuple[float, float]:
    """Where a point of the picture without movement lies in this session's."""
    x, y, _ = np.linalg.solve(movement, [*point, 1.0])
    return float(x), float(y)


def carried_wobble(
    movement: NDArray[np.float64], wobble: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give the wobble as this session's picture shows it."""
    back = np.linalg.inv(movement[:2, :2])
    return np.concatenate([wobble[:, :2] @ back.T, wobble[:, 2:] @ back.T], axis=1)
