"""Simulated recordings whose truth is known, and the simulators that users of the field know."""

from derotation.simulate.cell_tuning import CellTuning, TunedCells
from derotation.simulate.faults import Faults
from derotation.simulate.free_motion import FreeTurning, Motion, Sinusoid, Stalled
from derotation.simulate.motor import Motor, Ticks, full_protocol, incremental_protocol
from derotation.simulate.pairs import ImagePair, simulate_pair
from derotation.simulate.parameters import RecordingParameters
from derotation.simulate.plan import RecordingPlan
from derotation.simulate.recording import Recording, plan_recording, simulate_recording
from derotation.simulate.sample_motion import SampleMotion
from derotation.simulate.scene import Scene, random_scene
from derotation.simulate.signals import (
    BIN_CHANNELS,
    NPY_CHANNELS,
    AnalogPlan,
    Pulses,
    write_signals,
)
from derotation.simulate.trace import signals_from_line_angles
from derotation.simulate.window import CutTiles, View, cut_tiles, stage_matrix, window_scene
from derotation.simulate.writing import simulate_session, write_recording

__all__ = [
    "BIN_CHANNELS",
    "NPY_CHANNELS",
    "AnalogPlan",
    "CellTuning",
    "CutTiles",
    "Faults",
    "FreeTurning",
    "ImagePair",
    "Motion",
    "Motor",
    "Pulses",
    "Recording",
    "RecordingParameters",
    "RecordingPlan",
    "SampleMotion",
    "Scene",
    "Sinusoid",
    "Stalled",
    "Ticks",
    "TunedCells",
    "View",
    "cut_tiles",
    "full_protocol",
    "incremental_protocol",
    "plan_recording",
    "random_scene",
    "signals_from_line_angles",
    "simulate_pair",
    "simulate_recording",
    "simulate_session",
    "stage_matrix",
    "window_scene",
    "write_recording",
    "write_signals",
]
