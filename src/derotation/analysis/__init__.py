"""One session in one call, and names that users of the field know by this path."""
