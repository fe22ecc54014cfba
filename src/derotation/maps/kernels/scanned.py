"""When places of the output were scanned: the equation of their time, solved place by place."""

import numpy as np

from derotation.maps.kernels.compiling import compiled

# A place that is not found after so many changes of its segment was not seen by this frame's lines.
MAX_CHANGES = 64


@compiled(error_model="numpy")
def when_scanned(inverse, points, slope, late, when):
    """Find the time, in lines, at which places were under the beam.

    inverse (n, lines, 2, 3): from output to recorded places, for each line; points (n, p, 2): (x,
    y), NaN for those that are not asked for; slope: lines per recorded column; late: time of the
    column 0 of a line against the line's reference, lines. when (n, p) is written: 2.5 is the
    middle between the references of lines 2 and 3; NaN for places that no line tells about.
    """
    n_lines = inverse.shape[1]
    for f in range(points.shape[0]):
        for i in range(points.shape[1]):
            x, y = points[f, i, 0], points[f, i, 1]
            when[f, i] = np.nan
            if not (np.isfinite(x) and np.isfinite(y)):
                continue
            j = min(max(int(np.floor(y)), 0), n_lines - 2)
            for _ in range(MAX_CHANGES):
                here, following = inverse[f, j], inverse[f, j + 1]
                w = here[1, 0] * x + here[1, 1] * y + here[1, 2] + late
                w += slope * (here[0, 0] * x + here[0, 1] * y + here[0, 2])
                v = following[1, 0] * x + following[1, 1] * y + following[1, 2] + late
                v += slope * (following[0, 0] * x + following[0, 1] * y + following[0, 2])
                t = (w - j) / (1.0 - (v - w))
                if not np.isfinite(t):
                    break
                step = int(np.floor(min(max(t, -n_lines), n_lines)))
                k = min(max(j + step, 0), n_lines - 2)
                if 0.0 <= t <= 1.0 or k == j:
                    when[f, i] = j + t
                    break
                j = k
