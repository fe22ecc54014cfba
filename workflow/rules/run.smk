# When a run begins and ends: its progress, the report after a failure, the summary.
#
# The rule report makes the report when every session is done. When jobs have failed, Snakemake
# does not run it, since it waits for files that are not there; then onerror makes the same page
# and table of what there is. It leaves out the file that says that the run was complete, so that
# the next run makes them anew, even one that has nothing else to do.

from pathlib import Path

from snakemake.logging import logger

from derotation.errors import DerotationError
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


def named_jobs(jobs):
    """Jobs, and those within groups of jobs, as pairs of session (or mosaic) and step."""
    single = [job for one in jobs for job in (one.jobs if one.is_group() else [one])]
    # All rules that simulate are one step.
    steps = [
        re.sub(r"^simulate_.*", "simulate_session", job.rule.name) for job in single
    ]
    names = [
        job.wildcards_dict.get("session", job.wildcards_dict.get("group"))
        for job in single
    ]
    return frozenset(pair for pair in zip(names, steps) if pair[0] is not None)


def how_jobs_ended():
    return RunJobs(
        failed=named_jobs(workflow.scheduler.failed),
        unfinished=named_jobs(workflow.dag.needrun_jobs()),
    )


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
    if workflow.executor_plugin.name == "slurm":
        check_cluster()
    to_do = {
        job.jobid: job.wildcards.session
        for job in workflow.dag.needrun_jobs()
        if "session" in job.wildcards_dict
    }
    logger.addHandler(SessionProgress(to_do, logger))
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
