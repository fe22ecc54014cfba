"""Trouble made on purpose: Python imports this first in every job if its folder is in PYTHONPATH.

The job of the step and session that HOG_STEP and HOG_SESSION name takes more and more memory, once.
Those of SLEEPY_STEP take their time. With LOOK_SOON it is looked at once why jobs wait.
"""

import os
import sys
import time
from pathlib import Path


def eat_memory(claim: Path) -> None:
    """Take memory until SLURM notices, which looks every second; 8 GB at most."""
    claim.write_text(os.environ["SLURM_JOB_ID"])
    eaten = []
    for _ in range(40):
        eaten.append(b"x" * 200_000_000)
        time.sleep(0.3)
    claim.write_text("was not killed")


def is_step(name: str) -> bool:
    step = os.environ.get(name)
    return bool(step) and "SLURM_JOB_ID" in os.environ and sys.orig_argv[-1].endswith(f".{step}.py")


def is_of_session(name: str, step: str) -> bool:
    """Tell by the log that the job's script writes, which is not the one of a session it reads."""
    log = f"logs/{os.environ[name]}/{os.environ[step]}.log"
    return log.encode() in Path(sys.orig_argv[-1]).read_bytes()


if is_step("HOG_STEP") and is_of_session("HOG_SESSION", "HOG_STEP"):
    try:
        Path(os.environ["HOG_CLAIM"]).touch(exist_ok=False)
    except FileExistsError:
        pass
    else:
        eat_memory(Path(os.environ["HOG_CLAIM"]))
if is_step("SLEEPY_STEP"):
    time.sleep(120)
if "LOOK_SOON" in os.environ:
    from derotation.jobs import submission

    submission.FIRST_LOOK_S = submission.PAUSE_S = 2.0
