"""Give each line of a session its angle."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0], draws=True):
    from derotation.steps import interpolate_angles

    interpolate_angles.run(
        events=snakemake.input.events,
        movie=snakemake.params.movie,
        protocol=snakemake.params.protocol,
        config=snakemake.params.config,
        outputs=interpolate_angles.Outputs.of(**dict(snakemake.output.items())),
    )
