"""The page about other programs: what can be run of it without them."""

import re
from pathlib import Path

import numpy as np
import yaml

from derotation.settings.schema import config_schema, find_problems, section_schema

PAGE = (Path(__file__).parents[2] / "docs/other_programs.md").read_text(encoding="utf-8")


def test_the_section_for_dandi_is_valid():
    (text,) = (t for t in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "species" in t)
    section = yaml.safe_load(text)["nwb"]
    assert find_problems(section, section_schema("nwb", config_schema())) == []
    assert len(section) > 10


def test_what_comes_before_caiman_works(tmp_path, monkeypatch):
    (text,) = (t for t in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "caiman" in t)
    before, after = text.split("movie = cm.load(file, fr=rate)\n")
    session = tmp_path / "results/ses1"
    (session / "suite2p").mkdir(parents=True)
    np.savez(session / "angles.npz", sampling_rate=1000.0, frame_start=np.arange(20) * 100.0)
    np.save(session / "suite2p/bad_frames.npy", np.array([3, 7]))
    monkeypatch.chdir(tmp_path)
    own = [line for line in before.splitlines() if "caiman" not in line]
    names = {"movie": np.arange(20.0)[:, None, None] * np.ones((20, 4, 5))}
    exec("\n".join([*own, *after.splitlines()[:2]]), names)
    assert names["rate"] == 10
    good = np.setdiff1d(np.arange(20), [3, 7])
    assert (names["movie"][3] == np.median(good)).all()
    assert (names["movie"][4] == 4).all()
