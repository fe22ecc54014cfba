"""Colors of all plots: Okabe and Ito's, which everybody can tell apart, and a gray."""

__all__ = ["BLUE", "GRAY", "GREEN", "ORANGE", "PINK", "RED", "SKY", "YELLOW"]

BLUE = "#0072B2"
GREEN = "#009E73"
ORANGE = "#E69F00"
PINK = "#CC79A7"
RED = "#D55E00"
SKY = "#56B4E9"
YELLOW = "#F0E442"
GRAY = "#777777"
