"""Find the sessions in a tree of recordings, and write them down as a sample sheet.

A *recording* is a folder that holds the files of one movie, or that is one as a whole (Prairie
View, ThorImage). Its analog signals, stimulus table and table of angles lie in it or below it; else
in the rest of its session: the ``ses-*`` folder of a NeuroBlueprint tree [1]_, or the next folders
above that hold no other recording. A session is called by its own folder's name, never by a number,
so that it keeps its name when others come or go.

Names tell what a file is. Where they do not, since a `.csv` or a `.mat` may be signals or a table,
it is looked into, and that is said.

References
----------
.. [1] NeuroBlueprint, a specification for the folders of neuroscience projects,
   https://neuroblueprint.neuroinformatics.dev
"""

from derotation.cohort.discover.found import Discovery, FoundSession, Unpaired, write_sheet
from derotation.cohort.discover.search import discover_sessions
from derotation.cohort.discover.tree import Patterns

__all__ = ["Discovery", "FoundSession", "Patterns", "Unpaired", "discover_sessions", "write_sheet"]
