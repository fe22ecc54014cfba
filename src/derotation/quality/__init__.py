"""Figures that need no truth."""

from derotation.quality.measure import Figure, Quality, measure_quality

__all__ = ["Figure", "Quality", "measure_quality"]
