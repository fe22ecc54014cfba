"""What a session's settings say, against what its signals look like: the mistakes of a new rig.

Each is named by its key, with what was found and what to write. Where one mistake brings about
others, it alone is said: of channels that were read as those of another layout nothing else is
true, and durations are wrong where the sampling rate is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from derotation.signals.look import MotorLook, SignalsLook, rounded_rate, usual_count
from derotation.signals.look_kinds import KIND_WORDS, ClocksLook, Kind
from derotation.signals.look_layout import BinGuess
from derotation.signals.repairs import plain_number

__all__ = ["Mistake", "Settings", "find_mistakes", "layout_mistake"]

# The clocks' frame rate and the movie's differ by a mistake if by more than this; a little less is
# worth a look.
WRONG_RATE, ODD_RATE = 0.2, 0.03
# Factors by which a sampling rate is wrong, where only speeds tell it.
FACTORS = (2.0, 2.5, 4.0, 5.0, 10.0, 100.0, 1000.0)
# A factor explains speeds if it leaves less than this, as a part.
SPEED_ERROR = 0.05
# Frames per second that no scanner makes.
RATES = (0.02, 5000.0)
# A rotation's ticks add up to its degrees within this part of them.
WRONG_TURN = 0.12
# Ticks are one per so many degrees at most, and steps at least.
ROUND_STEPS = (1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.5, 8.0, 9.0, 10.0, 12.0, 15.0, 18.0, 20.0, 22.5,
               24.0, 30.0, 36.0, 40.0, 45.0, 60.0, 72.0, 90.0)  # fmt: skip
# Signals that hold fewer of the movie's frames than this part are too short.
SHORTEST = 0.98
# A clock that counts more than this times the movie's frames counts too many, unless they are few.
MANY_FRAMES, FEW_FRAMES = 1.1, 5
# A gap so many times the usual interval interrupts a clock.
PAUSE = 3.0
# Movies with so many times the frames of the clock may hold several channels or planes.
SEVERAL = 1.8
# Channels whose roles are told by their pulses, so that others cannot be meant.
CERTAIN: tuple[Kind, ...] = (
    "line_clock", "frame_clock", "rotation_on", "rotation_ticks", "quadrature_a", "quadrature_b",
    "camera", "empty",
)  # fmt: skip
# What a single row per frame is called instead of a clock of lines.
UNPULSED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """Something that does not fit."""

    key: str
    """Key of the configuration, or column of the sheet, that is likely wrong."""
    text: str
    """What was found, what was expected and what to write."""
    is_problem: bool = True
    """Whether the session cannot be processed rightly; else it is worth a look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is said about a session, and what its movie says."""

    protocol: str
    source: str
    roles: Mapping[str, int]
    """Number of the channel, from 1, of each role."""
    sampling_rate: float
    rotation_increment: float
    degrees_per_rotation: float | None
    degrees_per_step: float
    channel_order: Sequence[str] = ()
    recognize_clocks: bool = True
    has_own_names: bool = False
    """Whether the file names its channels."""
    speeds: Sequence[float] | None = None
    """Of the stimulus table, degrees/s."""
    frame_rate: float | None = None
    """Of the movie's metadata, as the frame clock counts, Hz."""
    n_clock_frames: int | None = None
    """Frames that the clock should have counted."""
    n_rows: int | None = None
    """Rows of the movie's frames."""
    lines_per_frame: int | None = None
    """What configuration or metadata say that the line clock counts."""
    frames_given: bool = False
    """Whether ``signals.frames`` says which of the clock's frames are the movie's."""
    rows_given: bool = False
    """Whether ``scan.rows`` says which lines are rows."""


def find_mistakes(look: SignalsLook, said: Settings) -> list[Mistake]:
    """Compare signals with what is said about them.

    Parameters
    ----------
    look : SignalsLook
        The signals.
    said : Settings
        What configuration, sheet and movie say.

    Returns
    -------
    list of Mistake
        Causes before their consequences; empty if all fits, or if nothing can be told.
    """
    exchanged = _exchanged(look, said)
    clock = said.roles.get("frame_clock")
    kind = next((c.kind for c in look.channels if c.number == clock), None)
    if exchanged is None and kind not in (None, "frame_clock", "empty"):
        # What counts frames is not understood, and something else was taken for it.
        look = replace(look, clocks=ClocksLook())
    if look.clocks.frame_interval is None:
        # Without a clock that is understood, ticks may be something else.
        look = replace(look, motor=None)
    found = [
        exchanged,
        _wrong_source(look, said),
        _wrong_rate(look, said),
        _wrong_protocol(look, said),
        _wrong_increment(look, said),
        _wrong_lines(look, said),
    ]
    if found[2] is None or not found[2].is_problem:
        found.append(_too_short(look, said))
    if not any(found):
        found += [_too_many_rotations(look, said), _too_many_frames(look, said)]
    return [mistake for mistake in found if mistake is not None]


def layout_mistake(given: BinGuess, best: BinGuess | None, order: Sequence[str]) -> Mistake | None:
    """Say that a `.bin` is laid out otherwise than it is read.

    Parameters
    ----------
    given, best : BinGuess
        As it is read, and what makes the most coherent channels.
    order : sequence of str
        The key ``signals.channel_order``.

    Returns
    -------
    Mistake or None
    """
    if best is None or best.rank <= given.rank:
        return None
    same_type = best.layout.dtype == given.layout.dtype
    if same_type and best.n_channels == given.n_channels:
        return None
    whole = (
        f"read as {best.n_channels} channels of {best.layout.dtype}, {best.n_logic} of them show "
        f"pulses; as {given.n_channels} of {given.layout.dtype}, as the configuration says, "
        f"{given.n_logic or 'none'}"
    )
    if same_type:
        return Mistake(
            key="signals.channel_order",
            text=f"signals.channel_order names {given.n_channels} channels "
            f"({', '.join(order)}), but the file looks like one of {best.n_channels}: {whole}. "
            f"Name all {best.n_channels} in signals.channel_order, in the file's order",
        )
    also = (
        "" if best.n_channels == given.n_channels
        else f", and name all {best.n_channels} channels in signals.channel_order"
    )  # fmt: skip
    return Mistake(
        key="signals.bin.dtype",
        text=f"signals.bin.dtype is {given.layout.dtype}, but the file looks like one of "
        f"{best.layout.dtype}: {whole}. Write signals.bin: {{dtype: {_quoted(best.layout.dtype)}}}"
        f"{also}",
    )


def _quoted(dtype: str) -> str:
    return f'"{dtype}"' if dtype.startswith(">") else dtype


def _exchanged(look: SignalsLook, said: Settings) -> Mistake | None:
    """Name channels that have each other's roles."""
    kind_of = {channel.number: channel.kind for channel in look.channels}
    meant: dict[str, int] = {}
    for role, number in said.roles.items():
        kind = kind_of.get(number)
        if kind is None or _alike(role, kind):
            continue
        others = [c.number for c in look.channels if _alike(role, c.kind)]
        sure = kind in CERTAIN or role in ("line_clock", "frame_clock")
        if sure and len(others) == 1:
            meant[role] = others[0]
    if not meant:
        return None
    role_of = {number: role for role, number in said.roles.items()}
    numbers = sorted({*meant.values(), *(said.roles[role] for role in meant)})
    shown = "; ".join(
        f"channel {number} looks like {KIND_WORDS[kind_of[number]]}, but is taken for "
        f"{role_of.get(number, 'something else')}"
        for number in numbers
    )
    mended = {**said.roles, **meant}
    if set(meant) == {"line_clock", "frame_clock"} and said.recognize_clocks:
        return Mistake(
            key="signals.channel_order",
            text=f"line clock and frame clock are exchanged ({shown}); they will be used the other "
            f"way round. Write {_order(look, mended, said)}",
            is_problem=False,
        )
    what = "channels are exchanged" if len(meant) > 1 else "a channel is taken for another"
    return Mistake(
        key="signals.channel_names" if said.has_own_names else "signals.channel_order",
        text=f"{what}: {shown}. Write {_order(look, mended, said)}",
    )


def _alike(role: str, kind: str) -> bool:
    # Which of an encoder's channels is which is a matter of the sign; and the direction may change
    # whenever the motor turns, as rotation-on does.
    pairs = (("quadrature_a", "quadrature_b"), ("rotation_on", "direction"))
    return role == kind or any(role in pair and kind in pair for pair in pairs)


def _order(look: SignalsLook, roles: Mapping[str, int], said: Settings) -> str:
    """Write the key that gives each channel its role."""
    if said.has_own_names:
        names = {c.number: c.name for c in look.channels}
        pairs = ", ".join(f"{role}: {names.get(n) or n}" for role, n in roles.items())
        return f"signals.channel_names: {{{pairs}}}"
    # Each role keeps the name that it has.
    given = dict(enumerate(said.channel_order, 1))
    names_ = {number: given.get(said.roles[role], role) for role, number in roles.items()}
    rest = {n: name for n, name in given.items() if name not in names_.values()}
    listed = [names_.get(c.number) or rest.get(c.number) or f"unused_{c.number}"
              for c in look.channels]  # fmt: skip
    return f"signals.channel_order: [{', '.join(listed)}]"


def _wrong_source(look: SignalsLook, said: Settings) -> Mistake | None:
    """Say that something else tells the angle than is asked for."""
    if said.source != "ticks" or look.motor is not None or look.source in (None, "ticks"):
        return None
    ticks = said.roles.get("rotation_ticks")
    kind = next((c.kind for c in look.channels if c.number == ticks), None)
    if kind in (None, "rotation_ticks", "unknown"):
        return None
    numbers = [c.number for c in look.channels
               if c.kind in ("quadrature_a", "quadrature_b", "angle_voltage")]  # fmt: skip
    one = len(numbers) == 1
    channels = (
        f"channel {numbers[0]} looks" if one else f"channels {numbers[0]} and {numbers[1]} look"
    )
    what = "an encoder's pair" if look.source == "quadrature" else "an angle as a voltage"
    return Mistake(
        key="angles.source",
        text=f"angles.source is ticks, but there are none; {channels} like {what}. Write "
        f"angles.source: {look.source}, and name the channel in signals.channel_order",
    )


def _wrong_rate(look: SignalsLook, said: Settings) -> Mistake | None:
    """Say that the sampling rate is wrong, by the movie's frame rate or by the table's speeds."""
    interval = look.clocks.frame_interval
    rate = said.sampling_rate
    implied = look.sampling_rate(said.frame_rate)
    if said.frame_rate and look.has_frame_interval(rate / said.frame_rate):
        return None
    if said.frame_rate and implied is not None and interval:
        factor = rate / implied
        shown = (
            f"with signals.sampling_rate {plain_number(rate)} the frame clock counts "
            f"{plain_number(rate / interval, 4)} frames per second, but the movie's file says "
            f"{plain_number(said.frame_rate, 4)}"
        )
        if max(factor, 1 / factor) > 1 + WRONG_RATE:
            return Mistake(
                key="signals.sampling_rate",
                text=f"{shown}: {_times(factor)}. Write signals.sampling_rate: "
                f"{rounded_rate(implied)}, if the movie's file is right",
            )
        if abs(factor - 1) > ODD_RATE:
            return Mistake(
                key="signals.sampling_rate",
                text=f"{shown}. If that is right, signals.sampling_rate is {plain_number(implied)}",
                is_problem=False,
            )
        return None
    factor_of_speeds = _speed_factor(look.motor, said)
    if factor_of_speeds is not None and _turn_fits(look.motor, said):
        assert look.motor is not None
        seen = said.rotation_increment * rate / look.motor.whole_intervals
        return Mistake(
            key="signals.sampling_rate",
            text=f"with signals.sampling_rate {plain_number(rate)} rotations reach "
            f"{_speeds(seen)} degrees/s, but the stimulus table says {_speeds(said.speeds or ())}: "
            f"{_times(factor_of_speeds)}. Write signals.sampling_rate: "
            f"{rounded_rate(rate / factor_of_speeds)}",
        )
    if interval and not RATES[0] < rate / interval < RATES[1]:
        way = 1000 if rate / interval <= RATES[0] else 1 / 1000
        return Mistake(
            key="signals.sampling_rate",
            text=f"with signals.sampling_rate {plain_number(rate)} the frame clock counts "
            f"{plain_number(rate / interval, 3)} frames per second, which no scanner does. "
            f"The key is in Hz: is {rounded_rate(rate * way)} meant?",
        )
    return None


def _speed_factor(motor: MotorLook | None, said: Settings) -> float | None:
    """Tell by which factor all rotations are too fast; None if they are not, or by several."""
    if motor is None or motor.protocol != "full" or not len(motor.whole_intervals):
        return None
    if not said.speeds:
        return None
    seen = said.rotation_increment * said.sampling_rate / motor.whole_intervals
    asked = np.asarray(said.speeds, np.float64)

    def fits(factor: float) -> bool:
        error = np.abs(seen[:, np.newaxis] / factor / asked - 1).min(axis=1)
        return bool(np.all(error < SPEED_ERROR))

    if fits(1.0):
        return None
    n = min(motor.n_first, len(asked))
    if n:
        # The first rotations are those of the table's first rows.
        ratio = seen[:n] / asked[:n]
        usual = float(np.median(ratio))
        known = [f for factor in FACTORS for f in (factor, 1 / factor)]
        sure = n > 1 or any(abs(usual / f - 1) < SPEED_ERROR for f in known)
        alike = np.all(np.abs(ratio / usual - 1) < SPEED_ERROR)
        return usual if sure and alike and abs(usual - 1) > WRONG_RATE else None
    found = [f for factor in FACTORS for f in (factor, 1 / factor) if fits(f)]
    return found[0] if len(found) == 1 else None


def _turn_fits(motor: MotorLook | None, said: Settings) -> bool:
    """Tell whether the ticks of a rotation add up to its degrees."""
    if motor is None or motor.turn_ticks is None or said.degrees_per_rotation is None:
        return True
    turned = motor.turn_ticks * said.rotation_increment
    return abs(turned / said.degrees_per_rotation - 1) < WRONG_TURN


def _wrong_protocol(look: SignalsLook, said: Settings) -> Mistake | None:
    """Say that the motor did something else than the sheet says."""
    motor = look.motor
    if motor is None or said.source != "ticks" or said.protocol == "free":
        return None
    if said.protocol == "full" and motor.protocol == "incremental" and _is_step(motor, said):
        n = motor.step_ticks or 0
        return Mistake(
            key="protocol",
            text=f"the sheet says protocol full, but the motor turns in steps of {n} ticks "
            f"({n * said.rotation_increment:g} degrees by signals.rotation_increment) with rests "
            "between them. Write incremental in the column protocol",
        )
    if said.protocol == "incremental" and motor.protocol == "full" and _is_turn(motor, said):
        n = motor.turn_ticks or 0
        return Mistake(
            key="protocol",
            text=f"the sheet says protocol incremental, but the motor makes {_count(motor)} of "
            f"{n} ticks, without steps. Write full in the column protocol, with a stimulus "
            "table",
        )
    if not motor.has_gate and motor.protocol == "free" and "rotation_on" in said.roles:
        return Mistake(
            key="protocol",
            text=f"the sheet says protocol {said.protocol}, but rotation_on (channel "
            f"{said.roles['rotation_on']}) never changes while ticks come. If the sample turned "
            "without a plan, write free in the column protocol; else look at the cable of "
            "rotation_on",
        )
    return None


def _is_step(motor: MotorLook, said: Settings) -> bool:
    """Tell steps from rotations, which may be short, by the size that they should have."""
    if motor.step_ticks is None:
        return False
    if motor.turn_ticks != motor.step_ticks or said.degrees_per_rotation is None:
        return True
    # One rotation-on for each step looks like short rotations.
    turned = motor.step_ticks * said.rotation_increment
    return abs(turned / said.degrees_per_rotation - 1) > WRONG_TURN


def _is_turn(motor: MotorLook, said: Settings) -> bool:
    """Tell whole turns that follow each other from one slow turn without rests, or from steps."""
    n = motor.turn_ticks
    if n is None:
        return False
    degrees = said.degrees_per_rotation or 360.0
    return abs(n * said.rotation_increment / degrees - 1) < WRONG_TURN


def _wrong_increment(look: SignalsLook, said: Settings) -> Mistake | None:
    """Say that the ticks of a rotation do not add up to its degrees."""
    motor = look.motor
    if motor is None or said.source != "ticks" or said.protocol == "free" or not motor.is_even:
        return None
    step = motor.step_ticks
    n = motor.turn_ticks if motor.turn_ticks != step else None
    if said.protocol == "full" and motor.protocol == "incremental":
        return None
    degrees = said.degrees_per_rotation
    if n is not None and degrees is not None and not _turn_fits(motor, said):
        turned = n * said.rotation_increment
        seen = _seen(motor, n)
        if _speeds_fit(motor, said) or _steps_fit(motor, said):
            by = "at the speeds of the stimulus table"
            if said.protocol == "incremental":
                by = "in steps as angles.degrees_per_step says"
            return Mistake(
                key="signals.degrees_per_rotation",
                text=f"{seen}: {turned:g} degrees with signals.rotation_increment "
                f"{said.rotation_increment:g}, {by}, but signals.degrees_per_rotation is "
                f"{degrees:g}. Write signals.degrees_per_rotation: {turned:g}",
            )
        return Mistake(
            key="signals.rotation_increment",
            text=f"{seen}: with signals.rotation_increment {said.rotation_increment:g} that is "
            f"{turned:g} degrees, not the {degrees:g} of signals.degrees_per_rotation. Write "
            f"signals.rotation_increment: {_increment(n, degrees):g}",
        )
    if step is None or said.protocol != "incremental" or _steps_fit(motor, said):
        return None
    turned = step * said.rotation_increment
    if _steps_add_up(look, motor, said):
        # So the increment is right.
        return Mistake(
            key="angles.degrees_per_step",
            text=f"Write angles.degrees_per_step: {turned:g}, not {said.degrees_per_step:g}: the "
            f"motor turns in steps of {step} ticks, which are {turned:g} degrees with "
            f"signals.rotation_increment {said.rotation_increment:g}, and all ticks add up to the "
            f"{degrees:g} of signals.degrees_per_rotation",
        )
    if any(abs(turned / size - 1) < 1 / step for size in ROUND_STEPS) and step > 1:
        also = (
            f", or signals.rotation_increment: {said.degrees_per_step / step:g} if the steps are "
            f"of {said.degrees_per_step:g} degrees"
        )
        return Mistake(
            key="angles.degrees_per_step",
            text=f"the motor turns in steps of {step} ticks: with signals.rotation_increment "
            f"{said.rotation_increment:g} these are {turned:g} degrees, but angles.degrees_per_step"
            f" is {said.degrees_per_step:g}. Write angles.degrees_per_step: {turned:g}{also}",
        )
    return Mistake(
        key="signals.rotation_increment",
        text=f"the motor turns in steps of {step} ticks: with signals.rotation_increment "
        f"{said.rotation_increment:g} these are {turned:g} degrees, not the "
        f"{said.degrees_per_step:g} of angles.degrees_per_step. Write signals.rotation_increment: "
        f"{said.degrees_per_step / step:g}",
    )


def _steps_fit(motor: MotorLook, said: Settings) -> bool:
    """Tell whether the steps of an incremental session are as large as is said."""
    if motor.step_ticks is None or said.protocol != "incremental":
        return False
    turned = motor.step_ticks * said.rotation_increment
    return abs(turned / said.degrees_per_step - 1) < WRONG_TURN


def _steps_add_up(look: SignalsLook, motor: MotorLook, said: Settings) -> bool:
    """Tell whether all ticks of an incremental session are seen to add up to its degrees."""
    if said.degrees_per_rotation is None or motor.turn_ticks is None:
        return False
    if motor.turn_ticks != motor.step_ticks:
        return _turn_fits(motor, said)
    # One rotation-on for each step: nothing may be left out.
    turned = int(motor.whole_ticks.sum()) * said.rotation_increment
    return len(look.stretches) == 1 and abs(turned / said.degrees_per_rotation - 1) < WRONG_TURN


def _increment(n_ticks: int, degrees: float) -> float:
    """Give the degrees per tick that a motor has; a rotation may lack a tick or two."""
    per_turn = n_ticks * 360.0 / degrees
    return float(f"{360.0 / usual_count(round(per_turn)):.6g}")


def _speeds_fit(motor: MotorLook, said: Settings) -> bool:
    if not said.speeds or not len(motor.whole_intervals):
        return False
    seen = said.rotation_increment * said.sampling_rate / motor.whole_intervals
    asked = np.asarray(said.speeds, np.float64)
    return bool(np.all(np.abs(seen[:, np.newaxis] / asked - 1).min(axis=1) < SPEED_ERROR))


def _wrong_lines(look: SignalsLook, said: Settings) -> Mistake | None:
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


def _too_short(look: SignalsLook, said: Settings) -> Mistake | None:
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


def _too_many_rotations(look: SignalsLook, said: Settings) -> Mistake | None:
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


def _too_many_frames(look: SignalsLook, said: Settings) -> Mistake | None:
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


def _seen(motor: MotorLook, n: int) -> str:
    one = len(motor.whole_ticks) == 1
    return f"{_count(motor)} of {n} ticks was seen" if one else (
        f"{_count(motor)} of {n} ticks each were seen"
    )  # fmt: skip


def _count(motor: MotorLook) -> str:
    n = len(motor.whole_ticks)
    return "one rotation" if n == 1 else f"{n} rotations"


def _times(factor: float) -> str:
    """Say by how much something is too large or too small."""
    if factor >= 1:
        return f"{plain_number(factor, 3)} times as fast"
    return f"{plain_number(1 / factor, 3)} times as slow"


def _speeds(values: Iterable[float]) -> str:
    found = sorted({float(f"{value:.3g}") for value in values})
    shown = [plain_number(value) for value in found[:6]]
    return ", ".join(shown) + (", ..." if len(found) > 6 else "")
