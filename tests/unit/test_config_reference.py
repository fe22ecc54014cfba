"""config/README.md explains each key, and the simulation's keys are those of the simulator."""

import importlib.util
from dataclasses import fields
from pathlib import Path

from derotation.settings.schema import config_schema
from derotation.simulate import Faults, RecordingParameters, SampleMotion

ROOT = Path(__file__).parents[2]


def tool():
    path = ROOT / "docs" / "tools" / "config_reference.py"
    spec = importlib.util.spec_from_file_location("config_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_up_to_date():
    text = (ROOT / "config" / "README.md").read_text()
    assert tool().with_tables(text) == text, "run: python docs/tools/config_reference.py"


def test_every_simulation_key_is_a_parameter_of_the_simulator():
    session = config_schema()["$defs"]["simulated_session"]
    assert set(session["properties"]) <= {field.name for field in fields(RecordingParameters)}
    faults = session["properties"]["faults"]["properties"]
    assert set(faults) <= {field.name for field in fields(Faults)}
    motion = session["properties"]["sample_motion"]["properties"]
    assert set(motion) == {field.name for field in fields(SampleMotion)}
