"""The angle of a turning sample as a function of time, followed in the picture itself."""
