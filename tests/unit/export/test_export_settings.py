"""Exports that cannot be made are refused before anything runs."""

import sys

import pytest

from derotation.cohort import config
from derotation.cohort.config import check_config, section


def complaints(**export):
    _, errors = check_config({"signals": {"sampling_rate": 1}, "export": export})
    return errors


@pytest.mark.parametrize(
    ("export", "said"),
    [
        ({"suite2p": {"run": True, "python": "no-such-python"}}, "is no program here"),
        (
            {"suite2p": {"run": True, "write": False, "python": sys.executable}},
            "Suite2p needs the folder",
        ),
        ({"keep_derotated": False, "nwb": "external"}, "would name a movie that is gone"),
        ({"keep_derotated": False, "suite2p": {"write": False}}, "nothing would be left"),
        ({"fill": "offset"}, "export.fill"),
        ({"scale": 0}, "export.scale"),
    ],
)
def test_what_cannot_be_made_is_refused(export, said, monkeypatch):
    monkeypatch.setattr(config, "find_spec", lambda name: object())
    (error,) = complaints(**export)
    assert said in error


def test_nwb_without_its_package_is_refused(monkeypatch):
    monkeypatch.setattr(config, "find_spec", lambda name: None)
    (error,) = complaints(nwb="inside")
    assert "pip install 'derotation-workflow[nwb]'" in error
    assert complaints() == []


def test_a_key_of_a_section_within_a_section_can_be_taken_alone():
    checked, _ = check_config({"signals": {"sampling_rate": 1}})
    taken = section(checked, "export.suite2p.tau", "export.fill")
    assert taken == {"export": {"fill": "mean_image", "suite2p": {"tau": 1}}}
