"""What regions of interest say: when each was scanned, whether it was seen, and what tunes it."""

__all__ = ["ROI_FILES", "VERDICTS"]

#: How names of files with ROIs end. Here, since a configuration is checked without what reads them.
ROI_FILES = (".tif", ".tiff", ".npy", ".zip", ".roi")

#: What is said of a cell, the first that holds; and why, in words.
VERDICTS = {
    "few samples": "it was seen too rarely, is darker than what is around it, or does not change",
    "single turn": "a single turn, or a short recording, leaves none that could be foretold",
    "few angles": "it was not seen at enough of the angles",
    "chance": "chance would do as well",
    "not foretold": "rotations that were left out of the fit are not foretold",
    "brightness": "brightness explains it: light, neuropil or movement",
    "tuned": "it foretells rotations that were left out of the fit",
}
