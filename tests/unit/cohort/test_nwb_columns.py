"""Columns of the sample sheet that say something about the experiment."""

import pytest

from derotation.cohort.nwb_columns import check_nwb_columns, nwb_of_session
from derotation.cohort.sample_sheet import SampleSheet, Session
from derotation.settings.schema import config_schema, fill_defaults, section_schema

RULES = section_schema("nwb", config_schema())
SECTION = fill_defaults({}, RULES, RULES)


def sheet_of(tmp_path, *rows):
    sessions = {
        f"s{k}": Session(name=f"s{k}", row=k + 2, protocol="full", movie="m.tif", extra=row)
        for k, row in enumerate(rows)
    }
    return SampleSheet(path=tmp_path / "sessions.tsv", sessions=sessions)


def test_a_row_says_what_holds_for_its_session(tmp_path):
    section = {**SECTION, "species": "Mus musculus", "experimenter": ["Doe, Jane"]}
    sheet = sheet_of(
        tmp_path,
        {"nwb_subject_id": "M1", "nwb_experimenter": "Roe, Richard; Doe, Jane", "mouse": "x"},
        {"nwb_subject_id": "M2", "nwb_excitation_nm": "920", "nwb_species": ""},
    )
    assert check_nwb_columns(sheet, RULES) == []
    one, other = (nwb_of_session(row, section, RULES) for row in sheet)
    assert (one["subject_id"], other["subject_id"]) == ("M1", "M2")
    assert one["species"] == other["species"] == "Mus musculus"
    assert one["experimenter"] == ["Roe, Richard", "Doe, Jane"]
    assert other["experimenter"] == ["Doe, Jane"]
    assert other["excitation_nm"] == 920
    assert one.keys() == SECTION.keys()


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("nwb_sex", "female", "M, F, U or O"),
        ("nwb_age", "90 days", "a duration such as P90D"),
        ("nwb_species", "mouse", "such as Mus musculus"),
        ("nwb_session_start", "5.5.2024", "a date and time such as"),
        ("nwb_excitation_nm", "green", "number"),
    ],
)
def test_a_wrong_cell_is_named(tmp_path, column, cell, said):
    (error,) = check_nwb_columns(sheet_of(tmp_path, {}, {column: cell}), RULES)
    for part in ("sessions.tsv", "row 3", column, cell, said):
        assert part in error


def test_a_column_that_does_not_exist_is_named_once(tmp_path):
    row = {"nwb_subjectid": "M1"}
    (error,) = check_nwb_columns(sheet_of(tmp_path, row, row), RULES)
    assert "row 1: there is no column nwb_subjectid" in error
    assert "nwb_subject_id" in error


@pytest.mark.parametrize("age", ["P90D", "P12W", "P3M", "P1Y2M", "P10D/P20D", "P2.5W"])
def test_ages_of_iso_8601_are_taken(tmp_path, age):
    assert check_nwb_columns(sheet_of(tmp_path, {"nwb_age": age}), RULES) == []


@pytest.mark.parametrize(
    "start", ["2024-08-30T14:05:00", "2024-08-30 14:05", "2024-08-30T14:05:00.5+02:00"]
)
def test_starts_are_taken(tmp_path, start):
    assert check_nwb_columns(sheet_of(tmp_path, {"nwb_session_start": start}), RULES) == []
