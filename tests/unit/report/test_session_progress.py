"""Sessions are counted as their last jobs finish."""

import logging

from derotation.report.progress import SessionProgress


def test_a_session_is_done_with_its_last_job():
    said = []
    logger = logging.Logger("snakemake")
    keeper = logging.Handler()
    keeper.emit = lambda record: said.append(record.getMessage())
    logger.addHandler(keeper)
    logger.addHandler(SessionProgress({1: "a", 2: "a", 3: "b"}, logger))

    def finish(job):
        said.clear()
        logger.info("Finished", extra={"event": "job_finished", "job_id": job})
        return [text for text in said if text != "Finished"]

    assert finish(1) == []
    assert finish(9) == []  # a job of no session
    assert finish(3) == ["Sessions done: 1 of 2 (b is ready)"]
    assert finish(3) == []
    assert finish(2) == ["Sessions done: 2 of 2 (a is ready)"]
