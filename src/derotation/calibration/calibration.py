"""What does not change within a session: center and plane of rotation, wobble and lag."""

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation import __version__
from derotation.calibration import own_corrections  # noqa: F401  (its corrections are to be known)
from derotation.errors import InputError
from derotation.estimates import Estimate, Verdict, say
from derotation.io.files import write_json
from derotation.maps import transforms
from derotation.maps.corrections import composed, registered

__all__ = ["Calibration", "Corrected"]

KIND = "derotation calibration"
VERSION = 1
# Values beyond these are damaged: a center so many frames away, another number, a side in pixels.
FARTHEST = 10
LARGEST = 1e6
MOST_PIXELS = 2**16

Rows = tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How the sample moves when it is turned, how that was found and how well it is known.

    A sample at p = (x, y), in pixels, recorded at the angle a belongs, without corrections from
    elsewhere, at ``P R(a) P^-1 (p - w(a) - c) + c``, R(a) = [[cos a, sin a], [-sin a, cos a]]: c is
    the center, P shortens by cos(`plane_angle`) along `plane_orientation`, and
    w(a) = sum over k of C_k (cos(k a) - 1) + S_k sin(k a) is the wobble. Angles are degrees,
    positive where the sample had turned clockwise on a screen whose y axis points down. A line's
    angle is what the motor's signals tell `lag_ms` (milliseconds) after the line.
    """

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
    verdicts: tuple[Verdict, ...] = ()
    """What was decided about center, plane, lag and wobble, and why."""
    plane_angle: float = 0.0
    """Tilt of the rotation plane against the scanning plane, degrees."""
    plane_orientation: float = 0.0
    """Direction of the foreshortening, degrees from +x (right) towards +y (down)."""
    plane_sd: tuple[float, float] | None = None
    """Standard uncertainties of tilt and orientation, degrees; None where nothing was measured."""
    plane_output: transforms.PlaneOutput = "scan"
    """Plane in which the derotated picture is drawn: as scanned at rest, or as seen along the axis
    ("sample")."""
    wobble: Rows = ()
    """Wobble of the axis: row k = 1, 2, ... holds (Cx, Cy, Sx, Sy) in pixels, which shift the
    recorded picture at angle a by C (cos(k a) - 1) + S sin(k a)."""
    wobble_sd: Rows | None = None
    """Standard uncertainties of `wobble`, pixels; None where nothing was measured."""
    lag_ms: float = 0.0
    """Delay of the motor's signals against the scanner's, milliseconds: a line's angle is what the
    ticks say this much later. :class:`derotation.maps.line_maps.LineMaps` applies it."""
    lag_sd_ms: float | None = None
    """Standard uncertainty of the lag, milliseconds; None where nothing was measured."""
    corrections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What corrections have found that were registered from outside of this package, by name:
    ``parameters`` and ``sd``, as (nested) lists of numbers."""
    image: Path | None = None
    """TIFF with the mean of the raw frames at rest, by which the calibration can be carried over to
    a session in which the picture has moved; in the file relative to its folder."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Where it comes from: session, number of frames, version of the software."""

    def replace(self, **changes: Any) -> Self:
        """Make a copy with some values changed."""
        return dataclasses.replace(self, **changes)

    @property
    def statement(self) -> str:
        """What is known and how far it can be trusted, in plain words."""
        return say(self.verdicts)

    def with_verdicts(self, topic: str, verdicts: Iterable[Verdict]) -> Self:
        """Put verdicts in the place of those about the same topic, or behind all others."""
        new = list(verdicts)
        topics = list(dict.fromkeys([v.topic for v in self.verdicts] + [topic]))
        by_topic = {
            t: new if t == topic else [v for v in self.verdicts if v.topic == t] for t in topics
        }
        return self.replace(verdicts=tuple(v for t in topics for v in by_topic[t]))

    def maps(self, angles: ArrayLike, times_s: ArrayLike = 0.0) -> NDArray[np.float64]:
        """Make the maps that undo the rotation, see :mod:`derotation.maps.line_maps`.

        Parameters
        ----------
        angles : array_like of shape (...)
            Angles of lines in degrees, with the lag; NaN where a line must not be used.
        times_s : array_like of shape (...), optional
            The moments to which they belong, seconds from the first sample of the analog signals;
            only corrections that change with time ask for them.

        Returns
        -------
        ndarray of shape (..., 2, 3)
        """
        at = np.asarray(angles, np.float64)
        rotation = transforms.line_maps(
            at, self.center, self.plane_angle, self.plane_orientation, self.plane_output
        )
        times = np.broadcast_to(np.asarray(times_s, np.float64), at.shape)
        return composed(rotation, self.parameters, at, times)

    @property
    def parameters(self) -> dict[str, NDArray[np.float64]]:
        """Parameters of all corrections that have a map of their own, by name."""
        others = {
            name: np.asarray(found["parameters"], np.float64)
            for name, found in self.corrections.items()
        }
        return {"wobble": np.asarray(self.wobble, np.float64).reshape(-1, 4)} | others

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
        # For people; programs read the verdicts.
        content["statement"] = self.statement
        if self.image is not None:
            content["image"] = os.path.relpath(self.image, Path(path).parent)
        content["provenance"] = {"software": f"derotation-workflow {__version__}"} | self.provenance
        write_json(path, content)

    def read_image(self) -> NDArray[Any]:
        """Read the image that the calibration carries, shape (y, x).

        Raises
        ------
        InputError
            If it carries none, or the file is missing or has another size than its frames.
        """
        import tifffile

        if self.image is None:
            msg = (
                "the calibration carries no image, so that a movement against it cannot be found; "
                "estimate it anew, or give an image instead"
            )
            raise InputError(msg)
        try:
            image = tifffile.imread(self.image)
        except Exception as error:
            # Of a damaged file tifffile raises whatever its codecs do.
            msg = f"{self.image}, the image of a calibration, cannot be read: {error}"
            raise InputError(msg) from error
        if image.ndim < 2 or image.size != math.prod(image.shape[-2:]):
            msg = f"{self.image}, the image of a calibration, has shape {image.shape}"
            raise InputError(msg)
        image = image.reshape(image.shape[-2:])
        self.check_shape(image.shape, str(self.image))
        return np.asarray(image)

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
        except (OSError, ValueError, RecursionError) as error:
            msg = f"{name} cannot be read as a calibration: {error}"
            raise InputError(msg) from error
        if not isinstance(content, dict) or content.get("kind") != KIND:
            msg = f"{name} is no calibration file (its key 'kind' is not {KIND!r})"
            raise InputError(msg)
        if content.pop("version", None) != VERSION:
            msg = f"{name} is a calibration of another version than {VERSION}; estimate it anew"
            raise InputError(msg)
        del content["kind"]
        said = content.pop("statement", "")
        content["verdicts"] = _verdicts(name, content.get("verdicts"), said)
        content["corrections"] = _corrections(name, content.get("corrections", {}))
        known = {item.name for item in dataclasses.fields(cls)}
        required = {"center", "image_shape", "method"}
        if unknown := sorted(content.keys() - known):
            msg = f"{name} holds unknown keys: {', '.join(unknown)}; known are {sorted(known)}"
            raise InputError(msg)
        if missing := sorted(required - content.keys()):
            msg = f"{name} lacks the keys {', '.join(missing)}"
            raise InputError(msg)
        content["image_shape"] = _shape(name, content["image_shape"])
        reach = FARTHEST * max(content["image_shape"])
        for key, most in (("center", reach), ("center_sd", reach), ("plane_sd", LARGEST)):
            if key in required or content.get(key) is not None:
                content[key] = _pair(name, key, content.get(key), most)
        _check_texts(name, content)
        for key, default in (("plane_angle", 0.0), ("plane_orientation", 0.0), ("lag_ms", 0.0)):
            content[key] = _number(name, key, content.get(key, default), LARGEST)
        for key in ("lag_sd_ms", "residual_px"):
            if content.get(key) is not None:
                content[key] = _number(name, key, content[key], LARGEST)
        for key in ("center_sd", "plane_sd", "lag_sd_ms", "residual_px"):
            value = content.get(key)
            if value is not None and np.min(value) < 0:
                msg = f"{name}: {key} is {value}; an uncertainty is at least 0"
                raise InputError(msg)
        if not -90 < content["plane_angle"] < 90:
            msg = f"{name}: plane_angle is {content['plane_angle']}; expected -90 to 90 degrees"
            raise InputError(msg)
        if content.get("plane_output", "scan") not in get_args(transforms.PlaneOutput):
            msg = (
                f"{name}: plane_output is {content['plane_output']!r}; allowed are scan and sample"
            )
            raise InputError(msg)
        if content.get("image") is not None:
            content["image"] = name.parent / content["image"]
        content["wobble"] = _rows(name, "wobble", content.get("wobble", []), reach)
        if content.get("wobble_sd") is not None:
            content["wobble_sd"] = _rows(name, "wobble_sd", content["wobble_sd"], reach)
        return cls(**content)


def _verdicts(name: Path, value: object, statement: object) -> tuple[Verdict, ...]:
    """Read the verdicts; a file that people wrote may have a statement instead."""
    if value is None:
        if not statement:
            return ()
        text = {"text": str(statement)}
        return (Verdict(topic="calibration", code="said", says="{text}", figures=text),)
    try:
        verdicts = tuple(Verdict(**item) for item in value)  # type: ignore[attr-defined]
        say(verdicts)
    except (TypeError, KeyError, ValueError, IndexError) as error:
        msg = f"{name}: verdicts cannot be read ({error}); delete the key, or estimate it anew"
        raise InputError(msg) from error
    return verdicts


def _corrections(name: Path, value: object) -> dict[str, dict[str, Any]]:
    """Read what corrections from elsewhere have found; they have to be installed here, too."""
    known = {correction.name for correction in registered()}
    if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
        msg = f"{name}: corrections is {value!r}; expected a mapping of names to mappings"
        raise InputError(msg)
    if missing := sorted(value.keys() - known):
        msg = (
            f"{name} holds the corrections {', '.join(missing)}, which nothing installed here "
            "provides; install the package that they come from, or estimate the calibration anew"
        )
        raise InputError(msg)
    for key, found in value.items():
        try:
            parameters = np.asarray(found["parameters"], np.float64)
        except (KeyError, TypeError, ValueError):
            parameters = np.full(1, np.nan)
        if not np.isfinite(parameters).all():
            msg = f"{name}: corrections.{key} is {found!r}; expected numbers in 'parameters'"
            raise InputError(msg)
    return value


def _number(name: Path, key: str, value: object, most: float) -> float:
    """Check a number that is finite and not larger than anything of its kind."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{name}: {key} is {value!r}; expected a number"
        raise InputError(msg)
    # Comparing works for whole numbers of any length, too, and fails for NaN.
    if not -most <= value <= most:
        msg = f"{name}: {key} is {value!r}; expected a number from {-most:g} to {most:g}"
        raise InputError(msg)
    return float(value)


def _rows(name: Path, key: str, value: object, most: float) -> Rows:
    rows: list[Any] = value if isinstance(value, list) else [None]
    if not all(isinstance(row, list) and len(row) == 4 for row in rows):
        msg = f"{name}: {key} is {value!r}; expected a list of rows of 4 numbers (Cx, Cy, Sx, Sy)"
        raise InputError(msg)
    return tuple(
        tuple(_number(name, key, v, most) for v in row)  # type: ignore[misc]
        for row in rows
    )


def _pair(name: Path, key: str, value: object, most: float) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        msg = f"{name}: {key} is {value!r}; expected a list of 2 numbers"
        raise InputError(msg)
    first, second = (_number(name, key, v, most) for v in value)
    return first, second


def _shape(name: Path, value: object) -> tuple[int, int]:
    sides = value if isinstance(value, list) else []
    if len(sides) != 2 or not all(type(v) is int and 0 < v <= MOST_PIXELS for v in sides):
        msg = f"{name}: image_shape is {value!r}; expected height and width in pixels"
        raise InputError(msg)
    return sides[0], sides[1]


def _check_texts(name: Path, content: dict[str, Any]) -> None:
    """Check the types of what is no number."""
    kinds: dict[str, tuple[type, str]] = {
        "method": (str, "a text"),
        "trusted": (bool, "true or false"),
        "image": (str, "a path"),
        "provenance": (dict, "an object"),
    }
    for key, (kind, expected) in kinds.items():
        value = content.get(key)
        may_be_missing = key not in content or (key == "image" and value is None)
        if not may_be_missing and not isinstance(value, kind):
            msg = f"{name}: {key} is {value!r}; expected {expected}"
            raise InputError(msg)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corrected(Estimate):
    """An estimate that ends in a calibration: with the correction if it is corrected."""

    calibration: Calibration
    """The calibration to use."""
