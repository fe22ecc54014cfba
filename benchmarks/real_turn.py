"""One real turn of a sample, 20 frames without rest and without clocks, through the whole workflow.

    python benchmarks/real_turn.py DATA_FOLDER

DATA_FOLDER holds ``rotating_3p_20frames.npz`` (frames, and the stage's angle of each line). It goes
through the workflow as protocol free with a table of angles. Printed: the center, and the mean
correlation over all pairs of frames (band-passed, within 110 px of the center) as recorded, about
the middle of the picture, with the center alone, with the whole calibration, and in the movie that
the workflow writes, in which the sample's own motion is corrected, too.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tifffile
import yaml
from numpy.typing import NDArray
from scipy import ndimage

from derotation.calibration import Calibration
from derotation.calibration.geometry import Geometry
from derotation.maps.line_maps import Placement
from derotation.maps.resample import derotate_frames
from derotation.maps.transforms import image_center

ROOT = Path(__file__).parents[1]
FRAME_RATE = 6.74
RADIUS = 110


def prepare(folder: Path, frames: NDArray[np.uint8], angles: NDArray[np.float64]) -> None:
    """Write a study of one session."""
    tifffile.imwrite(folder / "movie.tif", frames, photometric="minisblack")
    np.save(folder / "angles.npy", angles)
    (folder / "sessions.tsv").write_text(
        "session\tprotocol\tmovie\tangles\nturn\tfree\tmovie.tif\tangles.npy\n"
    )
    config = {
        "sessions": "sessions.tsv",
        "angles": {"source": "table"},
        "scan": {"frame_rate": FRAME_RATE},
        "signals": {"sampling_rate": None},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def pair_correlation(
    frames: NDArray[np.uint8],
    angles: NDArray[np.float64],
    placement: Placement | None,
    center: tuple[float, float],
) -> float:
    """Correlate all pairs of frames, derotated or as recorded."""
    pictures = frames.astype(np.float32)
    if placement is not None:
        maps = placement.maps(angles, np.zeros_like(angles))
        pictures = derotate_frames(pictures, maps).frames
    return correlated(pictures, center)


def correlated(pictures: NDArray[np.float32], center: tuple[float, float]) -> float:
    """Correlate all pairs of pictures, band-passed, within a disc."""
    band = [ndimage.gaussian_filter(p, 1.5) - ndimage.gaussian_filter(p, 8) for p in pictures]
    y, x = np.mgrid[: pictures.shape[1], : pictures.shape[2]]
    values = np.stack(band)[:, np.hypot(x - center[0], y - center[1]) < RADIUS]
    return float(np.corrcoef(values)[np.triu_indices(len(pictures), 1)].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path)
    with np.load(parser.parse_args().data / "rotating_3p_20frames.npz") as archive:
        frames, angles = archive["frames"], archive["line_angles"].astype(np.float64)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder, frames, angles)
        command = [
            sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"),
            "--directory", str(folder), "--configfile", str(folder / "config.yaml"),
            "--cores", "2", "--quiet", "all",
        ]  # fmt: skip
        subprocess.run(command, check=True, cwd=folder)
        results = folder / "results/turn"
        alone = Calibration.load(results / "center.json")
        whole = Calibration.load(results / "calibration.json")
        movie = tifffile.imread(results / "derotated.tif").astype(np.float32)
    middle = image_center(frames.shape)
    rows: list[tuple[str, Placement | None, tuple[float, float]]] = [
        ("as recorded", None, middle),
        ("about the middle of the picture", Geometry.about(middle), middle),
        ("center alone", alone, alone.center),
        ("whole calibration", whole, whole.center),
    ]
    for name, placement, center in rows:
        correlation = pair_correlation(frames, angles, placement, center)
        print(
            f"{name:34}center ({center[0]:6.2f}, {center[1]:6.2f})  correlation {correlation:.3f}"
        )
    print(
        f"{'the movie that the workflow writes':34}center ({whole.center[0]:6.2f}, "
        f"{whole.center[1]:6.2f})  correlation {correlated(movie, whole.center):.3f}"
    )
    print(whole.statement)


if __name__ == "__main__":
    main()
