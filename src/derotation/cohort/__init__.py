"""Configuration, rigs, sample sheet and files, checked together."""

from derotation.cohort.cohort import Cohort, load_cohort, simulated_files

__all__ = ["Cohort", "load_cohort", "simulated_files"]
