"""Make a session's short animation, and what the report plays."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0], draws=True):
    from derotation.steps import animate_session

    animate_session.run(
        movie=snakemake.params.movie,
        inputs=animate_session.Inputs.among(dict(snakemake.input.items())),
        angles=snakemake.input.angles,
        calibration=snakemake.input.calibration,
        config=snakemake.params.config,
        outputs=animate_session.Outputs.of(**dict(snakemake.output.items())),
    )
