"""What regions of interest say: when each was scanned, whether it was seen, and what tunes it."""

__all__ = ["ROI_FILES"]

#: How names of files with ROIs end. Here, since a configuration is checked without what reads them.
ROI_FILES = (".tif", ".tiff", ".npy", ".zip", ".roi")
