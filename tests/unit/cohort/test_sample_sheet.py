"""The sample sheet's checks, against the schema that the workflow ships."""

import csv
import io
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from derotation.cohort.cohort import load_cohort
from derotation.cohort.sample_sheet import check_sample_sheet, read_sample_sheet
from derotation.cohort.sheet_files import sheet_text
from derotation.errors import ConfigError

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
    return check_sample_sheet(write(*rows, **keywords))[1]


def test_a_good_sheet():
    sheet = read_sample_sheet(
        write(
            row("a", "full", "raw/m_*.tif", "raw/s.npy", "raw/t.csv", "b", "b", "Erna"),
            row("b", "incremental", "raw/m_1.tif", "raw/s.npy", ""),
        ),
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
    sheet = read_sample_sheet(write(row("mouse_1")))
    with pytest.raises(ConfigError, match=r'no session "mouse1"; did you mean "mouse_1"'):
        sheet["mouse1"]


@pytest.mark.parametrize(
    ("ending", "encoding"), [("\r\n", "utf-8-sig"), ("\n", "utf-8"), ("\r\n", "utf-8")]
)
def test_what_spreadsheets_add_is_tolerated(ending, encoding):
    text = [row("a ", "full", " raw/m_1.tif", "raw/s.npy", "raw/t.csv") + "\t\t\t\t\t", "", "\t\t"]
    path = write(*text, row("b"), header=HEADER + "\t\t", ending=ending, encoding=encoding)
    sheet = read_sample_sheet(path)
    assert sheet.names == ["a", "b"]
    assert sheet["b"].row == 5


def test_rows_can_be_commented_out():
    sheet = read_sample_sheet(write("# " + row("a"), row("b")))
    assert sheet.names == ["b"]
    assert sheet["b"].row == 3


def test_stage_positions_are_numbers():
    header = "session\tprotocol\tmovie\tsignals\tstimulus\tstage_x_um\tstage_y_um"
    sheet = read_sample_sheet(write(row() + "\t1.5\t-3", header=header))
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
        (row(signals="raw/m_1.tif"), "signals", "the path of a .npy, .bin, .h5"),
        (row(signals="raw/s.bin"), "signals", 'there is no file "raw/s.bin"'),
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
    sheet = read_sample_sheet(write(row() + "\tb", header=header))
    assert sheet["a"].extra == {"calibraton": "b"}
    assert "the column calibraton is kept but not used; if calibration is meant" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        ("session\tmovie\n".encode("utf-16"), "missing columns: protocol"),
        ("session\tmovie\n".encode("utf-16-le"), "row 1: there is a NUL character"),
        (
            f"{HEADER}\n{row()}\tM\xfcller".encode("latin-1"),
            "row 2: this is no text in UTF-8; save",
        ),
        (f"{HEADER}\r{row()}\r{row()}\t\0".encode(), "row 3: there is a NUL character"),
        (b"\xef\xbb\xbf" + f"{HEADER}\n".encode() + b"\xfc", "row 2: this is no text in UTF-8"),
        (b"II*\0\x08\0\0\0\xff\xff", "row 1: this is no text in UTF-8"),
        (HEADER.encode(), "no session in it"),
    ],
)
def test_sheets_without_content(content, message):
    Path("sheet.tsv").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_sample_sheet("sheet.tsv")


def test_a_missing_sheet_is_named():
    with pytest.raises(ConfigError, match=r"nowhere\.tsv: the sample sheet cannot be read"):
        read_sample_sheet("nowhere.tsv")


def test_files_of_simulated_sessions_need_not_exist():
    path = write(row("a", movie="none.tif"), row("b"))
    assert check_sample_sheet(path, simulated=["a"])[1] == []
    assert check_sample_sheet(path, check_files=False)[1] == []
    assert len(check_sample_sheet(path, simulated=["b"])[1]) == 1


def test_a_path_of_a_calibration_is_taken():
    Path("raw/calibration.json").write_text("{}")
    text = row("a", "full", "raw/m_1.tif", "raw/s.npy", "raw/t.csv", "raw/calibration.json")
    assert read_sample_sheet(write(text))["a"].calibration == "raw/calibration.json"


def test_an_existing_name_with_brackets_is_no_pattern():
    Path("raw/m[1].tif").write_text("x")
    sheet = read_sample_sheet(write(row(movie="raw/m[1].tif")))
    assert sheet["a"].movie_files() == ["raw/m[1].tif"]


def test_a_cohort_reports_configuration_and_sheet_together():
    write(row("a", movie="none.tif"))
    config = {"sessions": "sheet.tsv", "signals": {"sampling_rate": 0}}
    with pytest.raises(ConfigError) as caught:
        load_cohort(config)
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
        load_cohort(config)
    write(row("a", "full", "data/a/movie.tif", "data/a/signals.npy", "data/a/stimulus.csv"))
    assert load_cohort(config).simulated == ("a",)


@pytest.mark.parametrize("column", ["movie", "signals", "stimulus", "calibration"])
def test_braces_are_refused_since_snakemake_fills_them_in(column):
    cells = dict(zip(HEADER.split("\t"), full_row("a", "raw/c.json").split("\t"), strict=True))
    Path("raw/c.json").write_text("{}")
    file = Path(cells[column])
    cells[column] = str(file.rename(file.with_stem("m{x}")))
    (error,) = errors_of("\t".join(cells.values()))
    assert error.startswith(f"sheet.tsv, row 2 (session a), column {column}: found braces")
    if column == "movie":
        cells[column] = "raw/m?x?.tif"
        (error,) = errors_of("\t".join(cells.values()))
        assert 'column movie: found braces in "raw/m{x}.tif"' in error


@pytest.mark.parametrize(
    "name",
    ["m*.tif", "m?.tif", "m[1].tif", "m 'q' \"d\".tif", "-m.tif", "m\xfc.tif", "~$HOME`m`;&.tif"],
)
def test_an_existing_movie_may_be_called_as_one_likes(name):
    Path("raw/m_1.tif").rename(name)
    assert read_sample_sheet(write(row(movie=name)))["a"].movie_files() == [name]


# Whatever a person may type into one line of a cell.
CONTENT = st.text(st.characters(exclude_characters="\t\r\n\0", exclude_categories=["Cs"]))
REPEATED = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


def full_row(name, calibration="", mouse=""):
    return row(name, "full", "raw/m_1.tif", "raw/s.npy", "raw/t.csv", calibration, "", mouse)


@REPEATED
@given(st.lists(CONTENT, min_size=3, max_size=3))
def test_no_content_of_a_free_cell_changes_a_session(cells):
    """Above all no quotation mark, which a reader of quoted text would follow over all rows."""
    rows = [full_row(name, mouse=cell) for name, cell in zip("abc", cells, strict=True)]
    sheet = read_sample_sheet(write(*rows))
    assert sheet.names == ["a", "b", "c"]
    assert [session.movie for session in sheet] == ["raw/m_1.tif"] * 3


@pytest.mark.parametrize("cell", ['"', '5" lens', '"open', 'shut"', "x" * 1_000_000, "a\x0bb\x85c"])
def test_a_quotation_mark_and_any_length_are_content(cell):
    sheet = read_sample_sheet(write(full_row("a", mouse=cell), full_row("b")))
    assert sheet.names == ["a", "b"]
    assert sheet["a"].extra == {"mouse": cell}


@REPEATED
@given(CONTENT)
def test_cells_as_a_spreadsheet_quotes_them_are_read_as_they_were(cell):
    written = io.StringIO()
    quoted = csv.writer(written, dialect="excel-tab", quoting=csv.QUOTE_ALL)
    quoted.writerow([*full_row("a").split("\t")[:-1], cell])
    sheet = read_sample_sheet(write(written.getvalue().rstrip("\r\n")))
    assert sheet["a"].extra == ({"mouse": cell.strip()} if cell.strip() else {})
    assert sheet["a"].movie == "raw/m_1.tif"


def test_a_line_break_within_a_cell_is_named():
    (error,) = errors_of(full_row("a", mouse='"two'), 'lines"', full_row("b"))
    assert error.startswith("sheet.tsv, row 2: ")
    assert "take the line break out" in error


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
@pytest.mark.parametrize("ending", ["\r", "\n", "\r\n"])
def test_what_programs_write_as_text_is_read(encoding, ending):
    rows = (full_row("a", mouse="M\xfcller"), "", row("b"))
    sheet = read_sample_sheet(write(*rows, ending=ending, encoding=encoding))
    assert [(session.name, session.row) for session in sheet] == [("a", 2), ("b", 4)]
    assert sheet["a"].extra == {"mouse": "M\xfcller"}


@pytest.mark.parametrize("name", ["007", "1e5", "True", "null", "NaN", "2026-01-01", "x" * 100])
def test_a_name_stays_as_it_is_written(name):
    assert read_sample_sheet(write(full_row(name))).names == [name]


def test_a_name_too_long_for_a_folder_is_refused():
    (error,) = errors_of(full_row("x" * 101))
    assert "column session: found the text" in error
    assert "at most 100" in error


@pytest.mark.parametrize("column", ["movie", "signals", "stimulus", "calibration"])
@pytest.mark.parametrize("stem", ["x" * 300, "x" * 10_000, "[x]" * 100])
def test_a_path_that_no_file_can_have_is_one_short_line(column, stem):
    cells = dict(zip(HEADER.split("\t"), full_row("a").split("\t"), strict=True))
    cells[column] = "raw/" + stem + Path(cells[column]).suffix
    (error,) = errors_of("\t".join(cells.values()))
    assert error.startswith(f"sheet.tsv, row 2 (session a), column {column}: ")
    assert len(error) < 1000


def test_a_sheet_begins_with_the_users_own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    sheet = write(row("a", movie="~/raw/m_1.tif"))
    (tmp_path / "sheet.tsv").write_text(sheet.read_text())
    assert read_sample_sheet("~/sheet.tsv")["a"].movie == str(tmp_path / "raw/m_1.tif")


def write_as(kind):
    """Write one sheet in another kind of file; a cell holds what separates others, too."""
    cells = [
        line.split("\t")
        for line in [
            HEADER,
            row("a"),
            "",
            row("b", "full", "raw/m_2.tif", "raw/s.npy", "raw/t.csv", "a", "", "Erna, grey; 3"),
        ]
    ]
    if kind == "xlsx":
        book = openpyxl.Workbook()
        for line in cells:
            book.active.append([cell or None for cell in line])
        book.active.title = "mice"
        book.save("sheet.xlsx")
        return Path("sheet.xlsx")
    mark = {"comma": ",", "semicolon": ";"}[kind]
    text = io.StringIO()
    csv.writer(text, delimiter=mark, lineterminator="\r\n").writerows(cells)
    Path("sheet.csv").write_text(text.getvalue(), encoding="utf-8-sig", newline="")
    return Path("sheet.csv")


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("comma", "sheet.csv was read as text separated by commas."),
        ("semicolon", "sheet.csv was read as text separated by semicolons."),
        ("xlsx", 'sheet.xlsx was read as an Excel file, sheet "mice".'),
    ],
)
def test_other_kinds_of_sheets_are_read_and_said(kind, how):
    path = write_as(kind)
    sheet = read_sample_sheet(path)
    assert sheet.names == ["a", "b"]
    assert [session.row for session in sheet] == [2, 4]
    assert sheet["b"].extra == {"mouse": "Erna, grey; 3"}
    assert sheet["b"].calibration == "a"
    assert sheet.how == how
    assert sheet_text(path).splitlines()[0] == HEADER


def test_tab_separated_text_is_not_worth_a_word():
    assert read_sample_sheet(write(row())).how == ""


def test_a_damaged_or_ambiguous_sheet_names_its_row():
    Path("sheet.xlsx").write_bytes(b"PK no")
    with pytest.raises(ConfigError, match=r"sheet.xlsx: this cannot be read as an Excel file"):
        read_sample_sheet("sheet.xlsx")
    Path("sheet.csv").write_text(
        'session,protocol,movie,signals\na,full,raw/m_1.tif,"raw\n/s.npy"\n'
    )
    with pytest.raises(ConfigError, match=r"sheet.csv, row 2: a quotation mark is opened"):
        read_sample_sheet("sheet.csv")


def test_numbers_of_a_spreadsheet_are_as_it_shows_them():
    book = openpyxl.Workbook()
    book.active.append(["session", "protocol", "movie", "signals", "stage_x_um", "animal"])
    book.active.append([12.0, "free", "raw/m_1.tif", "raw/s.npy", 1.5, 7.0])
    book.save("sheet.xlsx")
    (session,) = read_sample_sheet("sheet.xlsx")
    assert (session.name, session.stage_x_um, dict(session.extra)) == ("12", 1.5, {"animal": "7"})
