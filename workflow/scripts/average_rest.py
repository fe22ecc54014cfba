"""Average the frames of a session at rest."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0]):
    from derotation.steps import average_rest

    average_rest.run(
        movie=snakemake.params.movie,
        angles=snakemake.input.angles,
        config=snakemake.params.config,
        image=snakemake.output.image,
        threads=snakemake.threads,
    )
