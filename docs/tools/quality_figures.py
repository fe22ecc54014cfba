"""Write docs/quality_figures.md from the figures that measure_quality knows.

python docs/tools/quality_figures.py            # rewrite the page
python docs/tools/quality_figures.py --check    # only say whether it is up to date
"""

import argparse
import sys
from pathlib import Path

from derotation.quality.figures import SPECIFICATIONS, Specification
from derotation.settings.defaults import section

PAGE = Path(__file__).parents[1] / "quality_figures.md"
HEAD = """\
<!-- made by docs/tools/quality_figures.py -->

# The figures of quality.json

`measure_quality` judges each session by these figures; none of them needs to know the truth.
Each has a flag: `ok`; `look`, somebody should look; `bad`; or `none`, it could not be measured,
and the sentence says why. A session has the worst flag of its figures. The figures stand in the
order of causes: if several are not ok, begin with the first one, since a wrong sign of the
angles, for instance, spoils all that come after it.

The thresholds are those of the section `quality` of the configuration, for instance `quality:
{residual_shift_px: {look: 0.2, bad: 0.5}}`. A threshold of `null` never flags.

| figure | unit | what it is | look | bad |
| --- | --- | --- | --- | --- |
"""
ADVICE = """
## What is said if a figure is not ok

The sentence in `quality.json` begins with what was found in the session, and goes on with this:

| figure | sentence |
| --- | --- |
"""
TAIL = """
## How they are measured

- Frames are looked at once, while they are derotated; `measure_quality` reads what was learned
  then (`statistics.npz`), never the movie.
- The **sample at rest** is the mean of up to 60 lit frames at angle 0, spread over the session,
  drawn as the derotated movie is (aligned to a reference, if there is one).
- **Residual shift**: mean images of the frames of each 15 degrees are compared with the sample
  at rest, coarsely by the peak of their correlation and finely by gradients. A peak that stands
  out by less than 6 standard deviations may be chance; such an angle is "not measurable", and so
  is the figure if these are more than half of all angles.
- **Error of the center, tilt and turn left** come from fitting center, tilt and lag once more to
  24 frames recorded while the sample was turned. They are 0 unless they exceed three times their
  uncertainty.
- **Along the session**: mean images of each rest and each rotation are compared with the first
  rest: shift, scale, sharpness, likeness. The worst segment counts, and the sentence names it;
  [quality.csv](outputs.md) holds all of them.
- **Sign and clock**: up to 60 frames of all rotations are derotated with the opposite angles, and
  with those of one to four frames earlier and later. From when on (and for which rotations) other
  angles fit is found by the path that collects the highest correlation with few changes.
- **Causes** come before what follows from them: if the sample moved, for instance, no other
  center and no lag is advised, and only the sentence of the movement is among the advice.
- **Uneven light**: the brightness of places at each angle, in units of that at rest, is explained
  by a smooth light that stays where it is while the sample turns.
- **Likeness of rotating frames**: photon noise limits how much a single frame can correlate with
  a mean, so the correlation of frames at rest is the unit. It may exceed 1: derotated frames are
  interpolated, which averages some noise away.
"""


def page() -> str:
    """Put the page together."""
    rows = "".join(_row(spec) for spec in SPECIFICATIONS)
    said = "".join(f"| `{spec.name}` | {spec.advice} |\n" for spec in SPECIFICATIONS)
    return HEAD + rows + ADVICE + said + TAIL


def _row(spec: Specification) -> str:
    sign = "above" if spec.worse == "high" else "below"
    limits = section("quality")[spec.name]
    look, bad = (
        "" if limits[key] is None else f"{sign} {limits[key]:g}" for key in ("look", "bad")
    )
    return f"| **{spec.title}** `{spec.name}` | {spec.unit} | {spec.meaning} | {look} | {bad} |\n"


def main() -> int:
    """Rewrite or check the page; the exit code is 1 if it was out of date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    new = page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == new:
        return 0
    if not check:
        PAGE.write_text(new, encoding="utf-8")
    print(f"docs/{PAGE.name} was out of date", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
