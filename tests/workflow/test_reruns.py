"""What is run again after a change: exactly the steps that it concerns, and those after them."""

import shutil

import pytest

PARSE = {"parse_signals": 2}
ANGLES = {"interpolate_angles": 2}
PLANE = {"estimate_plane": 1}
CENTER = {"estimate_center": 1} | PLANE
DEROTATE = {"derotate_movie": 2}


@pytest.mark.parametrize(
    ("section", "change", "jobs"),
    [
        ("signals", {"max_off_glitch_ms": 50}, PARSE | ANGLES | CENTER | DEROTATE),
        ("angles", {"line_reference": "start"}, ANGLES | CENTER | DEROTATE),
        ("center", {"seed": 7}, CENTER | DEROTATE),
        ("plane", {"correct": "never"}, PLANE | DEROTATE),
        ("wobble", {"max_order": 2}, PLANE | DEROTATE),
        ("scan", {"line_duty": 0.8}, ANGLES | CENTER | DEROTATE),
        ("scan", {"bidirectional": True}, CENTER | DEROTATE),
        ("derotate", {"interpolation": "cubic"}, DEROTATE),
        ("movie", {"frames_per_chunk": 7}, {}),
        ("derotate", {"interpolation": "linear"}, {}),
        ("signals", {"sampling_rate": 10000.0}, {}),
        ("simulate", {"c": {}}, {}),
    ],
)
def test_a_changed_key_reruns_the_steps_that_read_it(finished, section, change, jobs):
    finished.config[section] = finished.config.get(section, {}) | change
    assert finished.planned() == jobs


def test_order_of_keys_and_file_times_rerun_nothing(finished):
    reverse = {key: finished.config[key] for key in reversed(finished.config)}
    finished.config = reverse | {"center": dict(reversed(reverse["center"].items()))}
    assert finished.planned() == {}


def test_a_new_session_runs_alone(finished):
    finished.config["simulate"]["c"] = finished.config["simulate"]["a"]
    folder = "data/c"
    files = (f"{folder}/movie.tif", f"{folder}/signals.npy", f"{folder}/stimulus.csv")
    finished.rows.append(("c", "full", *files, ""))
    planned = finished.planned()
    assert planned["derotate_movie"] == planned["simulate_session"] == 1


@pytest.mark.parametrize(
    ("module", "old", "new", "jobs"),
    [
        ("angles.py", '"""', '"""Something else. ', {}),
        ("angles.py", "\n\n\n", "\n\n\n# A comment.\n", {}),
        ("angles.py", "\n\n\n", "\n\n\nNEW = 1\n\n\n", ANGLES | CENTER | DEROTATE),
        ("center.py", "\n\n\n", "\n\n\nNEW = 1\n\n\n", CENTER | DEROTATE),
        ("steps/derotate_movie.py", "\n\n\n", "\n\n\nNEW = 1\n\n\n", DEROTATE),
        ("sample_sheet.py", "\n\n\n", "\n\n\nNEW = 1\n\n\n", {}),
    ],
)
def test_a_change_of_the_library_reruns_the_steps_that_use_it(
    finished, tmp_path, module, old, new, jobs
):
    copied = tmp_path / "library"
    shutil.copytree(finished.library, copied)
    file = copied / "derotation" / module
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    finished.library = copied
    assert finished.planned() == jobs
