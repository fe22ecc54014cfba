"""The microscope's light, and brightness by angle."""
