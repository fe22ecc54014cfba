"""What the movie itself says about angles that the signals leave open."""
