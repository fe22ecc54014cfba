"""Reading movies, analog signals and stimulus tables; writing files that are whole."""
