"""Run one step of the pipeline on a session's folder; the benchmarks start this as a process."""

import argparse
from pathlib import Path
from typing import Any, Literal

from derotation.jobs.starting import load_plots_beside, rarely_collected
from derotation.numerics.linear_algebra import use_one_thread


def protocol(folder: Path) -> Literal["full", "incremental"]:
    """Tell what the motor did: a full session has a table of speeds and directions."""
    return "full" if (folder / "stimulus.csv").exists() else "incremental"


def parse_signals(folder: Path, config: dict[str, Any], threads: int) -> None:
    from derotation.steps import parse_signals

    parse_signals.run(
        movie=folder / "movie.tif",
        signals=next(folder.glob("signals.*")),
        stimulus=folder / "stimulus.csv" if protocol(folder) == "full" else None,
        protocol=protocol(folder),
        config=config,
        outputs=parse_signals.Outputs.within(folder),
    )


def interpolate_angles(folder: Path, config: dict[str, Any], threads: int) -> None:
    from derotation.steps import interpolate_angles

    interpolate_angles.run(
        events=folder / "events.npz",
        movie=folder / "movie.tif",
        protocol=protocol(folder),
        config=config,
        outputs=interpolate_angles.Outputs.within(folder),
    )


def estimate_center(folder: Path, config: dict[str, Any], threads: int) -> None:
    from derotation.steps import estimate_center

    estimate_center.run(
        movie=folder / "movie.tif",
        angles=folder / "angles.npz",
        session=folder.name,
        config=config,
        outputs=estimate_center.Outputs.within(folder),
        threads=threads,
    )


def estimate_plane(folder: Path, config: dict[str, Any], threads: int) -> None:
    from derotation.steps import estimate_plane

    estimate_plane.run(
        movie=folder / "movie.tif",
        angles=folder / "angles.npz",
        center=folder / "center.json",
        session=folder.name,
        config=config,
        outputs=estimate_plane.Outputs.within(folder),
        threads=threads,
    )


def estimate_illumination(folder: Path, config: dict[str, Any], threads: int) -> None:
    from derotation.steps import estimate_illumination

    estimate_illumination.run(
        movie=folder / "movie.tif",
        angles=folder / "angles.npz",
        calibration=folder / "calibration.json",
        config=config,
        outputs=estimate_illumination.Outputs.within(folder),
        threads=threads,
    )


def estimate_motion(folder: Path, config: dict[str, Any], threads: int) -> None:
    from derotation.steps import estimate_motion

    estimate_motion.run(
        movie=folder / "movie.tif",
        angles=folder / "angles.npz",
        calibration=folder / "calibration.json",
        config=config,
        outputs=estimate_motion.Outputs.within(folder),
        threads=threads,
    )


def derotate_movie(folder: Path, config: dict[str, Any], threads: int) -> None:
    from derotation.steps import derotate_movie

    derotate_movie.run(
        movie=folder / "movie.tif",
        angles=folder / "angles.npz",
        calibration=folder / "calibration.json",
        config=config,
        outputs=derotate_movie.Outputs.within(folder),
        threads=threads,
    )


def derotate_planes(folder: Path, config: dict[str, Any], threads: int) -> None:
    from derotation.steps import derotate_planes

    derotate_planes.run(
        movie=folder / "movie.tif",
        signals=next(folder.glob("signals.*")),
        stimulus=folder / "stimulus.csv" if protocol(folder) == "full" else None,
        protocol=protocol(folder),
        calibration=folder / "calibration.json",
        config=config,
        outputs=derotate_planes.Outputs.within(folder),
        threads=threads,
    )


def measure_quality(folder: Path, config: dict[str, Any], threads: int) -> None:
    from derotation.steps import measure_quality

    measure_quality.run(
        statistics=folder / "statistics.npz",
        events=folder / "events.npz",
        angles=folder / "angles.npz",
        calibration=folder / "calibration.json",
        session=folder.name,
        protocol=protocol(folder),
        config=config,
        outputs=measure_quality.Outputs.within(folder),
        threads=threads,
    )


def export_suite2p(folder: Path, config: dict[str, Any], threads: int) -> None:
    from derotation.steps import export_suite2p
    from derotation.steps.exporting import DerotatedFiles

    export_suite2p.run(
        files=DerotatedFiles.within(
            folder,
            channels=_there(folder / "channels"),
            channel_means=_there(folder / "images" / "channels"),
        ),
        statistics=folder / "statistics.npz",
        session=folder.name,
        config=config,
        folder=folder / "suite2p",
        planes=_there(folder / "planes"),
    )


def _there(folder: Path) -> Path | None:
    """Return a folder that only some sessions have."""
    return folder if folder.is_dir() else None


def animate_session(folder: Path, config: dict[str, Any], threads: int) -> None:
    from derotation.steps import animate_session

    animate_session.run(
        movie=folder / "movie.tif",
        inputs=animate_session.Inputs.within(folder),
        angles=folder / "angles.npz",
        calibration=folder / "calibration.json",
        config=config,
        outputs=animate_session.Outputs.within(folder),
    )


STEPS = {
    step.__name__: step
    for step in (
        parse_signals,
        interpolate_angles,
        estimate_center,
        estimate_plane,
        estimate_illumination,
        estimate_motion,
        derotate_movie,
        derotate_planes,
        measure_quality,
        export_suite2p,
        animate_session,
    )
}

DRAWING = set(STEPS) - {"export_suite2p"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    use_one_thread()
    run(given.step, given.folder, given.threads)


def run(step: str, folder: Path, threads: int) -> None:
    """Do what the workflow's script of the step does; but errors are to be seen."""
    from derotation.cohort.config import load_config  # loads NumPy

    with rarely_collected():
        if step in DRAWING:
            load_plots_beside()
        config = load_config(folder / "config.yaml")
        STEPS[step](folder, config, threads)


if __name__ == "__main__":
    main()
