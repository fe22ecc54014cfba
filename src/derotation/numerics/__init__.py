"""Arithmetic that knows no microscope."""
