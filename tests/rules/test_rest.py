"""Suppression after outcomes, together with other rules, by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from bank import FOUR_WEEKS, about, contacts, decide, project, table, tables_of

import omniopt as oo

CANDIDATES = table(
    "customer_id action_id value", "ann loan-call-1 5", "ann loan-email-9 4", "ann card-email-2 3",
    "bob loan-call-1 2", "bob card-email-2 1",
)  # fmt: skip
OFFERS = table("offer_id category", "loan credit", "card plastic")
PAST = table(
    "customer_id offer_id channel date outcome", "ann loan email -6 rejected", "ann loan email -2 rejected",
    "bob card email 0 unsubscribed",
)  # fmt: skip


def rest(**rule: Any) -> dict[str, Any]:
    """Two refusals of a category within a week rest it for ten days."""
    after = {"outcome": "rejected", "times": 2, "within_days": 7}
    return {"name": "rest", "after": after, "drop_same": "category", "for_days": 10} | rule


def solve(*rules: dict[str, Any], history: pd.DataFrame = PAST, **sections: Any) -> Any:
    policy = {"objective": "value", "eligibility": list(rules)} | sections
    return decide(policy, tables_of(CANDIDATES, offers=OFFERS, history=history), FOUR_WEEKS)


def reasons(plan: Any) -> dict[str, str]:
    rows = plan.dropped[["customer_id", "action_id", "reason"]].to_numpy().tolist()
    return {f"{customer} {action}": reason for customer, action, reason in rows}


@about("eligibility.after", "eligibility.drop_same", "eligibility.for_days")
def test_two_refusals_rest_the_category_of_one_customer_for_the_days() -> None:
    """The second refusal, on day -2, rests ann's loans through day 7; the one of day 9 may come."""
    plan = solve(rest())
    assert reasons(plan) == {"ann loan-call-1": "rest"}
    assert plan.certificate["dropped"] == {"rest": 1}
    assert plan.objective == 4 + 3 + 2 + 1
    assert reasons(solve(rest(for_days=12))) == {"ann loan-call-1": "rest", "ann loan-email-9": "rest"}
    assert reasons(solve(rest(for_days=3))) == {}


@about("eligibility.after")
def test_who_leaves_a_channel_is_not_written_to_any_more() -> None:
    """bob left the e-mails yesterday; he may still be called. Nobody else is concerned."""
    plan = solve(rest(after={"outcome": "unsubscribed"}, drop_same="channel", for_days=36_525))
    assert reasons(plan) == {"bob card-email-2": "rest"}


@about("eligibility.drop_same")
def test_all_rests_everything_of_the_customer() -> None:
    plan = solve(rest(drop_same="all", for_days=5))
    assert contacts(plan) == ["ann loan-email-9", "bob card-email-2", "bob loan-call-1"]


@about("eligibility.after")
def test_a_candidate_counts_under_the_first_reason_only() -> None:
    """The rule for calls comes first, so that resting drops nothing more; what it matched is shown."""
    plan = solve({"name": "no calls", "drop": {"channel": "call"}}, rest())
    assert plan.certificate["dropped"] == {"no calls": 2}
    (entry,) = [e for e in plan.certificate["rules"] if e["name"] == "rest"]
    assert (entry["dropped"], entry["matched"]) == (0, 1)


@about("eligibility.after")
def test_a_commitment_is_no_outcome() -> None:
    """What is promised has not been refused yet, and bars nothing."""
    promised = table("customer_id offer_id channel date outcome planned", "ann loan call 3 - true")
    assert reasons(solve(rest(after={"outcome": ["sent", "delivered", "rejected"]}), history=promised)) == {}


@about("eligibility.for_days")
def test_a_minimum_that_only_the_resting_could_fill_is_out_of_reach() -> None:
    """Two loan calls are owed, ann's rests."""
    owed = [{"name": "loan calls", "where": {"offer": "loan", "channel": "call"}, "min": 2}]
    with pytest.raises(oo.Infeasible, match="loan calls"):
        solve(rest(), limits=owed)
    assert solve(rest(for_days=3), limits=owed).objective == 15


@about("eligibility.after")
def test_a_lock_on_what_rests_says_why_it_cannot_hold() -> None:
    policy = {"objective": "value", "eligibility": [rest()]}
    made = project(policy, tables_of(CANDIDATES, offers=OFFERS, history=PAST), FOUR_WEEKS)
    locked = made.with_decisions(None, table("customer_id action_id", "ann loan-call-1"))
    with pytest.raises(oo.BadInput, match="rest"):
        oo.optimize(locked)
