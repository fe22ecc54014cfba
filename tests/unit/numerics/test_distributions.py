"""Numbers of distributions against SciPy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from derotation.numerics.distributions import chi_square_median, f_tail, t_quantile


@pytest.mark.parametrize("n", [1, 2, 3, 6, 10, 57, 400])
def test_medians_of_chi_square(n):
    assert chi_square_median(n) == pytest.approx(special.chdtri(n, 0.5), rel=1e-12)


@given(st.integers(1, 60), st.integers(1, 300), st.floats(0, 1e4))
def test_tails_of_f(n, m, value):
    assert f_tail(n, m, value) == pytest.approx(special.fdtrc(n, m, value), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 23, 24, 100, 5000])
@pytest.mark.parametrize("probability", [0.6, 0.9, 0.975, 0.999])
def test_quantiles_of_t(n, probability):
    expected = special.stdtrit(n, probability)
    assert t_quantile(n, probability) == pytest.approx(expected, rel=1e-9)
