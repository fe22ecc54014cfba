"""Put the sessions of a group together to one picture of the window."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0], draws=True):
    from derotation.steps import build_mosaic

    build_mosaic.run(
        group=snakemake.wildcards.group,
        sessions=snakemake.params.sessions,
        means=snakemake.input.means,
        coverages=snakemake.input.coverages,
        config=snakemake.params.config,
        outputs=build_mosaic.Outputs.of(**dict(snakemake.output.items())),
        threads=snakemake.threads,
    )
