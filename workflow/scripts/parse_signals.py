"""Find the events in a session's analog signals."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0], draws=True):
    from derotation.steps import parse_signals

    parse_signals.run(
        movie=snakemake.params.movie,
        signals=snakemake.input.get("signals"),
        stimulus=snakemake.input.get("stimulus"),
        angle_table=snakemake.input.get("angles"),
        protocol=snakemake.params.protocol,
        config=snakemake.params.config,
        outputs=parse_signals.Outputs.of(**dict(snakemake.output.items())),
    )
