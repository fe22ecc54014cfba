"""Judge a derotated session."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0], draws=True):
    from derotation.steps import measure_quality

    measure_quality.run(
        statistics=snakemake.input.statistics,
        events=snakemake.input.events,
        angles=snakemake.input.angles,
        calibration=snakemake.input.calibration,
        session=snakemake.wildcards.session,
        protocol=snakemake.params.protocol,
        config=snakemake.params.config,
        outputs=measure_quality.Outputs.of(**dict(snakemake.output.items())),
        motion=snakemake.input.get("motion"),
        threads=snakemake.threads,
    )
