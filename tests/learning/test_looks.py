"""Looks before the end: boundaries as they are tabled, and an error that stays what it was said to be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniopt.learning.looks import ALPHA, boundaries, spent


def test_one_look_at_the_end_is_the_usual_interval() -> None:
    assert boundaries([1.0]) == pytest.approx([1.959964], abs=1e-6)


def test_five_looks_are_as_tabled() -> None:
    """Lan-DeMets boundaries of O'Brien and Fleming's type, two-sided 0.05, as published for five looks."""
    published = [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]
    assert boundaries([0.2, 0.4, 0.6, 0.8, 1.0]) == pytest.approx(published, abs=2e-4)


def test_the_whole_error_is_spent_at_the_end_and_hardly_any_at_the_beginning() -> None:
    assert spent(1.0) == pytest.approx(ALPHA)
    assert spent(0.1) < 1e-8
    assert boundaries([0.01])[0] == pytest.approx(8.5)


@given(st.sets(st.integers(1, 30), min_size=1, max_size=6))
@settings(max_examples=25)
def test_no_look_is_narrower_than_the_usual_interval(days: set[int]) -> None:
    found = boundaries(np.array(sorted(days)) / 30)
    assert (found >= 1.9599).all()
    assert found[0] >= found[-1] - 0.1  # strict at the beginning


def test_a_difference_that_is_none_is_found_as_seldom_as_said() -> None:
    """A thousand Brownian motions of 20 days; looked at every day they cross 1.96 in a quarter of cases."""
    rng = np.random.default_rng(3)
    times = np.arange(1, 21) / 20
    paths = rng.normal(size=(4000, 20)).cumsum(1) / np.sqrt(20) / np.sqrt(times)
    usual = (np.abs(paths) > 1.96).any(1).mean()
    guarded = (np.abs(paths) > boundaries(times)).any(1).mean()
    assert usual > 0.2
    assert guarded == pytest.approx(ALPHA, abs=0.01)


@pytest.mark.parametrize("times", [[0.0], [0.5, 0.5], [0.6, 0.4], [1.1]])
def test_looks_at_no_time_are_refused(times: list[float]) -> None:
    with pytest.raises(ValueError, match="rising"):
        boundaries(times)
