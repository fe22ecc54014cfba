"""Packages that are needed for single exports only."""

PYNWB_MISSING = "the package pynwb is not installed: pip install 'derotation-workflow[nwb]'"
