"""Simulate a session's raw files."""

from pathlib import Path
from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0]):
    from derotation.steps import simulate_session

    simulate_session.run(
        folder=Path(snakemake.output.movie).parent,
        protocol=snakemake.params.protocol,
        config=snakemake.params.config,
        threads=snakemake.threads,
    )
