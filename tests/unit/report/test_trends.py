"""What drifts from session to session is drawn where it belongs."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from derotation.report.sessions import Measure, SessionReport
from derotation.report.states import State
from derotation.report.trends import HEIGHT, WIDTH, charts


def session(name, row=None, **trends):
    return SessionReport(
        row={"session": name, "protocol": "full"} | (row or {}), state=State(status="done"),
        flag="ok", figures=(), advice=(), signals_read=True, repairs=(), anomalies=(),
        calibration="", calibration_from="", trusted=True, statements={}, plots={}, times=(),
        trends={key: Measure(value=value, sd=sd) for key, (value, sd) in trends.items()},
    )  # fmt: skip


def test_dots_stand_in_the_order_of_the_sheet_and_as_high_as_their_value():
    values = (3.0, 5.0, 4.0)
    cohort = [session(f"s{k}", tilt=(value, None)) for k, value in enumerate(values)]
    (chart,) = charts(cohort)
    assert chart.title == "Tilt"
    assert [dot.session for dot in chart.dots] == ["s0", "s1", "s2"]
    assert [dot.x for dot in chart.dots] == pytest.approx(
        [WIDTH * f for f in (1 / 6, 3 / 6, 5 / 6)]
    )
    low, high, middle = (dot.y for dot in chart.dots)
    assert HEIGHT > low > middle > high > 0
    assert middle == pytest.approx((low + high) / 2)


@pytest.mark.parametrize(
    ("days", "order"),
    [
        (("2024-03-10", "2024-03-09", "2023-12-31"), ["s2", "s1", "s0"]),
        ((10.0, 9.0, 2.0), ["s2", "s1", "s0"]),
        (("10", "9", "2"), ["s2", "s1", "s0"]),
        ((2.0, None, 1.0), ["s2", "s0", "s1"]),
    ],
)
def test_days_of_the_sheet_order_them(days, order):
    cohort = [
        session(f"s{k}", {} if day is None else {"day": day}, photons=(1.0 + k, None))
        for k, day in enumerate(days)
    ]
    (chart,) = charts(cohort)
    assert [dot.session for dot in chart.dots] == order
    assert str(days[int(order[0][1])]) in chart.dots[0].words
    assert chart.first == str(days[int(order[0][1])])


def test_uncertainty_is_drawn_twice_as_long_and_said():
    cohort = [session("a", center_x=(50.0, 0.5)), session("b", center_x=(60.0, 0.5))]
    (chart,) = charts(cohort)
    dot = chart.dots[0]
    assert dot.reach is not None
    top, bottom = dot.reach
    per_px = (chart.dots[0].y - chart.dots[1].y) / 10
    assert bottom - top == pytest.approx(4 * 0.5 * per_px)
    assert "± 0.5" in dot.words


def test_what_only_one_session_tells_is_not_drawn():
    assert charts([session("a", tilt=(1.0, None)), session("b")]) == []
    assert charts([]) == []


def test_rounding_is_not_made_to_look_like_a_drift():
    cohort = [session("a", tilt=(0.0, None)), session("b", tilt=(1e-13, None))]
    (chart,) = charts(cohort)
    assert chart.dots[0].y == pytest.approx(chart.dots[1].y, abs=0.01)
    huge = [session("a", tilt=(0.0, 1.0)), session("b", tilt=(0.2, float("inf")))]
    (chart,) = charts(huge)
    assert all(0 <= dot.y <= HEIGHT for dot in chart.dots)


@given(
    st.floats(-1e6, 1e6),
    st.floats(-4, 6),
)
def test_a_chart_has_few_round_marks_where_they_belong(low, power):
    high = low + 10.0**power
    assume(high - low > 1e-9 * abs(low))
    cohort = [session("a", center_x=(low, None)), session("b", center_x=(high, None))]
    (chart,) = charts(cohort)
    assert 2 <= len(chart.marks) <= 5
    # As high as a dot of the value that they name would be, as far as its digits tell.
    first, last = (dot.y for dot in chart.dots)
    step = float(chart.marks[1].text) - float(chart.marks[0].text)
    assert step > 0
    for mark in chart.marks:
        assert 0 <= mark.y <= HEIGHT
        expected = first + (last - first) * (float(mark.text) - low) / (high - low)
        assert mark.y == pytest.approx(expected, abs=1)


def test_what_cannot_be_negative_has_no_mark_below_zero():
    (chart,) = charts([session("a", tilt=(0.0, 2.0)), session("b", tilt=(1.0, 2.0))])
    assert chart.marks[0].text == "0"
    assert chart.marks[0].y == HEIGHT
