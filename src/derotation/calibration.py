"""What does not change within a session: the center of rotation and the rotation plane."""

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation import __version__, transforms
from derotation.errors import InputError
from derotation.io.files import write_json

__all__ = ["Calibration"]

KIND = "derotation calibration"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Center and plane of rotation, how they were found and how well they are known."""

    center: tuple[float, float]
    """Center of rotation (x, y) in pixels, pixel centers at integers."""
    image_shape: tuple[int, int]
    """Height and width of the frames that it belongs to, pixels."""
    method: str
    """How the center was found: registration, fixed or image_center."""
    center_sd: tuple[float, float] | None = None
    """Standard uncertainty of the center (x, y) in pixels; None where nothing was measured."""
    residual_px: float | None = None
    """Root mean square of the shifts that remain between frames and the sample at rest, pixels."""
    trusted: bool = True
    """False if the estimate contradicts itself or rests on too little."""
    statement: str = ""
    """In plain words, how much the estimate can be trusted and why."""
    plane_angle: float = 0.0
    """Tilt of the rotation plane against the scanning plane, degrees."""
    plane_orientation: float = 0.0
    """Direction of the foreshortening, degrees from +x (right) towards +y (down)."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Where it comes from: session, number of frames, version of the software."""

    def replace(self, **changes: Any) -> Self:
        """Make a copy with some values changed."""
        return dataclasses.replace(self, **changes)

    def line_maps(self, line_angles: ArrayLike) -> NDArray[np.float64]:
        """Make the maps that undo the rotation, see :func:`derotation.transforms.line_maps`."""
        return transforms.line_maps(
            line_angles, self.center, self.plane_angle, self.plane_orientation
        )

    def check_shape(self, shape: tuple[int, ...], source: str) -> None:
        """Refuse frames of another size.

        Parameters
        ----------
        shape : tuple of int
            Its last two entries are the height and width of the frames.
        source : str
            What has that shape, for the message.

        Raises
        ------
        InputError
        """
        if tuple(shape[-2:]) != self.image_shape:
            found, expected = (f"{w} x {h}" for h, w in (shape[-2:], self.image_shape))
            msg = (
                f"{source} has frames of {found} pixels (width x height), but the calibration was "
                f"made from frames of {expected}; use the calibration of a session recorded with "
                "the same zoom and frame size, or leave it out to have it estimated"
            )
            raise InputError(msg)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file for people and programs."""
        content = {"kind": KIND, "version": VERSION} | dataclasses.asdict(self)
        content["provenance"] = {"software": f"derotation-workflow {__version__}"} | self.provenance
        write_json(path, content)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file cannot be read or is no calibration of this version.
        """
        name = Path(path)
        try:
            content = json.loads(name.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            msg = f"{name} cannot be read as a calibration: {error}"
            raise InputError(msg) from error
        if not isinstance(content, dict) or content.get("kind") != KIND:
            msg = f"{name} is no calibration file (its key 'kind' is not {KIND!r})"
            raise InputError(msg)
        if content.pop("version", None) != VERSION:
            msg = f"{name} is a calibration of another version than {VERSION}; estimate it anew"
            raise InputError(msg)
        del content["kind"]
        known = {item.name for item in dataclasses.fields(cls)}
        required = {"center", "image_shape", "method"}
        if unknown := sorted(content.keys() - known):
            msg = f"{name} holds unknown keys: {', '.join(unknown)}; known are {sorted(known)}"
            raise InputError(msg)
        if missing := sorted(required - content.keys()):
            msg = f"{name} lacks the keys {', '.join(missing)}"
            raise InputError(msg)
        for key, size in (("center", 2), ("image_shape", 2), ("center_sd", 2)):
            value = content.get(key)
            if key in required or value is not None:
                content[key] = _pair(name, key, value, size)
        return cls(**content)


def _pair(name: Path, key: str, value: object, size: int) -> tuple[Any, ...]:
    numbers = isinstance(value, list) and len(value) == size
    if not numbers or not all(isinstance(v, int | float) for v in value):  # type: ignore[attr-defined]
        msg = f"{name}: {key} is {value!r}; expected a list of {size} numbers"
        raise InputError(msg)
    return tuple(value)  # type: ignore[arg-type]
