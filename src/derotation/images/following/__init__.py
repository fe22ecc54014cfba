"""The angle of a turning sample as a function of time, followed in the picture itself."""

from derotation.images.following.seen_angle import SeenAngle, see_angle

__all__ = ["SeenAngle", "see_angle"]
