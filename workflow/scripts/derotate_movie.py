"""Make the movie of a session that stands still."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0]):
    from derotation.steps import derotate_movie

    derotate_movie.run(
        movie=snakemake.params.movie,
        angles=snakemake.input.angles,
        calibration=snakemake.input.calibration,
        config=snakemake.params.config,
        outputs=derotate_movie.Outputs.of(**dict(snakemake.output.items())),
        movement=snakemake.input.get("movement"),
        illumination=snakemake.input.get("illumination"),
        # Not among the parameters: it changes memory, never the result.
        frames_per_chunk=snakemake.resources.frames_per_chunk or None,
        threads=snakemake.threads,
    )
