"""A movie with other frames than the clocks count, and a table with other rotations."""

import numpy as np

from derotation.cohort.mistakes.mistake import Mistake, Settings
from derotation.cohort.mistakes.turns import WRONG_TURN
from derotation.signals.look import SignalsLook

__all__ = ["too_many_frames", "too_many_rotations", "too_short", "wrong_lines"]

# Signals that hold fewer of the movie's frames than this part are too short.
SHORTEST = 0.98
# A clock that counts more than this times the movie's frames counts too many, unless they are few.
MANY_FRAMES, FEW_FRAMES = 1.1, 5
# A gap so many times the usual interval interrupts a clock.
PAUSE = 3.0
# Movies with so many times the frames of the clock may hold several channels or planes.
SEVERAL = 1.8
# What a single row per frame is called instead of a clock of lines.
UNPULSED = 3


def wrong_lines(look: SignalsLook, said: Settings) -> Mistake | None:
    """Say that the line clock counts other lines per frame than the movie has rows."""
    n, rows = look.clocks.lines_per_frame, said.n_rows
    if n is None or rows is None or said.rows_given:
        return None
    expected = said.lines_per_frame or rows
    if n == expected or 2 * n == expected or expected - UNPULSED <= n < expected:
        return None
    if n > expected:
        return Mistake(
            key="scan.lines_per_frame",
            text=f"the line clock counts {n} lines per frame, but {_expected(said)}. If "
            f"the clock also counts lines that are not saved, write scan.lines_per_frame: {n}; if "
            "the movie was cropped or binned, scan.rows; else the movie is of another recording",
            is_problem=n > 1.5 * expected,
        )
    return Mistake(
        key="signals.channel_order",
        text=f"the line clock counts {n} lines per frame, but {_expected(said)}: the movie is of "
        "another recording, its rows were interpolated, or another channel is the line clock "
        "(signals.channel_order)",
    )


def _expected(said: Settings) -> str:
    if said.lines_per_frame and said.lines_per_frame != said.n_rows:
        return f"{said.lines_per_frame} are expected (scan.lines_per_frame, or the movie's file)"
    return f"the movie's frames have {said.n_rows} rows"


def too_short(look: SignalsLook, said: Settings) -> Mistake | None:
    """Say that the signals cannot hold all frames, whatever the sampling rate is."""
    there, wanted = look.n_frames(), said.n_clock_frames
    if there is None or not wanted or there + 1 >= SHORTEST * wanted:
        return None
    lasts = ""
    if said.frame_rate:
        lasts = (
            f" (they last {look.n_samples / said.sampling_rate:.1f} s, the movie "
            f"{wanted / said.frame_rate:.1f} s, which is longer)"
        )
    if wanted / there > SEVERAL:
        lasts += (
            ". If its file holds several channels or planes in turns, write movie.n_channels or "
            "movie.n_planes; else the"
        )
    else:
        lasts += ". The"
    return Mistake(
        key="signals",
        text=f"the signals ({look.path}) are too short: their {look.n_samples} samples hold at "
        f"most {int(there) + 1} frames of the frame clock, but the movie has {wanted}{lasts} "
        "recording of the signals was stopped early, the file is not copied whole, or it is of "
        "another movie",
    )


def too_many_rotations(look: SignalsLook, said: Settings) -> Mistake | None:
    """Say that more rotations were seen in the whole file than the stimulus table has rows."""
    motor = look.motor
    if motor is None or said.protocol != "full" or motor.protocol != "full" or not said.speeds:
        return None
    n = motor.turn_ticks
    if len(look.stretches) > 1 or not motor.has_gate or n is None:
        return None
    # What rotation-on cuts into pieces is none.
    there = int(np.count_nonzero(np.abs(motor.whole_ticks / n - 1) < WRONG_TURN))
    if there <= len(said.speeds):
        return None
    rows = "1 row" if len(said.speeds) == 1 else f"{len(said.speeds)} rows"
    return Mistake(
        key="stimulus",
        text=f"{there} rotations of {n} ticks were seen, but the stimulus table has {rows}: is it "
        "the table of this recording, and whole?",
        is_problem=False,
    )


def too_many_frames(look: SignalsLook, said: Settings) -> Mistake | None:
    """Say that the clock counts many more frames in the whole file than the movie has."""
    wanted, number = said.n_clock_frames, said.roles.get("frame_clock")
    clock = next((c for c in look.of_kind("frame_clock") if c.number == number), None)
    if clock is None or not wanted or said.frames_given or len(look.stretches) > 1:
        return None
    there, pulses = clock.pulses.n_pulses, clock.pulses
    if there <= max(MANY_FRAMES * wanted, wanted + FEW_FRAMES):
        return None
    if pulses.intervals().max() > PAUSE * pulses.interval:
        return None  # a pause tells which frames are the movie's
    return Mistake(
        key="signals.frames",
        text=f"the frame clock counts {there} frames without a pause, but the movie has {wanted}: "
        "is it the movie of this recording, and whole? If the clock runs on before or after the "
        "movie, signals.frames says which frames are the movie's",
        is_problem=False,
    )
