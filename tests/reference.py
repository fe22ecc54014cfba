"""A slow and plain twin of the compiled kernels: the same definitions, none of the shortcuts.

Written from the definition of the maps and of the time within a line alone. Nothing here is used by
the package.
"""

import numpy as np
from scipy.interpolate import BarycentricInterpolator


def bracket(values_at_lines):
    """Root of a function given at the lines (n, ...), linear in between, extrapolated beyond."""
    n = len(values_at_lines)
    root = np.full(values_at_lines.shape[1:], np.nan)
    for j in range(n - 1):
        here, there = values_at_lines[j], values_at_lines[j + 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            t = here / (here - there)
        low = -np.inf if j == 0 else 0
        high = np.inf if j == n - 2 else 1
        found = np.isnan(root) & (t >= low) & (t <= high)
        root[found] = j + t[found]
    return root


def seen_where(inverse, shape, slope, offset, displaced=0.0):
    """Recorded place (y, x) of each output pixel, by the inverse maps (lines, 2, 3) of a frame.

    What lies at x is held by the sample x + displaced, and the sample's number tells the time.
    """
    height, width = shape
    pixel_y, pixel_x = np.mgrid[:height, :width].astype(float)
    x_at_lines = np.stack([m[0, 0] * pixel_x + m[0, 1] * pixel_y + m[0, 2] for m in inverse])
    y_at_lines = np.stack([m[1, 0] * pixel_x + m[1, 1] * pixel_y + m[1, 2] for m in inverse])
    middle = (width - 1) / 2
    too_late = np.stack(
        [
            y_at_lines[j] + offset + slope * (x_at_lines[j] + displaced - middle) - j
            for j in range(len(inverse))
        ]
    )
    u = bracket(too_late)
    j = np.clip(np.floor(np.nan_to_num(u)), 0, len(inverse) - 2).astype(int)
    t = u - j
    rows, columns = np.indices(shape)
    x = (1 - t) * x_at_lines[j, rows, columns] + t * x_at_lines[j + 1, rows, columns]
    y = (1 - t) * y_at_lines[j, rows, columns] + t * y_at_lines[j + 1, rows, columns]
    return y, x


def keys(d):
    d = abs(d)
    if d < 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    if d < 2:
        return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return 0.0


def sample(frame, y, x, how):
    """Value of the frame at (y, x), inside it; samples beyond the edge repeat the last one."""
    height, width = frame.shape
    if how == "quadratic":
        return sample(frame, y, x, "linear") + bend(frame, y, x)
    cubic = how == "cubic"
    total = 0.0
    for j in range(int(np.floor(y)) - 1, int(np.floor(y)) + 3):
        for i in range(int(np.floor(x)) - 1, int(np.floor(x)) + 3):
            if cubic:
                weight = keys(y - j) * keys(x - i)
            else:
                weight = max(1 - abs(y - j), 0) * max(1 - abs(x - i), 0)
            total += weight * float(frame[np.clip(j, 0, height - 1), np.clip(i, 0, width - 1)])
    return total


def bend(frame, y, x):
    """How far a quadratic surface lies above the bilinear one, by the second differences around."""
    top, left = int(np.floor(y)), int(np.floor(x))
    height, width = frame.shape

    def at(j, i):
        return float(frame[np.clip(j, 0, height - 1), np.clip(i, 0, width - 1)])

    corners = [(j, i) for j in (top, top + 1) for i in (left, left + 1)]
    in_x = np.mean([at(j, i - 1) - 2 * at(j, i) + at(j, i + 1) for j, i in corners])
    in_y = np.mean([at(j - 1, i) - 2 * at(j, i) + at(j + 1, i) for j, i in corners])
    dx, dy = x - left, y - top
    return -dx * (1 - dx) / 2 * in_x - dy * (1 - dy) / 2 * in_y


def derotate_frame_slow(frame, inverse, line_duty=0.0, offset=0.0, how="linear"):
    """One frame scanned in one direction; NaN where no line saw the pixel."""
    height, width = frame.shape
    y, x = seen_where(inverse, frame.shape, line_duty / width, offset)
    out = np.full(frame.shape, np.nan)
    for row, column in np.ndindex(frame.shape):
        yy, xx = y[row, column], x[row, column]
        if -1e-6 <= xx <= width - 1 + 1e-6 and -1e-6 <= yy <= height - 1 + 1e-6:
            yy, xx = np.clip(yy, 0, height - 1), np.clip(xx, 0, width - 1)
            out[row, column] = sample(frame, yy, xx, how)
    return out


def derotate_frame_slow_bidirectional(
    frame, inverse, line_duty, offset=0.0, how="linear", phase=0.0
):
    """One frame whose odd lines were scanned backwards, and are displaced by `phase` to the right.

    Linear between the two lines around; cubic: through the four lines around, if there are four;
    quadratic: what bends across the lines is told by the next lines of the same direction.
    """
    height, width = frame.shape
    slope = line_duty / width
    ways = [
        seen_where(inverse, frame.shape, sign * slope, offset, displaced)
        for sign, displaced in ((1, 0.0), (-1, phase))
    ]
    out = np.full(frame.shape, np.nan)
    for row, column in np.ndindex(frame.shape):
        # How far below each line the pixel lies, and at which of the line's columns.
        below = np.array([ways[j % 2][0][row, column] - j for j in range(height)])
        across = (ways[0][1][row, column] + ways[1][1][row, column]) / 2
        columns = [ways[j % 2][1][row, column] + phase * (j % 2) for j in range(height)]
        if not (-1e-6 <= across <= width - 1 + 1e-6):
            continue
        # Both directions must have scanned there; half a pixel more than the outermost samples.
        if not all(-0.5 <= x <= width - 0.5 for x in columns[:2]):
            continue
        upper = [j for j in range(height) if below[j] >= -1e-6]
        if not upper:
            continue
        j = max(upper)
        if j == height - 1 and below[j] > 1e-6:
            continue
        k = min(j + 1, height - 1)
        w = 0.0 if k == j else np.clip(below[j] / (below[j] - below[k]), 0, 1)

        def along(line, columns=columns):
            return sample(frame[[line]], 0, np.clip(columns[line], 0, width - 1), how)

        def bends(line, columns=columns):
            if not 2 <= line <= height - 3:
                return 0.0
            left = int(np.clip(columns[line], 0, width - 1))
            pair = np.clip([left, left + 1], 0, width - 1)
            lines = frame[line - 2 : line + 3 : 2, pair].mean(axis=1)
            return -(lines[0] - 2 * lines[1] + lines[2]) / 8

        if how == "cubic" and j >= 1 and j + 2 < height:
            lines = range(j - 1, j + 3)
            places = [-below[line] for line in lines]
            out[row, column] = BarycentricInterpolator(places, [along(i) for i in lines])(0.0)
        else:
            out[row, column] = (1 - w) * along(j) + w * along(k)
            if how == "quadratic" and k > j:
                distance = below[j] - below[k]
                across = (1 - w) * bends(j) + w * bends(k)
                out[row, column] += w * (1 - w) * distance**2 * across
    return out


def place_frame_slow(frame, maps, line_duty=0.0, offset=0.0, bidirectional=False, phase=0.0):
    """Each sample at its rounded place, by the map of its own time; NaN in the holes.

    The samples of odd lines lie `phase` further right than they should.
    """
    height, width = frame.shape
    out = np.full(frame.shape, np.nan)
    for j in range(height):
        for i in range(width):
            way = -1 if bidirectional and j % 2 else 1
            t = offset + way * line_duty / width * (i - (width - 1) / 2)
            k = j + 1 if t > 0 or (t == 0 and offset >= 0) else j - 1
            if k < 0 or k >= height:
                k = 2 * j - k
            towards = t if k > j else -t
            x = i - phase * (j % 2)
            here, there = maps[j] @ [x, j, 1], maps[k] @ [x, j, 1]
            x, y = np.floor(here + towards * (there - here) + 0.5).astype(int)
            if 0 <= x < width and 0 <= y < height:
                out[y, x] = frame[j, i]
    return out
