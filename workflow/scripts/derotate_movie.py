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
        output=snakemake.output.movie,
        seen=snakemake.output.seen,
        mean=snakemake.output.mean,
        raw_mean=snakemake.output.raw_mean,
        coverage=snakemake.output.coverage,
        coverage_table=snakemake.output.coverage_table,
        statistics=snakemake.output.statistics,
        before_after=snakemake.output.before_after,
        contact_sheet=snakemake.output.contact_sheet,
        movement=snakemake.input.get("movement"),
        illumination=snakemake.input.get("illumination"),
        # Not among the parameters: it changes memory, never the result.
        frames_per_chunk=snakemake.config["movie"]["frames_per_chunk"],
        threads=snakemake.threads,
    )
