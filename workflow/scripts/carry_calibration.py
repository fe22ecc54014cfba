"""Carry another session's calibration over a movement of the scanner."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0], draws=True):
    from derotation.steps import carry_calibration

    carry_calibration.run(
        session=snakemake.wildcards.session,
        source=snakemake.params.source,
        given=snakemake.input.given,
        image=snakemake.input.image,
        points=snakemake.input.get("points"),
        config=snakemake.params.config,
        outputs=carry_calibration.Outputs.of(**dict(snakemake.output.items())),
    )
