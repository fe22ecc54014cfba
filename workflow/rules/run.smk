# When a run begins and ends: its progress, the report after a failure, the summary.
#
# The rule report makes the report when every session is done. When jobs have failed, Snakemake
# does not run it, since it waits for files that are not there; then onerror makes the same page
# and table of what there is. It leaves out the file that says that the run was complete, so that
# the next run makes them anew, even one that has nothing else to do.

from pathlib import Path

from snakemake.exceptions import print_exception
from snakemake.logging import logger
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from derotation.errors import DerotationError
from derotation.jobs.folders import check_temporary_folder
from derotation.jobs.job_errors import JobErrors
from derotation.jobs.submission import watch_queue
from derotation.report.captions import MOSAIC_PLOTS, PLOTS
from derotation.report.progress import SessionProgress
from derotation.report.states import RunJobs
from derotation.report.summary import summary_lines

# As rules see them: a workflow around this one may have set others than the configuration.
FOLDERS = {
    name: workflow.pathvars.apply(f"<{name}>")
    for name in ("results", "logs", "benchmarks")
}
PAGE = Path(FOLDERS["results"]) / "report.html"
# Only there if the last run reached its end.
COMPLETE = PAGE.parent / "run" / "complete.txt"
# What Snakemake and SLURM say about jobs that fail.
JOB_ERRORS = JobErrors()


def caption_texts():
    """The captions of the plots: a change of one of them makes the report anew."""
    texts = {}
    for name in (*PLOTS, *MOSAIC_PLOTS):
        path = workflow.source_path(f"../report/{name}.rst")
        texts[name] = Path(path).read_text(encoding="utf-8")
    return texts


def with_folders(files):
    return [file.replace("<results>", FOLDERS["results"]) for file in files]


def files_of_sessions():
    """What there is of each session when it is done, by its name."""
    return {
        session.name: with_folders(final_files(session)) for session in COHORT.sheet
    }


def report_inputs():
    """All that the report needs to be given, in the rule and after an error alike."""
    return FOLDERS | {
        "rows": [session.as_row() for session in COHORT.sheet],
        "final_files": files_of_sessions(),
        "mosaics": {group: with_folders(mosaic_files(group)) for group in MOSAICS},
        "config": COHORT.config,
        "captions": caption_texts(),
    }


def single_jobs(jobs):
    """Jobs, and those within groups of jobs."""
    return [job for one in jobs for job in (one.jobs if one.is_group() else [one])]


def name_of(job):
    """The session (or mosaic) and the step of a job; the session is None if it is of none."""
    name = job.wildcards_dict.get("session", job.wildcards_dict.get("group"))
    # All rules that simulate are one step.
    return name, re.sub(r"^simulate_.*", "simulate_session", job.rule.name)


def named_jobs(jobs):
    names = [name_of(job) for job in single_jobs(jobs)]
    return frozenset(name for name in names if name[0] is not None)


def how_jobs_ended():
    failed = workflow.scheduler.failed
    outputs = {name_of(job): list(job.output) for job in single_jobs(failed)}
    return RunJobs(
        failed=named_jobs(failed),
        unfinished=named_jobs(workflow.dag.needrun_jobs()),
        said=JOB_ERRORS.reasons(outputs),
    )


def listen_to_errors():
    """Remember what is said when a job fails: of jobs in a group Snakemake itself does not show it."""
    logger.addHandler(JOB_ERRORS)
    scheduler = workflow.scheduler
    for executor in filter(None, (scheduler._executor, scheduler._local_executor)):
        overhear(executor)
        keep_going(executor)


def overhear(executor):
    say_error = executor.print_job_error

    def print_job_error(job_info, msg=None, **more):
        logs = [log for log in more.get("aux_logs") or () if log]
        JOB_ERRORS.job_failed(named_jobs([job_info.job]), msg, logs)
        say_error(job_info, msg, **more)

    executor.print_job_error = print_job_error


def keep_going(executor):
    """Let a job fail alone that cannot even be started, as when a raw file has vanished meanwhile.

    Otherwise Snakemake itself would end there, with all other sessions and without a report.
    """
    start = executor.run_job

    def run_job(job):
        try:
            start(job)
        except (WorkflowError, OSError) as error:
            print_exception(error, workflow.linemaps)
            executor.report_job_error(SubmittedJobInfo(job=job))

    executor.run_job = run_job


def check_folders():
    """Begin nothing if the temporary folder is full: Snakemake itself needs it to plan."""
    try:
        check_temporary_folder()
    except DerotationError as error:
        raise WorkflowError(f"Nothing was run: {error}") from None


def forget_logs(jobs):
    """Remove the logs of an earlier run, which would pass for those of jobs that say nothing."""
    for job in jobs:
        for log in job.log:
            Path(log).unlink(missing_ok=True)


def cores_here():
    """Cores of this computer; a run on a cluster has none but those for local jobs."""
    given = workflow.resource_settings
    return given.cores or given.local_cores or 1


def templates_of_report():
    """A fingerprint of the page's templates, which are no code."""
    from derotation.report.page import template_fingerprint

    return template_fingerprint()


def report_is_among(jobs):
    return any(job.rule.name == "report" for job in jobs)


def say(lines):
    print("", *lines, "", sep="\n", file=sys.stderr)


onstart:
    gc.freeze()
    gc.enable()
    check_folders()
    if workflow.executor_plugin.name == "slurm":
        check_cluster()
        watch_queue(Path.cwd(), logger)
    to_do = {
        job.jobid: job.wildcards.session
        for job in workflow.dag.needrun_jobs()
        if "session" in job.wildcards_dict
    }
    logger.addHandler(SessionProgress(to_do, logger))
    listen_to_errors()
    forget_logs(workflow.dag.needrun_jobs())
    if report_is_among(workflow.dag.needrun_jobs()):
        COMPLETE.unlink(missing_ok=True)
        from derotation.report.page import mark_outdated

        mark_outdated(PAGE)


onsuccess:
    if report_is_among(workflow.dag.finished_jobs):
        say(COMPLETE.read_text(encoding="utf-8").splitlines())


onerror:
    # Here and above, not at the top, since each job reads this file.
    from derotation.steps import report as report_step

    COMPLETE.unlink(missing_ok=True)
    try:
        cohort = report_step.run(
            **report_inputs(), jobs=how_jobs_ended(), threads=cores_here()
        )
    except (DerotationError, OSError) as error:
        say([f"The report could not be made: {error}"])
    else:
        say(summary_lines(cohort, PAGE))
