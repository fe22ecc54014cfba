"""Find the center of rotation from blobs: by Bayesian optimization, or by fitting ellipses.

Centers are (x, y) in pixels and floats throughout.
"""

from derotation.calibration.center_by_blobs.bayesian import BayesianCenter, find_center_bayesian
from derotation.calibration.center_by_blobs.ellipse import EllipseCenter, find_center_ellipse

__all__ = ["BayesianCenter", "EllipseCenter", "find_center_bayesian", "find_center_ellipse"]
