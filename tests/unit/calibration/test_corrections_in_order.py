"""Which correction is estimated when, with corrections that only note that they were asked."""

import pytest

from derotation.calibration import Calibration
from derotation.calibration.calibration import Corrected
from derotation.calibration.sequence import estimate_corrections
from derotation.maps import corrections
from derotation.maps.corrections import Correction

CALIBRATION = Calibration(center=(1, 2), image_shape=(4, 4), method="fixed")


@pytest.fixture
def asked(monkeypatch):
    """Put a registry of one's own in place, which notes the names of those that are asked."""
    monkeypatch.setattr(corrections, "_REGISTERED", {})
    return []


def noting(asked, name, *, corrected=True, **how):
    def estimate(movie, angles, calibration, settings, **rest):
        asked.append(name)
        return Corrected(name=name, value={}, sd=None, calibration=calibration, corrected=corrected)

    correction = Correction(name=name, side="sample", estimate=estimate, **how)
    return corrections.register(correction)


def run():
    return estimate_corrections(None, None, CALIBRATION, {})


def test_one_that_was_biased_by_a_later_one_is_estimated_again(asked):
    noting(asked, "first", order=1)
    noting(asked, "second", order=2, repeats=("first",))
    noting(asked, "third", order=3)
    run()
    assert asked == ["first", "second", "first", "third"]


def test_nothing_is_repeated_where_nothing_was_corrected(asked):
    noting(asked, "first", order=1)
    noting(asked, "second", order=2, repeats=("first",), corrected=False)
    run()
    assert asked == ["first", "second"]


def test_two_that_bias_each_other_do_not_take_turns_forever(asked):
    noting(asked, "first", order=1, repeats=("second",))
    noting(asked, "second", order=2, repeats=("first",))
    run()
    assert asked == ["first", "second", "first", "second"]


def test_one_that_is_due_anyway_is_not_estimated_twice(asked):
    noting(asked, "first", order=1, repeats=("second",))
    noting(asked, "second", order=2)
    run()
    assert asked == ["first", "second"]


def test_a_correction_that_cannot_be_loaded_is_an_error_every_time(asked, monkeypatch):
    class Broken:
        def load(self):
            raise ImportError("no module of that name")

    monkeypatch.setattr(corrections, "entry_points", lambda group: [Broken()])
    corrections._register_installed.cache_clear()
    for _ in range(2):
        with pytest.raises(ImportError, match="of that name"):
            corrections.registered()
    monkeypatch.undo()
    corrections.registered()
