"""Find how a session's sample moved in its own plane."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0], draws=True):
    from derotation.steps import estimate_motion

    estimate_motion.run(
        movie=snakemake.params.movie,
        angles=snakemake.input.angles,
        calibration=snakemake.input.calibration,
        config=snakemake.params.config,
        outputs=estimate_motion.Outputs.of(**dict(snakemake.output.items())),
        # Not among the parameters: it changes memory, never the result.
        frames_per_chunk=snakemake.resources.frames_per_chunk or None,
        threads=snakemake.threads,
    )
