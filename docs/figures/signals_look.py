"""The picture that ``derotation signals`` makes of an unknown file of six channels."""

import tempfile
from pathlib import Path

from derotation.cohort.recording_look import look_at_recording
from derotation.plots.look import plot_look
from derotation.simulate.recording import plan_recording
from derotation.simulate.signals import write_signals
from figures.style import Figure


def signals_look() -> Figure:
    """Look at a `.bin` of which only the frame rate of its movie is known."""
    plan = plan_recording(
        shape=(64, 64), frame_rate=8, sampling_rate=20_000, n_cells=2, calcium=False, seed=3,
        stimulus=((100, 1), (150, -1), (200, 1)), rest_between_s=1.5, signal_noise_v=0.05,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        file = write_signals(Path(folder, "clocks.bin"), plan.analog, "bin")
        found = look_at_recording(file, frame_rate=8.0)
        return plot_look(found.look, found.channels, found.sampling_rate)
