"""Numbers and times as people write them."""

__all__ = ["duration", "number", "quantity"]


def number(value: float | None) -> str:
    """Write a number with three digits, as far as these mean anything; nothing for None."""
    if value is None:
        return ""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def quantity(value: float, unit: str) -> str:
    """Write a number with its unit, kept together by a narrow space that does not break."""
    return f"{number(value)}\u202f{unit}" if unit else number(value)


def duration(seconds: float) -> str:
    """Write a time in the units that suit its length."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
