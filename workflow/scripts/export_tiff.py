"""Write the filled movie as a TIFF that Suite2p reads."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0]):
    from derotation.steps import export_tiff
    from derotation.steps.exporting import DerotatedFiles

    export_tiff.run(
        files=DerotatedFiles.among(dict(snakemake.input.items())),
        config=snakemake.params.config,
        output=snakemake.output[0],
        # Not among the parameters: it changes memory, never the result.
        frames_per_chunk=snakemake.resources.frames_per_chunk or None,
    )
