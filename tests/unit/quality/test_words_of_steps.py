"""A step of the protocol incremental is called a step, and is in no stimulus table."""

from types import SimpleNamespace

import numpy as np
import pytest

from derotation.quality.along import Along
from derotation.quality.trial_figures import rotations_flipped


def along(word, sign=(1, -1, 1)):
    segments = SimpleNamespace(
        of_frame=np.arange(3), rest=np.array([True, False, False]),
        rotation=np.array([-1, 3, 5]), last_rotation=np.array([-1, 3, 7]),
    )  # fmt: skip
    return SimpleNamespace(
        segments=segments, word=word, sign=np.array(sign), first=np.arange(3), start_s=np.ones(3)
    )


@pytest.mark.parametrize("word", ["rotation", "step"])
def test_segments_are_called_by_what_turns(word):
    names = [Along.name(along(word), k) for k in range(3)]
    assert names == ["rest 1", f"{word} 4", f"{word}s 6 to 8"]


@pytest.mark.parametrize("word", ["rotation", "step"])
def test_only_rotations_have_a_row_in_the_stimulus_table(word):
    trials = SimpleNamespace(
        flip_fits=False, sign=np.array([1, -1, 1]), own=np.full(3, 0.2), opposite=np.full(3, 0.9)
    )
    said = rotations_flipped(trials, along(word)).said
    assert said.startswith(f"{word.capitalize()} 4 (1.0 s, frame 1) fits only turned the other way")
    assert ("stimulus table" in said) == (word == "rotation")
    assert said.endswith("(Correlation with the sample at rest 0.90 instead of 0.20.)")
    none = rotations_flipped(trials, along(word, sign=(1, 1, 1))).said
    assert none == f"No {word} fits better turned the other way."
