"""Worlds of a few contacts, one for each family of rules, with plan and certificate worked out on paper."""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from mini import edit, edit_plan

from omniopt.audit import Verification, verify
from omniopt.project import Project
from omniopt.tables import write_parquet

COLUMNS = ["customer_id", "action_id", "offer_id", "channel", "date", "value", "objective", "advantage"]


@dataclass
class World:
    """A project made of frames, and the folder with its plan."""

    policy: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    horizon: dict[str, Any] | None
    plan: list[tuple]
    certificate: dict[str, Any]
    folder: Path = Path()

    def write(self, folder: Path) -> World:
        """Write plan and certificate."""
        self.folder = folder
        frame = pd.DataFrame(self.plan, columns=COLUMNS)
        if self.horizon:
            start = pd.Timestamp(self.horizon["start"])
            frame["date"] = [start + pd.Timedelta(days=day - 1) for day in frame["date"]]
        frame.insert(5, "fallback", pd.array([None] * len(frame), dtype="str"))
        for place, name in ((7, "cost"), (8, "response")):
            frame.insert(place, name, float("nan"))
        write_parquet(frame, folder / "plan.parquet")
        (folder / "certificate.json").write_text(json.dumps(self.certificate))
        edit(folder, lambda c: c.update(inputs=self.project().read().inputs))
        return self

    def project(self) -> Project:
        """The project, under the policy as it stands."""
        return Project.from_frames(copy.deepcopy(self.policy), horizon=self.horizon, **self.tables)

    def verify(self) -> Verification:
        """The check."""
        return verify(self.folder, self.project())

    def change(self, change: Callable[[dict], Any]) -> None:
        """Change the policy, and sign it."""
        change(self.policy)
        edit(self.folder, lambda c: c.update(inputs=self.project().read().inputs))

    def choose(self, *rows: tuple) -> None:
        """Replace the plan's rows by others, told as in `plan`."""
        World(self.policy, self.tables, self.horizon, list(rows), self.certificate).write(self.folder)

    def edit(self, change: Callable[[dict], Any]) -> None:
        """Change the certificate."""
        edit(self.folder, change)

    def edit_plan(self, change: Callable[[pd.DataFrame], pd.DataFrame | None]) -> None:
        """Change the plan's rows."""
        edit_plan(self.folder, change)


def entries(certificate: dict, name: str) -> list[dict]:
    """The certificate's entries of a rule."""
    return [entry for entry in certificate["rules"] if entry["name"] == name]


def certificate(
    objective: float, rules: list[dict], rows: int, candidates: int, customers: int, **more: Any
) -> dict:
    """A certificate of an optimal plan of the exact solver, its bound proven by the prices."""
    said = {
        "status": "optimal", "objective": objective, "bound": objective, "bound_from_prices": objective,
        "gap": 0.0, "gap_target": 1e-4, "sense": "maximise", "candidates": candidates, "customers": customers,
        "coupling_rows": rows, "solver": "exact", "dropped": {}, "rules": rules, "changes": {},
        "horizon": None, "fixed_cost": 0.0, "penalties": 0.0,
    }  # fmt: skip
    return said | more


def limit(name: str, used: float | None, slack: float | None, **more: Any) -> dict:
    """An entry of a limit."""
    entry = {"name": name, "kind": "limit", "group": {}, "min": None, "max": None, "used": used}
    return entry | {"slack": slack, "price": 0.0, "missed_by": 0.0, "penalty_paid": 0.0} | more


def person(name: str, used: int, slack: int | None, at_cap: int, **more: Any) -> dict:
    """An entry of a contact rule."""
    entry = {"name": name, "kind": "contact", "group": {}, "min": None, "max": None, "price": None}
    return entry | {"used": used, "slack": slack, "at_cap": at_cap} | more


def actions(*rows: tuple) -> pd.DataFrame:
    """Actions as (action, offer, channel, day, ...)."""
    return pd.DataFrame(rows, columns=["action_id", "offer_id", "channel", "date", "agent"][: len(rows[0])])


def candidates(*rows: tuple[str, str, float]) -> pd.DataFrame:
    """Candidates as (customer, action, value)."""
    return pd.DataFrame(rows, columns=["customer_id", "action_id", "value"])


def history(*rows: tuple) -> pd.DataFrame:
    """Contacts of the past as (customer, offer, channel, day, outcome)."""
    frame = pd.DataFrame(rows, columns=["customer_id", "offer_id", "channel", "date", "outcome"])
    frame["planned"] = frame["outcome"].isna()
    return frame


def rolling() -> World:
    """At most two e-mails in three days, one was sent on day 0; at least one in every three days.

    Windows from day -1 to day 5 hold a candidate, those from 4 and from 5 the same one. From day 0 on there
    is room for one of a1 (worth 4) and a2 (worth 3), so that a place there is worth 3.
    """

    def window(name: str, start: int, used: float, slack: float, past: float = 0.0, **more: Any) -> dict:
        return limit(name, used, slack, group={"from": start}, history=past, **more)

    rules = [
        window("load", -1, 2.0, 0.0, 1.0, max=2.0),
        window("load", 0, 2.0, 0.0, 1.0, max=2.0, price=3.0),
        window("load", 1, 2.0, 0.0, max=2.0),
        window("load", 2, 1.0, 1.0, max=2.0),
        window("load", 3, 2.0, 0.0, max=2.0),
        window("load", 4, 1.0, 1.0, max=2.0),
        window("steady", 1, 2.0, 1.0, min=1.0),
        window("steady", 2, 1.0, 0.0, min=1.0),
        window("steady", 3, 2.0, 1.0, min=1.0),
    ]
    days = (("a1", 1), ("a2", 2), ("a3", 3), ("a5", 5))
    return World(
        {
            "objective": "value",
            "limits": [
                {"name": "load", "where": {"channel": "email"}, "max": 2, "rolling_days": 3},
                {"name": "steady", "min": 1, "rolling_days": 3},
            ],
        },
        {
            "actions": actions(*((action, "loan", "email", day) for action, day in days)),
            "candidates": candidates(("u", "a1", 4.0), ("v", "a2", 3.0), ("u", "a3", 5.0), ("v", "a5", 2.0)),
            "history": history(
                ("w", "loan", "email", 0, "sent"),
                ("w", "card", "email", 0, "bounced"),
                ("w", "loan", "call", 0, "sent"),
            ),
        },
        None,
        [
            ("u", "a1", "loan", "email", 1, 4.0, 4.0, 1.0),
            ("u", "a3", "loan", "email", 3, 5.0, 5.0, 5.0),
            ("v", "a5", "loan", "email", 5, 2.0, 2.0, 2.0),
        ],
        certificate(11.0, rules, 9, 4, 2),
    )


def cells() -> World:
    """A launch by region that costs 5 to open and needs two; three guaranteed contacts of which two exist.

    In the north the launch earns 10 + 6 and opens; in the south 1 + 3 would not pay. A guaranteed contact
    saves a penalty of 2, so that even the one worth -1 is made; the third is missed. So the plan is worth
    16 + 0 - 5 - 2. Prices know nothing of what ties a group to its contacts: they prove 20 - 2.
    """
    group = {"customer.region": "n"}, {"customer.region": "s"}
    rules = [
        limit("launch", 2.0, 0.0, group=group[0], min=2.0, opened=True, fixed_cost=5.0),
        limit("launch", 0.0, 0.0, group=group[1], min=2.0, opened=False, fixed_cost=0.0),
        limit("launch", 2.0, 1.0, group=group[0], max=3.0),
        limit("launch", 0.0, 3.0, group=group[1], max=3.0),
        limit("guarantee", 2.0, -1.0, min=3.0, price=-2.0, missed_by=1.0, penalty_paid=2.0),
        limit("hurdle", 16 / 9, 11.5, min=0.5),
        limit("watch", 3.0, -2.0, max=1.0, missed_by=2.0, report_only=True),
        limit("letters", 2.0, None, opened=True, fixed_cost=0.0),
    ]
    return World(
        {
            "objective": "value",
            "limits": [
                {
                    "name": "launch",
                    "where": {"offer": "new"},
                    "per": ["customer.region"],
                    "min": 2,
                    "max": 3,
                    "all_or_nothing": True,
                    "fixed_cost": 5,
                },
                {"name": "guarantee", "where": {"offer": "old"}, "min": 3, "penalty": 2},
                {"name": "hurdle", "measure": "value", "over": "contacts + fixed_cost", "min": 0.5},
                {"name": "watch", "where": {"customer.region": "n"}, "max": 1, "report_only": True},
                {"name": "letters", "where": {"offer": "old"}, "fixed_cost": 0},
            ],
        },
        {
            "customers": pd.DataFrame({"customer_id": ["u", "v", "x", "y"], "region": ["n", "n", "s", "s"]}),
            "actions": actions(("n1", "new", "email", 1), ("o1", "old", "mail", 2)),
            "candidates": candidates(
                ("u", "n1", 10.0), ("v", "n1", 6.0), ("x", "n1", 1.0), ("y", "n1", 3.0), ("u", "o1", 1.0),
                ("x", "o1", -1.0),
            ),
        },
        None,
        [
            ("u", "n1", "new", "email", 1, 10.0, 10.0, 10.0),
            ("u", "o1", "old", "mail", 2, 1.0, 1.0, 3.0),
            ("v", "n1", "new", "email", 1, 6.0, 6.0, 6.0),
            ("x", "o1", "old", "mail", 2, -1.0, -1.0, 1.0),
        ],
        certificate(9.0, rules, 7, 6, 4, bound_from_prices=18.0, fixed_cost=5.0, penalties=2.0),
    )  # fmt: skip


def people() -> World:
    """Ann and Bob share a home that may get three contacts; Cal is new and must be welcomed.

    Ann's card (8) needs the account (-1) before it, Bob's loans (5 and 3) come both or not at all: together
    that would be four. So it is Bob's loans, 8 against 7. Cal is welcomed by the account (-2) rather than
    by two loans (-5). From 30 November on Bob's week holds his loans and a commitment.
    """
    rules = [
        person("weekly", 3, 0, 1, max=3),
        person("home", 2, 1, 0, max=3),
        person("welcome", 1, 0, 0, min=1),
        person("one agent", 1, 0, 2, max=1),
        person("two or none", 2, 0, 0, min=2),
        {"name": "account first", "kind": "requires", "group": {}, "used": 0, "customers": 1, "price": None},
    ]
    horizon = {"start": datetime.date(2026, 11, 26), "days": 12}
    return World(
        {
            "objective": "value",
            "contact": [
                {"name": "weekly", "max": 3, "every": "week"},
                {"name": "home", "unit": "household", "max": 3},
                {"name": "welcome", "where": {"customer.new": True}, "min": 1},
                {"name": "one agent", "count": "action.agent", "max": 1},
                {"name": "two or none", "where": {"offer": "loan"}, "min": 2, "min_or_none": True},
            ],
            "requires": [
                {
                    "name": "account first",
                    "offer": {"offer": "card"},
                    "needs": {"offer": "account"},
                    "days": 4,
                }
            ],
        },
        {
            "customers": pd.DataFrame(
                {
                    "customer_id": ["ann", "bob", "cal"],
                    "household_id": ["h1", "h1", "h2"],
                    "new": [False, False, True],
                }
            ),
            "actions": actions(
                ("a1", "loan", "email", 5, "kim"), ("a2", "card", "call", 6, "lee"),
                ("a3", "account", "email", 2, "lee"), ("a4", "loan", "call", 8, "kim"),
            ),
            "candidates": candidates(
                ("ann", "a2", 8.0), ("ann", "a3", -1.0), ("bob", "a1", 5.0), ("bob", "a4", 3.0),
                ("cal", "a1", -2.0), ("cal", "a4", -3.0), ("cal", "a3", -2.0),
            ),
            "history": history(("bob", "card", "email", 7, None), ("cal", "card", "email", -9, "sent")),
        },
        horizon,
        [
            ("bob", "a1", "loan", "email", 5, 5.0, 5.0, 1.0),
            ("bob", "a4", "loan", "call", 8, 3.0, 3.0, 1.0),
            ("cal", "a3", "account", "email", 2, -2.0, -2.0, 3.0),
        ],
        certificate(6.0, rules, 0, 7, 3, horizon={"start": "2026-11-26", "days": 12}),
    )  # fmt: skip


def ranks() -> World:
    """Value first, a tenth of it given up for fewer contacts: 19 of 20 with two instead of three.

    At a price of a tenth of a contact for a unit of value no plan worth 18 has less than 1.8 contacts.
    """
    first = {
        "objective_expr": "value", "sense": "maximise", "within": 0.1, "objective": 19.0, "best": 20.0,
        "bound": 20.0, "gap": 0.0, "status": "optimal", "bound_from_prices": 20.0, "prices": [0.0],
        "rank_prices": [],
    }  # fmt: skip
    second = {
        "objective_expr": "contacts", "sense": "minimise", "within": 0, "objective": 2.0, "best": 2.0,
        "bound": 2.0, "gap": 0.0, "status": "optimal", "bound_from_prices": 1.8, "prices": [0.0],
        "rank_prices": [-0.1],
    }  # fmt: skip
    return World(
        {
            "objective": [{"maximise": "value", "within": 0.1}, {"minimise": "contacts"}],
            "limits": [{"name": "most", "max": 3}],
        },
        {
            "actions": actions(("a1", "loan", "email", 1)),
            "candidates": candidates(("u", "a1", 10.0), ("v", "a1", 9.0), ("w", "a1", 1.0)),
        },
        None,
        [
            ("u", "a1", "loan", "email", 1, 10.0, 10.0, 10.0),
            ("v", "a1", "loan", "email", 1, 9.0, 9.0, 9.0),
        ],
        certificate(
            19.0, [limit("most", 2.0, 1.0, max=3.0)], 1, 3, 3, status="within_gap", bound=20.0,
            bound_from_prices=20.0, gap=0.05, gap_target=0.1001, ranks=[first, second],
        ),
    )  # fmt: skip


def refusals() -> World:
    """After two refusals within ten days nothing of that category for thirty days, the last one's included.

    Ann refused loans on days -8 and -1, and so gets none before day 29. Bob's refusals lie ten days apart,
    one too many; Cal refused a loan and a card. A call to Dan was lost, and nothing comes by call for three
    days.
    """
    rules = [
        {"name": "rest", "kind": "eligibility", "group": {}, "dropped": 1, "matched": 1},
        {"name": "line down", "kind": "eligibility", "group": {}, "dropped": 1, "matched": 1},
    ]
    chosen = [("ann", "a2"), ("bob", "a1"), ("bob", "a2"), ("cal", "a1"), ("cal", "a2"), ("dan", "a2")]
    kinds = {"a1": ("loan", "call", 2), "a2": ("loan", "email", 29)}
    everyone = [(c, a) for c in ("ann", "bob", "cal", "dan") for a in ("a1", "a2")]
    return World(
        {
            "objective": "value",
            "eligibility": [
                {
                    "name": "rest",
                    "after": {"outcome": ["rejected", "unsubscribed"], "times": 2, "within_days": 10},
                    "drop_same": "category",
                    "for_days": 30,
                },
                {"name": "line down", "after": {"outcome": "bounced"}, "drop_same": "channel", "for_days": 3},
            ],
        },
        {
            "offers": pd.DataFrame({"offer_id": ["card", "loan"], "category": ["plastic", "credit"]}),
            "actions": actions(*((a, *kinds[a]) for a in kinds)),
            "candidates": candidates(*((c, a, 1.0) for c, a in everyone)),
            "history": history(
                ("ann", "loan", "email", -8, "rejected"),
                ("ann", "loan", "call", -1, "unsubscribed"),
                ("bob", "loan", "email", -10, "rejected"),
                ("bob", "loan", "call", 0, "rejected"),
                ("cal", "loan", "email", -2, "rejected"),
                ("cal", "card", "email", -1, "rejected"),
                ("dan", "card", "call", 0, "bounced"),
            ),
        },
        None,
        [(c, a, *kinds[a], 1.0, 1.0, 1.0) for c, a in chosen],
        certificate(6.0, rules, 0, 6, 4, dropped={"rest": 1, "line down": 1}),
    )


WORLDS = {world.__name__: world for world in (rolling, cells, people, ranks, refusals)}
