"""Whether angles belong to a movie."""

from derotation.errors import MovieError
from derotation.maps.line_maps import LineAngles

__all__ = ["check_lines"]


def check_lines(angles: LineAngles, shape: tuple[int, ...], source: str) -> None:
    """Refuse angles of another movie.

    Parameters
    ----------
    angles : Angles
    shape : tuple of int
        Numbers of frames, lines and columns.
    source : str
        What has that shape, for the message.

    Raises
    ------
    MovieError
    """
    if angles.line_angles.shape != tuple(shape[:2]):
        n_frames, n_lines = angles.line_angles.shape
        msg = (
            f"{source} has {shape[0]} frames of {shape[1]} lines, but there are angles for "
            f"{n_frames} frames of {n_lines} lines; are movie and angles of the same session? If "
            "the movie has changed, parse the signals again with it"
        )
        raise MovieError(msg)
