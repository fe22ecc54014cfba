"""What a look at signals found, as a text for a terminal."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import yaml

from derotation.signals.look import SignalsLook
from derotation.signals.look_keys import rounded_rate
from derotation.signals.look_kinds import KIND_WORDS, ChannelLook
from derotation.signals.repairs import plain_number

__all__ = ["format_keys", "format_look"]

# Columns of the table that hold words: names, and what channels look like.
WORDS = (1, 6)


def format_look(
    look: SignalsLook,
    *,
    sampling_rate: float | None = None,
    stated_rate: float | None = None,
    frame_rate: float | None = None,
    n_rows: int | None = None,
) -> str:
    """Write down what is on the channels of a file, and what that suggests.

    Parameters
    ----------
    look : SignalsLook
    sampling_rate : float, optional
        As somebody says, Hz; else it is told from the movie's frame rate.
    stated_rate : float, optional
        As the signals' file says, Hz.
    frame_rate : float, optional
        Of the movie, as the frame clock counts, Hz.
    n_rows : int, optional
        Rows of the movie's frames.

    Returns
    -------
    str
    """
    rate = sampling_rate or look.sampling_rate(frame_rate)
    lines = [
        f"{look.path}: {look.stored}; {look.n_samples} samples each"
        + (f", {look.n_samples / rate:.1f} s at {rounded_rate(rate)} Hz." if rate else "."),
        _what_was_read(look, rate),
        "",
        *_table([_header(rate), *(_row(channel, rate) for channel in look.channels)]),
        "",
        *_clocks(look, rate, frame_rate, n_rows),
        *_stated(stated_rate, rate),
        *_motor(look, rate),
    ]
    return "\n".join(lines)


def format_keys(keys: dict[str, Any]) -> str:
    """Write keys of the configuration as YAML.

    Parameters
    ----------
    keys : dict
        Nested, see :func:`derotation.signals.look_keys.suggested_keys`.
    """
    lines = []
    for section, own in keys.items():
        lines.append(f"{section}:")
        if section == "signals" and "sampling_rate" not in own:
            lines.append("  # sampling_rate: not told by the file; in Hz")
        lines += [f"  {key}: {_in_one_line(value)}" for key, value in own.items()]
    return "\n".join(lines) + "\n"


def _in_one_line(value: Any) -> str:
    # YAML ends a lone number by three dots, but not one in a list.
    text: str = yaml.safe_dump([value], default_flow_style=True, sort_keys=False, width=10_000)
    return text.strip()[1:-1]


def _what_was_read(look: SignalsLook, rate: float | None) -> str:
    (first, *others) = look.stretches
    if not others:
        return "All of it was read."
    n = first[1] - first[0]
    length = f"{plain_number(n / rate, 3)} s" if rate else f"{n} samples"
    return f"The first {length} and {len(others)} further places were read."


def _header(rate: float | None) -> tuple[str, ...]:
    often = "pulses/s" if rate else "samples/pulse"
    return "channel", "name", "low (V)", "high (V)", often, "high for", "looks like"


def _row(channel: ChannelLook, rate: float | None) -> tuple[str, ...]:
    p = channel.pulses
    often = (
        ""
        if np.isnan(p.interval)
        else (f"{plain_number(rate / p.interval, 4)}" if rate else f"{p.interval:.0f}")
    )
    bad = f" ({p.n_bad} samples are no numbers)" if p.n_bad else ""
    return (
        str(channel.number),
        channel.name or "",
        f"{p.low + 0.0:.2f}".replace("-0.00", "0.00"),
        f"{p.high + 0.0:.2f}".replace("-0.00", "0.00"),
        often,
        f"{100 * p.duty:.0f} %" if p.n_pulses else "",
        KIND_WORDS[channel.kind] + bad,
    )


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align numbers to the right and words to the left; a column without names is left out."""
    shown = [k for k in range(len(rows[0])) if any(row[k] for row in rows[1:])]
    widths = {k: max(len(row[k]) for row in rows) for k in shown}
    cells = [
        [row[k].ljust(widths[k]) if k in WORDS else row[k].rjust(widths[k]) for k in shown]
        for row in rows
    ]
    return ["  ".join(row).rstrip() for row in cells]


def _clocks(
    look: SignalsLook, rate: float | None, frame_rate: float | None, n_rows: int | None
) -> list[str]:
    """Say what the clocks count, and compare it with the movie."""
    clocks = look.clocks
    if clocks.frame_interval is None:
        return ["Clocks: no line clock and no frame clock was found."]
    lines = f" of {clocks.lines_per_frame} lines" if clocks.lines_per_frame else ""
    often = (
        f"{plain_number(rate / clocks.frame_interval, 4)} frames{lines} per second"
        if rate
        else f"a frame{lines} every {plain_number(clocks.frame_interval)} samples"
    )
    # Without rows there is no movie, and somebody gave the frame rate.
    known = f"{plain_number(frame_rate, 4)} frames per second" if frame_rate else ""
    said = [known, f"{n_rows} rows"] if n_rows else []
    movie = f" The movie: {', '.join(filter(None, said))}." if said else ""
    found = [f"Clocks: {often}.{movie}"]
    implied = look.sampling_rate(frame_rate)
    if implied:
        whose = "the movie" if n_rows else "a movie"
        found.append(
            f"Sampling rate: {rounded_rate(implied)} Hz, by {whose} of {known} "
            f"({plain_number(clocks.frame_interval)} samples per frame)."
        )
    elif rate is None:
        found.append(
            "Sampling rate: not told by the file; --movie FILE tells it if the movie's file says "
            "its frame rate, else give --frame-rate or --sampling-rate."
        )
    return found


def _stated(stated: float | None, rate: float | None) -> list[str]:
    """Say what the file itself says of its sampling rate."""
    if stated is None:
        return []
    said = f"The signals' file says its sampling rate: {plain_number(stated)} Hz"
    if rate and abs(rate / stated - 1) > 1e-3:
        said += f", not the {plain_number(rate)} Hz that are given"
    return [f"{said}."]


def _motor(look: SignalsLook, rate: float | None) -> list[str]:
    """Say what the ticks tell."""
    motor = look.motor
    if motor is None:
        if look.source == "quadrature":
            return ["Angle: an encoder with two channels; protocol free."]
        if look.source == "voltage":
            return ["Angle: a voltage; protocol free."]
        return ["Angle: nothing that tells it was seen turning in what was read."]
    found = []
    n, step = motor.turn_ticks, motor.step_ticks
    if step:
        found.append(f"Motor: it turns in steps of {step} ticks, with rests between them.")
    if n and n != step:
        count = len(motor.whole_ticks)
        found.append(
            f"Motor: {count} rotation{'s' if count > 1 else ''} of {n} ticks; "
            f"{look.increment or 360 / n:g} degrees per tick if each is a whole turn."
        )
    elif step:
        found.append(f"With 0.2 degrees per tick, a step is of {0.2 * step:g} degrees.")
    if rate and n and look.increment and motor.protocol == "full":
        speeds = look.increment * rate / motor.whole_intervals
        shown = ", ".join(plain_number(speed, 3) for speed in np.unique(speeds.round(0))[:8])
        found.append(f"Speeds: {shown} degrees/s.")
    if not found:
        found.append("Motor: ticks without whole rotations.")
    gate = "" if motor.has_gate else " (no channel says when it turns)"
    return [*found, f"Protocol: {motor.protocol}, by its looks{gate}."]
