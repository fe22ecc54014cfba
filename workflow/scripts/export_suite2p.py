"""Write a folder that Suite2p takes at once."""

from pathlib import Path
from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0]):
    from derotation.steps import export_suite2p
    from derotation.steps.exporting import DerotatedFiles

    export_suite2p.run(
        files=DerotatedFiles.among(dict(snakemake.input.items())),
        statistics=snakemake.input.statistics,
        segments=snakemake.input.segments,
        planes=snakemake.input.get("planes"),
        motion=snakemake.input.get("motion"),
        session=snakemake.wildcards.session,
        config=snakemake.params.config,
        folder=Path(snakemake.output.summary).parent,
        # Not among the parameters: it changes memory, never the result.
        frames_per_chunk=snakemake.resources.frames_per_chunk or None,
    )
