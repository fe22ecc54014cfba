"""The sample sheet's checks, against the schema that the workflow ships."""

from pathlib import Path

import pytest

from derotation.cohort.cohort import load_cohort
from derotation.cohort.sample_sheet import check_sample_sheet, read_sample_sheet
from derotation.errors import ConfigError

SCHEMAS = Path(__file__).parents[3] / "workflow" / "schemas"
SCHEMA = SCHEMAS / "sessions.schema.yaml"
BOTH = {"config_schema": SCHEMAS / "config.schema.yaml", "sheet_schema": SCHEMA}
HEADER = "session\tprotocol\tmovie\tsignals\tstimulus\tcalibration\treference\tmouse"


@pytest.fixture(autouse=True)
def raw_files(tmp_path, monkeypatch):
    """Work in a folder that holds one session's raw files."""
    monkeypatch.chdir(tmp_path)
    Path("raw").mkdir()
    for name in ("m_1.tif", "m_2.tif", "m_10.tif", "s.npy", "t.csv"):
        Path("raw", name).write_text("x")


def row(name="a", protocol="full", movie="raw/m_1.tif", signals="raw/s.npy", stimulus="raw/t.csv",
        *more):  # fmt: skip
    return "\t".join([name, protocol, movie, signals, stimulus, *more])


def write(*rows, header=HEADER, ending="\n", encoding="utf-8"):
    Path("sheet.tsv").write_bytes(ending.join([header, *rows, ""]).encode(encoding))
    return Path("sheet.tsv")


def errors_of(*rows, **keywords):
    return check_sample_sheet(write(*rows, **keywords), SCHEMA)[1]


def test_a_good_sheet():
    sheet = read_sample_sheet(
        write(
            row("a", "full", "raw/m_*.tif", "raw/s.npy", "raw/t.csv", "b", "b", "Erna"),
            row("b", "incremental", "raw/m_1.tif", "raw/s.npy", ""),
        ),
        SCHEMA,
    )
    assert sheet.names == ["a", "b"]
    assert [session.row for session in sheet] == [2, 3]
    assert sheet["a"].movie_files() == ["raw/m_1.tif", "raw/m_2.tif", "raw/m_10.tif"]
    assert sheet["a"].extra == {"mouse": "Erna"}
    assert sheet["a"].calibration == sheet["a"].reference == "b"
    assert sheet["b"].movie_files() == ["raw/m_1.tif"]
    assert sheet["b"].stimulus is None
    assert sheet["b"].calibration is None


def test_a_session_that_is_not_there_is_named_with_the_nearest():
    sheet = read_sample_sheet(write(row("mouse_1")), SCHEMA)
    with pytest.raises(ConfigError, match=r'no session "mouse1"\. Did you mean "mouse_1"'):
        sheet["mouse1"]


@pytest.mark.parametrize(
    ("ending", "encoding"), [("\r\n", "utf-8-sig"), ("\n", "utf-8"), ("\r\n", "utf-8")]
)
def test_what_spreadsheets_add_is_tolerated(ending, encoding):
    text = [row("a ", "full", " raw/m_1.tif", "raw/s.npy", "raw/t.csv") + "\t\t\t\t\t", "", "\t\t"]
    path = write(*text, row("b"), header=HEADER + "\t\t", ending=ending, encoding=encoding)
    sheet = read_sample_sheet(path, SCHEMA)
    assert sheet.names == ["a", "b"]
    assert sheet["b"].row == 5


def test_rows_can_be_commented_out():
    sheet = read_sample_sheet(write("# " + row("a"), row("b")), SCHEMA)
    assert sheet.names == ["b"]
    assert sheet["b"].row == 3


def test_stage_positions_are_numbers():
    header = "session\tprotocol\tmovie\tsignals\tstimulus\tstage_x_um\tstage_y_um"
    sheet = read_sample_sheet(write(row() + "\t1.5\t-3", header=header), SCHEMA)
    assert (sheet["a"].stage_x_um, sheet["a"].stage_y_um) == (1.5, -3.0)
    (error,) = errors_of(row() + "\t1,5\t", header=header)
    assert 'row 2 (session a), column stage_x_um: found the text "1,5", allowed: a number.' in error


@pytest.mark.parametrize(
    ("bad", "column", "message"),
    [
        (row("a b"), "session", "allowed: letters, digits, _ and -"),
        (row("-a"), "session", "beginning with a letter or digit"),
        (row(""), "session", "the cell is empty"),
        (row("Mosaic"), "session", "a folder of the workflow"),
        (row("first"), "session", '"first" is also in row 2'),
        (row("First"), "session", 'differs only in case from "first" in row 2'),
        (row(protocol="ful"), "protocol",
         'found the text "ful", allowed: full, incremental or free.'),
        (row(movie=""), "movie", "the cell is empty"),
        (row(movie="raw/x.tif"), "movie", 'there is no file "raw/x.tif"'),
        (row(movie="rawr/x.tif"), "movie", 'the folder "rawr" does not exist'),
        (row(movie="raw/x*.tif"), "movie", 'no file matches "raw/x*.tif"'),
        (row(movie="raw"), "movie", "is a folder"),
        (row(signals="raw/m_1.tif"), "signals", "a .npy or .bin file"),
        (row(signals="raw/s.bin"), "signals", 'there is no file "raw/s.bin"'),
        (row(stimulus=""), "stimulus", "the protocol full needs the table"),
        (row(stimulus="raw/none.csv"), "stimulus", "there is no file"),
        (row("a", "full", "raw/m_1.tif", "raw/s.npy", "raw/t.csv", "firsd"), "calibration",
         'neither a session of this sheet nor a file; did you mean "first"?'),
        (row("a", "full", "raw/m_1.tif", "raw/s.npy", "raw/t.csv", "a"), "calibration", "itself"),
        (row("a", "full", "raw/m_1.tif", "raw/s.npy", "raw/t.csv", "second"), "calibration",
         "is itself calibrated by first; name that one here"),
        (row("a", "full", "raw/m_1.tif", "raw/s.npy", "raw/t.csv", "", "firts"), "reference",
         'no session of this sheet; did you mean "first"?'),
        (row("a", "full", "raw/m_1.tif", "raw/s.npy", "raw/t.csv", "", "a"), "reference",
         "names the session itself"),
    ],
)  # fmt: skip
def test_each_mistake_names_row_and_column(bad, column, message):
    second = row("second", "full", "raw/m_1.tif", "raw/s.npy", "raw/t.csv", "first")
    (error,) = errors_of(row("first"), second, "", bad)
    assert error.startswith("sheet.tsv, row 5")
    assert f"column {column}: " in error
    assert message in error


def test_a_reference_has_none_itself():
    second = row("second", "full", "raw/m_1.tif", "raw/s.npy", "raw/t.csv", "", "first")
    third = row("third", "full", "raw/m_1.tif", "raw/s.npy", "raw/t.csv", "", "second")
    (error,) = errors_of(row("first"), second, third)
    assert "column reference: second is itself aligned to first; name that one here" in error


def test_all_mistakes_come_at_once_in_the_order_of_the_rows():
    found = errors_of(row("a", movie="no.tif"), row("a"), row("c", "fast", signals="no.npy"))
    assert [text.split(",")[1].split(" (")[0].strip() for text in found] == [
        "row 2",
        "row 3",
        "row 4",
        "row 4",
    ]


def test_an_empty_raw_file_is_said():
    Path("raw/t.csv").write_text("")
    (error,) = errors_of(row())
    assert 'column stimulus: the file "raw/t.csv" is empty' in error


def test_cells_beyond_the_last_column_are_an_error():
    (error,) = errors_of(row() + "\tb", header=HEADER.rsplit("\t", 3)[0])
    assert 'found "b" right of the last column' in error


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("session,protocol,movie,signals", "separated by commas, expected tabs"),
        ("session;protocol;movie;signals", "separated by semicolons, expected tabs"),
        ("session\tprotocol\tsignals", "missing columns: movie. Found: session, protocol"),
        ("sesion\tprotocol\tmovie\tsignals", 'session (is "sesion" meant to be this?)'),
        (HEADER + "\tmouse", "'mouse' stands there twice"),
    ],
)
def test_mistakes_of_the_header(header, message):
    (error,) = errors_of(row(), header=header)
    assert error.startswith("sheet.tsv")
    assert message in error


def test_a_misspelt_optional_column_is_kept_and_pointed_out(caplog):
    header = "session\tprotocol\tmovie\tsignals\tstimulus\tcalibraton"
    sheet = read_sample_sheet(write(row() + "\tb", header=header), SCHEMA)
    assert sheet["a"].extra == {"calibraton": "b"}
    assert "the column calibraton is kept but not used; if calibration is meant" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        ("session\tmovie\n".encode("utf-16"), "no plain text"),
        (HEADER.encode(), "no session in it"),
    ],
)
def test_sheets_without_content(content, message):
    Path("sheet.tsv").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_sample_sheet("sheet.tsv", SCHEMA)


def test_a_missing_sheet_is_named():
    with pytest.raises(ConfigError, match=r"nowhere\.tsv: the sample sheet cannot be read"):
        read_sample_sheet("nowhere.tsv", SCHEMA)


def test_files_of_simulated_sessions_need_not_exist():
    path = write(row("a", movie="none.tif"), row("b"))
    assert check_sample_sheet(path, SCHEMA, simulated=["a"])[1] == []
    assert check_sample_sheet(path, SCHEMA, check_files=False)[1] == []
    assert len(check_sample_sheet(path, SCHEMA, simulated=["b"])[1]) == 1


def test_a_path_of_a_calibration_is_taken():
    Path("raw/calibration.json").write_text("{}")
    text = row("a", "full", "raw/m_1.tif", "raw/s.npy", "raw/t.csv", "raw/calibration.json")
    assert read_sample_sheet(write(text), SCHEMA)["a"].calibration == "raw/calibration.json"


def test_an_existing_name_with_brackets_is_no_pattern():
    Path("raw/m[1].tif").write_text("x")
    sheet = read_sample_sheet(write(row(movie="raw/m[1].tif")), SCHEMA)
    assert sheet["a"].movie_files() == ["raw/m[1].tif"]


def test_a_cohort_reports_configuration_and_sheet_together():
    write(row("a", movie="none.tif"))
    config = {"sessions": "sheet.tsv", "signals": {"sampling_rate": 0}}
    with pytest.raises(ConfigError) as caught:
        load_cohort(config, **BOTH)
    assert "signals.sampling_rate: found 0" in str(caught.value)
    assert 'there is no file "none.tif"' in str(caught.value)


def test_simulated_sessions_must_name_the_files_that_the_workflow_makes():
    write(row("a", "full", "data/a/movie.tif", "data/a/signals.npy", "mine.csv"), row("b"))
    config = {
        "sessions": "sheet.tsv",
        "signals": {"sampling_rate": 1},
        "simulate": {"a": {}, "unused": {}},
    }
    with pytest.raises(ConfigError, match=r'column stimulus: found "mine.csv".*data/a/stimulus'):
        load_cohort(config, **BOTH)
    write(row("a", "full", "data/a/movie.tif", "data/a/signals.npy", "data/a/stimulus.csv"))
    assert load_cohort(config, **BOTH).simulated == ("a",)
