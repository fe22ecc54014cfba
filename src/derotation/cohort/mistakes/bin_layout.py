"""A `.bin` that is laid out otherwise than it is read."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from derotation.cohort.mistakes.mistake import Mistake
from derotation.errors import DerotationError, SignalError
from derotation.io.signals import BinLayout, signal_options
from derotation.signals.look_layout import BinGuess, coherent_channels, guess_layout, judge_layout

__all__ = ["why_not_opened", "wrong_layout"]


def wrong_layout(path: Path, order: Sequence[str], layout: BinLayout) -> Mistake | None:
    """Say that a `.bin` is laid out otherwise than it is read.

    Parameters
    ----------
    path : Path
        The file.
    order : sequence of str
        The key ``signals.channel_order``.
    layout : BinLayout
        As the section ``signals.bin`` says.

    Returns
    -------
    Mistake or None
    """
    n = len(order)
    # Of twice as many channels as there are, each would be seen twice.
    own = coherent_channels(path, layout)
    seen = judge_layout(path, own if own and n % own == 0 else n, layout)
    return _mistake(replace(seen, n_channels=n), guess_layout(path, layout), order)


def why_not_opened(error: SignalError, path: str, given: Mapping[str, Any]) -> str:
    """Say why a `.bin` cannot be opened as configured, first of all, as far as its data tell.

    Parameters
    ----------
    error : SignalError
        What opening it said.
    path : str
        The file.
    given : mapping
        The configuration's section ``signals``.

    Returns
    -------
    str
        What the error says, after its cause if that is known.
    """
    file, order = Path(path), given["channel_order"]
    if file.suffix.lower() != ".bin":
        return str(error)
    layout: BinLayout = signal_options(given)["layout"]
    try:
        best = guess_layout(file, layout)
        wrong = wrong_layout(file, order, layout) if best else None
        left = (file.stat().st_size - layout.header_bytes) % (
            len(order) * layout.numpy_dtype().itemsize
        )
    except (DerotationError, OSError, ValueError):
        return str(error)
    if wrong is not None:
        return f"{wrong.text}. {error}"
    if best is None:
        return str(error)
    if (best.n_channels, best.layout.dtype) != (len(order), layout.dtype):
        return (
            f"{error} Its channels are coherent if it is read as {best.n_channels} channels of "
            f"{best.layout.dtype} (signals.channel_order names {len(order)}, signals.bin.dtype is "
            f"{layout.dtype})."
        )
    if left:
        return (
            f"{file} is cut in the middle of a sample: its {len(order)} channels of {layout.dtype} "
            f"are coherent, as the configuration says, but {left} bytes are left over at its end. "
            "Copy it again from where it was recorded; if it is cut there, too, take these bytes "
            "off"
        )
    return str(error)


def _mistake(given: BinGuess, best: BinGuess | None, order: Sequence[str]) -> Mistake | None:
    """Compare how a file is read with what makes the most coherent channels."""
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
