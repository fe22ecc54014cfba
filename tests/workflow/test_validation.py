"""What a user sees on the terminal if the configuration or the sheet is wrong."""

import pytest


def complaints(cohort):
    result = cohort.run("--dry-run")
    assert result.returncode == 1
    assert "Traceback" not in result.stdout
    assert "Job" not in result.stdout
    head, _, text = result.stdout.partition("Nothing was run, since this is not valid:\n")
    assert head.count("\n") < 20
    lines = text.strip().splitlines()
    assert max(map(len, lines)) < 400
    assert not (cohort.folder / "results").exists()
    return lines


def test_dry_run(cohort):
    assert cohort.planned() == {
        "simulate_session": 2,
        "parse_signals": 2,
        "interpolate_angles": 2,
        "estimate_center": 1,
        "estimate_plane": 1,
        "estimate_illumination": 2,
        "estimate_motion": 2,
        "derotate_movie": 2,
        "measure_quality": 2,
        "animate_session": 2,
        "export_suite2p": 2,
    }
    assert not (cohort.folder / "results").exists()


def test_all_mistakes_come_at_once(cohort):
    cohort.config["angles"] = {"line_referense": "end"}
    cohort.config["center"]["n_frames"] = "many"
    row = cohort.rows[0]
    cohort.rows += [row, ("c", "fulll", *row[2:])]
    cohort.rows.append(("d", "full", "raw/*.tif", "s.npy", "t.csv", "e"))
    lines = complaints(cohort)
    config, sheet = cohort.folder / "config.yaml", "sessions.tsv"
    written = config.read_text().splitlines()
    typo = next(n for n, text in enumerate(written, 1) if "line_referense" in text)
    expected = [
        f'{config}, line {typo}: angles.line_referense: there is no such key; did you mean "line_',
        ' center.n_frames: found the text "many", allowed: a whole number',
        f'{sheet}, row 4, column session: "a" is also in row 2',
        f'{sheet}, row 5 (session c), column protocol: found the text "fulll", allowed: full,',
        f'{sheet}, row 6 (session d), column calibration: found "e"',
        f'{sheet}, row 6 (session d), column movie: no file matches "raw/*.tif"',
        f'{sheet}, row 6 (session d), column signals: there is no file "s.npy"',
        f'{sheet}, row 6 (session d), column stimulus: there is no file "t.csv"',
    ]
    for text in expected:
        assert any(text in line for line in lines), (text, lines)


@pytest.mark.parametrize("argument", ["center={seed: -1}", "sesions=other.tsv"])
def test_mistakes_on_the_command_line(cohort, argument):
    result = cohort.run("--dry-run", "--config", argument)
    assert result.returncode == 1
    assert "command line (--config): " in result.stdout or "center.seed: found -1" in result.stdout
    assert "Traceback" not in result.stdout


def test_a_missing_sheet(cohort):
    cohort.config["sessions"] = "nowhere.tsv"
    (line,) = complaints(cohort)
    assert line == "nowhere.tsv: the sample sheet cannot be read (No such file or directory)."


def test_results_can_go_elsewhere(cohort):
    cohort.config["pathvars"] = {"results": "elsewhere"}
    result = cohort.run("--dry-run")
    assert result.returncode == 0
    assert "elsewhere/a/derotated.tif" in result.stdout
    assert "results/a" not in result.stdout


def test_later_configuration_files_override_earlier_ones(cohort):
    """A lab's configuration, and what a member of the lab changes."""
    mine = cohort.folder / "mine.yaml"
    cohort.write()
    mine.write_text("center: {n_frames: many}\nderotate: {interpolation: cubic}\n")
    lab = cohort.folder / "config.yaml"
    result = cohort.run("--dry-run", "--configfile", str(lab), str(mine))
    assert f"{mine}, line 1: center.n_frames: found the text" in result.stdout
    mine.write_text("center: {n_frames: 21}\n")
    result = cohort.run("--dry-run", "--configfile", str(lab), str(mine))
    assert result.returncode == 0, result.stdout
