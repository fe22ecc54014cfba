"""Write the cohort's page and table, and the record of the run."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0]):
    from derotation.errors import InputError
    from derotation.io.files import write_text
    from derotation.report.summary import summary_lines
    from derotation.steps import report

    cohort = report.run(**snakemake.params.inputs, threads=snakemake.threads)
    lines = summary_lines(cohort, snakemake.output.page)
    broken = [s.state.reason for s in cohort.sessions if s.state.status == "failed"]
    if broken:
        # Then the same page is made as after any error, and the run does not count as complete.
        raise InputError("\n".join(broken))
    write_text(snakemake.output.complete, "\n".join(lines) + "\n")
