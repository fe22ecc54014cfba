"""Ellipses through the places at which a turning sample was seen.

A point of the sample at rest, r away from the center c within the plane of rotation, is seen at
``c + P R(-a) r`` when the sample is turned by a: on an ellipse about c whose axes tell how the
plane is tilted. P foreshortens by the cosine of the tilt along the plane's orientation, see
:func:`derotation.maps.transforms.plane_matrix`. All blobs of a sample share c and P; fitted
together, with the angles that are known, they tell both far better than an ellipse through each
blob alone.
"""

from derotation.images.ellipses.picture import plot_ellipse_fit_and_centers
from derotation.images.ellipses.shared import SharedEllipses, fit_shared_ellipses
from derotation.images.ellipses.through_points import (
    EllipseFit,
    derive_angles_from_ellipse_fits,
    fit_ellipse_to_points,
)
from derotation.images.ellipses.tracks import BlobTracks

__all__ = [
    "BlobTracks",
    "EllipseFit",
    "SharedEllipses",
    "derive_angles_from_ellipse_fits",
    "fit_ellipse_to_points",
    "fit_shared_ellipses",
    "plot_ellipse_fit_and_centers",
]
