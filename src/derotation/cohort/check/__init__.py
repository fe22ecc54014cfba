"""Look at a cohort's files before anything is run: headers only, so that it takes seconds."""

from derotation.cohort.check.cohort import CohortCheck, check_cohort
from derotation.cohort.check.session import SessionCheck, check_session
from derotation.cohort.check.table import format_table

__all__ = ["CohortCheck", "SessionCheck", "check_cohort", "check_session", "format_table"]
