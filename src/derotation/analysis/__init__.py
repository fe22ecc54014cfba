"""Measurements on recordings: mean images by angle, blobs, ellipses, and figures of merit."""
