"""A run that fails without a check before it says first what the check would have said."""

import numpy as np
import pytest

from derotation.cohort.signal_failure import cause_first
from derotation.errors import DerotationError
from derotation.jobs.logs import job_log, last_error
from derotation.report.states import RunJobs
from derotation.report.summary import summary_lines
from derotation.simulate.signals import BIN_CHANNELS, NPY_CHANNELS
from derotation.steps import parse_signals, report
from unit.mistaken_rig import STEPS, Rig

ORDER = list(NPY_CHANNELS)
MISTAKES = {
    "channels": ("full", "bin", {}, "signals.channel_order"),
    "type": ("full", "bin", {"channel_order": list(BIN_CHANNELS), "bin": {"dtype": "int32"}},
             "signals.bin"),
    "order": ("full", "npy", {"channel_order": [*ORDER[:2], ORDER[3], ORDER[2]]},
              "signals.channel_order"),
    "increment": ("full", "npy", {"rotation_increment": 1.0}, "signals.rotation_increment"),
    "full": ("full", "npy", {"protocol": "incremental"}, "protocol"),
}  # fmt: skip


def run(made, **said):
    """Run the step as its script does."""
    inputs = made.inputs(**said)
    outputs = parse_signals.Outputs.within(made.folder / "out")
    with cause_first(**inputs):
        parse_signals.run(**inputs, outputs=outputs)


@pytest.mark.parametrize("name", MISTAKES)
def test_the_cause_stands_first(plans, tmp_path, name):
    protocol, kind, said, key = MISTAKES[name]
    plan, cache = plans(7, 25_000, 2, protocol)
    made = Rig(plan, tmp_path, cache).write(kind=kind)
    (problem, *_) = made.check(sections=STEPS, **said).problems
    assert key in problem
    with pytest.raises(SystemExit), job_log(tmp_path / "a.log"):
        run(made, **said)
    first, *others = last_error(tmp_path / "a.log").splitlines()
    assert key in first
    assert problem.startswith(first.rstrip("."))
    assert others  # what the step itself said


def test_an_error_of_another_kind_stays_as_it_is(plans, tmp_path):
    plan, cache = plans(7, 25_000, 2, "full")
    made = Rig(plan, tmp_path, cache).write()
    made.stimulus = tmp_path / "none.csv"
    made.stimulus.write_text("speed,direction\nfast,1\n")
    with pytest.raises(DerotationError) as said:
        run(made)
    with pytest.raises(DerotationError) as plain:
        parse_signals.run(**made.inputs(), outputs=parse_signals.Outputs.within(tmp_path / "out"))
    assert str(said.value) == str(plain.value)
    assert type(said.value) is type(plain.value)


def test_what_needs_no_word_gets_none(plans, tmp_path):
    plan, cache = plans(7, 25_000, 2, "full")
    run(Rig(plan, tmp_path, cache).write())


@pytest.mark.parametrize(
    ("protocol", "said", "key"),
    [
        ("full", {"sampling_rate": 1000.0}, "signals.sampling_rate: 25000"),
        ("incremental", {"sampling_rate": 50_000.0}, "signals.sampling_rate: 25000"),
        ("incremental", {"protocol": "full"}, "incremental in the column protocol"),
    ],
)
@pytest.mark.parametrize("killed", [False, True])
def test_a_later_failure_names_the_mistake_first(plans, tmp_path, protocol, said, key, killed):
    plan, cache = plans(7, 25_000, 2, protocol)
    inputs = Rig(plan, tmp_path, cache).write().inputs(**said)
    log = tmp_path / "logs" / "one" / "estimate_center.log"
    log.parent.mkdir(parents=True)
    log.write_text("began\n" if killed else "began\nERROR: there is no center.\nLook.\n")
    config = inputs.pop("config")
    (tmp_path / "sheet.tsv").write_text("session\n")
    cohort = report.run(
        rows=[{"session": "one", **{key: str(value) for key, value in inputs.items() if value}}],
        final_files={"one": [str(tmp_path / "none")]},
        config=config | {"sessions": str(tmp_path / "sheet.tsv")},
        captions={},
        results=tmp_path / "results",
        logs=tmp_path / "logs",
        benchmarks=tmp_path / "benchmarks",
        jobs=RunJobs(failed=frozenset({("one", "estimate_center")})),
    )
    lines = "\n".join(summary_lines(cohort, "report.html"))
    state = cohort.sessions[0].state
    assert state.failed_step == "estimate_center"
    assert (key in lines) is not killed
    assert (key in state.reason) is not killed
    if not killed:
        assert key in state.details.splitlines()[0]
        assert state.details.endswith("there is no center.\nLook.")


@pytest.mark.parametrize(("given", "factor"), [(None, 1), (25_000.0, 1), (50_000.0, 2)])
def test_a_run_takes_the_rate_that_the_signals_file_says(plans, tmp_path, given, factor):
    h5py = pytest.importorskip("h5py")
    plan, cache = plans(7, 25_000, 2, "full")
    made = Rig(plan, tmp_path, cache).write(told=False)
    made.signals = tmp_path / "sweep.h5"
    with h5py.File(made.signals, "w") as file:
        file["header/AcquisitionSampleRate"] = [[25_000.0]]
        file["header/AIChannelNames"] = [name.encode() for name in ORDER]
        file["sweep_0001/analogScans"] = np.stack([plan.analog.channel(role) for role in ORDER])
    events = parse_signals.run(
        **made.inputs(sampling_rate=given), outputs=parse_signals.Outputs.within(tmp_path / "out")
    )
    assert events.sampling_rate == 25_000 * factor
    said = [odd.text for odd in events.anomalies if odd.code == "sampling_rate"]
    assert bool(said) == (factor != 1)
    if said:
        assert said[0] == events.anomalies[0].text
        assert "file says 25000 samples per second, but signals.sampling_rate is 50000" in said[0]
