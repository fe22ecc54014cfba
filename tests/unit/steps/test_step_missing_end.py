"""A movie that holds fewer frames than were recorded."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from derotation.steps.parse_signals import _with_missing_end_said


@dataclass(frozen=True)
class Found:
    anomalies: tuple = field(default=())


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize(("missing", "said"), [(0, False), (1, False), (2, True), (48, True)])
def test_a_movie_that_was_not_copied_whole_is_odd(stride, missing, said):
    index = np.arange(49) * stride + (stride - 1)
    movie = SimpleNamespace(
        clock_index=index, n_clock_frames=(49 + missing) * stride, shape=(49, 8, 8)
    )
    found = _with_missing_end_said(Found(), movie)
    assert bool(found.anomalies) == said
    if said:
        assert f"hold 49 frames, but {49 + missing} were recorded" in found.anomalies[0].text
        assert found.anomalies[0].count == missing
