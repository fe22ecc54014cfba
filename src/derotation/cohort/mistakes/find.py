"""What a session's settings say, against what its signals look like: the mistakes of a new rig.

Each is named by its key, with what was found and what to write. Where one mistake brings about
others, it alone is said: of channels that were read as those of another layout nothing else is
true, and durations are wrong where the sampling rate is.
"""

from dataclasses import replace

from derotation.cohort.mistakes.channels import exchanged, wrong_source
from derotation.cohort.mistakes.increment import wrong_increment
from derotation.cohort.mistakes.mistake import Mistake, Settings
from derotation.cohort.mistakes.movie import (
    too_many_frames,
    too_many_rotations,
    too_short,
    wrong_lines,
)
from derotation.cohort.mistakes.protocol import wrong_protocol
from derotation.cohort.mistakes.sampling_rate import wrong_rate
from derotation.signals.look import SignalsLook
from derotation.signals.look_kinds import ClocksLook

__all__ = ["find_mistakes"]


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
    taken = exchanged(look, said)
    clock = said.roles.get("frame_clock")
    kind = next((c.kind for c in look.channels if c.number == clock), None)
    if taken is None and kind not in (None, "frame_clock", "empty"):
        # What counts frames is not understood, and something else was taken for it.
        look = replace(look, clocks=ClocksLook())
    if look.clocks.frame_interval is None:
        # Without a clock that is understood, ticks may be something else.
        look = replace(look, motor=None)
    rate = wrong_rate(look, said)
    found = [
        taken,
        wrong_source(look, said),
        rate,
        wrong_protocol(look, said),
        wrong_increment(look, said),
        wrong_lines(look, said),
    ]
    if rate is None or not rate.is_problem:
        found.append(too_short(look, said))
    if not any(found):
        found += [too_many_rotations(look, said), too_many_frames(look, said)]
    return [mistake for mistake in found if mistake is not None]
