"""From analog samples to events, and to the angle at every time."""
