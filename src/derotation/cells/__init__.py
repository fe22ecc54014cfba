"""What regions of interest say: when each was scanned, whether it was seen, and what tunes it."""
