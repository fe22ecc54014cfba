"""Write the filled movie as a TIFF that Suite2p reads."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0]):
    from derotation.steps import export_tiff

    export_tiff.run(
        movie=snakemake.input.movie,
        seen=snakemake.input.seen,
        angles=snakemake.input.angles,
        calibration=snakemake.input.calibration,
        mean=snakemake.input.mean,
        coverage=snakemake.input.coverage,
        channels=snakemake.input.get("channels"),
        channel_means=snakemake.input.get("channel_means"),
        config=snakemake.params.config,
        output=snakemake.output[0],
        # Not among the parameters: it changes memory, never the result.
        frames_per_chunk=snakemake.resources.frames_per_chunk or None,
    )
