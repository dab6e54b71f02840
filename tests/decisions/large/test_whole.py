"""Bounds brought to whole numbers of contacts: nothing that a plan can do is lost."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import omniopt as oo
from omniopt.decisions.large.build import build_large
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.whole import amounts_of, with_whole_bounds

CHANNELS = {"call": 9.1, "mail": 1.4, "text": 0.035}


def large(limits: list[dict], cost: dict[str, float] = CHANNELS, customers: int = 4) -> Large:
    """Customers who may each get all of three contacts, which cost the same for everybody."""
    actions = pd.DataFrame({"action_id": list(cost), "offer_id": "card", "channel": list(cost)})
    pairs = list(itertools.product([f"c{i}" for i in range(customers)], cost))
    candidates = pd.DataFrame(pairs, columns=["customer_id", "action_id"])
    candidates["value"] = np.arange(1.0, len(pairs) + 1)
    candidates["cost"] = candidates["action_id"].map(cost)
    policy = {"objective": "value", "limits": [{"name": f"l{i}", **rule} for i, rule in enumerate(limits)]}
    return build_large(oo.Project.from_frames(policy, actions=actions, candidates=candidates))[0]


@pytest.mark.parametrize(
    ("rule", "lo", "hi"),
    [
        ({"where": {"channel": "call"}, "max": 2.9}, -np.inf, 2.0),
        ({"where": {"channel": "call"}, "min": 2.1}, 3.0, np.inf),
        ({"where": {"channel": "call"}, "max": 3.0}, -np.inf, 3.0),
        ({"measure": "cost", "where": {"channel": "call"}, "max": 20.0}, -np.inf, 18.2),
        ({"measure": "cost", "where": {"channel": ["mail", "text"]}, "max": 4.0}, -np.inf, 3.99),
        ({"measure": "cost", "where": {"channel": ["mail", "text"]}, "min": 4.0, "max": 4.1}, 4.025, 4.095),
        ({"measure": "value", "max": 7.3}, -np.inf, 7.3),  # differs from contact to contact
        (
            {"where": {"channel": "call"}, "min": 2.5, "penalty": 1.0},
            2.5,
            np.inf,
        ),  # may be missed by any part
    ],
)
def test_bounds_by_hand(rule, lo, hi):
    system = with_whole_bounds(large([rule]))
    assert (system.lo[0], system.hi[0]) == pytest.approx((lo, hi))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from([0.035, 0.1, 0.7, 1.0, 1.4, 2.5, 9.1, np.pi]), min_size=3, max_size=3),
    st.floats(0.0, 30.0),
)
def test_no_total_in_reach_is_cut_off(amounts, bound):
    rules = [{"measure": "cost", "max": bound}, {"measure": "cost", "min": bound}]
    system = with_whole_bounds(large(rules, dict(zip(CHANNELS, amounts, strict=True))))
    totals = [sum(n * a for n, a in zip(count, amounts, strict=True))
              for count in itertools.product(range(5), repeat=3)]  # fmt: skip
    room = 1e-9 * max(1.0, bound)
    for total in totals:
        assert (total <= bound + room) == (total <= system.hi[0] + 2 * room) or abs(total - bound) < 1e-6
        assert (total >= bound - room) == (total >= system.lo[1] - 2 * room) or abs(total - bound) < 1e-6


def test_amounts_are_told_by_bin():
    problem = large([{"measure": "cost", "where": {"channel": ["mail", "call"]}, "max": 9.0},
                     {"measure": "value", "max": 9.0}])  # fmt: skip
    bins, amount = amounts_of(problem, 0)
    channel = problem.catalogue.ids("action")[problem.bins.action[bins % problem.bins.kinds]]
    assert dict(zip(channel, amount, strict=True)) == {"mail": 1.4, "call": 9.1}
    assert not len(amounts_of(problem, 1)[0])
