"""A movie through the kernel once, and all that is learned on the way."""

from derotation.streaming.single_pass import DerotationResult, derotate_movie

__all__ = ["DerotationResult", "derotate_movie"]
