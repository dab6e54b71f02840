"""Rules that have nothing to speak of: no candidate is left, or none is in their scope."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from bank import FOUR_WEEKS, decide, table, tables_of

import omniopt as oo

TABLES = {
    "customers": table("customer_id household_id region", "ann h1 north", "bob h1 south"),
    "offers": table("offer_id category business_unit", "a x u", "b y v", "c - -"),
    "channels": table("channel minutes delivery_rate fallback", "call 5 1 -", "email 1 0.5 call"),
    "history": table(
        "customer_id offer_id channel date outcome planned", "ann a call 0 rejected -", "bob b email 5 - true"
    ),
}
CANDIDATES = table("customer_id action_id value", "ann a-call-1 5", "bob b-email-2 4", "ann b-email-3 3")
NOTHING = {"name": "nobody", "drop": {"offer": ["a", "b"]}}
SHARE = {"where": {"channel": "call"}, "over": {"measure": "contacts"}}

EMPTY: list[tuple[str, dict[str, Any], float]] = [
    ("limits", {"min": 2, "all_or_nothing": True, "fixed_cost": 3, "per": "offer"}, 0),
    ("limits", {"fixed_cost": 3}, 0),
    ("limits", {"min": 2, "penalty": 3}, -6),
    ("limits", {"max": 2, "penalty": 3}, 0),
    ("limits", {"max": 1, "rolling_days": 3, "per": ["offer.category"]}, 0),
    ("limits", {"min": 1, "rolling_days": 27, "penalty": 0.5}, 0),
    ("limits", SHARE | {"min": 0.2, "max": 0.8, "rolling_days": 3}, 0),
    ("limits", SHARE | {"min": 0.2, "report_only": True}, 0),
    ("limits", {"min": 9, "report_only": True}, 0),
    ("contact", {"max": 1, "unit": "household", "days": 7}, 0),
    ("contact", {"min": 1, "min_or_none": True}, 0),
    ("contact", {"max": 1, "every": "month", "count": "occasions", "per": ["channel"]}, 0),
    ("requires", {"offer": {}, "needs": {}, "days": 3}, 0),
    ("conflicts", {"first": {}, "then": {}, "days": 3}, 0),
    ("eligibility", {"after": {"outcome": "rejected"}, "drop_same": "all", "for_days": 3}, 0),
]


def solve(section: str, rule: dict[str, Any], candidates: pd.DataFrame, **more: Any) -> Any:
    policy = {"objective": "value", section: [{"name": "the rule"} | rule]}
    policy["eligibility"] = [*policy.get("eligibility", []), *more.get("eligibility", [])]
    return decide(policy | more.get("instead", {}), tables_of(candidates, **TABLES), FOUR_WEEKS)


@pytest.mark.parametrize("solver", ["exact", "decomposed"])
@pytest.mark.parametrize(("section", "rule", "objective"), EMPTY)
def test_where_everybody_drops_out_the_plan_is_empty(
    section: str, rule: dict[str, Any], objective: float, solver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what was promised at a price costs anything; bob's commitment is in both windows of 27 days."""
    optimize = oo.optimize
    monkeypatch.setattr(oo, "optimize", lambda *a, **more: optimize(*a, **more | {"solver": solver}))
    plan = solve(section, rule, CANDIDATES, eligibility=[NOTHING])
    assert plan.certificate["solver"] == solver
    assert plan.status == "optimal"
    assert len(plan.contacts) == 0
    assert plan.objective == objective
    shown = [e["name"] for e in plan.certificate["rules"]] + plan.certificate["notes"]
    assert any("the rule" in text for text in shown), "a rule without groups is named in the notes"


@pytest.mark.parametrize(("section", "rule"), [
    ("limits", {"min": 1}), ("limits", {"min": 1, "rolling_days": 3}), ("contact", {"min": 1}),
    ("contact", {"min": 1, "every": "week", "unit": "household"}),
])  # fmt: skip
def test_where_everybody_drops_out_what_is_owed_cannot_be_given(section: str, rule: dict[str, Any]) -> None:
    with pytest.raises(oo.Infeasible):
        solve(section, rule, CANDIDATES, eligibility=[NOTHING])


@pytest.mark.parametrize(
    ("section", "rule"),
    [
        ("limits", {"where": {"offer": "c"}, "min": 2, "all_or_nothing": True, "fixed_cost": 3}),
        ("limits", {"where": {"offer": "c"}, "max": 2, "rolling_days": 3}),
        ("limits", {"where": {"offer": "c"}, "over": "value", "min": 2}),
        ("contact", {"where": {"offer": "c"}, "min": 2, "min_or_none": True}),
        ("contact", {"where": {"offer": "c"}, "max": 0, "unit": "household"}),
        ("requires", {"offer": {"offer": "c"}, "needs": {"offer": "a"}, "days": 3}),
        ("conflicts", {"first": {"offer": "c"}, "then": {"offer": "a"}, "days": 3}),
        ("eligibility", {"after": {"outcome": "bounced"}, "drop_same": "all", "for_days": 3}),
    ],
)
def test_a_rule_whose_scope_is_empty_says_so_and_changes_nothing(section: str, rule: dict[str, Any]) -> None:
    """Nothing about the third offer is on the table, and nothing has bounced."""
    plan = solve(section, rule, CANDIDATES)
    assert plan.objective == 12
    assert any("the rule" in note for note in plan.certificate["notes"])


def test_ranks_of_nothing() -> None:
    ranks = {"objective": ["value", {"minimise": "minutes"}, {"maximise": "contacts"}]}
    plan = solve("limits", {"max": 1}, CANDIDATES, eligibility=[NOTHING], instead=ranks)
    assert (plan.objective, len(plan.contacts), len(plan.certificate["ranks"])) == (0, 0, 3)
