"""Find the microscope's light, and how bright the sample is at each angle."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0], draws=True):
    from derotation.steps import estimate_illumination

    estimate_illumination.run(
        movie=snakemake.params.movie,
        angles=snakemake.input.angles,
        calibration=snakemake.input.calibration,
        config=snakemake.params.config,
        outputs=estimate_illumination.Outputs.of(**dict(snakemake.output.items())),
        threads=snakemake.threads,
    )
