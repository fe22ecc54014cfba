"""Find the events in a session's analog signals."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

recorded = {
    "movie": snakemake.params.movie,
    "signals": snakemake.input.get("signals"),
    "stimulus": snakemake.input.get("stimulus"),
    "protocol": snakemake.params.protocol,
    "config": snakemake.params.config,
}
with job_log(snakemake.log[0], draws=True):
    from derotation.cohort.signal_failure import cause_first
    from derotation.steps import parse_signals

    with cause_first(**recorded):
        parse_signals.run(
            **recorded,
            angle_table=snakemake.input.get("angles"),
            outputs=parse_signals.Outputs.of(**dict(snakemake.output.items())),
        )
