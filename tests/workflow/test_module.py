"""The workflow as a module of somebody else's workflow, as the how-to shows it."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs/how_to_custom_pipeline.md"


def documented_file(name: str) -> str:
    """Read a file that the how-to shows."""
    text = HOW_TO.read_text(encoding="utf-8")
    (content,) = re.findall(rf"<!-- file: {re.escape(name)} -->\n```\w+\n(.*?)```", text, re.DOTALL)
    return content


def write_own_workflow(folder: Path) -> Path:
    (folder / "scripts").mkdir()
    script = "scripts/center_from_table.py"
    (folder / script).write_text(documented_file(script))
    (folder / "centers.csv").write_text("session,x,y\na,33.5,22.25\n")
    snakefile = documented_file("Snakefile")
    documented = "derotation-workflow/workflow/Snakefile"
    assert f'"{documented}"' in snakefile
    own = folder / "Snakefile"
    own.write_text(snakefile.replace(documented, str(ROOT / "workflow/Snakefile")))
    return own


def test_one_step_is_replaced_and_only_what_follows_runs_again(finished):
    own = write_own_workflow(finished.folder)
    assert finished.planned("--snakefile", str(own)) == {
        "estimate_center": 1,
        "estimate_plane": 1,
        "estimate_illumination": 2,
        "estimate_motion": 2,
        "derotate_movie": 2,
        "measure_quality": 2,
        "export_suite2p": 2,
        "animate_session": 2,
    }


def test_the_replaced_step_does_the_work(finished):
    own = write_own_workflow(finished.folder)
    center = "results/a/center_of_rotation.txt"
    result = finished.run(center, "--snakefile", str(own))
    assert result.returncode == 0, result.stdout
    assert "x = 33.500 px, y = 22.250 px" in (finished.folder / center).read_text()
    calibration = json.loads((finished.folder / "results/a/calibration.json").read_text())
    assert (calibration["center"], calibration["method"]) == ([33.5, 22.25], "table")


def test_a_workflow_around_it_runs_from_the_start(cohort):
    cohort.write()
    own = write_own_workflow(cohort.folder)
    planned = cohort.planned("--snakefile", str(own))
    assert planned["simulate_session"] == planned["derotate_movie"] == 2
    assert planned["estimate_center"] == 1
