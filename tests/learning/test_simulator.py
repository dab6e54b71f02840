"""Where the truth is known: intervals hold it, estimates are right on average, over many runs."""

from __future__ import annotations

import pytest
import simulator


@pytest.mark.slow
def test_intervals_of_effects_hold_the_truth() -> None:
    told = simulator.measured_effects(150)
    # Of 150 runs chance alone leaves out 0.95 by 0.036 in one test of twenty.
    assert 0.90 <= told["response_covered"] <= 0.99
    assert 0.89 <= told["money_covered"] <= 0.99


@pytest.mark.slow
def test_plans_not_run_are_estimated_without_bias() -> None:
    told = simulator.plans_not_run(100)
    for name in ("response_ips", "response_dr", "money_ips", "money_dr"):
        low, _, high = told[f"{name}_off"]
        assert low - 0.02 < 0 < high + 0.02
        assert told[f"{name}_covered"] >= 0.88
    assert told["response_predicted_off"][1] == pytest.approx(0.4)


def test_a_model_claims_too_much_of_whom_it_chose_and_another_does_not() -> None:
    told = simulator.claims(20)
    low, _, _ = told["plain_by_the_model_that_chose_off"]
    assert low > 0.1
    low, mean, high = told["plain_cross_fitted_off"]
    assert low < 0.02 and abs(mean) < 0.06


@pytest.mark.slow
def test_looking_every_week_finds_nothing_where_nothing_is() -> None:
    told = simulator.early_looks(150)
    assert told["found_with_usual_interval"] > 0.1
    assert told["found_with_guard"] <= 0.1
