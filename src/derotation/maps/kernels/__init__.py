"""Compiled loops that resample frames through one affine map per line.

Plain functions in :mod:`derotation.maps.resample` check and prepare what comes in here; nothing in
this module checks anything. All kernels release the interpreter's lock and own whole frames, so
callers run them side by side in threads.

Time within a frame is counted in lines: ``u = j`` is the moment to which the map of line j belongs
(by default the middle of the line). Sample x of line j is recorded at

    u = j + offset + sign_j * slope * (x - (W - 1) / 2),   slope = line_duty / W,

with sign_j = -1 for odd lines of a bidirectional scan. Between two lines the maps are interpolated
linearly in u, and beyond the first and last line they are extrapolated.

Inverse direction: an output pixel was seen at time u at the recorded place x(u), y(u) given by the
inverse map of that time, and it was the line's turn only if

    w(u) = y(u) + offset + sign * slope * (x(u) - (W - 1) / 2)  equals  u.

Within the segment between lines j and j + 1 both sides are linear in u, so one division solves it
exactly: t = (w_j - j) / (1 - (w_j+1 - w_j)), u = j + t. What remains is to know the segment, and
extrapolating from the two rows of pixels above predicts that nearly always. Where lines fold over
each other (faster than one pixel per line) a pixel has several solutions; the one that continues
the solution of the pixel above wins.

Pixels go through several short loops over buffers instead of one long one, because the compiler
turns most of them into vector instructions. Some rows are worked on at once: a function that calls
others with arrays counts references, which took a third of the time when each row was handed over
alone. Loops that should become vectors read all before they choose, keep to 32 bits (numba adds two
of these to 64), and index by what cannot be negative.
"""

from derotation.maps.kernels.bidirectional import inverse_frames_bidirectional
from derotation.maps.kernels.forward import finish_image, forward_frames, place_lines
from derotation.maps.kernels.inverse import inverse_frames
from derotation.maps.kernels.pixels import padded_shape

__all__ = [
    "finish_image",
    "forward_frames",
    "inverse_frames",
    "inverse_frames_bidirectional",
    "padded_shape",
    "place_lines",
]
