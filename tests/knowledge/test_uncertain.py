from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from market import Market

from omniopt.errors import BadInput
from omniopt.knowledge import fit, uncertain
from omniopt.knowledge.uncertain import cautious, half_scores, halves, resampled, shrunk
from omniopt.tables import Tables


def test_halves_have_nothing_in_common_and_all_together(market: Market) -> None:
    tables = market.tables()
    first, second = halves(tables, 7, 0)
    assert not len(first.intersection(second)) and len(first) == 750
    assert sorted(first.append(second)) == sorted(market.customers["customer_id"])
    assert list(halves(tables, 7, 0)[0]) == list(first)
    assert set(halves(tables, 7, 1)[0]) != set(first)


def test_halves_do_not_depend_on_the_order_of_rows(market: Market) -> None:
    mixed = market.history.sample(frac=1, random_state=1)
    assert list(halves(market.tables(history=mixed), 7, 0)[0]) == list(halves(market.tables(), 7, 0)[0])


def test_what_two_halves_agree_on_stays() -> None:
    p = np.array([0.1, 0.2, 0.3, 0.5, 0.6, 0.7])
    cell = np.array([0, 0, 0, 1, 1, 1])
    assert shrunk(p, cell, [(p, p)]) == pytest.approx(p)


def test_what_two_halves_do_not_agree_on_goes_to_the_mean() -> None:
    p = np.array([0.1, 0.2, 0.2, 0.3])
    one, other = np.array([0.1, 0.3, 0.1, 0.3]), np.array([0.1, 0.1, 0.3, 0.3])
    assert shrunk(p, np.zeros(4, int), [(one, other)]) == pytest.approx(np.full(4, 0.2))


def test_halves_that_agree_by_half_keep_two_thirds() -> None:
    """Spearman and Brown: 2 · 0.5 / (1 + 0.5)."""
    truth, noise = np.array([-0.1, -0.1, 0.1, 0.1] * 2), np.array([-0.1, 0.1, -0.1, 0.1] * 2)
    other = np.array([-0.1] * 4 + [0.1] * 4)
    p = 0.3 + truth
    found = shrunk(p, np.zeros(8, int), [(0.3 + truth + noise, 0.3 + truth + other)])
    assert found - 0.3 == pytest.approx(truth * 2 / 3)


def test_shrunk_scores_are_nearer_to_the_truth_and_what_is_chosen_is_not_overestimated() -> None:
    rng = np.random.default_rng(1)
    cell = np.repeat(np.arange(6), 2000)
    truth = rng.uniform(0.1, 0.3, 6)[cell] + rng.normal(0, 0.02, len(cell))

    def seen(noise: float) -> np.ndarray:
        return truth + rng.normal(0, noise, len(truth))

    p = seen(0.04)  # from all of history: half the variance of a half
    drawn = shrunk(p, cell, [(seen(0.04 * 2**0.5), seen(0.04 * 2**0.5)) for _ in range(3)])
    assert drawn.mean() == pytest.approx(p.mean())
    assert ((drawn - truth) ** 2).mean() < 0.3 * ((p - truth) ** 2).mean()
    for number in range(6):
        mine = np.flatnonzero(cell == number)
        best, best_drawn = (mine[np.argsort(-x[mine])[:200]] for x in (p, drawn))
        assert p[best].mean() > truth[best].mean() + 0.03
        assert drawn[best_drawn].mean() == pytest.approx(truth[best_drawn].mean(), abs=0.012)


@pytest.fixture(scope="module")
def tables() -> Tables:
    return Market(400, rounds=6).tables()


@pytest.fixture(scope="module")
def scores(tables: Tables) -> pd.DataFrame:
    return fit(tables).score()


def test_a_half_learns_from_its_own_customers_alone() -> None:
    market = Market(400, rounds=6)
    tables = market.tables()
    first, second = half_scores(tables, 3, 0)
    half = halves(tables, 3, 0)[0]
    theirs = ~market.history["customer_id"].isin(half)
    # the others answer otherwise now: their own past is another, but the model of the first half is the same
    theirs &= market.history.index % 3 == 0
    changed = market.history.assign(outcome=market.history["outcome"].mask(theirs, "responded"))
    again = half_scores(market.tables(history=changed), 3, 0)[0]
    mine = first["customer_id"].isin(half)
    pd.testing.assert_frame_equal(first[mine], again[mine])
    assert not np.allclose(first["p_response"], second["p_response"])


def test_shrinking_keeps_the_mean_and_says_what_was_expected(tables: Tables, scores: pd.DataFrame) -> None:
    drawn = cautious(tables, scores, "shrink")
    assert drawn["p_expected"].tolist() == scores["p_response"].tolist()
    assert drawn["p_response"].mean() == pytest.approx(scores["p_response"].mean(), rel=1e-6)
    assert drawn["p_response"].std() < scores["p_response"].std()
    assert drawn["p_response"].between(0, 1, inclusive="neither").all()


def test_a_quantile_is_not_above_what_is_expected(
    tables: Tables, scores: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uncertain, "RESAMPLES", 11)
    low = cautious(tables, scores, "quantile", seed=2)
    assert (low["p_response"] <= low["p_expected"]).all()
    drawn = np.stack([s["p_response"] for s in resampled(tables, 2, 11)])
    below = (drawn < low["p_response"].to_numpy() - 1e-7).mean()
    assert below <= 0.2
    pd.testing.assert_frame_equal(low, cautious(tables, scores, "quantile", seed=2))


def test_too_little_history_for_halves_is_said(make: Callable[..., Tables]) -> None:
    market = Market(60, rounds=2)
    with pytest.raises(BadInput, match="history cannot train"):
        half_scores(market.tables(), 0, 0)
