"""A map per line as a function of time, and the one loop that applies them."""
