"""The mistakes of a new rig: what is said about a session, against what its signals show."""
