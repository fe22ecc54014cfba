"""Misspelt words: what somebody most likely meant."""

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest"]


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Find the one of several words that a misspelt one most likely stands for."""
    lowered = {choice.lower(): choice for choice in choices}
    matches = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[matches[0]] if matches else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Ask back for the nearest word: ``; did you mean "tilt"?``, or nothing if none is near."""
    near = nearest(word, choices)
    return f'; did you mean "{near}"?' if near else ""
