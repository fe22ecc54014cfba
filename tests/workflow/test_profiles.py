"""What the profiles tell a run: the words that a user types, from the repository's root."""

import json
import os
import re
import subprocess
import sys

import pytest
import yaml
from tiny_cohort import ROOT

from derotation.jobs.computer import memory_for_jobs_mb

# Shows what all profiles and the command line come to, in place of running anything.
SHOW = """
import json, os, sys
from snakemake.cli import parse_args

def show(words):
    # SNAKEMAKE_PROFILE=name before the command is read as a shell does.
    if words[0] != "snakemake":
        name, _, os.environ[name] = words.pop(0).partition("=")
    sys.argv = words  # profiles/default looks there
    _, given = parse_args(words[1:])
    asked = given.default_resources or {}
    return {
        "executor": given.executor,
        "cores": given.cores,
        "jobs": given.jobs,
        "retries": given.retries,
        "keep_going": given.keep_going,
        "rerun_incomplete": given.rerun_incomplete,
        "memory": given.resources["mem_mb"].value if "mem_mb" in given.resources else None,
        "triggers": sorted(trigger.name for trigger in given.rerun_triggers),
        # Snakemake adds these two by itself.
        "asked": sorted(set(asked) - {"tmpdir", "disk_mb"}),
    }

print(json.dumps([show(command.split()) for command in json.load(sys.stdin)]))
"""
BOTH = {
    "keep_going": True,
    "rerun_incomplete": True,
    "triggers": ["INPUT", "MTIME", "PARAMS", "SOFTWARE_ENV"],
}
LOCAL = BOTH | {
    "executor": None,
    "cores": len(os.sched_getaffinity(0)),
    "jobs": None,
    "retries": 0,
    "memory": memory_for_jobs_mb(),
    "asked": [],
}
# Without cores: they would cap the threads of jobs on the cluster.
CLUSTER = BOTH | {
    "executor": "slurm",
    "cores": None,
    "jobs": 100,
    "retries": 2,
    "memory": None,
    "asked": ["mem_mb", "runtime"],
}
COMMANDS = {
    "snakemake": LOCAL,
    "snakemake --profile profiles/default": LOCAL,
    "snakemake --profile slurm": CLUSTER,
    "snakemake --profile profiles/slurm": CLUSTER,
    "snakemake --cores 1": LOCAL | {"cores": 1},
    "snakemake -n --configfile /data/slurm/config.yaml": LOCAL,
    "snakemake --profile {site_of_local}": LOCAL,
    "snakemake --profile {root}/profiles/slurm/ -n": CLUSTER,
    "snakemake --profile profiles/slurm/config.yaml -n": CLUSTER,
    "snakemake --profile slurm --profile {site}": CLUSTER
    | {"jobs": 7, "asked": ["mem_mb", "runtime", "slurm_account", "slurm_partition"]},
    # The last, since the variable stays.
    "SNAKEMAKE_PROFILE=slurm snakemake": CLUSTER,
}


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    site = tmp_path_factory.mktemp("site") / "site.yaml"
    asked = "{slurm_partition: fast, slurm_account: lab, mem_mb: 1000, runtime: 30}"
    site.write_text(f"jobs: 7\ndefault-resources: {asked}\n")
    # The software may lie in a folder that is called like the scheduler.
    local = tmp_path_factory.mktemp("slurm") / "profiles" / "mine"
    local.mkdir(parents=True)
    (local / "config.yaml").write_text("printshellcmds: true\n")
    places = {"site": site, "site_of_local": local, "root": ROOT}
    said = subprocess.run(
        [sys.executable, "-c", SHOW],
        input=json.dumps([command.format(**places) for command in COMMANDS]),
        env={key: value for key, value in os.environ.items() if key != "SNAKEMAKE_PROFILE"},
        cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    return dict(zip(COMMANDS, json.loads(said.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize("command", COMMANDS)
def test_profiles_work_together(merged, command):
    assert merged[command] == COMMANDS[command]


def test_the_bare_name_is_a_link_to_the_profile():
    assert (ROOT / "slurm").resolve() == ROOT / "profiles" / "slurm"


def test_each_session_is_four_jobs_on_a_cluster(cohort):
    """A new rule that stands in no group would be a job more per session."""
    cohort.arguments = ("--profile", str(ROOT / "profiles" / "slurm"))
    result = cohort.run("--dry-run")
    assert result.returncode == 0, result.stdout
    groups = re.findall(r"\] Group job (\w+) ", result.stdout)
    kinds = ("calibrate", "derotate", "export", "show")
    assert sorted(groups) == [f"{kind}_{session}" for kind in kinds for session in "ab"]
    assert set(re.findall(r"^(?:local)?rule (\w+):", result.stdout, re.MULTILINE)) <= {
        "everything",
        "report",
    }


def test_every_step_of_a_session_has_its_group():
    """Also those that only some configurations have; Suite2p takes long, and stands alone."""
    steps = set()
    for file in (ROOT / "workflow" / "rules").glob("*.smk"):
        for name, body in re.findall(
            r"^(?:rule|use rule \w+ as) (\w+)(?: with)?:\n((?:    .*\n|\n)+)",
            file.read_text(),
            re.MULTILINE,
        ):
            if re.search(r"[\"'](?:<results>|data)/\{session\}/", body):
                steps.add(name)
    groups = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())["groups"]
    assert set(groups) == steps - {"run_suite2p"}


ASKED = """
include: "{root}/Snakefile"

from types import SimpleNamespace

for name in COHORT.sheet.names:
    wildcards = SimpleNamespace(session=name)
    asked = [threads_up_to(4)(wildcards)]
    asked += [amount(wildcards, 1) for amount in (megabytes(1500, 100), minutes(15, 5))]
    print("ASKED", name, *asked)
"""


def test_large_sessions_ask_for_more(finished, tmp_path):
    """Threads, memory and time follow the size of a session's raw files."""
    finished.snakefile = tmp_path / "Snakefile"
    finished.snakefile.write_text(ASKED.format(root=ROOT))
    os.truncate(finished.folder / "data" / "b" / "signals.npy", 2_000_000_000)  # takes no room
    said = finished.run("--dry-run").stdout
    assert "ASKED a 1 1500 15\n" in said
    assert "ASKED b 4 1700 25\n" in said
