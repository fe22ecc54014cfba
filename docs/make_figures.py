"""Make the pictures of the README and the docs; all show what the library makes of simulated data.

python docs/make_figures.py               # write all pictures to docs/images (about 30 seconds)
python docs/make_figures.py center        # write only some, by name
python docs/make_figures.py --check       # write nothing; say which ones are out of date
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from figures import (
    concepts,
    illumination,
    mosaics,
    movement,
    performance,
    quality,
    readme,
    signals_look,
)
from figures.style import DPI, Figure

IMAGES = Path(__file__).parent / "images"
FIGURES: dict[str, Callable[[], Figure]] = {
    "before_after": readme.before_after,
    "fan_shear": concepts.fan_shear,
    "angle_per_line": concepts.angle_per_line,
    "center": concepts.center,
    "tilted_plane": concepts.tilted_plane,
    "forward_and_inverse": concepts.forward_and_inverse,
    "coverage": concepts.coverage,
    "composition": concepts.composition,
    "good_and_bad": quality.good_and_bad,
    "missing_ticks": quality.missing_ticks,
    "light_and_sample": illumination.light_and_sample,
    "illumination": illumination.illumination,
    "dark_angles": illumination.dark_angles,
    "mosaic": mosaics.mosaic,
    "mosaic_seams": mosaics.mosaic_seams,
    "mosaic_overlaps": mosaics.mosaic_overlaps,
    "movement": movement.movement,
    "what_moved": movement.what_moved,
    "where_the_time_goes": performance.where_the_time_goes,
    "signals_look": signals_look.signals_look,
}
# Those that move, which write their file themselves.
ANIMATIONS: dict[str, Callable[[Path], None]] = {"standing_still": readme.standing_still}
FILES = {name: f"{name}.png" for name in FIGURES} | {name: f"{name}.gif" for name in ANIMATIONS}
# Fonts and edges differ a little between versions of Matplotlib; of blocks of so many pixels, the
# mean of a color may differ by so much (of 1), and so many of them may differ by more.
BLOCK, TOLERANCE, FEW = 24, 0.08, 0.02


def main() -> int:
    """Write or check pictures; the exit code is 1 if some are out of date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(FILES)}")
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - FILES.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(FILES)}")
    names = arguments.names or list(FILES)
    if arguments.check:
        return check(names)
    IMAGES.mkdir(exist_ok=True)
    draw(names, IMAGES)
    return 0


def draw(names: list[str], folder: Path) -> None:
    """Draw pictures, on all processors."""
    with ProcessPoolExecutor() as pool:
        list(pool.map(draw_one, names, repeat(folder)))


def draw_one(name: str, folder: Path) -> None:
    """Draw one picture."""
    path = folder / FILES[name]
    if name in ANIMATIONS:
        ANIMATIONS[name](path)
    else:
        FIGURES[name]().savefig(path, dpi=DPI)


def check(names: list[str]) -> int:
    """Compare pictures with new ones."""
    stale = []
    with tempfile.TemporaryDirectory() as folder:
        draw(names, Path(folder))
        for name in names:
            new, old = Path(folder, FILES[name]), IMAGES / FILES[name]
            if not old.exists() or not alike(read(new), read(old)):
                stale.append(name)
    if stale:
        print(
            f"out of date: {', '.join(stale)}; look at what `python docs/make_figures.py "
            f"{' '.join(stale)}` makes of docs/images, and commit it",
            file=sys.stderr,
        )
    return 1 if stale else 0


def read(path: Path) -> NDArray[np.float32]:
    """Read a picture, or the first frame of one that moves: red, green and blue from 0 to 1."""
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"), np.float32) / 255


def alike(new: NDArray[np.float32], old: NDArray[np.float32]) -> bool:
    """Tell whether two pictures show the same."""
    if new.shape != old.shape:
        return False
    differences = np.abs(blocks(new) - blocks(old)).max(axis=-1)
    return bool(np.mean(differences > TOLERANCE) <= FEW)


def blocks(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the colors over blocks; what does not fill a block is left out."""
    height, width = (size // BLOCK for size in picture.shape[:2])
    part = picture[: height * BLOCK, : width * BLOCK, :3]
    return np.asarray(part.reshape(height, BLOCK, width, BLOCK, 3).mean(axis=(1, 3)))


if __name__ == "__main__":
    sys.exit(main())
