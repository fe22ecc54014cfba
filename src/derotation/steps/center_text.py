"""The center of rotation in one line for people."""

from derotation.calibration.calibration import Calibration

__all__ = ["line_for_people"]


def line_for_people(found: Calibration) -> str:
    """Write the center, its uncertainty and how far it can be trusted as one line."""
    x, y = found.center
    if found.center_sd is None:
        where = f"x = {x:.3f} px, y = {y:.3f} px"
    else:
        sd_x, sd_y = found.center_sd
        where = f"x = {x:.3f} +- {sd_x:.3f} px, y = {y:.3f} +- {sd_y:.3f} px"
    trust = "" if found.trusted else " NOT TO BE TRUSTED."
    return f"center of rotation: {where} (column and row, from 0).{trust} {found.statement}\n"
