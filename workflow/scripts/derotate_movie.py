"""Make the movie of a session that stands still."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0], draws=True):
    from derotation.steps import derotate_movie

    outputs = derotate_movie.Outputs.of(**dict(snakemake.output.items()))
    config = snakemake.params.config
    if outputs.channels is not None:
        # The rule has the same outputs for all: a rig without further channels has empty folders.
        wanted = config["movie"]["channels"] or []
        config = config | {"movie": config["movie"] | {"channels": wanted}}
    derotate_movie.run(
        movie=snakemake.params.movie,
        angles=snakemake.input.angles,
        calibration=snakemake.input.calibration,
        config=config,
        outputs=outputs,
        movement=snakemake.input.get("movement"),
        motion=snakemake.input.get("motion"),
        illumination=snakemake.input.get("illumination"),
        # Not among the parameters: it changes memory, never the result.
        frames_per_chunk=snakemake.resources.frames_per_chunk or None,
        threads=snakemake.threads,
    )
