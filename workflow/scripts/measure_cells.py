"""Measure the cells of one session."""

from pathlib import Path
from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0], draws=True):
    from derotation.steps import measure_cells
    from derotation.steps.exporting import DerotatedFiles

    suite2p = snakemake.input.get("suite2p")
    measure_cells.run(
        files=DerotatedFiles.among(dict(snakemake.input.items())),
        statistics=snakemake.input.statistics,
        events=snakemake.input.events,
        protocol=snakemake.params.protocol,
        config=snakemake.params.config,
        outputs=measure_cells.Outputs.of(**dict(snakemake.output.items())),
        rois=snakemake.input.get("rois"),
        suite2p=Path(suite2p).parent if suite2p else None,
        planes=snakemake.input.get("planes"),
        movement=snakemake.input.get("movement"),
        motion=snakemake.input.get("motion"),
        threads=snakemake.threads,
    )
