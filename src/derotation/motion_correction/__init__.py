"""How the sample moved in its own plane during a session (not between two: that is movement)."""
