"""A simulated recording whose configuration may be wrong: signals, and a movie of empty frames."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from derotation.cohort.check import check_cohort
from derotation.cohort.cohort import load_cohort
from derotation.cohort.config import validate_config
from derotation.simulate.plan import RecordingPlan
from derotation.simulate.signals import write_signals

# Frames per second, samples per second, seed.
RIGS = [(2, 10_000, 1), (7, 25_000, 2), (30, 50_000, 4), (30, 10_000, 5)]
SPEEDS = (50.0, 100.0, 150.0, 200.0)
STEPS = {"angles": {"degrees_per_step": 20}}


@dataclass
class Rig:
    """A simulated recording without its picture, and its files in a folder."""

    plan: RecordingPlan
    folder: Path
    cache: Path

    @property
    def rate(self) -> float:
        return self.plan.parameters.sampling_rate

    def write(self, *, kind="npy", told=True, rows=None):
        """Write the files; whether the movie's file tells the frame rate, and how many rows."""
        p = self.plan.parameters
        self.movie = self.cache / f"movie_{told}_{rows}.tif"
        self.signals = self.cache / f"signals.{kind}"
        self.stimulus = self.cache / "stimulus.csv"
        shape = (self.plan.n_frames, rows or p.shape[0], p.shape[1])
        about = {"axes": "TYX"} | ({"finterval": 1 / p.frame_rate} if told else {})
        if not self.movie.exists():
            tifffile.imwrite(self.movie, np.zeros(shape, np.uint8), imagej=True, metadata=about)
        if not self.signals.exists():
            write_signals(self.signals, self.plan.analog, kind)
        table = self.plan.stimulus if p.protocol == "full" else [(100, 1)]
        lines = [f"{speed:g},{direction:g}" for speed, direction in table]
        self.stimulus.write_text("speed,direction\n" + "\n".join(lines) + "\n")
        return self

    def change(self, change):
        """Change the signals' matrix (4, n)."""
        changed = change(np.load(self.signals))
        self.signals = self.folder / "signals.npy"
        np.save(self.signals, changed)

    def inputs(self, *, protocol=None, **signals: Any):
        """What the step ``parse_signals`` is given."""
        protocol = protocol or self.plan.parameters.protocol
        return {
            "movie": self.movie,
            "signals": self.signals,
            "stimulus": self.stimulus if protocol == "full" else None,
            "protocol": protocol,
            "config": validate_config(
                {"signals": {"sampling_rate": self.rate, **signals}, "angles": STEPS["angles"]}
            ),
        }

    def check(self, *, protocol=None, sections=None, **signals: Any):
        protocol = protocol or self.plan.parameters.protocol
        cells = [self.movie, self.signals, self.stimulus if protocol == "full" else ""]
        sheet = self.folder / "sheet.tsv"
        sheet.write_text("session\tprotocol\tmovie\tsignals\tstimulus\n"
                         + "\t".join(map(str, ["one", protocol, *cells])) + "\n")  # fmt: skip
        config = {
            "sessions": str(sheet),
            "signals": {"sampling_rate": self.rate, **signals},
            **(sections or {}),
        }
        (found,) = check_cohort(load_cohort(config)).sessions
        return found
