"""Put recorded samples at their rounded places."""

import numpy as np

from derotation.maps.kernels.compiling import FUSED, compiled


@compiled(fastmath=FUSED)
def _round_places(x0, x1, x2, y0, y1, y2, start, stop, height, width, pitch, place):
    """Round the places x0 + x1 i + x2 i^2 (y likewise) to flat indices; height * pitch: none."""
    nowhere, pitch = np.float64(height * pitch), np.float64(pitch)
    x_end, y_end = np.float64(width), np.float64(height)
    for i in range(start, stop):
        column = np.float64(i)
        x = np.floor(x0 + 0.5 + column * (x1 + column * x2))
        y = np.floor(y0 + 0.5 + column * (y1 + column * y2))
        inside = (x >= 0.0) & (x < x_end) & (y >= 0.0) & (y < y_end)
        # Chosen before it is converted: what is NaN (beside a line without a map) has no integer.
        # An index that may be negative would count from the end: no row of vectors.
        place[np.uint64(i)] = np.int32(y * pitch + x if inside else nowhere)


@compiled
def _neighbor(j, last, earlier):
    """Pick the line towards which the map of line j changes; the only neighbor at the ends."""
    if (earlier and j > 0) or j == last:
        return max(j - 1, 0)
    return j + 1


@compiled
def _along_x(maps, f, m, k, j, shift):
    """Give slope and start along line j, displaced by `shift`, of row k of the map of line m."""
    a = maps[f, m, k, 0]
    return a, maps[f, m, k, 1] * j + maps[f, m, k, 2] - a * shift


@compiled
def _curve(maps, f, j, earlier, slope, offset, shift, width):
    """Give the places of the samples of a line, recorded before or after its time.

    They lie at x0 + x1 i + x2 i^2, y likewise; returned as x0, x1, x2, y0, y1, y2.
    """
    k = _neighbor(j, maps.shape[1] - 1, earlier)
    towards = np.float64(k - j)
    p, q = towards * (offset - slope * 0.5 * (width - 1)), towards * slope
    (x1, x0), (y1, y0) = _along_x(maps, f, j, 0, j, shift), _along_x(maps, f, j, 1, j, shift)
    (x1_k, x0_k), (y1_k, y0_k) = (
        _along_x(maps, f, k, 0, j, shift),
        _along_x(maps, f, k, 1, j, shift),
    )
    dx1, dx0, dy1, dy0 = x1_k - x1, x0_k - x0, y1_k - y1, y0_k - y0
    return (
        x0 + p * dx0, x1 + p * dx1 + q * dx0, q * dx1,
        y0 + p * dy0, y1 + p * dy1 + q * dy0, q * dy1,
    )  # fmt: skip


@compiled
def _samples_before(slope, offset, width):
    """Count the samples of a line, from the left, that lie before the change of the map.

    Samples before the line's own time take the map between this line and the one before, later
    ones the map towards the one after; either way the place is quadratic in the column.
    """
    if slope == 0.0:
        return width if offset < 0.0 else 0
    return int(min(max(np.ceil(0.5 * (width - 1) - offset / slope), 0.0), float(width)))


@compiled
def _is_unknown(maps, f, j):
    total = 0.0
    for k in range(2):
        total += maps[f, j, k, 0] + maps[f, j, k, 1] + maps[f, j, k, 2]
    return np.isnan(total)


@compiled
def _put_samples(frames, f, j, place, image):
    nowhere = np.uint32(image.shape[0] - 1)
    for i in range(place.shape[0]):
        sample = frames[f, j, i]
        image[nowhere if np.isnan(sample) else np.uint32(place[i])] = sample


@compiled
def place_lines(
    frames, maps, f, first, last, slope, offset, bidirectional, phase, shape, place, image
):
    """Put the samples of some lines of frame f at their rounded places; the last to come stays.

    The lines are `first` to `last`, without it; phase: the samples of odd lines of a bidirectional
    scan lie so many pixels further right than they should.
    maps (n, lines, 2, 3) takes recorded to output positions; place (W,) is scratch; image is a flat
    float buffer, rows of some pitch and one more sample, where those without a place go. Lines
    whose map is NaN are left out.
    """
    (height, width), n = shape, place.shape[0]
    pitch = (image.shape[0] - 1) // height
    for j in range(first, last):
        if _is_unknown(maps, f, j):
            continue
        backward = bidirectional and j % 2 == 1
        way, shift = (-slope, phase) if backward else (slope, 0.0)
        change = _samples_before(way, offset, n)
        for start, stop, earlier in ((0, change, way >= 0.0), (change, n, way < 0.0)):
            if start < stop:
                x0, x1, x2, y0, y1, y2 = _curve(maps, f, j, earlier, way, offset, shift, n)
                _round_places(x0, x1, x2, y0, y1, y2, start, stop, height, width, pitch, place)
        _put_samples(frames, f, j, place, image)


@compiled
def finish_image(image, blank, out):
    """Copy what was placed (not NaN) to `out` (Hout, Wout), the rest is blank; count the placed."""
    height, width = out.shape
    pitch = (image.shape[0] - 1) // height
    n_placed = np.int32(0)
    for y in range(height):
        for x in range(width):
            value = image[np.uint32(y * pitch + x)]
            placed = not np.isnan(value)
            out[y, x] = value if placed else blank
            n_placed = np.int32(n_placed + np.int32(placed))
    return n_placed


@compiled
def _note_placed(image, seen):
    height, width = seen.shape
    pitch = (image.shape[0] - 1) // height
    for y in range(height):
        for x in range(width):
            seen[y, x] = not np.isnan(image[y * pitch + x])


@compiled
def forward_frames(
    frames, maps, which, slope, offset, bidirectional, phase, work, blank, out, counts, seen
):
    """Put every sample of the frames `which` at its rounded place.

    Arguments as in :func:`inverse_frames`, but for maps (n, H, 2, 3) from recorded to output
    positions, and work, which is the image of :func:`place_lines`.
    """
    shape = out.shape[1:]
    place = np.empty(frames.shape[2], np.int32)
    for f in which:
        work[:] = np.nan
        place_lines(
            frames, maps, f, 0, frames.shape[1], slope, offset, bidirectional, phase, shape,
            place, work,
        )  # fmt: skip
        counts[f] = finish_image(work, blank, out[f])
        if seen.shape[0] > 0:
            _note_placed(work, seen[f])
