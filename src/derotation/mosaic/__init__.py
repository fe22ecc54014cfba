"""Mosaics: neighboring fields of view, placed by the stage's motor, as one picture.

:mod:`derotation.mosaic.motor` holds the functions for regular grids that users of the field know;
:mod:`derotation.mosaic.tiles` places any set of tiles, :mod:`derotation.mosaic.balance` makes them
equally bright, and :mod:`derotation.mosaic.blend` puts them into one picture.
"""
