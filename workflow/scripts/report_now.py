"""Write the cohort's page and table of what there is; what is missing is not computed."""

from pathlib import Path
from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0]):
    from derotation.report.states import RunJobs
    from derotation.report.summary import summary_lines
    from derotation.steps import report

    inputs = snakemake.params.inputs
    wanted = [*inputs["final_files"].values(), *inputs["mosaics"].values()]
    done = all(Path(file).exists() for files in wanted for file in files)
    cohort = report.run(**inputs, jobs=None if done else RunJobs(), threads=snakemake.threads)
    print(*summary_lines(cohort, Path(inputs["results"], "report.html")), sep="\n")
