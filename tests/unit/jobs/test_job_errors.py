"""What is said about jobs that failed: messages as Snakemake and SLURM wrote them, word by word."""

import logging
import threading

import pytest

from derotation.jobs.job_errors import JobErrors, plain_reason

REFUSED = (
    "SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: no\n"
    "sbatch: error: Batch job submission failed: Invalid partition name specified'.\n"
    "    sbatch call:\n        sbatch --parsable --job-name 2e30f1b3 -p no --mem 500 -t 5\n"
)
OLDER = (
    'WorkflowError in rule parse_signals in file "/w/rules/parse_signals.smk", line 4:\n'
    "Output results/a/events.npz has older modification time (2026-11-27 16:00:01.5) than input "
    "raw/my movie.tif (2031-01-01 00:00:00). This could indicate a clock skew problem in your "
    "network and would trigger a rerun of this job in the next execution.\n"
)
GONE = (
    'WorkflowError in rule parse_signals in file "/w/rules/parse_signals.smk", line 4:\n'
    "OSError: Missing files after 5 seconds. This might be due to filesystem latency. If that is "
    "the case, consider to increase the wait time with --latency-wait:\n"
    "raw/my movie.tif (missing locally, parent dir not present)\n"
)
KILLED = (
    'RuleException:\nCalledProcessError in file "/w/rules/parse_signals.smk", line 31:\n'
    "Command 'set -euo pipefail;  python /tmp/x.parse_signals.py' died with <Signals.{}>.\n"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (REFUSED, "did not take the job: sbatch: error: invalid partition specified: no; sbatch"),
        (OLDER, "raw/my movie.tif was changed at 2031-01-01 00:00, which is in the future"),
        (OLDER, "touch 'raw/my movie.tif'"),
        (GONE, "raw/my movie.tif is not there any more"),
        (KILLED.format("SIGKILL: 9"), "memory"),
        (KILLED.format("SIGSEGV: 11"), "a library crashed (SIGSEGV)"),
        (
            "CalledProcessError in file x:\nCommand 'p' returned non-zero exit status 127.",
            "code 127",
        ),
        (
            "SLURM-job '7' failed, SLURM status is: 'TIMEOUT'. Reason: Unknown.",
            "7: TIMEOUT, it took",
        ),
        ("SLURM-job '7' failed, SLURM status is: 'OUT_OF_MEMORY'. Detailed", "more memory"),
        ("SLURM-job '7' failed, SLURM status is: 'FAILED'. Detailed", "SLURM ended job 7: FAILED"),
        ('WorkflowError in rule x in file "y", line 3:\nSomething new.\n', "Something new."),
    ],
)
def test_each_message_becomes_one_line(text, words):
    reason = plain_reason(text)
    assert words in reason
    assert "\n" not in reason


def test_an_empty_message_is_no_reason():
    assert plain_reason(' \nRuleException in rule a in file "b", line 1:\n') == ""


@pytest.fixture
def errors():
    handler = JobErrors()
    logger = logging.getLogger("test_job_errors")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def write(text):
    logging.getLogger("test_job_errors").error(text, extra={"event": "error"})


def test_an_exception_belongs_to_the_job_that_fails_next_in_its_thread(errors):
    """Two jobs fail at the same moment, and their messages arrive mixed."""
    together = threading.Barrier(2)

    def fail(session, signal):
        write(KILLED.format(signal))
        together.wait(10)
        errors.job_failed([(session, "parse_signals")])

    threads = [
        threading.Thread(target=fail, args=job)
        for job in (("a", "SIGKILL: 9"), ("b", "SIGSEGV: 11"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    found = errors.reasons({("a", "parse_signals"): [], ("b", "parse_signals"): []})
    assert "SIGKILL" in found["a", "parse_signals"]
    assert "SIGSEGV" in found["b", "parse_signals"]


def test_a_message_without_a_job_is_found_by_the_file_that_it_names(errors):
    write(OLDER)
    outputs = {
        ("a", "parse_signals"): ["results/a/events.npz"],
        ("b", "parse_signals"): ["results/b/events.npz"],
        ("aa", "parse_signals"): ["results/a/events.npz2"],
    }
    assert list(errors.reasons(outputs)) == [("a", "parse_signals")]


def test_only_the_last_attempt_counts(errors):
    job = ("a", "parse_signals")
    errors.job_failed([job], "SLURM-job '1' failed, SLURM status is: 'TIMEOUT'.")
    errors.job_failed([job], "SLURM-job '2' failed, SLURM status is: 'OUT_OF_MEMORY'.")
    assert "OUT_OF_MEMORY" in errors.reasons({job: []})[job]
    errors.job_failed([job])
    assert errors.reasons({job: []}) == {}


def test_slurms_own_words_are_taken_from_the_log_of_the_job(errors, tmp_path):
    job = ("a", "estimate_center")
    log = tmp_path / "7.log"
    log.write_text(
        "x"
        * 100_000
        + "\nslurmstepd: error: Job 7 exceeded memory limit (3000 > 1000), being killed\n"
        "slurmstepd: error: *** JOB 7 ON node CANCELLED AT 2026-11-27T16:00:00 ***\n"
    )
    text = "SLURM-job '7' failed, SLURM status is: 'FAILED'. Detailed failure reason unavailable"
    errors.job_failed([job], text, [log])
    assert errors.reasons({job: []})[job] == (
        "SLURM ended the job: Job 7 exceeded memory limit (3000 > 1000), being killed"
    )
    errors.job_failed([job], text, [tmp_path / "none.log"])
    assert errors.reasons({job: []})[job] == "SLURM ended job 7: FAILED"


# The end of the log of a job that SLURM ran: Snakemake within it said what was wrong.
WITHIN = (
    "{}\nsrun: error: node7: task 0: Exited with exit code 1\nError in rule {}:\n    jobid: 1\n"
)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (OLDER, "in the future"),
        (GONE, "not there any more"),
        (KILLED.format("SIGKILL: 9"), "killed"),
    ],
)
def test_the_snakemake_within_a_job_of_slurm_says_which_step_failed_and_why(
    errors, tmp_path, said, words
):
    log = tmp_path / "7.log"
    log.write_text(WITHIN.format(said, "parse_signals"))
    group = [("a", step) for step in ("interpolate_angles", "parse_signals", "estimate_center")]
    errors.job_failed(group, "SLURM-job '7' failed, SLURM status is: 'FAILED'.", [log])
    found = errors.reasons({job: [] for job in group})
    assert list(found) == [("a", "parse_signals")]
    assert words in found["a", "parse_signals"]


def test_other_messages_are_not_remembered(errors):
    logging.getLogger("test_job_errors").error("results/a/x failed", extra={"event": "job_error"})
    logging.getLogger("test_job_errors").error("results/a/x failed")
    assert errors.reasons({("a", "x"): ["results/a/x"]}) == {}
