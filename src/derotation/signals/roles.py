"""What may tell the angle, and the channels that each of these sources reads."""

from collections.abc import Mapping, Sequence

from derotation.errors import ConfigError

__all__ = ["REQUIRED_ROLES", "digital_roles"]

#: Channels that a source reads unless ``signals.channel_names`` says that there is none.
REQUIRED_ROLES: Mapping[str, tuple[str, ...]] = {
    "ticks": ("line_clock", "frame_clock", "rotation_on", "rotation_ticks"),
    "quadrature": ("line_clock", "frame_clock", "quadrature_a", "quadrature_b"),
    "voltage": ("line_clock", "frame_clock", "angle_voltage"),
    "table": ("line_clock", "frame_clock"),
    "movie": ("line_clock", "frame_clock"),
}
#: Of these, what cannot be made up for.
NEEDED_ROLES: Mapping[str, tuple[str, ...]] = {
    "ticks": ("rotation_ticks",),
    "quadrature": ("quadrature_a", "quadrature_b"),
    "voltage": ("angle_voltage",),
    "table": (),
    "movie": (),
}
_DIGITAL: Mapping[str, tuple[str, ...]] = {
    "ticks": ("rotation_on", "rotation_ticks", "direction"),
    "quadrature": ("quadrature_a", "quadrature_b", "quadrature_index"),
    "voltage": (),
    "table": (),
    "movie": (),
}


def digital_roles(present: Sequence[str], source: str) -> tuple[str, ...]:
    """List the channels with pulses that are there and that a source needs.

    Raises
    ------
    ConfigError
        If one is missing without which nothing can be told.
    """
    roles = tuple(
        role for role in ("line_clock", "frame_clock", *_DIGITAL[source]) if role in present
    )
    if not {"line_clock", "frame_clock"} & set(roles):
        raise ConfigError(
            "signals.channel_names: neither a line clock nor a frame clock is there; one of them "
            "is needed to tell when lines were scanned."
        )
    missing = [role for role in NEEDED_ROLES[source] if role not in present]
    if missing:
        raise ConfigError(
            f"angles.source is {source}, which needs the channel {' and '.join(missing)}; name it "
            "in signals.channel_order, or in signals.channel_names."
        )
    return roles
