"""What every estimate answers, and decisions as data: sentences are made from them at the end."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "Verdict", "doubts", "say"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One decision: what it is about, how it went, and the figures that it rests on."""

    topic: str
    """What it is about: center, plane, wobble, lag, illumination, movement, or a correction's
    name."""
    code: str
    """How it went, in one word for programs: known, uncertain, none, corrected, given, ..."""
    says: str
    """The sentence with the names of figures in braces, as :meth:`str.format` fills them."""
    figures: Mapping[str, float | int | str] = field(default_factory=dict)
    """What was measured, and the thresholds that it was compared with."""
    doubt: bool = False
    """Whether it speaks against trusting the estimate."""

    @property
    def sentence(self) -> str:
        """The decision in plain words."""
        return self.says.format(**self.figures)


def doubts(
    topic: str,
    what: str,
    grounds: Mapping[str, tuple[bool, str]],
    figures: Mapping[str, float | int | str],
) -> tuple[Verdict, ...]:
    """Give a verdict against trusting an estimate for each ground that holds.

    Parameters
    ----------
    topic : str
        What it is about.
    what : str
        The same as the begin of a sentence; both it and the grounds may name figures in braces.
    grounds : mapping of str to (bool, str)
        By code: whether it holds, and the end of the sentence; a question mark may end it.
    figures : mapping
        What was measured.

    Returns
    -------
    tuple of Verdict
    """
    return tuple(
        Verdict(
            topic=topic,
            code=code,
            says=f"{what} cannot be trusted: {says}{'' if says.endswith('?') else '.'}",
            figures=figures,
            doubt=True,
        )
        for code, (holds, says) in grounds.items()
        if holds
    )


def say(verdicts: Iterable[Verdict]) -> str:
    """Make sentences of verdicts, in their order."""
    return " ".join(verdict.sentence for verdict in verdicts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """What is found out about a session by comparing its frames.

    All estimates (center, plane, wobble, lag, illumination, movement, and whatever is plugged in)
    answer in this form; what only one of them tells is in its own class.
    """

    name: str
    """What was estimated."""
    value: Mapping[str, Any]
    """What was found, by the names of the parameters."""
    sd: Mapping[str, Any] | None
    """Standard uncertainties by the same names; None where nothing was measured."""
    found_from: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What it was found from: columns of equal length, a row per frame that was compared."""
    corrected: bool = False
    """Whether what was found is going to be corrected."""
    verdicts: tuple[Verdict, ...] = ()
    """What was decided, and why."""

    @property
    def trusted(self) -> bool:
        """False if the estimate contradicts itself or rests on too little."""
        return not any(verdict.doubt for verdict in self.verdicts)

    @property
    def statement(self) -> str:
        """What was found and what is done, in plain words."""
        return say(self.verdicts)

    @property
    def inliers(self) -> NDArray[np.bool_]:
        """Frames that agree with the result, shape (n,)."""
        return np.asarray(self.found_from.get("used", np.empty(0)), np.bool_)
