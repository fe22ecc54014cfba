"""Grids of tiles that a stage's motor recorded: ideal places, measured overlaps, the stage's map.

Conventions, as in the OCT mosaics for which this was first described (Lefebvre et al. 2017):

- A grid has ``nx`` rows and ``ny`` columns of tiles. Tile (i, j) is in row i and column j; lists of
  tiles go row by row.
- ``tile_shape`` is (planes, rows, columns) of one tile; (rows, columns) is taken as well.
- A *mosaic grid* holds the tiles side by side without any overlap: an array of shape
  (planes, nx * rows, ny * columns).
- Positions and displacements are (row, column) in pixels. They are floats: nothing is rounded,
  since the fit is much better than a pixel.
- The linear map A takes the number (i, j) of a tile to its position. Its angles are explained in
  :mod:`derotation.mosaic.stage`.

References
----------
J. Lefebvre et al., "Whole mouse brain imaging using optical coherence tomography: reconstruction,
normalization, segmentation, and comparison with diffusion MRI", Neurophotonics 4, 041501 (2017).
"""

from derotation.mosaic.motor.comparison import compare_motor_vs_registration
from derotation.mosaic.motor.neighbors import (
    apply_blend_shift_refinement,
    compute_registration_refinements,
)
from derotation.mosaic.motor.places import (
    compute_affine_output_shape,
    compute_affine_positions,
    compute_motor_positions,
)
from derotation.mosaic.motor.stage_map import (
    estimate_affine_from_pairs,
    pool_pairs_and_fit_global_affine,
)

__all__ = [
    "apply_blend_shift_refinement",
    "compare_motor_vs_registration",
    "compute_affine_output_shape",
    "compute_affine_positions",
    "compute_motor_positions",
    "compute_registration_refinements",
    "estimate_affine_from_pairs",
    "pool_pairs_and_fit_global_affine",
]
