"""The code of docs/how_to_notebook.md runs on what the workflow has made."""

import re
from pathlib import Path

import matplotlib.figure
import numpy as np

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs/how_to_notebook.md"


def test_the_blocks_run_one_after_the_other(finished, monkeypatch):
    blocks = re.findall(r"^```python\n(.*?)^```", HOW_TO.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    code = "\n".join(blocks)
    code = code.replace("demo_offcenter", "a").replace("60:70, 70:80", "18:26, 28:38")
    code = code.replace("slice(100, 110)", "slice(10, 20)")
    code = code.replace("movie[100:110]", "movie[10:20]")
    code = code.replace("plot_angles(angles, events)", "figure = plot_angles(angles, events)")
    monkeypatch.chdir(finished.folder)
    found = {}
    exec(compile(code, str(HOW_TO), "exec"), found)
    assert isinstance(found["figure"], matplotlib.figure.Figure)
    # The workflow and the array function do the same, but for tilt and wobble and rounding.
    same = np.abs(found["still"].astype(float) - found["movie"])[:, found["region"]]
    assert np.median(same) <= 1
    assert len(found["trace"]) == len(found["time"]) == len(found["angles"].frame_angles)
    assert np.ptp(found["trace"]) < 0.3 * found["trace"].mean()  # its cells do not flash
