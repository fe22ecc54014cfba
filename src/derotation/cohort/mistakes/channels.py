"""Channels that are taken for others than they look like."""

from collections.abc import Mapping

from derotation.cohort.mistakes.mistake import Mistake, Settings
from derotation.signals.look import SignalsLook
from derotation.signals.look_kinds import KIND_WORDS, Kind

__all__ = ["exchanged", "wrong_source"]

# Channels whose roles are told by their pulses, so that others cannot be meant.
CERTAIN: tuple[Kind, ...] = (
    "line_clock", "frame_clock", "rotation_on", "rotation_ticks", "quadrature_a", "quadrature_b",
    "camera", "empty",
)  # fmt: skip


def exchanged(look: SignalsLook, said: Settings) -> Mistake | None:
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


def wrong_source(look: SignalsLook, said: Settings) -> Mistake | None:
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
