"""What a look at signals suggests for the configuration."""

from typing import Any

from derotation.signals.look import SignalsLook

__all__ = ["channel_names", "rounded_rate", "suggested_keys"]


def suggested_keys(look: SignalsLook, frame_rate: float | None = None) -> dict[str, Any]:
    """Give the keys of the configuration that a file suggests.

    Parameters
    ----------
    look : SignalsLook
    frame_rate : float, optional
        Of the movie as the frame clock counts, Hz; tells the sampling rate.

    Returns
    -------
    dict
        Nested as in the configuration; what the file does not tell is left out.
    """
    signals: dict[str, Any] = {}
    rate = look.sampling_rate(frame_rate)
    if rate:
        signals["sampling_rate"] = rounded_rate(rate)
    names = channel_names(look)
    if any(channel.name is None for channel in look.channels):
        signals["channel_order"] = names
    else:
        given = {c.kind: c.name for c in look.channels if c.kind in _ROLES}
        signals["channel_names"] = {kind: name for kind, name in given.items() if kind != name}
    missing = [kind for kind in ("line_clock", "frame_clock") if not look.of_kind(kind)]
    if look.source == "ticks" and not look.of_kind("rotation_on"):
        missing.append("rotation_on")
    if missing:
        signals.setdefault("channel_names", {}).update(dict.fromkeys(missing))
    if not signals.get("channel_names", True):
        del signals["channel_names"]
    if look.layout is not None:
        signals["bin"] = {"dtype": look.layout.dtype}
        if look.layout.header_bytes:
            signals["bin"]["header_bytes"] = look.layout.header_bytes
    if look.increment is not None:
        signals["rotation_increment"] = float(f"{look.increment:.6g}")
    keys: dict[str, Any] = {"signals": signals}
    angles: dict[str, Any] = {}
    if look.source not in (None, "ticks"):
        angles["source"] = look.source
    motor = look.motor
    if motor and motor.step_ticks and look.increment:
        angles["degrees_per_step"] = float(f"{motor.step_ticks * look.increment:.4g}")
    if angles:
        keys["angles"] = angles
    return keys


_ROLES = (
    "line_clock", "frame_clock", "rotation_on", "rotation_ticks", "direction", "quadrature_a",
    "quadrature_b", "angle_voltage",
)  # fmt: skip


def channel_names(look: SignalsLook) -> list[str]:
    """Name each channel by what it is, for ``signals.channel_order``; each name once."""
    names: list[str] = []
    for channel in look.channels:
        name: str = channel.kind if channel.kind in _ROLES or channel.kind == "camera" else "unused"
        if name in names or name == "unused":
            name = f"{name}_{channel.number}"
        names.append(name)
    return names


def rounded_rate(rate: float) -> float | int:
    """Round a measured rate to what a board would be set to: three digits, if those are near."""
    for digits in (1, 2, 3, 4):
        near = float(f"{rate:.{digits}g}")
        if abs(near / rate - 1) < 2e-3:
            return int(near) if near == int(near) else near
    return round(rate)
