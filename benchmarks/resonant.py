"""What a resonant mirror changes: the time, and the place, of each column within a line.

    python benchmarks/resonant.py [--quick]

A resonant mirror swings as a sine. A pixel's time within its line is then no linear function of
its column, and if lines were not linearized, its place is not, either. Lines are simulated pixel by
pixel with the mirror's own motion, and put back with times and places that are linear in the
column, as the library does; what displacement this leaves is measured over the disc that is always
seen.
"""

import sys
from typing import Any

import numpy as np
from _common import add_quick, options, print_table, print_verdicts, write_json
from numpy.typing import NDArray

# Of microscopes as they are built: frequency (Hz), lines and columns, and the part of a swing's
# time in which pixels are recorded.
SCANNERS = (
    ("8 kHz, 512 x 512", 7910.0, 512, 0.71),
    ("8 kHz, 512 x 512, nearly the whole swing", 7910.0, 512, 0.9),
    ("12 kHz, 512 x 512", 12_000.0, 512, 0.71),
    ("4 kHz, 1024 x 1024", 3938.0, 1024, 0.78),
)
SPEEDS = (100.0, 300.0, 1000.0)
# Displacements below this do not pay for a key and a map per column (px).
PAYS = 0.05


def main() -> int:
    parser = options(__doc__)
    add_quick(parser)
    asked = parser.parse_args()
    rows = [
        row(*scanner, speed)
        for scanner in SCANNERS[: 1 if asked.quick else None]
        for speed in SPEEDS
    ]
    header = ("scanner", "degrees/s", "time: rms (px)", "largest", "place: rms (px)", "largest")
    print_table("Displacement that is left", header, [list(one.values()) for one in rows])
    slow = [one["time_largest"] for one in rows if one["speed"] <= 300]
    verdicts = print_verdicts([("time, up to 300 degrees/s: largest (px)", max(slow), "<=", PAYS)])
    write_json(asked.json, {"rows": rows, "targets": verdicts})
    return 0


def row(name: str, frequency: float, side: int, fill: float, speed: float) -> dict[str, Any]:
    """Measure one scanner at one speed of the sample."""
    time_px, place_px = displacements(frequency, side, fill, speed)
    return {
        "scanner": name,
        "speed": speed,
        "time_rms": rms(time_px),
        "time_largest": float(time_px.max()),
        "place_rms": rms(place_px),
        "place_largest": float(place_px.max()),
    }


def displacements(
    frequency: float, side: int, fill: float, speed: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tell by how far samples are put wrong, pixels, in the disc that is always seen.

    Parameters
    ----------
    frequency : float
        Of the mirror, Hz; it scans a line there and one back.
    side : int
        Lines, and columns.
    fill : float
        Part of a swing's time in which pixels are recorded.
    speed : float
        Of the sample, degrees/s.

    Returns
    -------
    of_time, of_place : ndarray of shape (n,)
        By the time of linearized columns; and by the place of columns that are evenly spaced in
        time, once the sample has turned by a quarter.
    """
    swing = 0.5 / frequency
    end = fill * np.pi / 2
    middle = (side - 1) / 2
    y, x = np.mgrid[:side, :side] - middle
    inside = np.hypot(x, y) < middle
    across = x / middle
    # Linearized: the column is the place, and the mirror is there at the arcsine.
    phase = np.arcsin(across * np.sin(end))
    late = (phase - across * end) / np.pi * swing
    angle = np.deg2rad(speed) * late
    of_time = 2 * np.abs(np.sin(angle / 2)) * np.hypot(x, y)
    # Not linearized: the column is the time, and the place is the sine.
    wrong = middle * (np.sin(across * end) / np.sin(end) - across)
    # At rest and after a quarter turn the error lies along x and y of the sample.
    up = middle * (np.sin(y / middle * end) / np.sin(end) - y / middle)
    return of_time[inside], np.hypot(wrong, up)[inside]


def rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))


if __name__ == "__main__":
    sys.exit(main())
