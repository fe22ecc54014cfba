"""Find a session's center of rotation."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0], draws=True):
    from derotation.steps import estimate_center

    estimate_center.run(
        movie=snakemake.params.movie,
        angles=snakemake.input.angles,
        session=snakemake.wildcards.session,
        config=snakemake.params.config,
        outputs=estimate_center.Outputs.of(**dict(snakemake.output.items())),
        threads=snakemake.threads,
    )
