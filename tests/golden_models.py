"""Small readable projects, one for every kind of rule; ``tests/golden`` holds their models as text.

After a change that is meant, write the files anew with

    OMNIOPT_UPDATE_GOLDEN=1 python -m pytest tests/rules/test_golden.py

and read the difference before committing it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from bank import FOUR_WEEKS, project, table, tables_of

import omniopt as oo

CUSTOMERS = table(
    "customer_id household_id age region most least", "ann h1 34 north 2 1", "bob h1 17 south 1 0"
)
OFFERS = table("offer_id category", "loan credit", "card plastic")
CANDIDATES = table(
    "customer_id action_id value cost",
    "ann loan-call-1 12 5", "ann card-email-2 6 1", "ann loan-email-8 7 1", "bob loan-call-1 9 5",
    "bob card-email-2 5 1",
)  # fmt: skip
PAST = table(
    "customer_id offer_id channel date outcome", "ann card email -1 delivered", "bob loan call -3 rejected"
)
COMMITMENT = table("customer_id offer_id channel date planned", "ann card call 4 true")


@dataclass(frozen=True)
class Golden:
    """A project with one rule, or two; ``section``, ``rule`` and ``beside`` go into its policy.

    ``floors`` are what earlier objectives, as maximised, have to keep; the model is then that of the next.
    """

    section: str
    rule: dict[str, Any]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    objective: Any = "value - cost"
    beside: dict[str, Any] | None = None
    floors: tuple[float, ...] = ()

    def project(self) -> oo.Project:
        rules = [self.rule] if self.beside is None else [self.rule, self.beside]
        policy = {"objective": self.objective, self.section: rules}
        tables = {"customers": CUSTOMERS, "offers": OFFERS, "candidates": CANDIDATES} | self.tables
        return project(policy, tables_of(**tables), FOUR_WEEKS)


CAPACITY = table(
    "region date calls", "north 1 1", "north 2 1", "north 8 0", "south 1 1", "south 2 1", "south 8 0"
)
FALLBACK = table("channel delivery_rate fallback minutes", "email 0.75 call 0", "call 1 - 10")
OPENING = table("region cost", "north 4", "south 2.5")
CALLS, EMAILS, CARDS = {"channel": "call"}, {"channel": "email"}, {"offer": "card"}

GOLDEN = {
    "eligibility-after": Golden(
        "eligibility",
        {"name": "rest after a refusal", "after": {"outcome": ["rejected"], "times": 1, "within_days": 30},
            "drop_same": "category", "for_days": 10},
        {"history": PAST},
    ),
    "eligibility-drop": Golden("eligibility",
        {"name": "adults", "drop": {"customer.age": {"lt": 18}, "offer": "card"}}),
    "limit-max": Golden("limits", {"name": "budget", "measure": "cost", "max": 11}),
    "limit-min": Golden("limits", {"name": "loan volume", "where": {"offer.category": "credit"}, "min": 1,
        "max": 2}),
    "limit-per": Golden("limits", {"name": "by region and channel", "per": ["customer.region", "channel"],
        "max": 1}),
    "limit-table": Golden(
        "limits",
        {"name": "call desk", "where": CALLS, "per": ["customer.region", "date"],
            "max": {"table": "desk", "column": "calls"}},
        {"desk": CAPACITY},
    ),
    "limit-over-min": Golden("limits", {"name": "hurdle rate", "measure": "value", "over": "cost",
        "min": 1.5}),
    "limit-over-max": Golden("limits", {"name": "call share", "where": CALLS,
        "over": {"measure": "contacts"}, "max": 0.4}),
    "limit-fallback": Golden("limits", {"name": "desk", "where": CALLS, "measure": "minutes", "max": 20},
        {"channels": FALLBACK}),
    "limit-rolling": Golden(
        "limits", {"name": "e-mail per week", "where": EMAILS, "max": 1, "rolling_days": 7}, {"history": PAST}
    ),
    "limit-rolling-min": Golden("limits", {"name": "in four weeks less a day", "min": 2, "rolling_days": 27},
        {"history": COMMITMENT}),
    "limit-rolling-per": Golden("limits", {"name": "minutes by region", "per": ["customer.region"],
        "measure": "minutes", "max": 20, "rolling_days": 2}, {"channels": FALLBACK}),
    "limit-rolling-over": Golden("limits", {"name": "call share", "where": CALLS,
        "over": {"measure": "contacts"}, "max": 0.6, "rolling_days": 5}, {"history": PAST}),
    "limit-all_or_nothing": Golden("limits", {"name": "launch", "where": CARDS, "min": 2, "max": 5,
        "all_or_nothing": True}),
    "limit-all_or_nothing-per": Golden("limits", {"name": "launch", "per": ["customer.region"], "min": 2,
        "all_or_nothing": True, "fixed_cost": 2.5, "penalty": 3}),
    "limit-fixed_cost": Golden("limits", {"name": "opening", "per": ["customer.region"],
        "fixed_cost": {"table": "opening", "column": "cost"}}, {"opening": OPENING}),
    "limit-fixed_cost-fallback": Golden("limits", {"name": "desk", "where": CALLS, "max": 2, "fixed_cost": 3},
        {"channels": FALLBACK}),
    "limit-fixed_cost-measure": Golden(
        "limits", {"name": "hurdle rate", "measure": "value", "over": "cost + fixed_cost", "min": 1.2},
        {"opening": OPENING}, "value - cost - 0.5 * fixed_cost",
        {"name": "opening", "per": "customer.region", "fixed_cost": {"table": "opening", "column": "cost"}},
    ),
    "limit-penalty": Golden("limits", {"name": "loan volume", "where": {"offer": "loan"}, "min": 2, "max": 2,
        "penalty": 1.5}),
    "limit-penalty-over": Golden("limits", {"name": "call share", "where": CALLS,
        "over": {"measure": "contacts"}, "max": 0.4, "penalty": 4}),
    "limit-penalty-minimise": Golden("limits", {"name": "three contacts", "min": 3, "penalty": 2},
        objective={"minimise": "cost"}),
    "limit-report_only": Golden(
        "limits", {"name": "watch only", "where": CALLS, "max": 1, "fixed_cost": 9, "report_only": True}
    ),
    "limit-ranks": Golden("limits", {"name": "budget", "measure": "cost", "max": 6, "penalty": 2,
        "fixed_cost": 3}, objective=[{"maximise": "value - cost", "within": 0.1}, {"minimise": "contacts"}],
        floors=(10.5,)),
    "limit-minimise": Golden("limits", {"name": "three contacts", "min": 3}, objective={"minimise": "cost"}),
    "contact-horizon": Golden("contact", {"name": "pressure", "max": 1}),
    "contact-window": Golden("contact", {"name": "pressure", "max": 1, "days": 7}),
    "contact-history": Golden("contact", {"name": "pressure", "max": 1, "days": 7}, {"history": PAST}),
    "contact-history-ignored": Golden("contact",
        {"name": "pressure", "max": 1, "days": 7, "history": False}, {"history": PAST}),
    "contact-where": Golden("contact", {"name": "e-mails", "where": EMAILS, "max": 1}),
    "contact-per": Golden("contact", {"name": "per category", "max": 1, "per": ["offer.category"]}),
    "contact-occasions": Golden(
        "contact", {"name": "occasions", "max": 1, "days": 14, "count": "occasions"},
        {"candidates": table("customer_id action_id value cost", "ann loan-call-1 12 5",
            "ann card-call-1 6 5", "ann card-email-1 4 1")},
    ),
    "contact-column": Golden("contact", {"name": "own cap", "max": {"column": "customer.most"}}),
    "contact-fallback": Golden("contact", {"name": "calls", "where": CALLS, "max": 1},
        {"channels": FALLBACK}),
    "contact-min": Golden("contact", {"name": "one at least", "min": 1}),
    "contact-min-days": Golden("contact", {"name": "in four weeks less a day", "min": 1, "days": 27},
        {"history": COMMITMENT}),
    "contact-min-column": Golden("contact", {"name": "what is owed",
        "min": {"column": "customer.least"}, "max": {"column": "customer.most"}}),
    "contact-min_or_none": Golden("contact", {"name": "two or none", "min": 2, "min_or_none": True}),
    "contact-every-week": Golden("contact", {"name": "weekly", "every": "week", "max": 1},
        {"history": COMMITMENT}),
    "contact-every-month": Golden("contact", {"name": "monthly", "every": "month", "max": 1},
        {"history": PAST}),
    "contact-unit": Golden("contact", {"name": "household", "unit": "household", "max": 2, "days": 7,
        "count": "occasions"}, {"history": PAST}),
    "contact-count": Golden("contact", {"name": "one channel", "count": "channel", "max": 1}),
    "requires-before": Golden("requires", {"name": "card needs loan", "offer": CARDS,
        "needs": {"offer": "loan"}, "days": 60}),
    "requires-any": Golden("requires", {"name": "card needs loan", "offer": CARDS,
        "needs": {"offer": "loan"}, "days": 6, "order": "any"}),
    "requires-history": Golden("requires", {"name": "card needs loan", "offer": CARDS,
        "needs": {"offer": "loan"}, "days": 5}, {"history": PAST}),
    "conflict-lag": Golden("conflicts", {"name": "no e-mail after a call", "first": CALLS, "then": EMAILS,
        "days": 7}),
    "conflict-same": Golden("conflicts", {"name": "a week apart", "first": {}, "then": {}, "days": 7}),
    "conflict-either_order": Golden(
        "conflicts", {"name": "never both", "first": CARDS, "then": {"offer": "loan"}, "days": 7,
            "either_order": True}
    ),
    "conflict-history": Golden(
        "conflicts", {"name": "cards apart", "first": CARDS, "then": CARDS, "days": 7}, {"history": PAST}
    ),
    "conflict-commitment": Golden(
        "conflicts", {"name": "never both", "first": CARDS, "then": CARDS, "days": 7, "either_order": True},
        {"history": COMMITMENT}
    ),
}  # fmt: skip
